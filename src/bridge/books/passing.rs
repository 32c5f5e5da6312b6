//! Passing ids: ids in the place of a session id that no session of the books has.
//!
//! Sub-agents have such ids, and whatever an agent or an extension calls a session without
//! `session/new`, `load`, `resume` or `fork`. A passing id belongs to a session and ends
//! with it, or to a client, and then keeps its channel as a lease does.

use crate::bridge::id::{AgentId, ChannelId, ClientId, SessionKey};

/// The most passing ids of one channel.
pub const MAX_PASSING: usize = 1024;

/// The owner of a passing id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// A session: its clients get what the agent says under the id.
    Session(SessionKey),
    /// A client.
    Client(ClientId),
}

/// A row: one passing id.
#[derive(Clone, Debug)]
pub struct PassingId {
    /// The agent whose id it is.
    pub agent: AgentId,
    /// The channel that it lives on.
    pub channel: ChannelId,
    /// The id, as the agent writes it.
    pub agent_id: Box<str>,
    /// The id, as clients write it.
    pub public_id: Box<str>,
    /// Its owner.
    pub owner: Owner,
    /// How it is known.
    pub state: PassingState,
}

/// How a passing id is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PassingState {
    /// A client has named it.
    Named,
    /// The agent is known to hold something under it, so that no other channel may open it:
    /// the agent itself has named it, or has answered for it with success.
    Held,
    /// The conversation with the id was closed or deleted, or the agent knew nothing by it. Its
    /// later messages under the id are for the same clients.
    Ended,
}
