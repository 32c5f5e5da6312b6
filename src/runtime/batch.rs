//! A batch: the lines of one read, on their way from a reader to the loop.

use super::gate::Turn;
use crate::wire::{Frame, Malformed};

/// The lines of one read. While it lives, its peer is not read again: nobody
/// gets more than one batch ahead of the others.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) frames: Vec<Result<Frame, Malformed>>,
    /// Whether this is all.
    pub(super) rest: Rest,
    _turn: Turn,
}

impl Batch {
    /// Of these lines, read in this turn.
    pub(super) fn new(frames: Vec<Result<Frame, Malformed>>, rest: Rest, turn: Turn) -> Batch {
        Batch { frames, rest, _turn: turn }
    }
}

/// The lines of a read that are left behind a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rest {
    /// More lines: the next batch comes at once.
    Waits,
    /// Nothing.
    None,
}

impl Rest {
    /// The same, if the reader may go on; who may not brings nothing.
    pub(super) fn if_read(self, may_read: bool) -> Rest {
        if may_read { self } else { Rest::None }
    }
}
