//! The streams of an agent and the tasks that serve them.

use std::io;

use tokio::sync::{mpsc, watch};
use tokio::task::{AbortHandle, JoinSet};

use super::agent_stderr::{self, Tail};
use super::child::Stdios;
use super::exit::{EXIT_DRAIN, ExitPart};
use crate::bridge::ChannelId;
use crate::logs::StderrSink;
use crate::runtime::flow::{Flow, Reader};
use crate::runtime::input::Input;
use crate::runtime::outbox::Outbox;
use crate::runtime::stdio::{Sink, Source};

/// The settings and queues that the streams of all agents share.
pub(super) struct Wiring {
    /// The longest line that is taken from an agent's stdout, in bytes.
    pub(super) limit: usize,
    pub(super) stderr: StderrSink,
    pub(super) to_loop: mpsc::UnboundedSender<Input>,
    /// Whether there is more than one agent: then stderr lines begin with their channel.
    pub(super) has_several_agents: watch::Sender<bool>,
}

impl Wiring {
    /// Starts the tasks for the streams of one agent.
    pub(super) fn connect(
        &self,
        channel: ChannelId,
        stdios: Stdios,
        outbox: Outbox,
        flow: Flow,
        tail: Tail,
        tasks: &mut JoinSet<()>,
    ) -> io::Result<Vec<AbortHandle>> {
        let stdin = Sink::of_pipe(stdios.stdin)?;
        let stdout = Source::of_pipe(stdios.stdout)?;
        let stderr = Source::of_pipe(stdios.stderr)?;
        Ok(vec![
            self.write(channel, outbox, stdin, tasks),
            self.read(channel, stdout, flow, tasks),
            self.forward(channel, stderr, tail, tasks),
        ])
    }

    fn write(
        &self,
        channel: ChannelId,
        outbox: Outbox,
        sink: Sink,
        tasks: &mut JoinSet<()>,
    ) -> AbortHandle {
        let to_loop = self.to_loop.clone();
        tasks.spawn_local(async move {
            if !outbox.write_to(sink).await {
                still_running(channel, &to_loop).await;
            }
        })
    }

    fn read(
        &self,
        channel: ChannelId,
        source: Source,
        flow: Flow,
        tasks: &mut JoinSet<()>,
    ) -> AbortHandle {
        let reader = Reader { source, limit: self.limit, to: self.to_loop.clone(), flow };
        let to_loop = self.to_loop.clone();
        tasks.spawn_local(async move {
            let wrap = |batch| Input::FromChannel(channel, batch);
            let ended = |half| Input::PartDone(channel, ExitPart::Stdout, half);
            reader.run(wrap, ended).await;
            still_running(channel, &to_loop).await;
        })
    }

    fn forward(
        &self,
        channel: ChannelId,
        source: Source,
        tail: Tail,
        tasks: &mut JoinSet<()>,
    ) -> AbortHandle {
        let (sink, to_loop) = (self.stderr.clone(), self.to_loop.clone());
        let has_several_agents = self.has_several_agents.subscribe();
        tasks.spawn_local(async move {
            let prefix = || {
                if *has_several_agents.borrow() { format!("{channel}: ") } else { String::new() }
            };
            agent_stderr::forward(source, tail, sink, prefix).await;
            let _ = to_loop.send(Input::PartDone(channel, ExitPart::Stderr, 0));
        })
    }
}

/// Makes the loop check, [`EXIT_DRAIN`] after an agent closed its stdin or stdout, whether
/// the agent still runs. If it does, the channel is lost.
async fn still_running(channel: ChannelId, to_loop: &mpsc::UnboundedSender<Input>) {
    tokio::time::sleep(EXIT_DRAIN).await;
    let _ = to_loop.send(Input::StillRunning(channel));
}
