//! Flow control: whether one peer is read.
//!
//! [`Flow`] is the one type that decides it. A peer is not read
//! - while the loop has not served the lines of it that were read last: nobody gets
//!   more than one batch ahead of the others;
//! - while the core has paused it;
//! - while it leaves too many answers to its own lines unread, its debt.
//!
//! What other peers have for it is no reason: it may be blocked in a write to the bridge,
//! and read on only behind that. A peer that has hung up, and an agent that has exited,
//! is read to the end whatever the reasons are.
//!
//! The reader asks, the loop serves, and both are on one thread.

mod reader;
#[cfg(test)]
mod tests;

use std::cell::Cell;
use std::fmt;
use std::rc::Rc;

use tokio::sync::Notify;

use super::outbox::Outbox;
use crate::wire::{Frame, Malformed};

pub(super) use self::reader::Reader;

/// A peer whose debt is at least this part of the limit of its outbox is not read.
const DEBT_PART: u64 = 4;

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
    /// The bytes that the peer's own lines have added to its outbox since that was last
    /// under its low mark.
    debt: Cell<u64>,
    changed: Notify,
}

impl Flow {
    /// The flow control of a peer that is read until something speaks against it.
    pub(super) fn new(outbox: Outbox) -> Flow {
        Flow(Rc::new(State {
            outbox,
            is_paused: false.into(),
            has_exited: false.into(),
            is_served: true.into(),
            debt: 0.into(),
            changed: Notify::new(),
        }))
    }

    /// Stops reading the peer, or goes on, as the core wants it.
    pub(super) fn set_paused(&self, is_paused: bool) {
        self.0.is_paused.set(is_paused);
        self.0.changed.notify_one();
    }

    /// The process has exited: from now on nothing speaks against reading.
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
            // The answers may still wait for the end of this read.
            outbox.flush();
        }
        if outbox.is_low() {
            debt.set(0);
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

    /// A batch of these lines, which is to be served before anything else is read.
    fn batch(&self, frames: Vec<Result<Frame, Malformed>>, rest: Rest) -> Batch {
        self.0.is_served.set(false);
        Batch { frames, turn: Turn { flow: self.clone(), queued_before: 0, rest } }
    }
}

/// The lines of one read, or a part of them, on their way from a reader to the loop.
#[derive(Debug)]
pub(super) struct Batch {
    frames: Vec<Result<Frame, Malformed>>,
    turn: Turn,
}

impl Batch {
    /// Begins to serve it: the frames, and the turn that ends with the last of them.
    pub(super) fn begin(self) -> (Vec<Result<Frame, Malformed>>, Turn) {
        let Batch { frames, mut turn } = self;
        turn.queued_before = turn.flow.0.outbox.queued();
        (frames, turn)
    }
}

/// The turn of one peer: its reader waits until this is dropped.
pub(super) struct Turn {
    flow: Flow,
    /// All bytes that were queued for the peer before its turn.
    queued_before: u64,
    rest: Rest,
}

impl Turn {
    /// Every frame is served; what the bridge queued for the peer meanwhile is added to
    /// its debt. Says whether the rest of the same read comes next.
    pub(super) fn end(self) -> Rest {
        let State { outbox, debt, .. } = &*self.flow.0;
        debt.set(debt.get() + outbox.queued() - self.queued_before);
        match self.rest {
            Rest::Waits if self.flow.may_read() => Rest::Waits,
            Rest::Waits | Rest::None => Rest::None,
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.flow.0.is_served.set(true);
        self.flow.0.changed.notify_one();
    }
}

impl fmt::Debug for Turn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Turn").field("rest", &self.rest).finish_non_exhaustive()
    }
}

/// The lines of a read that are left behind a batch. The loop writes what came of a read
/// when all of it is served: a write for each batch costs a flood 7 %.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rest {
    /// More lines, in the next batch, which comes at once.
    Waits,
    /// No line.
    None,
}
