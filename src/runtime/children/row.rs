//! One agent's process and what belongs to it: its streams, its outbox, its last
//! words, and its exit.

use tokio::task::AbortHandle;

use super::agent_process::AgentProcess;
use super::agent_stderr::{self, Tail};
use super::exit::{AwaitedExit, ExitPart};
use super::installed::Installed;
use super::start::Start;
use crate::bridge::Exit;
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
    /// The files of the agent, as they were when it was ready, or when a change of them was last
    /// told to the core; `None`: it is not ready.
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

    /// The exit of the agent, without the row's secrets in its last words. `None`: the exit is
    /// not complete.
    pub(super) fn exit(&self) -> Option<Exit> {
        let (status, half_line) = self.exit.complete()?;
        let stderr_tail = self.tail.shown(|text| self.secrets.masked(text));
        Some(Exit { status, stderr_tail, half_line })
    }
}
