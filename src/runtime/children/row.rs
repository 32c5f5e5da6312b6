//! One agent's process and what belongs to it: its streams, its outbox, its last
//! words, and its exit.

use std::collections::BTreeSet;

use tokio::task::AbortHandle;

use super::agent_process::AgentProcess;
use super::agent_stderr::Tail;
use super::exit::{AwaitedExit, ExitPart};
use crate::bridge::Exit;
use crate::runtime::flow::Flow;
use crate::runtime::outbox::Outbox;

/// The most texts that are kept out of one agent's last words; further ones are not
/// remembered.
const MOST_SECRETS: usize = 1024;

pub(super) struct Row {
    pub(super) process: AgentProcess,
    /// The tasks of the agent's streams. They are aborted with the row, since another
    /// process may still hold the other ends of the streams.
    pub(super) streams: Vec<AbortHandle>,
    pub(super) outbox: Outbox,
    /// The flow control of the agent's stdout.
    pub(super) flow: Flow,
    pub(super) tail: Tail,
    /// Texts that the last words must not show, beside the secrets of the environment.
    secrets: BTreeSet<Box<str>>,
    pub(super) exit: AwaitedExit,
}

impl Row {
    /// The row of a process that has just been started; its exit waits for these parts.
    pub(super) fn new(
        process: AgentProcess,
        (outbox, flow): (Outbox, Flow),
        open: &[ExitPart],
    ) -> Row {
        Row {
            process,
            streams: Vec::new(),
            outbox,
            flow,
            tail: Tail::default(),
            secrets: BTreeSet::new(),
            exit: AwaitedExit::new(open),
        }
    }

    /// Keeps these texts out of the agent's last words.
    pub(super) fn conceal(&mut self, secrets: Vec<Box<str>>) {
        let room = MOST_SECRETS.saturating_sub(self.secrets.len());
        self.secrets.extend(secrets.into_iter().take(room));
    }

    /// The exit of the agent, without the row's secrets and those of the `environment` in
    /// its last words. `None`: the exit is not complete.
    pub(super) fn exit(&self, environment: &[String]) -> Option<Exit> {
        let (status, half_line) = self.exit.complete()?;
        let environment = environment.iter().map(String::as_str);
        let stderr_tail = self.tail.shown(environment.chain(self.secrets.iter().map(|one| &**one)));
        Some(Exit { status, stderr_tail, half_line })
    }
}
