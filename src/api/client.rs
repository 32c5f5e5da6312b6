//! One client: one connection that speaks ACP as a client.

use serde::{Deserialize, Serialize};

/// A client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClientStatus {
    /// Its name, such as `cl-2`; never used again.
    pub id: String,
    /// The name that it gives itself in `initialize`; `None`: it gave none yet.
    pub name: Option<String>,
    /// The version that it gives there.
    pub version: Option<String>,
    /// The name of the agent that it wants.
    pub agent: String,
    /// The name of its pool; `None` until it has sent `initialize`.
    pub pool: Option<String>,
    /// The directory that it was started in.
    pub directory: String,
    /// The time since it connected.
    pub age_ms: u64,
    /// Whether an agent has answered its `initialize`.
    pub is_introduced: bool,
    /// The number of sessions that it is attached to.
    pub sessions: usize,
    /// The number of its requests that are not answered.
    pub requests: usize,
    /// The number of requests of agents that it has been asked and that are open.
    pub questions: usize,
    /// The time for which it has not read fast enough; `None`: it reads.
    pub slow_ms: Option<u64>,
    /// The bytes in the write queue to it.
    pub queued_bytes: u64,
    /// The program that has started its connection; `None`: it is not known, or gone.
    pub program: Option<Program>,
}

/// A running program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Program {
    /// Its process id.
    pub pid: u32,
    /// Its name, as the process table shows it.
    pub name: String,
}
