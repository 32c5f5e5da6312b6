//! One agent's process and what belongs to it: its streams, its outbox, its last
//! words, and its exit.

use tokio::task::AbortHandle;

use super::agent_process::AgentProcess;
use super::agent_stderr::{self, Tail};
use super::dead_handle::dead_handle;
use super::exit::{AwaitedExit, ExitPart};
use super::installed::Installed;
use super::start::Start;
use crate::agent_environment::Variables;
use crate::bridge::{Exit, Outdated};
use crate::runtime::flow::Flow;
use crate::runtime::outbox::Outbox;
use crate::secrets::Secrets;

pub(super) struct Row {
    pub(super) process: AgentProcess,
    /// The tasks of the agent's streams. They are aborted with the row, since another
    /// process may still hold the other ends of the streams.
    pub(super) streams: Vec<AbortHandle>,
    pub(super) outbox: Outbox,
    /// The flow control of the agent's stdout.
    pub(super) flow: Flow,
    pub(super) tail: Tail,
    /// What it was started from.
    pub(super) start: Start,
    /// The files of the agent, as they were before its start.
    installed: Installed,
    /// Texts that are not to be quoted: those of its environment, and more.
    pub(super) secrets: Secrets,
    pub(super) exit: AwaitedExit,
}

impl Row {
    /// The row of a process that has just been started; its exit waits for these parts.
    pub(super) fn new(
        process: AgentProcess,
        (start, installed): (&Start, Installed),
        (outbox, flow): (Outbox, Flow),
        open: &[ExitPart],
    ) -> Row {
        Row {
            process,
            streams: Vec::new(),
            outbox,
            flow,
            tail: Tail::default(),
            start: start.clone(),
            installed,
            secrets: agent_stderr::secrets(&start.environment()),
            exit: AwaitedExit::new(open),
        }
    }

    /// What the agent lacks that it would have if it was started now, for a client with these
    /// variables.
    pub(super) fn outdated(&self, of_newcomer: &Variables) -> Option<Outdated> {
        if let Some(file) = self.installed.changed(&Installed::now(&self.start)) {
            return Some(Outdated::Updated { file: file.display().to_string() });
        }
        let newcomers = self.start.agent.passing.apply(of_newcomer);
        let name = dead_handle(&self.start.environment(), &newcomers)?;
        Some(Outdated::DeadHandle { name })
    }

    /// The exit of the agent, without the row's secrets in its last words. `None`: the exit is
    /// not complete.
    pub(super) fn exit(&self) -> Option<Exit> {
        let (status, half_line) = self.exit.complete()?;
        let stderr_tail = self.tail.shown(|text| self.secrets.masked(text));
        Some(Exit { status, stderr_tail, half_line })
    }
}
