//! Names for the rows of the tables: counted up, never used twice, printed short.

use std::fmt;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident = $prefix:literal,)*) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
            pub struct $name(pub u64);

            impl fmt::Display for $name {
                fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    write!(f, concat!($prefix, "-{}"), self.0)
                }
            }
        )*
    };
}

ids! {
    /// A connection that speaks ACP as a client.
    ClientId = "cl",
    /// One agent process with its stdio.
    ChannelId = "ch",
    /// The channels that can serve the same clients.
    PoolId = "pool",
    /// One session, from its opening to its end. A conversation that is restored later
    /// gets another key.
    SessionKey = "s",
    /// A request on its way to an agent; its number is the request's id on the agent's
    /// wire.
    CallId = "call",
    /// A request of an agent on its way to clients; its number is the request's id on
    /// their wires.
    QuestionId = "q",
    /// An id of an agent that passes through: no session of the books has it.
    PassingKey = "passing",
    /// A request of a client that several channels must answer.
    FanoutId = "fan",
    /// The variables of an environment, which the runtime keeps.
    EnvironmentId = "env",
}

/// A program that speaks ACP as an agent, as named in the configuration. Its number
/// is the place of its row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AgentId(pub usize);

/// The lane of a message to a client. Messages of one lane reach the client in the order in
/// which they are sent; lanes take turns, so that a flood in one does not hold up another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lane {
    /// Messages that concern no channel.
    Bridge,
    /// Messages about this channel: those of its agent, and the bridge's own about its
    /// sessions.
    Channel(ChannelId),
}

impl From<ChannelId> for Lane {
    fn from(channel: ChannelId) -> Lane {
        Lane::Channel(channel)
    }
}

impl From<Option<ChannelId>> for Lane {
    fn from(channel: Option<ChannelId>) -> Lane {
        channel.map_or(Lane::Bridge, Lane::Channel)
    }
}
