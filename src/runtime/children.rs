//! The agents' processes: their start, the frames and signals for them, and their end.

mod agent_process;
mod agent_stderr;
mod child;
mod dead_handle;
pub(super) mod exit;
mod facts;
mod installed;
#[cfg(target_os = "linux")]
pub(super) mod keeper_process;
#[cfg(target_os = "linux")]
mod keepers;
pub(super) mod ledger;
mod looks;
mod memory;
#[cfg(target_os = "linux")]
mod orphans;
mod program;
mod row;
pub(super) mod start;
mod start_fault;
mod streams;
pub(super) mod survey;
pub(super) mod sweeps;
pub(super) mod tree;

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::rc::Rc;
use std::time::{SystemTime, UNIX_EPOCH};

use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinSet;

use self::agent_process::AgentProcess;
use self::child::{Child, Stdios};
use self::exit::{EXIT_DRAIN, ExitPart};
use self::ledger::Ledger;
use self::row::Row;
use self::start::{LONGEST_PATH, Start};
use self::start_fault::no_directory;
use self::streams::Wiring;
use super::flow::{Crowd, Flow};
use super::input::Input;
use super::outbox::{Outbox, OutboxSum};
use super::setup::AgentSetup;
use super::surroundings::Surroundings;
use crate::bridge::{ChannelId, Event, Exit, ExitStatus, Lane};
use crate::logs::StderrSink;
use crate::secrets::Secrets;
use crate::wire::OutgoingFrame;

/// The settings that the starts of all agents have in common.
pub(super) struct StartSetup {
    /// The limit of an agent's outbox, in bytes.
    pub(super) outbox_bytes: usize,
    /// All write queues together.
    pub(super) sum: OutboxSum,
    /// The limit on open descriptors that agents get; `None`: that of the bridge.
    pub(super) descriptor_limit: Option<u64>,
    /// The ledger of the agents that have no keeper.
    pub(super) ledger: Ledger,
    /// The starter of keepers; `None`: agents run without keepers.
    #[cfg(target_os = "linux")]
    pub(super) keepers: Option<keeper_process::KeeperStarter>,
}

/// All agents' processes.
pub(super) struct Children {
    setup: StartSetup,
    wiring: Wiring,
    marks: Rc<Notify>,
    crowd: Crowd,
    rows: BTreeMap<ChannelId, Row>,
    /// The channels that were sent a frame since the last flush.
    unsent: Vec<ChannelId>,
    exits: VecDeque<(ChannelId, Exit)>,
    /// Keepers whose rows are gone, until they are reaped.
    #[cfg(target_os = "linux")]
    leaving: Vec<std::process::Child>,
}

impl Children {
    pub(super) fn new(
        setup: StartSetup,
        limit: usize,
        stderr: StderrSink,
        to_loop: mpsc::UnboundedSender<Input>,
        marks: Rc<Notify>,
        crowd: Crowd,
    ) -> Self {
        Children {
            setup,
            wiring: Wiring {
                limit,
                stderr,
                to_loop,
                has_several_agents: watch::Sender::new(false),
            },
            marks,
            crowd,
            rows: BTreeMap::new(),
            unsent: Vec::new(),
            exits: VecDeque::new(),
            #[cfg(target_os = "linux")]
            leaving: Vec::new(),
        }
    }

    /// Starts an agent for a channel, and returns the outcome. `None`: the agent has a
    /// keeper, whose report will tell the outcome.
    pub(super) fn spawn(
        &mut self,
        channel: ChannelId,
        agent: Rc<AgentSetup>,
        of_client: Rc<Surroundings>,
        (home, cwd): (PathBuf, PathBuf),
        tasks: &mut JoinSet<()>,
    ) -> Option<Event> {
        let (cwd, cookie) = (cwd.into_os_string(), cookie(channel));
        if cwd.as_encoded_bytes().contains(&0) || cwd.len() > LONGEST_PATH {
            return Some(Event::SpawnFailed { channel, error: no_directory(&cwd) });
        }
        let descriptor_limit = self.setup.descriptor_limit;
        let start = Start { agent, of_client, home, cwd, cookie, descriptor_limit };
        #[cfg(target_os = "linux")]
        match self.spawn_keeper(channel, &start, tasks) {
            Ok(true) => return None,
            Ok(false) => {}
            Err(error) => return Some(Event::SpawnFailed { channel, error }),
        }
        let peer = self.new_peer();
        Some(self.spawn_own(channel, &start, peer, tasks))
    }

    /// The outbox of an agent that is about to start, and its flow control.
    fn new_peer(&self) -> (Outbox, Flow) {
        let StartSetup { outbox_bytes, sum, .. } = &self.setup;
        let outbox = Outbox::new(*outbox_bytes, self.marks.clone(), sum.clone());
        (outbox.clone(), Flow::new(outbox, self.crowd.clone()))
    }

    /// Starts an agent without a keeper, as a child of the bridge.
    fn spawn_own(
        &mut self,
        channel: ChannelId,
        start: &Start,
        peer: (Outbox, Flow),
        tasks: &mut JoinSet<()>,
    ) -> Event {
        let program = match start.program() {
            Ok(program) => program,
            Err(error) => return Event::SpawnFailed { channel, error },
        };
        let ledger = &mut self.setup.ledger;
        ledger.announce(channel, &start.cookie);
        let (child, stdios) = match Child::spawn(&program, start) {
            Ok(started) => started,
            Err(error) => {
                ledger.remove(channel);
                return Event::SpawnFailed { channel, error };
            }
        };
        let pid = child.pid();
        ledger.started(channel, pid);
        let parts = [ExitPart::Stdout, ExitPart::Stderr, ExitPart::Tree];
        let process = AgentProcess::WithoutKeeper(child);
        self.insert(channel, Row::new(process, start, peer, &parts));
        self.connect(channel, pid, stdios, tasks)
    }

    fn insert(&mut self, channel: ChannelId, row: Row) {
        self.rows.insert(channel, row);
        self.wiring.has_several_agents.send_replace(self.rows.len() > 1);
    }

    fn remove(&mut self, channel: ChannelId) -> Option<Row> {
        let row = self.rows.remove(&channel)?;
        self.setup.ledger.remove(channel);
        for stream in &row.streams {
            stream.abort();
        }
        self.wiring.has_several_agents.send_replace(self.rows.len() > 1);
        Some(row)
    }

    /// Starts the tasks for the streams of an agent that runs, and returns the outcome
    /// of its start.
    fn connect(
        &mut self,
        channel: ChannelId,
        pid: u32,
        stdios: Stdios,
        tasks: &mut JoinSet<()>,
    ) -> Event {
        let Some(row) = self.rows.get_mut(&channel) else {
            return Event::ChannelSpawned { channel, pid };
        };
        let (outbox, flow, tail) = (row.outbox.clone(), row.flow.clone(), row.tail.clone());
        match self.wiring.connect(channel, stdios, outbox, flow, tail, tasks) {
            Ok(streams) => {
                row.streams.extend(streams);
                Event::ChannelSpawned { channel, pid }
            }
            Err(error) => {
                self.release(channel);
                Event::SpawnFailed { channel, error: error.to_string() }
            }
        }
    }

    /// Removes the row of an agent that has ended, or whose start has failed. Its keeper,
    /// if there is one, is still reaped.
    fn release(&mut self, channel: ChannelId) {
        let row = self.remove(channel);
        // Lines that it has not read are no part of the sum of all outboxes any more.
        row.iter().for_each(|row| row.outbox.abandon());
        #[cfg(target_os = "linux")]
        self.leaving.extend(row.and_then(|row| row.process.into_keeper()));
        #[cfg(not(target_os = "linux"))]
        drop(row);
    }

    pub(super) fn send(&mut self, channel: ChannelId, frame: OutgoingFrame) {
        if let Some(row) = self.rows.get(&channel) {
            row.outbox.push(Lane::Bridge, frame);
            if self.unsent.last() != Some(&channel) {
                self.unsent.push(channel);
            }
        }
    }

    /// Keeps these texts out of what is quoted of this channel's agent.
    pub(super) fn conceal(&mut self, channel: ChannelId, secrets: Vec<Box<str>>) {
        if let Some(row) = self.rows.get_mut(&channel) {
            row.secrets.add(secrets.into_iter());
        }
    }

    /// A text of this channel's agent without the secrets in it.
    pub(super) fn masked(&self, channel: ChannelId, text: &str) -> String {
        let none = Secrets::default();
        self.rows.get(&channel).map_or(&none, |row| &row.secrets).masked(text)
    }

    /// Writes the frames since the last flush, as far as the agents take them at once.
    pub(super) fn flush(&mut self) {
        for channel in self.unsent.drain(..) {
            if let Some(row) = self.rows.get(&channel) {
                row.outbox.flush();
            }
        }
    }

    pub(super) fn close_stdin(&self, channel: ChannelId) {
        if let Some(row) = self.rows.get(&channel) {
            row.outbox.end();
        }
    }

    pub(super) fn terminate(&mut self, channel: ChannelId) {
        if let Some(row) = self.rows.get_mut(&channel) {
            row.process.terminate();
        }
    }

    pub(super) fn kill(&mut self, channel: ChannelId) {
        if let Some(row) = self.rows.get_mut(&channel) {
            row.process.kill();
        }
    }

    /// Stops reading an agent's stdout (`true`), or goes on (`false`).
    pub(super) fn set_paused(&self, channel: ChannelId, is_paused: bool) {
        if let Some(row) = self.rows.get(&channel) {
            row.flow.set_paused(is_paused);
        }
    }

    /// Starts a survey of a channel; [`Input::Surveyed`] brings the result to the loop.
    pub(super) fn survey(&self, channel: ChannelId, tasks: &mut JoinSet<()>) {
        let trace = self.trace(channel);
        let to_loop = self.wiring.to_loop.clone();
        tasks.spawn_local(async move {
            let found = survey::look(trace).await;
            let _ = to_loop.send(Input::Surveyed(channel, found));
        });
    }

    /// Reaps keepers that have ended, and ends the rest of the tree of each agent that has
    /// ended and has no keeper.
    pub(super) fn reap(&mut self, tasks: &mut JoinSet<()>) {
        #[cfg(target_os = "linux")]
        {
            self.reap_keepers();
            self.reap_orphans();
        }
        let mut ended = Vec::new();
        for (channel, row) in &mut self.rows {
            if let AgentProcess::WithoutKeeper(child) = &mut row.process
                && let Some(status) = child.ended()
            {
                ended.push((*channel, status, child.cookie().to_owned()));
            }
        }
        for (channel, status, cookie) in ended {
            self.agent_ended(channel, status, tasks);
            self.sweep(channel, cookie, tasks);
        }
    }

    /// Notes that an agent has ended. The other parts of its exit get [`EXIT_DRAIN`].
    fn agent_ended(&mut self, channel: ChannelId, status: ExitStatus, tasks: &mut JoinSet<()>) {
        let Some(row) = self.rows.get_mut(&channel) else { return };
        row.exit.reaped(status);
        row.flow.set_exited();
        let drained = self.wiring.to_loop.clone();
        tasks.spawn_local(async move {
            tokio::time::sleep(EXIT_DRAIN).await;
            let _ = drained.send(Input::DrainOver(channel));
        });
    }

    /// Notes that a part of a channel's exit is done; `half_line` bytes without a line
    /// end were left in its stream.
    pub(super) fn part_done(&mut self, channel: ChannelId, part: ExitPart, half_line: u64) {
        if let Some(row) = self.rows.get_mut(&channel) {
            if let (ExitPart::Tree, AgentProcess::WithoutKeeper(child)) = (part, &mut row.process) {
                child.reap();
            }
            row.exit.part_done(part, half_line);
            self.exit_if_done(channel);
        }
    }

    /// Notes that [`EXIT_DRAIN`] is over: the channel's exit waits for no other part.
    pub(super) fn drain_over(&mut self, channel: ChannelId) {
        if let Some(row) = self.rows.get_mut(&channel) {
            row.exit.drain_over();
            self.exit_if_done(channel);
        }
    }

    fn exit_if_done(&mut self, channel: ChannelId) {
        let exit = self.rows.get(&channel).and_then(Row::exit);
        if let Some(exit) = exit {
            self.exits.push_back((channel, exit));
            self.release(channel);
        }
    }

    /// Takes the next exit that is complete: the agent is reaped, and its streams and its tree
    /// have ended or had time enough. Each exit is given out once.
    pub(super) fn next_exit(&mut self) -> Option<(ChannelId, Exit)> {
        self.exits.pop_front()
    }
}

/// Makes the cookie of a channel, which no other channel of any bridge has.
#[allow(clippy::disallowed_methods)] // a name, not a measurement
fn cookie(channel: ChannelId) -> String {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    format!("{}-{}-{channel}", std::process::id(), since_epoch.as_nanos())
}
