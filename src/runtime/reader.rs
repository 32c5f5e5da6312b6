//! Reads a peer's lines and hands them to the loop, one batch at a time.

use tokio::sync::mpsc;

use super::batch::{Batch, Rest};
use super::gate::Gate;
use super::input::Input;
use super::stdio::Source;
use crate::wire::line::{Line, LineSplitter};
use crate::wire::{Frame, FrameReader, Malformed};

/// Lines in one batch: whoever else has something to say waits for no more, and a
/// read of many tiny ones must not become a mountain of answers at once.
const LONGEST_BATCH: usize = 128;

/// Where a batch came from and where it goes.
pub(super) struct Reader {
    /// The stream.
    pub(super) source: Source,
    /// The longest line that is taken, in bytes.
    pub(super) limit: usize,
    /// The loop.
    pub(super) to: mpsc::UnboundedSender<Input>,
    /// Whether it may read.
    pub(super) gate: Gate,
}

impl Reader {
    /// Reads until the end; says at last how many bytes of a half line were left.
    pub(super) async fn run(
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
            self.pass().await;
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
                self.pass().await;
                if self.to.send(wrap(Batch::new(frames, rest, self.gate.turn()))).is_err() {
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

    /// Waits for the gate. Who has hung up is read to the end although it is
    /// closed: that is what is left in a pipe, and behind it its end.
    async fn pass(&self) {
        self.gate.served().await;
        if !self.gate.is_open() {
            tokio::select! {
                () = self.gate.opened() => {}
                () = self.source.hung_up() => {}
            }
        }
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
