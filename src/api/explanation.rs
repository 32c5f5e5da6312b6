//! The answer to "why is this process alive?".

use std::fmt;

use serde::{Deserialize, Serialize};

use super::channel::ChannelStatus;
use super::session::SessionStatus;

/// A channel, and all that keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    /// The channel.
    pub channel: ChannelStatus,
    /// What keeps it from being stopped; empty: nothing but its idle timeout, or it is being
    /// stopped.
    pub keeps: Vec<Keep>,
    /// Its sessions, at most 1000, also those that it is opening.
    pub sessions: Vec<SessionStatus>,
    /// The requests that its agent has not answered, at most 1000, the oldest first.
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

impl fmt::Display for Keep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counted = |f: &mut fmt::Formatter<'_>, count: usize, one: &str, many: &str| {
            write!(f, "{count} {}", if count == 1 { one } else { many })
        };
        match self {
            Keep::Sessions { count } => counted(f, *count, "session", "sessions"),
            Keep::Opens { count } => {
                counted(f, *count, "session being opened", "sessions being opened")
            }
            Keep::Closes { count } => counted(
                f,
                *count,
                "close that the agent has not answered",
                "closes that the agent has not answered",
            ),
            Keep::Requests { count } => {
                counted(f, *count, "request without an answer", "requests without an answer")
            }
            Keep::Leases { clients } => {
                write!(f, "the agent may hold something for {}", clients.join(", "))
            }
            Keep::PassingIds { count } => counted(
                f,
                *count,
                "id of an extension or a sub-agent in use",
                "ids of extensions or sub-agents in use",
            ),
            Keep::FirstUse => f.write_str("its first session is expected"),
            Keep::Login => f.write_str("a client has just logged in"),
            Keep::Preheat => f.write_str("--preheat"),
            Keep::NoIdleTimeout => f.write_str("--channel-idle-timeout-ms never"),
            Keep::Passthrough => {
                f.write_str("its client speaks another protocol version, and may have sessions")
            }
        }
    }
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
