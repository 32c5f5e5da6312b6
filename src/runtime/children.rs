//! The agents' processes: their start, what they are sent and told, their end.

#[cfg(target_os = "linux")]
mod keepers;
mod row;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ffi::OsString;
use std::fmt::Display;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::{SystemTime, UNIX_EPOCH};

use tokio::sync::{Notify, mpsc, watch};
use tokio::task::{JoinSet, spawn_blocking};

use self::row::Row;
use super::agent_process::AgentProcess;
use super::child::{Child, Stdios};
use super::exit::{EXIT_DRAIN, ExitPart};
use super::flow::Flow;
use super::input::Input;
use super::ledger::{self, Ledger};
use super::outbox::Outbox;
use super::streams::Wiring;
use super::{agent_stderr, survey, tree};
use crate::agent_environment::Variables;
use crate::bridge::words::counted;
use crate::bridge::{ChannelId, Event, Exit, ExitStatus};
use crate::logs::StderrSink;
use crate::processes::{Spare, Swept};
use crate::wire::OutgoingFrame;

/// What is needed to start agents and to end them.
pub(super) struct Orders {
    /// The agent's command and arguments.
    pub(super) command: Vec<OsString>,
    /// What it finds in its environment, beside what is about its channel.
    pub(super) environment: Variables,
    /// The limit of an agent's outbox, in bytes.
    pub(super) outbox_bytes: usize,
    /// Processes that are left alone when a tree is ended.
    pub(super) spare: Spare,
    /// Of agents that have no keeper.
    pub(super) ledger: Ledger,
    /// How keepers are started, if agents have any.
    #[cfg(target_os = "linux")]
    pub(super) keepers: Option<super::keeper_process::KeeperStarter>,
}

/// All agents' processes.
pub(super) struct Children {
    orders: Orders,
    wiring: Wiring,
    marks: Rc<Notify>,
    secrets: Vec<String>,
    rows: BTreeMap<ChannelId, Row>,
    /// Channels that were sent something since the last flush.
    unsent: Vec<ChannelId>,
    exits: VecDeque<(ChannelId, Exit)>,
    /// Keepers whose rows are gone, until they are reaped.
    #[cfg(target_os = "linux")]
    leaving: Vec<std::process::Child>,
}

impl Children {
    pub(super) fn new(
        orders: Orders,
        limit: usize,
        stderr: StderrSink,
        to_loop: mpsc::UnboundedSender<Input>,
        marks: Rc<Notify>,
    ) -> Self {
        let secrets = agent_stderr::secrets(&orders.environment);
        Children {
            orders,
            wiring: Wiring { limit, stderr, to_loop, is_crowded: watch::Sender::new(false) },
            marks,
            secrets,
            rows: BTreeMap::new(),
            unsent: Vec::new(),
            exits: VecDeque::new(),
            #[cfg(target_os = "linux")]
            leaving: Vec::new(),
        }
    }

    /// Starts an agent for a channel, and says what came of it as soon as that
    /// is known: at once, or when its keeper has told us.
    pub(super) fn spawn(
        &mut self,
        channel: ChannelId,
        cwd: &str,
        tasks: &mut JoinSet<()>,
    ) -> Option<Event> {
        let cookie = cookie(channel);
        #[cfg(target_os = "linux")]
        match self.spawn_keeper(channel, cwd, &cookie, tasks) {
            Ok(true) => return None,
            Ok(false) => {}
            Err(error) => return Some(Event::SpawnFailed { channel, error }),
        }
        let peer = self.new_peer();
        Some(self.spawn_own(channel, cwd, cookie, peer, tasks))
    }

    /// The outbox of an agent that is about to start, and its flow control.
    fn new_peer(&self) -> (Outbox, Flow) {
        let outbox = Outbox::new(self.orders.outbox_bytes, self.marks.clone());
        (outbox.clone(), Flow::new(outbox))
    }

    /// Starts an agent as a child of our own.
    fn spawn_own(
        &mut self,
        channel: ChannelId,
        cwd: &str,
        cookie: String,
        peer: (Outbox, Flow),
        tasks: &mut JoinSet<()>,
    ) -> Event {
        let Orders { command, environment, spare, ledger, .. } = &mut self.orders;
        ledger.announce(channel, &cookie);
        let spawned = Child::spawn(command, environment, cwd, cookie, spare.clone());
        let (child, stdios) = match spawned {
            Ok(started) => started,
            Err(error) => {
                ledger.remove(channel);
                return Event::SpawnFailed { channel, error };
            }
        };
        let pid = child.pid();
        ledger.started(channel, pid);
        let parts = [ExitPart::Stdout, ExitPart::Stderr, ExitPart::Tree];
        self.insert(channel, Row::new(AgentProcess::WithoutKeeper(child), peer, &parts));
        self.connect(channel, pid, stdios, tasks)
    }

    fn insert(&mut self, channel: ChannelId, row: Row) {
        self.rows.insert(channel, row);
        self.wiring.is_crowded.send_replace(self.rows.len() > 1);
    }

    fn remove(&mut self, channel: ChannelId) -> Option<Row> {
        let row = self.rows.remove(&channel)?;
        self.orders.ledger.remove(channel);
        for stream in &row.streams {
            stream.abort();
        }
        self.wiring.is_crowded.send_replace(self.rows.len() > 1);
        Some(row)
    }

    /// The agent runs: from here on its streams are served.
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
                self.forget(channel);
                Event::SpawnFailed { channel, error: error.to_string() }
            }
        }
    }

    /// Lets go of an agent that has ended, or whose start has failed.
    fn forget(&mut self, channel: ChannelId) {
        let row = self.remove(channel);
        #[cfg(target_os = "linux")]
        self.leaving.extend(row.and_then(|row| row.process.into_keeper()));
        #[cfg(not(target_os = "linux"))]
        drop(row);
    }

    pub(super) fn send(&mut self, channel: ChannelId, frame: OutgoingFrame) {
        if let Some(row) = self.rows.get(&channel) {
            row.outbox.push(frame);
            if self.unsent.last() != Some(&channel) {
                self.unsent.push(channel);
            }
        }
    }

    /// Keeps these texts out of what is quoted of this channel's agent.
    pub(super) fn conceal(&mut self, channel: ChannelId, secrets: Vec<Box<str>>) {
        if let Some(row) = self.rows.get_mut(&channel) {
            row.conceal(secrets);
        }
    }

    /// Writes what was sent since this was called last, as far as it is taken at once.
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

    /// Stops reading a channel, or goes on.
    pub(super) fn set_paused(&self, channel: ChannelId, is_paused: bool) {
        if let Some(row) = self.rows.get(&channel) {
            row.flow.set_paused(is_paused);
        }
    }

    pub(super) fn pid(&self, channel: ChannelId) -> Option<u32> {
        self.rows.get(&channel)?.process.pid()
    }

    pub(super) fn is_running(&self, channel: ChannelId) -> bool {
        self.rows.get(&channel).is_some_and(|row| !row.exit.is_reaped())
    }

    /// Looks at a channel's process tree, aside from the loop.
    pub(super) fn survey(&self, channel: ChannelId, tasks: &mut JoinSet<()>) {
        let trace = self.rows.get(&channel).map(|row| row.process.trace());
        let to_loop = self.wiring.to_loop.clone();
        tasks.spawn_local(async move {
            let found = survey::look(trace).await;
            let _ = to_loop.send(Input::Surveyed(channel, found));
        });
    }

    /// Reaps what ended; what is left of the tree of an agent of our own is ended, too.
    pub(super) fn reap(&mut self, tasks: &mut JoinSet<()>) {
        #[cfg(target_os = "linux")]
        self.reap_keepers();
        let mut ended = Vec::new();
        for (channel, row) in &mut self.rows {
            if let AgentProcess::WithoutKeeper(child) = &mut row.process
                && let Some(status) = child.try_reap()
            {
                ended.push((*channel, status, child.cookie().to_owned()));
            }
        }
        for (channel, status, cookie) in ended {
            self.ended(channel, status, tasks);
            self.sweep(channel, cookie, tasks);
        }
    }

    /// The agent itself is reaped: what it has written is still to be read.
    fn ended(&mut self, channel: ChannelId, status: ExitStatus, tasks: &mut JoinSet<()>) {
        let Some(row) = self.rows.get_mut(&channel) else { return };
        row.exit.reaped(status);
        row.flow.set_exited();
        let drained = self.wiring.to_loop.clone();
        tasks.spawn_local(async move {
            tokio::time::sleep(EXIT_DRAIN).await;
            let _ = drained.send(Input::DrainOver(channel));
        });
    }

    /// Ends what carries a cookie.
    fn sweep(&self, channel: ChannelId, cookie: String, tasks: &mut JoinSet<()>) {
        let (spare, to_loop) = (self.orders.spare.clone(), self.wiring.to_loop.clone());
        // A task of its own: to look at a process that hangs in the system may hang, too.
        tasks.spawn_local(async move {
            let swept = spawn_blocking(move || tree::sweep(&cookie, &spare, BTreeSet::new())).await;
            tell_swept(channel, &swept.unwrap_or_default());
            let _ = to_loop.send(Input::PartDone(channel, ExitPart::Tree, 0));
        });
    }

    /// One of the things that an exit waits for is done.
    pub(super) fn part_done(&mut self, channel: ChannelId, part: ExitPart, half_line: u64) {
        if let Some(row) = self.rows.get_mut(&channel) {
            row.exit.part_done(part, half_line);
            self.exit_if_done(channel);
        }
    }

    /// The exit has waited long enough.
    pub(super) fn drain_over(&mut self, channel: ChannelId) {
        if let Some(row) = self.rows.get_mut(&channel) {
            row.exit.drain_over();
            self.exit_if_done(channel);
        }
    }

    fn exit_if_done(&mut self, channel: ChannelId) {
        let exit = self.rows.get(&channel).and_then(|row| row.exit(&self.secrets));
        if let Some(exit) = exit {
            self.exits.push_back((channel, exit));
            self.forget(channel);
        }
    }

    /// The next channel whose exit is complete.
    pub(super) fn next_exit(&mut self) -> Option<(ChannelId, Exit)> {
        self.exits.pop_front()
    }

    /// Which outboxes went over or under their marks.
    pub(super) fn marks_passed(&self) -> Vec<(ChannelId, bool)> {
        let passed = |(id, row): (&ChannelId, &Row)| Some((*id, row.outbox.mark_passed()?));
        self.rows.iter().filter_map(passed).collect()
    }
}

/// Ends what bridges that were killed have left behind, as the ledgers in this
/// folder say.
pub(super) async fn sweep_ledgers(folder: PathBuf, spare: Spare) {
    let swept = spawn_blocking(move || ledger::sweep(&folder, &spare)).await;
    tell_swept("a bridge that was killed", &swept.unwrap_or_default());
}

/// Logs what became of a tree.
fn tell_swept(of: impl Display, swept: &Swept) {
    if swept.ended > 0 {
        let ended = counted(swept.ended as usize, "process");
        tracing::info!("{of}: ended {ended} that the agent left behind");
    }
    if !swept.spared.is_empty() {
        let names = swept.spared.join(", ");
        let left = counted(swept.spared.len(), "process");
        tracing::info!("{of}: left {left} running: {names}");
    }
}

/// A name for the tree of a channel that no other tree has.
#[allow(clippy::disallowed_methods)] // a name, not a measurement
fn cookie(channel: ChannelId) -> String {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    format!("{}-{}-{channel}", std::process::id(), since_epoch.as_nanos())
}
