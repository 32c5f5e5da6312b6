//! The number of rows of each kind.

use serde::{Deserialize, Serialize};

/// The number of rows of each kind, and what was thrown away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Counts {
    /// Live sessions.
    pub sessions: usize,
    /// Sessions that are being opened.
    pub opening: usize,
    /// Sessions in which a turn runs.
    pub in_turn: usize,
    /// Requests of agents that no client has answered.
    pub questions: usize,
    /// Sessions that no client is attached to.
    pub without_client: usize,
    /// Parked sessions.
    pub parked: usize,
    /// Bytes that are kept of them.
    pub parked_bytes: u64,
    /// Channels, ending ones included.
    pub channels: usize,
    /// Channels that are being ended.
    pub stopping: usize,
    /// Clients.
    pub clients: usize,
    /// Bytes in all write queues.
    pub queued_bytes: u64,
    /// Bytes that are kept of the last turns of sessions, for clients that join them.
    pub replay_bytes: u64,
}
