//! One agent's process and what belongs to it: its streams, its outbox, its last
//! words, and its exit.

use tokio::task::AbortHandle;

use super::agent_process::AgentProcess;
use super::agent_stderr::{self, Tail};
use super::dead_handle::dead_handle;
use super::exit::{AwaitedExit, ExitPart};
use super::installed::{Installed, Latest};
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
    /// The files and values that it was started from.
    pub(super) start: Start,
    /// The files of the agent, as they were when it was ready; `None`: it is not.
    pub(super) installed: Option<Installed>,
    /// Texts that are not to be quoted: those of its environment, and more.
    pub(super) secrets: Secrets,
    pub(super) exit: AwaitedExit,
}

impl Row {
    /// The row of a process that has just been started; its exit waits for these parts.
    pub(super) fn new(
        process: AgentProcess,
        start: &Start,
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
            installed: None,
            secrets: agent_stderr::secrets(&start.environment()),
            exit: AwaitedExit::new(open),
        }
    }

    /// Notes the files of the agent as they are.
    pub(super) fn note_files(&mut self) {
        self.installed = Some(Installed::now(&self.start));
    }

    /// The first thing that the agent would have if it were started now, and has not: its files as
    /// they are now, or a living login handle in place of a dead one. `handles_of`: the variables
    /// of the client that would cause the start, if its handles count.
    pub(super) fn outdated<'a>(
        &'a self,
        now: &mut Latest<'a>,
        handles_of: Option<&Variables>,
    ) -> Option<Outdated> {
        let installed = self.installed.as_ref();
        if let Some(file) = installed.and_then(|noted| noted.changed(now.of(&self.start))) {
            return Some(Outdated::Updated { file: file.display().to_string() });
        }
        let of_client = self.start.agent.passing.apply(handles_of?);
        let name = dead_handle(&self.start.environment(), &of_client)?;
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
