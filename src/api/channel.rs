//! One channel: one agent process.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::fate::Fate;

/// A channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ChannelStatus {
    /// Its name, such as `ch-3`; never used again.
    pub id: String,
    /// The name of its agent.
    pub agent: String,
    /// The name of its pool, such as `pool-1`; `None` until it was sent `initialize`.
    pub pool: Option<String>,
    /// Where it stands between its start and its exit.
    pub state: ChannelState,
    /// The time since its row was made, just before its start.
    pub age_ms: u64,
    /// The directory of all its sessions; `None`: they may have different ones, or there was none
    /// yet.
    pub directory: Option<String>,
    /// The number of its live sessions.
    pub sessions: usize,
    /// The number of sessions that it is opening.
    pub opening: usize,
    /// The number of its sessions in which a turn runs.
    pub in_turn: usize,
    /// The number of requests of its agent that no client has answered.
    pub questions: usize,
    /// The number of requests that were sent to its agent and are not answered.
    pub requests: usize,
    /// The number of closed sessions that its agent still holds, since it cannot close them.
    pub husks: usize,
    /// The names of the clients that are attached to its sessions.
    pub clients: Vec<String>,
    /// The time since its agent last wrote a line.
    pub silent_ms: u64,
    /// Whether its agent does not read its stdin, so that further requests are refused.
    pub is_deaf: bool,
    /// Whether the bridge does not read its agent now, since a client that gets its messages is
    /// slow.
    pub is_paused: bool,
    /// Whether its agent has refused a session for want of a login.
    pub wants_login: bool,
    /// Why new sessions go to another channel, where a process that is started now would be a
    /// better one; `None`: they do not.
    pub outdated: Option<String>,
    /// The bytes in the write queue to its agent.
    pub queued_bytes: u64,
    /// Its processes; `None`: it has none yet, or the system does not show them.
    pub tree: Option<Tree>,
    /// Its future if nothing happens.
    pub fate: Fate,
}

/// The state of a channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "snake_case", rename_all_fields = "camelCase")]
pub enum ChannelState {
    /// Its process is being started or runs; it was not sent `initialize` yet.
    Spawned,
    /// It was sent `initialize`, and has not answered.
    Starting {
        /// The time since then.
        for_ms: u64,
    },
    /// In service.
    Ready {
        /// The time without work; `None`: it has work.
        idle_ms: Option<u64>,
    },
    /// It gets no new sessions, and stops after its last one.
    Draining {
        /// The end of the sentence "it drains, because …".
        reason: String,
    },
    /// It is being ended.
    Stopping {
        /// The end of the sentence "it stops, because …".
        reason: String,
        /// The rung of the stop ladder that is reached.
        rung: Rung,
        /// The time since that rung was reached.
        for_ms: u64,
    },
}

/// A rung of the stop ladder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rung {
    /// Its stdin is closed.
    ClosingStdin,
    /// SIGTERM was sent.
    Terminated,
    /// SIGKILL was sent.
    Killed,
    /// It is still there after SIGKILL: the bridge can do no more.
    Stuck,
}

impl ChannelState {
    /// The word for it: `name` in JSON.
    pub const fn word(&self) -> &'static str {
        match self {
            ChannelState::Spawned => "spawned",
            ChannelState::Starting { .. } => "starting",
            ChannelState::Ready { .. } => "ready",
            ChannelState::Draining { .. } => "draining",
            ChannelState::Stopping { .. } => "stopping",
        }
    }
}

impl fmt::Display for Rung {
    /// The end of the sentence "the channel is stopping: …".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Rung::ClosingStdin => "its stdin was closed",
            Rung::Terminated => "SIGTERM was sent",
            Rung::Killed => "SIGKILL was sent",
            Rung::Stuck => "it still exists after SIGKILL",
        })
    }
}

/// The processes of a channel: the agent, and everything that descends from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Tree {
    /// The process id of the agent.
    pub pid: u32,
    /// The process id of its keeper; `None`: it has none.
    pub keeper: Option<u32>,
    /// The number of processes, without the keeper.
    pub processes: usize,
    /// The resident memory of all of them; pages that two of them share count twice.
    pub memory_bytes: u64,
    /// The processor time that they have used, with that of processes that have ended.
    pub worked_ms: u64,
}
