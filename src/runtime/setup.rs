//! The settings that a bridge is started with, and how it ended.

use std::ffi::OsString;
use std::path::PathBuf;

use crate::agent_environment::EnvironmentRules;
use crate::bridge::AgentConfig;
use crate::bridge::config::Limits;
use crate::logs::{LogPlace, StderrSink};
use crate::processes::Spare;

/// The settings of a bridge.
#[derive(Debug)]
pub struct Setup {
    /// The limits of the bridge as a whole.
    pub limits: Limits,
    /// The agents that clients may want; their numbers are their places. At least one.
    pub agents: Vec<AgentSetup>,
    /// The longest line that is taken from a peer, in bytes.
    pub max_frame_bytes: usize,
    /// The limit of a peer's outbox, in bytes.
    pub outbox_bytes: usize,
    /// The limit of all outboxes together, in bytes.
    pub outbox_total_bytes: usize,
    /// Whether agents get keepers, where the system supports that.
    pub keeper: bool,
    /// The state directory, which holds the ledgers of all bridges; `None`: no ledger is kept.
    pub state: Option<PathBuf>,
    /// The log file, for keepers that outlive the bridge.
    pub log: Option<LogPlace>,
    /// Where the agents' stderr goes.
    pub stderr: StderrSink,
}

/// One agent, and how its processes are started and ended.
#[derive(Clone, Debug, Default)]
pub struct AgentSetup {
    /// Its name and its limits.
    pub config: AgentConfig,
    /// Its command and arguments.
    pub command: Vec<OsString>,
    /// Which variables its processes get.
    pub passing: EnvironmentRules,
    /// The processes that are left alone when the tree of one of its processes is ended.
    pub spare: Spare,
}

/// How a bridge ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The process of every channel is gone.
    Clean,
    /// At least one channel has a process that would not die.
    Survivors,
    /// There was no agent for the editor; the sentence says why.
    NoAgent(String),
}
