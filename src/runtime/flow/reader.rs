//! Reads a peer's lines and hands them to the loop, one batch at a time.

use tokio::sync::mpsc;

use super::pace::Pace;
use super::{Batch, Flow, Rest};
use crate::runtime::input::Input;
use crate::runtime::stdio::Source;
use crate::wire::line::LineSplitter;
use crate::wire::{FrameReader, Lines};

/// The task that reads one peer.
pub(in crate::runtime) struct Reader {
    /// The stream.
    pub(in crate::runtime) source: Source,
    /// The longest line that is taken, in bytes.
    pub(in crate::runtime) limit: usize,
    /// The loop.
    pub(in crate::runtime) to: mpsc::UnboundedSender<Input>,
    /// The flow control of the peer.
    pub(in crate::runtime) flow: Flow,
}

impl Reader {
    /// Reads to the end of the stream, and sends each batch to the loop, through `wrap`. At
    /// the end it sends, through `ended`, the length in bytes of a last line that is no
    /// message because it breaks off.
    pub(in crate::runtime) async fn run(
        mut self,
        wrap: impl Fn(Batch) -> Input,
        ended: impl FnOnce(u64) -> Input,
    ) {
        let mut lines = LineSplitter::new(self.limit);
        let mut reader = FrameReader::default();
        let mut pace = Pace::new(self.flow.clone());
        loop {
            // Input is awaited first: mostly the last batch is served long before more comes.
            if self.source.ready().await.is_err() {
                break;
            }
            // The frames of the last batch hold the memory of the buffer. Once they are
            // served, the next read uses the same memory again.
            self.flow.wait(self.source.hung_up()).await;
            pace.let_others_pass().await;
            let longest = pace.longest_read();
            match self.source.read(lines.buffer(), longest).await {
                Ok(0) | Err(_) => break,
                Ok(read) => pace.has_read(read),
            }
            let mut rest = Rest::Over;
            loop {
                let first = reader.next(&mut lines, pace.longest_batch());
                // After a full batch, whose rest waits, the loop expects another, even if
                // that is empty.
                if first.is_none() && rest == Rest::Over {
                    break;
                }
                // Each batch of a read waits until the one before it is served.
                self.flow.wait(self.source.hung_up()).await;
                pace.let_others_pass().await;
                let longest = pace.longest_batch();
                let expected = if rest == Rest::Waits { longest } else { 1 };
                let mut count = first.as_ref().map_or(0, Lines::count);
                let mut received = Vec::with_capacity(expected);
                received.extend(first);
                while count < longest
                    && let Some(next) = reader.next(&mut lines, longest - count)
                {
                    count += next.count();
                    received.push(next);
                }
                rest = if count >= longest { Rest::Waits } else { Rest::Over };
                if self.to.send(wrap(self.flow.batch(received, rest))).is_err() {
                    return;
                }
                if rest == Rest::Over {
                    break;
                }
            }
        }
        // A peer may end its stream without a line end behind a whole message.
        let unfinished = match lines.finish() {
            None => 0,
            Some(line) => {
                let length = line.length();
                match reader.read_line(line) {
                    Err(_) => length,
                    Ok(frame) => {
                        self.flow.wait(self.source.hung_up()).await;
                        let last = vec![Lines::One(Ok(frame))];
                        let _ = self.to.send(wrap(self.flow.batch(last, Rest::Over)));
                        0
                    }
                }
            }
        };
        // The loop may be gone already.
        let _ = self.to.send(ended(unfinished));
    }
}
