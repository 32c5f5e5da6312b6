//! Things that the histories must show now and then. A rule that no history comes near is
//! not tested by them, however many there are.

/// One thing that a history can show.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sight {
    /// A channel and its successor were both there.
    Overlap,
    /// Two clients had sessions on one channel.
    SharedChannel,
    /// A client came back to a session that nobody was attached to.
    Return,
    /// A sub-agent was announced.
    AnnouncedChild,
    /// A client got a frame under an id that nobody had announced.
    SilentChild,
    /// A client's request about an unknown id reached an agent.
    PassedOn,
    /// An agent's answer to an unknown method brought an id.
    BroughtId,
    /// A live session was forked.
    ForkOfLive,
    /// A conversation that is not live was forked.
    ForkOfStored,
    /// An elicitation was shown under the id of a client's own request.
    ElicitationOfRequest,
    /// An agent got a request of a passthrough client.
    Passthrough,
    /// A client knew an id by an alias.
    Alias,
    /// An agent agreed to delete or archive a live session.
    LiveDeleted,
    /// An agent refused to delete or archive a live session.
    LiveKept,
    /// A session was closed while a load of it was under way.
    CloseDuringLoad,
}

/// The least share of each: in one of so many histories.
pub const SHARES: [(Sight, u64); 15] = [
    (Sight::Overlap, 10),
    (Sight::SharedChannel, 20),
    (Sight::Return, 200),
    (Sight::AnnouncedChild, 50),
    (Sight::SilentChild, 50),
    (Sight::PassedOn, 20),
    (Sight::BroughtId, 20),
    (Sight::ForkOfLive, 50),
    (Sight::ForkOfStored, 50),
    (Sight::ElicitationOfRequest, 50),
    (Sight::Passthrough, 50),
    (Sight::Alias, 50),
    (Sight::LiveDeleted, 50),
    (Sight::LiveKept, 200),
    (Sight::CloseDuringLoad, 200),
];
