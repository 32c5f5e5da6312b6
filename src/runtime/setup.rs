//! The settings that a bridge is started with, and how it ended.

use std::ffi::OsString;
use std::path::PathBuf;

use crate::agent_environment::EnvironmentRules;
use crate::bridge::Config;
use crate::logs::{LogPlace, StderrSink};
use crate::processes::Spare;

/// The settings of the runtime, beside the core's [`Config`].
#[derive(Debug)]
pub struct Setup {
    /// The configuration of the core.
    pub config: Config,
    /// The agent's command and arguments.
    pub agent: Vec<OsString>,
    /// The longest line that is taken from a peer, in bytes.
    pub max_frame_bytes: usize,
    /// The limit of a peer's outbox, in bytes.
    pub outbox_bytes: usize,
    /// Whether agents get keepers, where the system supports that.
    pub keeper: bool,
    /// The processes that are left alone when the tree of an agent is ended.
    pub spare: Spare,
    /// Which variables agents get.
    pub passing: EnvironmentRules,
    /// The state directory, which holds the ledgers of all bridges; `None`: no ledger is kept.
    pub state: Option<PathBuf>,
    /// The log file, for keepers that outlive the bridge.
    pub log: Option<LogPlace>,
    /// Where the agents' stderr goes.
    pub stderr: StderrSink,
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
