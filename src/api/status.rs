//! A bridge as a whole.

use serde::{Deserialize, Serialize};

use super::channel::ChannelStatus;
use super::client::ClientStatus;
use super::counts::Counts;

/// The state of a bridge at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// The bridge itself.
    pub bridge: BridgeStatus,
    /// The number of rows of each kind, and what was thrown away.
    pub counts: Counts,
    /// The agents that have a channel or a client.
    pub agents: Vec<AgentStatus>,
    /// The channels, the oldest first.
    pub channels: Vec<ChannelStatus>,
    /// The clients, in the order in which they came.
    pub clients: Vec<ClientStatus>,
}

/// The process of a bridge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BridgeStatus {
    /// Its process id.
    pub pid: u32,
    /// The version of its program.
    pub version: String,
    /// The editors that it serves.
    pub mode: BridgeMode,
    /// The time since its start.
    pub age_ms: u64,
    /// Whether a shutdown is under way.
    pub is_ending: bool,
    /// Whether it ends as soon as no turn and no question is open, or nobody uses it.
    pub is_leaving: bool,
    /// The socket at which it serves editors; `None`: it serves the one that has started it.
    pub socket: Option<String>,
    /// The log file; `None`: it has none.
    pub log_file: Option<String>,
    /// The address at which it serves metrics by HTTP; `None`: it does not.
    pub metrics: Option<String>,
    /// Its resident memory, without its agents and keepers; `None`: the system does not show it.
    pub memory_bytes: Option<u64>,
    /// The program that has started it, of a bridge that serves that one editor; `None`: it is not
    /// known.
    pub started_by: Option<super::client::Program>,
}

/// The way in which a bridge serves editors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BridgeMode {
    /// The one that has started it.
    Embedded,
    /// All that connect.
    Daemon,
}

/// One agent, with all its channels.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AgentStatus {
    /// Its name.
    pub name: String,
    /// The number of its channels.
    pub channels: usize,
    /// The number of its live sessions.
    pub sessions: usize,
    /// Why it has several channels where one might do: the names of variables, of parts of
    /// `initialize`, and `directory`, in which they differ.
    pub apart: Vec<String>,
    /// The gain of sharing; `None`: no two sessions share a channel.
    pub saving: Option<Saving>,
    /// The number of idle sessions that `--idle-policy restorable` would close, and that would come
    /// back with their next message.
    pub could_be_parked: usize,
}

/// The gain of sharing, against one process for each session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Saving {
    /// The number of agent processes that were not needed.
    pub processes: usize,
    /// Their memory, if each needed as much as those that run do on average; `None`: that is not
    /// known.
    pub memory_bytes: Option<u64>,
}
