//! Reads a peer's lines and hands them to the loop, one batch at a time.

use std::sync::Arc;

use tokio::sync::{Semaphore, mpsc, watch};

use super::Input;
use super::stdio::Source;
use crate::wire::line::{Line, Lines};
use crate::wire::{Frame, FrameReader, Malformed};

/// Lines in one batch: a read of many tiny ones must not become a mountain of
/// answers at once.
const LONGEST_BATCH: usize = 512;

/// Where a batch came from and where it goes.
pub(super) struct Reader {
    /// The stream.
    pub(super) source: Source,
    /// The longest line that is taken, in bytes.
    pub(super) limit: usize,
    /// The loop.
    pub(super) to: mpsc::Sender<Input>,
    /// Whether it may read: closed while the core wants it to pause.
    pub(super) gate: watch::Receiver<bool>,
}

/// The lines of one read. While it lives, its peer is not read again: nobody
/// gets more than one batch ahead of the others.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) frames: Vec<Result<Frame, Malformed>>,
    _turn: tokio::sync::OwnedSemaphorePermit,
}

impl Reader {
    /// Reads until the end; says at last how many bytes of a half line were left.
    pub(super) async fn run(
        mut self,
        wrap: impl Fn(Batch) -> Input,
        ended: impl FnOnce(u64) -> Input,
    ) {
        let mut lines = Lines::new(self.limit);
        let mut reader = FrameReader::default();
        let turn = Arc::new(Semaphore::new(1));
        loop {
            // No gate-keeper any more: the peer is on its way out and read to its end.
            let _ = self.gate.wait_for(|is_open| *is_open).await;
            match self.source.read(lines.buffer()).await {
                Ok(0) | Err(_) => break,
                Ok(_) => {}
            }
            while let Some(first) = lines.next_line() {
                let mut frames = vec![parse(&mut reader, first)];
                while frames.len() < LONGEST_BATCH
                    && let Some(line) = lines.next_line()
                {
                    frames.push(parse(&mut reader, line));
                }
                let Ok(permit) = turn.clone().acquire_owned().await else { break };
                // Somebody may have wished for a pause while it was served.
                let _ = self.gate.wait_for(|is_open| *is_open).await;
                if self.to.send(wrap(Batch { frames, _turn: permit })).await.is_err() {
                    return;
                }
            }
            // Until the last batch is served its bytes are in use: behind it the
            // same memory can be read into again.
            drop(turn.acquire().await);
        }
        // The loop may be gone already.
        let _ = self.to.send(ended(lines.finish())).await;
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
