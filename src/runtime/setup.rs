//! The settings that a bridge is started with, and how it ended.

use std::ffi::OsString;
use std::fs::File;
use std::path::PathBuf;

use super::inquiry::ControlPort;
use crate::agent_command::Runs;
use crate::agent_environment::EnvironmentRules;
use crate::bridge::config::Limits;
use crate::bridge::{AgentConfig, Limit};
use crate::logs::{LogPlace, StderrSink};
use crate::processes::Spare;
use crate::trace::TraceFile;

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
    /// The limit on open descriptors that agents get; `None`: that of the bridge.
    pub descriptor_limit: Option<u64>,
    /// The lock of a daemon's process trees, which keepers inherit; `None`: this is no daemon.
    pub trees: Option<File>,
    /// The state directory, which holds the ledgers of all bridges; `None`: no ledger is kept.
    pub state: Option<PathBuf>,
    /// The directory with the memory of restores; `None`: nothing of them is remembered.
    pub restores: Option<PathBuf>,
    /// The loop's end of the control socket; `None`: there is none.
    pub control: Option<ControlPort>,
    /// The trace of all messages; `None`: there is none.
    pub trace: Option<TraceFile>,
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
    /// The path of its program, if that is what tells the agent from others; `None`: the program
    /// is found at each start.
    pub program: Option<PathBuf>,
    /// Which variables its processes get.
    pub passing: EnvironmentRules,
    /// The processes that are left alone when the tree of one of its processes is ended.
    pub spare: Spare,
}

/// The age from which a process that runs a package gets no new sessions, in milliseconds: its
/// runner fetches a newer version only at a start.
const PACKAGE_AGE: u64 = 24 * 60 * 60 * 1000;

impl AgentSetup {
    /// Whether another agent is started in the same way.
    pub(super) fn starts_like(&self, other: &AgentSetup) -> bool {
        (&self.command, &self.passing) == (&other.command, &other.passing)
    }

    /// The same for a bridge with many clients, which goes on for days.
    pub(super) fn for_many_clients(mut self) -> AgentSetup {
        let runs_package = matches!(Runs::of(&self.command), Some(Runs::Package(_)));
        if runs_package && self.config.channel_max_age == Limit::Never {
            self.config.package_max_age = Limit::After(PACKAGE_AGE);
        }
        self
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_that_was_fetched_is_not_kept_for_ever() {
        let age = |command: &str| {
            let command = command.split(' ').map(OsString::from).collect();
            let agent = AgentSetup { command, ..AgentSetup::default() };
            agent.for_many_clients().config.package_max_age
        };
        let day = Limit::After(86_400_000);
        assert_eq!(age("npx -y @x/agent"), day);
        assert_eq!(age("env A=b uvx agent"), day);
        assert_eq!(age("node /opt/agent/index.js"), Limit::Never);
        assert_eq!(age("/opt/agent"), Limit::Never);
    }
}
