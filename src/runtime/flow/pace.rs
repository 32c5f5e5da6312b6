//! The pace of one reader: it leaves room for the readers of other peers.

#[cfg(test)]
mod tests;

use super::Crowd;

/// A read of at least this length (bytes) is a part of a flood.
const FLOOD: usize = 8 * 1024;
/// The most looks of the scheduler at all streams before the next batch of a flood.
const MOST_LOOKS: usize = 4;
/// A peer has company for so many of its reads after a batch of another peer.
const COMPANY: u32 = 16;
/// The longest read of a peer that has company, in bytes. Half of what a pipe holds: the agent
/// and the client, which share the processors with the bridge, run twice as often. A flood in
/// reads of this length alone is 9 % slower.
const SHORT_READ: usize = 32 * 1024;
/// The longest read of a peer without company, in bytes: as much as there is.
const LONG_READ: usize = usize::MAX;

/// The pace of one reader.
pub(super) struct Pace {
    crowd: Crowd,
    /// The last read was a part of a flood.
    floods: bool,
    /// The number of batches of other peers at the last read.
    of_others: u64,
    /// The reads since then without a batch of another peer between them.
    alone: u32,
}

impl Pace {
    /// The pace of a peer that has not been read yet.
    pub(super) fn new(crowd: Crowd) -> Pace {
        Pace { crowd, floods: false, of_others: 0, alone: COMPANY }
    }

    /// Before a read or a batch: if the peer floods, lets the other peers be read that have
    /// something, and the loop serve it.
    pub(super) async fn let_others_pass(&self) {
        if !self.floods {
            return;
        }
        for _ in 0..MOST_LOOKS {
            // The scheduler looks at the streams before it comes back to a task that has yielded.
            tokio::task::yield_now().await;
            if self.crowd.is_served() {
                break;
            }
        }
    }

    /// The longest next read, in bytes, of a peer that has made so many batches of its own.
    pub(super) fn longest_read(&mut self, own: u64) -> usize {
        let of_others = self.crowd.made() - own;
        self.alone = if of_others > self.of_others { 0 } else { self.alone.saturating_add(1) };
        self.of_others = of_others;
        if self.alone < COMPANY { SHORT_READ } else { LONG_READ }
    }

    /// Notes the length of a read.
    pub(super) fn has_read(&mut self, bytes: usize) {
        self.floods = bytes >= FLOOD;
    }
}
