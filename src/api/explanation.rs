//! The answer to "why is this process alive?".

use serde::{Deserialize, Serialize};

use super::channel::ChannelStatus;
use super::session::SessionStatus;

/// A channel, and all that keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    /// The channel.
    pub channel: ChannelStatus,
    /// The reasons why it is not stopped; empty: there is none but its idle timeout, or it is being
    /// stopped.
    pub keeps: Vec<Keep>,
    /// Its sessions, also those that it is opening; at most 1000 in one answer.
    pub sessions: Vec<SessionStatus>,
    /// The requests that its agent has not answered, the oldest first; at most 1000 in one answer.
    pub requests: Vec<RequestStatus>,
    /// The processes of its tree, without the keeper.
    pub processes: Vec<TreeProcess>,
}

/// One thing that keeps a channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "snake_case", rename_all_fields = "camelCase")]
pub enum Keep {
    /// Live sessions.
    Sessions {
        /// How many.
        count: usize,
    },
    /// Sessions that are being opened.
    Opens {
        /// How many.
        count: usize,
    },
    /// Closes that its agent has not answered.
    Closes {
        /// How many.
        count: usize,
    },
    /// Other requests that its agent has not answered.
    Requests {
        /// How many.
        count: usize,
    },
    /// Clients whose extension request its agent has answered: it may hold something for them.
    Leases {
        /// The names of the clients.
        clients: Vec<String>,
    },
    /// Ids that its agent uses for a client, and that belong to no session.
    PassingIds {
        /// How many.
        count: usize,
    },
    /// A client is expected to open its first session.
    FirstUse,
    /// A client has just logged in.
    Login,
    /// `--preheat`.
    Preheat,
    /// `--channel-idle-timeout-ms never`.
    NoIdleTimeout,
    /// Its client speaks another protocol version: its sessions are not known.
    Passthrough,
}

/// A request that an agent has not answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RequestStatus {
    /// Its method, or a noun for the requests that the bridge does not tell apart.
    pub method: String,
    /// The name of the client that waits for the answer; `None`: the bridge has made it, or the
    /// client is gone.
    pub client: Option<String>,
    /// The name of the session that it belongs to; `None`: it belongs to none.
    pub session: Option<String>,
    /// How far it has come.
    pub stage: RequestStage,
    /// The time since it was made.
    pub age_ms: u64,
    /// The time after which the bridge gives it up; `None`: it does not, as things stand.
    pub ends_in_ms: Option<u64>,
}

/// How far a request has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RequestStage {
    /// It waits: for a channel, for the handshake, or for a turn to end.
    Waiting,
    /// The agent has it.
    Sent,
    /// Its time is over and its client was answered; the agent has not.
    Overdue,
}

/// A process of a channel's tree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TreeProcess {
    /// Its id.
    pub pid: u32,
    /// The id of its parent.
    pub parent: u32,
    /// Its name, as the process table shows it.
    pub name: String,
    /// Its resident memory.
    pub memory_bytes: u64,
}
