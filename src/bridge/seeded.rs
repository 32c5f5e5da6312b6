//! Mistakes that can be switched on, one at a time, so that the tests can show
//! that they would find them. Compiled only with the feature `seeded-bugs`.

use std::cell::Cell;

/// A mistake that others made, or that is easily made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bug {
    /// The end of a session cleans up the newest open channel, not the session's own.
    CloseOnCurrentChannel,
    /// The row of a channel is removed when its stop ladder begins, not at its exit.
    ForgetRowOnStop,
    /// The end of a session is published before the session is deleted, and once more
    /// after it.
    DeleteAfterNotify,
    /// The tombstone is put on the newest open channel, not on the session's own.
    TombstoneOnWrongChannel,
    /// An open that is not sent yet is dropped without an answer when its channel ends.
    LoseWaitingOpen,
    /// A session with only queued prompts is taken for idle.
    ReapBetweenQueuedPrompts,
    /// A prompt is answered at the close and again by its agent.
    AnswerTwice,
    /// A conversation is restored although another channel may hold it.
    OpenFencedId,
    /// A question for a session whose open is not answered yet is held as an early frame.
    HoldEarlyRequest,
    /// A new session is placed on a stopping channel.
    JoinStoppingChannel,
    /// A new session is placed on a draining channel.
    JoinDrainingChannel,
    /// The calls on a channel that ends are dropped without an answer.
    LoseAnswersOnExit,
    /// A message for a session that is not open goes to the client of any open in flight.
    SpeakOverTombstone,
    /// A message without an addressee goes to the first of several clients.
    GuessAmongClients,
    /// The passing ids of a session outlive it.
    KeepChildren,
    /// A delete ends the session before its agent has answered.
    DeleteBeforeAnswer,
    /// A close during a restore is answered although the session will be open.
    CloseBehindOpen,
    /// An elicitation outlives the request that it belongs to.
    KeepElicitation,
    /// The time of a request runs while its agent waits for a client.
    BlameWaitingAgent,
    /// A passing id takes the public id of a live session.
    ReusePublicId,
    /// A turn that nobody watches goes on for ever.
    LostTurnForEver,
    /// The replay ring gives up a part of a turn.
    CutRingInTurn,
    /// A resume of a live session replays its history.
    ReplayAtResume,
    /// A client that merely watches is asked for the permission of another.
    ObserverDecides,
    /// A question goes to a client that does not offer what it needs.
    AskWithoutCapability,
    /// A message of one channel goes in the lane of the newest open channel.
    LaneOfNewestChannel,
    /// A parked session is brought back once for each request that waits.
    RestoreTwice,
    /// The replay of a session that is brought back is shown.
    ShowMutedReplay,
    /// A parked session is forgotten when its agent fails to bring it back.
    LoseRecipeOnFailure,
    /// A request that waits for a parked session is lost when that is live.
    LoseWaitingRequest,
    /// A session that two connections keep is taken over twice.
    AdoptTwice,
    /// A prompt reaches the agent before the mode is what it was.
    PromptBeforeModeConfirmed,
    /// The clients of a session are forgotten when it is parked.
    ForgetDormantClients,
    /// A conversation is restored while agents of an earlier bridge may still hold it.
    RestoreBesideEarlierBridge,
}

/// Every bug that can be seeded, for the test that finds them all.
pub const ALL: [Bug; 34] = [
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
    Bug::SpeakOverTombstone,
    Bug::GuessAmongClients,
    Bug::KeepChildren,
    Bug::DeleteBeforeAnswer,
    Bug::CloseBehindOpen,
    Bug::KeepElicitation,
    Bug::BlameWaitingAgent,
    Bug::ReusePublicId,
    Bug::LostTurnForEver,
    Bug::CutRingInTurn,
    Bug::ReplayAtResume,
    Bug::ObserverDecides,
    Bug::AskWithoutCapability,
    Bug::LaneOfNewestChannel,
    Bug::RestoreTwice,
    Bug::ShowMutedReplay,
    Bug::LoseRecipeOnFailure,
    Bug::LoseWaitingRequest,
    Bug::AdoptTwice,
    Bug::PromptBeforeModeConfirmed,
    Bug::ForgetDormantClients,
    Bug::RestoreBesideEarlierBridge,
];

thread_local! {
    static ACTIVE: Cell<Option<Bug>> = const { Cell::new(None) };
}

/// Switches one bug on for this thread; `None`: all are off.
pub fn activate(bug: Option<Bug>) {
    ACTIVE.with(|active| active.set(bug));
}

/// Whether this bug is switched on for this thread.
pub fn is(bug: Bug) -> bool {
    ACTIVE.with(Cell::get) == Some(bug)
}
