//! The agents' processes and what belongs to each: its streams, its outbox, and
//! what its exit still waits for.
//!
//! An exit is one event: the process is reaped *and* its output read to the end,
//! so that its last words are not lost; or a short limit has passed, so that a
//! grandchild that holds the pipe cannot hold us.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ffi::OsString;
use std::io;
use std::rc::Rc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::{Notify, mpsc, watch};
use tokio::task::{AbortHandle, JoinSet, spawn_blocking};
use tokio::time::timeout;

use super::Input;
use super::child::{Child, Stdios};
use super::outbox::Outbox;
use super::reader::Reader;
use super::stderr::{self, Tail};
use super::stdio::{Sink, Source};
use super::tree;
use crate::bridge::{ChannelId, Event, Exit, ExitStatus};
use crate::logs::StderrSink;
use crate::wire::Outgoing;

/// How long an exit waits for what the process has written, and for its tree.
const EXIT_DRAIN: Duration = Duration::from_millis(500);
/// How long a look at a process tree may take.
const LONGEST_LOOK: Duration = Duration::from_secs(2);

/// Texts that are kept out of one agent's last words; more than these are not
/// remembered.
const MOST_SECRETS: usize = 1024;

/// What an exit waits for beside the process itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    Stdout,
    Stderr,
    /// Whatever left the process group is looked for and ended.
    Tree,
}

/// All agents' processes.
pub(super) struct Children {
    command: Vec<OsString>,
    limit: usize,
    outbox_bytes: usize,
    stderr: StderrSink,
    secrets: Vec<String>,
    to_loop: mpsc::Sender<Input>,
    rows: BTreeMap<ChannelId, Row>,
    /// Channels that were sent something since the last flush.
    unsent: Vec<ChannelId>,
    /// More than one process runs: lines on stderr say whose they are.
    is_crowded: watch::Sender<bool>,
    exits: VecDeque<(ChannelId, Exit)>,
}

struct Row {
    child: Child,
    /// The tasks of its streams: ended with the row, should somebody else still
    /// hold the other ends.
    streams: [AbortHandle; 3],
    outbox: Outbox,
    /// Whether the core wants it to be read.
    is_wanted: bool,
    gate: watch::Sender<bool>,
    tail: Tail,
    /// What its tail must not show beside the secrets of the environment.
    secrets: BTreeSet<Box<str>>,
    /// Set when the process is reaped.
    status: Option<ExitStatus>,
    open: Vec<Part>,
    half_line: u64,
}

impl Children {
    pub(super) fn new(
        command: Vec<OsString>,
        limit: usize,
        outbox_bytes: usize,
        stderr: StderrSink,
        to_loop: mpsc::Sender<Input>,
    ) -> Self {
        Children {
            command,
            limit,
            outbox_bytes,
            stderr,
            secrets: stderr::secrets(),
            to_loop,
            rows: BTreeMap::new(),
            unsent: Vec::new(),
            is_crowded: watch::Sender::new(false),
            exits: VecDeque::new(),
        }
    }

    /// Starts a process for a channel and says what came of it.
    pub(super) fn spawn(
        &mut self,
        channel: ChannelId,
        cwd: &str,
        marks: &Rc<Notify>,
        tasks: &mut JoinSet<()>,
    ) -> Event {
        let started =
            Child::spawn(&self.command, cwd, cookie(channel)).and_then(|(child, stdios)| {
                let streams = Streams::open(stdios).map_err(|error| error.to_string())?;
                Ok((child, streams))
            });
        let (child, streams) = match started {
            Ok(started) => started,
            Err(error) => return Event::SpawnFailed { channel, error },
        };
        let pid = child.pid();
        let outbox = Outbox::new(streams.stdin, self.outbox_bytes, marks.clone());
        let (gate, is_open) = watch::channel(true);
        let tail = Tail::default();
        let streams = [
            self.write(channel, outbox.clone(), tasks),
            self.read(channel, streams.stdout, is_open, tasks),
            self.forward(channel, streams.stderr, tail.clone(), tasks),
        ];
        let open = vec![Part::Stdout, Part::Stderr, Part::Tree];
        let row = Row {
            child,
            streams,
            outbox,
            is_wanted: true,
            gate,
            tail,
            secrets: BTreeSet::new(),
            status: None,
            open,
            half_line: 0,
        };
        self.rows.insert(channel, row);
        self.is_crowded.send_replace(self.rows.len() > 1);
        Event::ChannelSpawned { channel, pid }
    }

    fn write(&self, channel: ChannelId, outbox: Outbox, tasks: &mut JoinSet<()>) -> AbortHandle {
        let to_loop = self.to_loop.clone();
        tasks.spawn_local(async move {
            if !outbox.write().await {
                still_running(channel, &to_loop).await;
            }
        })
    }

    fn read(
        &self,
        channel: ChannelId,
        source: Source,
        gate: watch::Receiver<bool>,
        tasks: &mut JoinSet<()>,
    ) -> AbortHandle {
        let reader = Reader { source, limit: self.limit, to: self.to_loop.clone(), gate };
        let to_loop = self.to_loop.clone();
        tasks.spawn_local(async move {
            let wrap = |batch| Input::FromChannel(channel, batch);
            let ended = |half| Input::PartDone(channel, Part::Stdout, half);
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
        let is_crowded = self.is_crowded.subscribe();
        tasks.spawn_local(async move {
            let prefix = || {
                if *is_crowded.borrow() { format!("{channel}: ") } else { String::new() }
            };
            stderr::forward(source, tail, sink, prefix).await;
            let _ = to_loop.send(Input::PartDone(channel, Part::Stderr, 0)).await;
        })
    }

    pub(super) fn send(&mut self, channel: ChannelId, frame: Outgoing) {
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
            row.secrets.extend(secrets);
            while row.secrets.len() > MOST_SECRETS {
                row.secrets.pop_first();
            }
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

    pub(super) fn terminate(&self, channel: ChannelId) {
        if let Some(row) = self.rows.get(&channel) {
            row.child.terminate();
        }
    }

    pub(super) fn kill(&self, channel: ChannelId) {
        if let Some(row) = self.rows.get(&channel) {
            row.child.kill();
        }
    }

    /// Lets a channel be read, or not for now.
    pub(super) fn set_reading(&mut self, channel: ChannelId, is_wanted: bool) {
        if let Some(row) = self.rows.get_mut(&channel) {
            row.is_wanted = is_wanted;
        }
        self.open_gate(channel);
    }

    /// Lets a channel be read as the facts stand now: an agent that takes
    /// nothing is not listened to either, unless it is gone already.
    pub(super) fn open_gate(&self, channel: ChannelId) {
        if let Some(row) = self.rows.get(&channel) {
            let may_read = row.is_wanted && !row.outbox.is_choked();
            row.gate.send_if_modified(|is_open| {
                let is_new = may_read || row.status.is_some();
                std::mem::replace(is_open, is_new) != is_new
            });
        }
    }

    pub(super) fn pid(&self, channel: ChannelId) -> Option<u32> {
        self.rows.get(&channel).map(|row| row.child.pid())
    }

    pub(super) fn is_running(&self, channel: ChannelId) -> bool {
        self.rows.get(&channel).is_some_and(|row| row.status.is_none())
    }

    /// Looks at a channel's process tree, aside from the loop; if that hangs,
    /// nothing was found.
    pub(super) fn survey(&self, channel: ChannelId, tasks: &mut JoinSet<()>) {
        let cookie = self.rows.get(&channel).map(|row| row.child.cookie().to_owned());
        let to_loop = self.to_loop.clone();
        tasks.spawn_local(async move {
            let look = spawn_blocking(move || cookie.map(|cookie| tree::carrying(&cookie)));
            let found = timeout(LONGEST_LOOK, look).await;
            let found = found.ok().and_then(Result::ok).flatten().unwrap_or_default();
            let _ = to_loop.send(Input::Surveyed(channel, found)).await;
        });
    }

    /// Reaps what ended; what is left of its tree is ended, too.
    pub(super) fn reap(&mut self, tasks: &mut JoinSet<()>) {
        for (channel, row) in &mut self.rows {
            let Some(status) = row.child.try_reap() else { continue };
            row.status = Some(status);
            // What it wrote is still to be read, whoever was slow before.
            row.gate.send_replace(true);
            let (channel, to_loop) = (*channel, self.to_loop.clone());
            let cookie = row.child.cookie().to_owned();
            let drained = self.to_loop.clone();
            tasks.spawn_local(async move {
                tokio::time::sleep(EXIT_DRAIN).await;
                let _ = drained.send(Input::DrainOver(channel)).await;
            });
            // A task of its own: to look at a process that hangs in the system may hang, too.
            tasks.spawn_local(async move {
                let swept = spawn_blocking(move || tree::sweep(&cookie)).await;
                if let Ok(count @ 1..) = swept {
                    tracing::info!("{channel}: ended {count} processes that the agent left behind");
                }
                let _ = to_loop.send(Input::PartDone(channel, Part::Tree, 0)).await;
            });
        }
    }

    /// One of the things that an exit waits for is done.
    pub(super) fn part_done(&mut self, channel: ChannelId, part: Part, half_line: u64) {
        if let Some(row) = self.rows.get_mut(&channel) {
            row.open.retain(|open| *open != part);
            row.half_line += half_line;
            self.exit_if_done(channel);
        }
    }

    /// The exit has waited long enough.
    pub(super) fn drain_over(&mut self, channel: ChannelId) {
        if let Some(row) = self.rows.get_mut(&channel) {
            row.open.clear();
            self.exit_if_done(channel);
        }
    }

    fn exit_if_done(&mut self, channel: ChannelId) {
        let is_done =
            self.rows.get(&channel).is_some_and(|row| row.status.is_some() && row.open.is_empty());
        if is_done && let Some(row) = self.rows.remove(&channel) {
            for stream in &row.streams {
                stream.abort();
            }
            self.is_crowded.send_replace(self.rows.len() > 1);
            let status = row.status.unwrap_or(ExitStatus::Unknown);
            let secrets = self.secrets.iter().map(String::as_str);
            let stderr_tail = row.tail.shown(secrets.chain(row.secrets.iter().map(|one| &**one)));
            self.exits.push_back((channel, Exit { status, stderr_tail, half_line: row.half_line }));
        }
    }

    /// The next channel whose exit is complete.
    pub(super) fn next_exit(&mut self) -> Option<(ChannelId, Exit)> {
        self.exits.pop_front()
    }

    /// Which outboxes went over or under their marks.
    pub(super) fn marks_passed(&self) -> Vec<(ChannelId, bool)> {
        for channel in self.rows.keys() {
            self.open_gate(*channel);
        }
        let passed = |(id, row): (&ChannelId, &Row)| Some((*id, row.outbox.mark_passed()?));
        self.rows.iter().filter_map(passed).collect()
    }
}

/// An agent that closed its stdin or stdout is of no use to anybody: if it did
/// not do so in order to leave, the core is told.
async fn still_running(channel: ChannelId, to_loop: &mpsc::Sender<Input>) {
    tokio::time::sleep(EXIT_DRAIN).await;
    let _ = to_loop.send(Input::StillRunning(channel)).await;
}

/// An agent's stdio, as the tasks use it.
struct Streams {
    stdin: Sink,
    stdout: Source,
    stderr: Source,
}

impl Streams {
    fn open(stdios: Stdios) -> io::Result<Streams> {
        Ok(Streams {
            stdin: Sink::of_child(stdios.stdin)?,
            stdout: Source::of_child(stdios.stdout)?,
            stderr: Source::of_child(stdios.stderr)?,
        })
    }
}

/// A name for the tree of a channel that no other tree has.
#[allow(clippy::disallowed_methods)] // a name, not a measurement
fn cookie(channel: ChannelId) -> String {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    format!("{}-{}-{channel}", std::process::id(), since_epoch.as_nanos())
}
