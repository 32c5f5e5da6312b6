//! The pace of one reader: it leaves room for the readers of other peers.

#[cfg(test)]
mod tests;

use super::{Flow, State};

/// A read of at least this length (bytes) is a part of a flood.
const FLOOD: usize = 16 * 1024;
/// The most looks of the scheduler at all streams before a read or a batch of a flood: a bound
/// for the time that peers with many short messages hold it up.
const MOST_LOOKS: usize = 4;
/// A peer has company for so many of its reads after a read of another peer.
const COMPANY: u32 = 16;
/// The longest read of a peer that has company, in bytes. Half of what a pipe holds: the agent
/// and the client, which share the processors with the bridge, run twice as often. A flood in
/// reads of this length alone is 9 % slower.
const SHORT_READ: usize = 32 * 1024;
/// The longest read of a peer without company, in bytes: as much as there is.
const LONG_READ: usize = usize::MAX;
/// The most lines of a batch of a peer that has company.
const SHORT_BATCH: usize = 64;

/// The pace of one reader.
pub(super) struct Pace {
    flow: Flow,
    /// The number of reads of other peers at the last read.
    of_others: u64,
    /// The reads since then without a read of another peer between them.
    alone: u32,
}

impl Pace {
    /// The pace of a peer that has not been read yet.
    pub(super) fn new(flow: Flow) -> Pace {
        Pace { of_others: flow.reads_of_others(), flow, alone: COMPANY }
    }

    /// Before a read or a batch: if the peer floods, lets the peers that do not flood be read if
    /// they have something, and the loop serve it. Floods do not wait for each other: each has
    /// one batch in a round of the scheduler.
    pub(super) async fn let_others_pass(&self) {
        let State { crowd, floods, .. } = &*self.flow.0;
        if !floods.get() {
            return;
        }
        for _ in 0..MOST_LOOKS {
            // The scheduler of one thread looks at the streams before it comes back to a task
            // that has yielded, and runs the readers of those that are ready first. So a batch
            // of each of them waits by then.
            tokio::task::yield_now().await;
            if !crowd.has_quiet() {
                return;
            }
        }
    }

    /// The longest next read, in bytes.
    pub(super) fn longest_read(&mut self) -> usize {
        let of_others = self.flow.reads_of_others();
        self.alone = if of_others > self.of_others { 0 } else { self.alone.saturating_add(1) };
        self.of_others = of_others;
        if self.has_company() { SHORT_READ } else { LONG_READ }
    }

    /// The most lines of the next batch.
    pub(super) fn longest_batch(&self) -> usize {
        let longest = self.flow.0.crowd.longest_batch();
        if self.has_company() { longest.min(SHORT_BATCH) } else { longest }
    }

    fn has_company(&self) -> bool {
        self.alone < COMPANY
    }

    /// Notes the length of a read.
    pub(super) fn has_read(&self, bytes: usize) {
        self.flow.has_read(bytes >= FLOOD);
    }
}
