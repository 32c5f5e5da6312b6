//! Mistakes that can be switched on, one at a time, so that the tests can show
//! that they would find them. Compiled only with the feature `seeded-bugs`.

use std::cell::Cell;

/// A mistake that others made, or that is easily made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bug {
    /// Clean-up goes to the current channel, not to the session's own.
    CloseOnCurrentChannel,
    /// The row of a channel goes when it is asked to stop.
    ForgetRowOnStop,
    /// The end of a session is published before the session is deleted, and once more
    /// after it.
    DeleteAfterNotify,
    /// The tombstone is put on the current channel.
    TombstoneOnWrongChannel,
    /// An open that waits for a handshake is forgotten.
    LoseWaitingOpen,
    /// A session with only queued prompts is taken for idle.
    ReapBetweenQueuedPrompts,
    /// A prompt is answered at the close and again by its agent.
    AnswerTwice,
    /// A conversation is opened although another channel may hold it.
    OpenFencedId,
    /// A request that comes before its session is known is held like a notification.
    HoldEarlyRequest,
    /// A stopping channel is joined by a new session.
    JoinStoppingChannel,
    /// A draining channel is joined by a new session.
    JoinDrainingChannel,
    /// Who waits for a channel that exits is forgotten.
    LoseAnswersOnExit,
}

/// All of them.
pub const ALL: [Bug; 12] = [
    Bug::CloseOnCurrentChannel,
    Bug::ForgetRowOnStop,
    Bug::DeleteAfterNotify,
    Bug::TombstoneOnWrongChannel,
    Bug::LoseWaitingOpen,
    Bug::ReapBetweenQueuedPrompts,
    Bug::AnswerTwice,
    Bug::OpenFencedId,
    Bug::HoldEarlyRequest,
    Bug::JoinStoppingChannel,
    Bug::JoinDrainingChannel,
    Bug::LoseAnswersOnExit,
];

thread_local! {
    static ACTIVE: Cell<Option<Bug>> = const { Cell::new(None) };
}

/// Switches one on for this thread, or all off.
pub fn activate(bug: Option<Bug>) {
    ACTIVE.with(|active| active.set(bug));
}

/// Whether this one is switched on.
pub fn is(bug: Bug) -> bool {
    ACTIVE.with(Cell::get) == Some(bug)
}
