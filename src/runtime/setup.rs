//! The settings that a bridge is started with, and how it ended.

use std::ffi::OsString;
use std::path::PathBuf;

use crate::agent_environment::Passing;
use crate::bridge::Config;
use crate::logs::StderrSink;
use crate::processes::Spare;

/// The settings of the runtime, beside the core's [`Config`].
#[derive(Debug)]
pub struct Setup {
    /// What the core is told.
    pub config: Config,
    /// The agent's command and arguments.
    pub agent: Vec<OsString>,
    /// The longest line that is taken from a peer, in bytes.
    pub max_frame_bytes: usize,
    /// The limit of a peer's outbox, in bytes.
    pub outbox_bytes: usize,
    /// Whether agents are kept by keepers, where the system can do that.
    pub keeper: bool,
    /// Processes that are left alone when the tree of an agent is ended.
    pub spare: Spare,
    /// Which variables of our environment agents get.
    pub passing: Passing,
    /// Where bridges keep the ledgers of their agents, if there is a place.
    pub ledgers: Option<PathBuf>,
    /// Where the agents' stderr goes.
    pub stderr: StderrSink,
}

/// How a bridge ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Every process is gone.
    Clean,
    /// Some would not die.
    Survivors,
}
