//! Reads a peer's lines and hands them to the loop, one batch at a time.

use tokio::sync::mpsc;

use super::{Batch, Flow, Rest};
use crate::runtime::input::Input;
use crate::runtime::stdio::Source;
use crate::wire::line::{Line, LineSplitter};
use crate::wire::{Frame, FrameReader, Malformed};

/// The most lines of one batch: another peer waits for no more of them, and a read of
/// many tiny lines must not become a mountain of answers at once.
const LONGEST_BATCH: usize = 128;

/// The task that reads one peer.
pub(in crate::runtime) struct Reader {
    /// The stream.
    pub(in crate::runtime) source: Source,
    /// The longest line that is taken, in bytes.
    pub(in crate::runtime) limit: usize,
    /// The loop.
    pub(in crate::runtime) to: mpsc::UnboundedSender<Input>,
    /// Whether the peer is read.
    pub(in crate::runtime) flow: Flow,
}

impl Reader {
    /// Reads until the end; says at last how many bytes of a half line were left.
    pub(in crate::runtime) async fn run(
        mut self,
        wrap: impl Fn(Batch) -> Input,
        ended: impl FnOnce(u64) -> Input,
    ) {
        let mut lines = LineSplitter::new(self.limit);
        let mut reader = FrameReader::default();
        loop {
            // First this: mostly the last batch is served long before there is more.
            if self.source.ready().await.is_err() {
                break;
            }
            // Until the last batch is served its bytes are in use: behind it the
            // same memory can be read into again.
            self.flow.wait(self.source.hung_up()).await;
            match self.source.read(lines.buffer()).await {
                Ok(0) | Err(_) => break,
                Ok(_) => {}
            }
            let mut rest = Rest::None;
            loop {
                let expected = if rest == Rest::Waits { LONGEST_BATCH } else { 1 };
                let mut frames = Vec::with_capacity(expected);
                while frames.len() < LONGEST_BATCH
                    && let Some(line) = lines.next_line()
                {
                    frames.push(parse(&mut reader, line));
                }
                // A full one has promised another, be it empty.
                if frames.is_empty() && rest == Rest::None {
                    break;
                }
                rest = if frames.len() == LONGEST_BATCH { Rest::Waits } else { Rest::None };
                // Of several batches each waits for the one before it.
                self.flow.wait(self.source.hung_up()).await;
                if self.to.send(wrap(self.flow.batch(frames, rest))).is_err() {
                    return;
                }
                if rest == Rest::None {
                    break;
                }
            }
        }
        // The loop may be gone already.
        let _ = self.to.send(ended(lines.finish()));
    }
}

fn parse(reader: &mut FrameReader, line: Line) -> Result<Frame, Malformed> {
    match line {
        Line::Whole(bytes) => reader.read(bytes),
        Line::TooLong { beginning, end, length } => {
            Err(Malformed::TooLong { length, glimpse: Frame::glimpse(&beginning, &end) })
        }
    }
}
