//! Flow control: whether one peer is read.
//!
//! Only [`Flow`] decides that. A peer is not read
//! - while the loop has not served the peer's last batch: no peer gets more than one
//!   batch ahead of the others;
//! - while the core has paused the peer;
//! - while its debt is too high: the bytes in its outbox that answer its own lines.
//!
//! Messages of other peers in its outbox are no reason: the peer may be blocked in a write
//! to the bridge, and read on only after that write. A peer that has hung up, and an agent
//! that has exited, is read to the end, also if the core has paused it or its debt is high.
//!
//! The reader and the loop run on one thread, so the state needs no lock.

mod pace;
mod reader;
#[cfg(test)]
mod tests;

use std::cell::Cell;
use std::fmt;
use std::rc::Rc;

use tokio::sync::Notify;

use super::outbox::Outbox;
use crate::wire::Lines;

pub(super) use self::reader::Reader;

/// A peer whose debt is at least this part of the limit of its outbox is not read.
const DEBT_PART: u64 = 4;

/// The most lines of one batch: one read of many tiny lines must not make too many answers at
/// once.
const LONGEST_BATCH: usize = 128;
/// The fewest lines of a full batch, however many peers have something.
const SHORTEST_BATCH: usize = 8;
/// About so many lines are served until each peer has had its turn.
const LINES_OF_ROUND: usize = 2_048;

/// The reads and batches of all peers.
#[derive(Clone, Debug, Default)]
pub(super) struct Crowd(Rc<Sums>);

#[derive(Debug, Default)]
struct Sums {
    /// The number of reads that there ever were.
    reads: Cell<u64>,
    /// The number of batches that wait for the loop.
    waiting: Cell<usize>,
    /// The number of those that come from peers that do not flood.
    quiet: Cell<usize>,
}

impl Crowd {
    /// The most lines of the next batch: the more batches wait, the shorter they are.
    fn longest_batch(&self) -> usize {
        (LINES_OF_ROUND / self.0.waiting.get().max(1)).clamp(SHORTEST_BATCH, LONGEST_BATCH)
    }

    /// Whether a batch of a peer that does not flood waits for the loop.
    fn has_quiet(&self) -> bool {
        self.0.quiet.get() > 0
    }

    fn add(&self, floods: bool) {
        let Sums { waiting, quiet, .. } = &*self.0;
        waiting.set(waiting.get() + 1);
        quiet.set(quiet.get() + usize::from(!floods));
    }

    fn remove(&self, floods: bool) {
        let Sums { waiting, quiet, .. } = &*self.0;
        waiting.set(waiting.get().saturating_sub(1));
        quiet.set(quiet.get().saturating_sub(usize::from(!floods)));
    }
}

/// A handle on the flow control of one peer: the loop has one, and so has the reader.
#[derive(Clone)]
pub(super) struct Flow(Rc<State>);

struct State {
    /// The outbox of the same peer.
    outbox: Outbox,
    /// Whether the core wants the peer not to be read.
    is_paused: Cell<bool>,
    /// Whether the peer is a process that has exited.
    has_exited: Cell<bool>,
    /// Whether the loop has served all that was read.
    is_served: Cell<bool>,
    crowd: Crowd,
    /// The number of reads of the peer that there ever were.
    reads: Cell<u64>,
    /// Whether the last read of the peer was a part of a flood.
    floods: Cell<bool>,
    /// The bytes that the peer's own lines have added to its outbox since the outbox was
    /// last under its low mark.
    debt: Cell<u64>,
    changed: Notify,
}

impl Flow {
    /// The flow control of a peer that is not paused and has no debt.
    pub(super) fn new(outbox: Outbox, crowd: Crowd) -> Flow {
        Flow(Rc::new(State {
            outbox,
            crowd,
            reads: 0.into(),
            floods: false.into(),
            is_paused: false.into(),
            has_exited: false.into(),
            is_served: true.into(),
            debt: 0.into(),
            changed: Notify::new(),
        }))
    }

    /// Notes whether the core wants the peer not to be read.
    pub(super) fn set_paused(&self, is_paused: bool) {
        self.0.is_paused.set(is_paused);
        self.0.changed.notify_one();
    }

    /// Notes that the process has exited: from now on it is read to the end.
    pub(super) fn set_exited(&self) {
        self.0.has_exited.set(true);
        self.0.changed.notify_one();
    }

    /// Whether the peer may be read once all that was read is served.
    fn may_read(&self) -> bool {
        self.0.has_exited.get() || !(self.0.is_paused.get() || self.is_in_debt())
    }

    fn is_in_debt(&self) -> bool {
        let State { outbox, debt, .. } = &*self.0;
        let most = outbox.limit() / DEBT_PART;
        if debt.get() >= most {
            // The answers may be unwritten only because the loop flushes after a whole read.
            outbox.flush();
        }
        if outbox.is_low() {
            debt.set(0);
            return false;
        }
        debt.get() >= most
    }

    /// Waits until the peer may be read, or has `hung_up`: then it is read to its end.
    async fn wait(&self, hung_up: impl Future<Output = ()>) {
        while !self.0.is_served.get() {
            self.0.changed.notified().await;
        }
        if !self.may_read() {
            tokio::select! {
                () = self.allowed() => {}
                () = hung_up => {}
            }
        }
    }

    async fn allowed(&self) {
        while !self.may_read() {
            tokio::select! {
                () = self.0.changed.notified() => {}
                () = self.0.outbox.relieved() => {}
            }
        }
    }

    /// The number of reads of other peers that there ever were.
    fn reads_of_others(&self) -> u64 {
        self.0.crowd.0.reads.get() - self.0.reads.get()
    }

    /// Notes a read of the peer, and whether it was a part of a flood.
    fn has_read(&self, floods: bool) {
        let State { crowd, reads, .. } = &*self.0;
        reads.set(reads.get() + 1);
        crowd.0.reads.set(crowd.0.reads.get() + 1);
        self.0.floods.set(floods);
    }

    /// Makes a batch of these lines. The peer is not read until the batch is served.
    fn batch(&self, received: Vec<Lines>, rest: Rest) -> Batch {
        self.0.is_served.set(false);
        self.0.crowd.add(self.0.floods.get());
        Batch { received, rest, unserved: Unserved(self.clone()) }
    }
}

/// The lines of one read, or a part of them, on their way from a reader to the loop.
#[derive(Debug)]
pub(super) struct Batch {
    received: Vec<Lines>,
    rest: Rest,
    unserved: Unserved,
}

impl Batch {
    /// Serves every line of the batch with `serve`. The bytes that are queued for the peer
    /// meanwhile are added to its debt. Returns whether the rest of the same read comes next.
    pub(super) fn serve(self, serve: impl FnMut(Lines)) -> Rest {
        let Flow(state) = &self.unserved.0;
        let queued_before = state.outbox.ever_queued();
        self.received.into_iter().for_each(serve);
        state.debt.set(state.debt.get() + state.outbox.ever_queued() - queued_before);
        match self.rest {
            Rest::Waits if self.unserved.0.may_read() => Rest::Waits,
            Rest::Waits | Rest::Over => Rest::Over,
        }
    }
}

/// A batch that is not served: its peer is not read until this is dropped.
struct Unserved(Flow);

impl Drop for Unserved {
    fn drop(&mut self) {
        let Flow(state) = &self.0;
        state.is_served.set(true);
        // The peer was not read since: whether it floods is as it was.
        state.crowd.remove(state.floods.get());
        state.changed.notify_one();
    }
}

impl fmt::Debug for Unserved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Unserved")
    }
}

/// Whether lines of the same read are left behind a batch. The loop flushes the outboxes
/// when all of a read is served: a flush after each batch makes a flood 7 % slower.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rest {
    /// More lines, in the next batch, which comes at once.
    Waits,
    /// No line is left, or the peer may not be read now.
    Over,
}
