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
    /// One running child process of an agent.
    ChannelId = "ch",
    /// Channels that would do equally well for the same client.
    PoolId = "pool",
    /// One conversation, from its opening to its end.
    SessionKey = "s",
    /// A request on its way to an agent; its number is its id on that wire.
    CallId = "call",
    /// A request of an agent on its way to clients; its number is its id there.
    QuestionId = "q",
    /// A request of a client that several channels must answer.
    FanoutId = "fan",
}

/// A program that speaks ACP as an agent, as named in the configuration. Its number
/// is the place of its row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AgentId(pub usize);
