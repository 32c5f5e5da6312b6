//! The loop that owns the core, and the dumb tasks around it.
//!
//! The loop never waits for a peer. It serves, in this order: signals and the
//! ends of processes, one batch of frames (agents before clients; one read is
//! one batch), what is due, and then runs every effect before it waits again.
//! Readers, writers and the like know nothing of sessions; each is tracked, and
//! ends by saying so. The end of a peer travels in that peer's own queue, behind
//! its last frame.

mod alarm;
mod child;
mod children;
mod clock;
mod gate;
mod hold;
#[cfg(target_os = "linux")]
mod kept;
mod ledger;
mod outbox;
mod reader;
mod signals;
mod stderr;
mod stdio;
mod streams;
mod tell;
mod tree;

use std::env;
use std::io;
use std::panic::resume_unwind;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::{Notify, mpsc};
use tokio::task::{JoinSet, spawn_blocking};

use self::alarm::Alarm;
use self::children::{Children, Orders, Part};
use self::clock::Clock;
use self::gate::Gate;
#[cfg(target_os = "linux")]
use self::kept::Keepers;
use self::ledger::Ledger;
use self::outbox::Outbox;
use self::reader::{Batch, Reader, Rest};
use self::signals::{Signal, Signals};
use self::stdio::{Sink, Source};
use crate::bridge::{
    Bridge, ChannelId, ClientId, Config, Effect, Event, Moment, Process, ShutdownCause,
};
use crate::environ::Passing;
#[cfg(target_os = "linux")]
use crate::keeper::message::Report;
use crate::logs::StderrSink;
use crate::processes::{Entry, Spare};

/// Turns of tasks between two looks at who has something to read: a look for every
/// other batch of a peer that floods. With many more of them the others wait for
/// whole rounds of it; with fewer, the looks cost the flood more than they bring.
const TURNS: u32 = 3;
/// Signals that may wait for the loop; of each kind, one stands for many.
const SIGNALS: usize = 8;
/// If the loop is later than this, frames that lie there are served before
/// anything is declared overdue (ms).
const LATE: u64 = 1_000;
/// How often the readers then get a chance to read.
const ROUNDS: usize = 4;
/// If a wait took this much longer than it should have, the host stood still (ms).
const STOOD_STILL: u64 = 10_000;
/// How long the last answers may take to reach the editor.
const LAST_WORDS: Duration = Duration::from_millis(500);
/// The one client of embedded mode.
const EDITOR: ClientId = ClientId(1);

/// What the runtime must know beside the core's [`Config`].
#[derive(Debug)]
pub struct Setup {
    /// What the core is told.
    pub config: Config,
    /// The agent's command and arguments.
    pub agent: Vec<std::ffi::OsString>,
    /// The longest line that is taken from a peer, in bytes.
    pub max_frame_bytes: usize,
    /// What may wait for a peer, in bytes.
    pub outbox_bytes: usize,
    /// Whether agents are kept by keepers, where the system can do that.
    pub keeper: bool,
    /// Who is left alone when the tree of an agent is ended.
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

/// What a task tells the loop.
#[derive(Debug)]
enum Input {
    FromClient(Batch),
    ClientEnded(u64),
    FromChannel(ChannelId, Batch),
    /// One of the streams of an exiting channel is read to its end, or its tree
    /// is swept; with the bytes of a half line.
    PartDone(ChannelId, Part, u64),
    /// A channel's exit has waited long enough for its streams.
    DrainOver(ChannelId),
    /// An agent closed its stdin or stdout, and a moment later it may still run.
    StillRunning(ChannelId),
    Surveyed(ChannelId, Vec<Entry>),
    /// What the keeper of a channel reports; `None`: it is gone.
    #[cfg(target_os = "linux")]
    FromKeeper(ChannelId, Option<Report>),
}

/// What the loop wakes for.
enum Cause {
    Signal(Signal),
    Input(Input),
    /// An outbox may have gone over or under its marks.
    Marks,
    /// Nothing but the time has come.
    Due,
}

/// Runs a bridge whose one client is our own stdio, until it is over.
///
/// # Errors
/// If our own stdio or the system's signals cannot be used at all.
pub fn run_embedded(setup: Setup) -> io::Result<Outcome> {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .event_interval(TURNS)
        .build_local(LocalOptions::default())?;
    // A task like the others: the scheduler looks for new events each time that
    // its outermost future is woken, and for a task only when all have rested.
    let outcome = runtime.spawn_local(async { Loop::new(setup)?.run().await });
    let outcome = runtime.block_on(outcome);
    // A thread may still be waiting in a read of our stdin; nobody waits for it.
    runtime.shutdown_background();
    outcome.unwrap_or_else(|error| match error.try_into_panic() {
        Ok(panic) => resume_unwind(panic),
        Err(error) => Err(io::Error::other(error)),
    })
}

/// A way for tasks to tell the loop something. It is bounded by those who tell: a
/// reader has at most one batch in it, and everything else is said once by each.
#[allow(clippy::disallowed_methods)] // counting it once more costs each frame a lock
fn inputs() -> (mpsc::UnboundedSender<Input>, mpsc::UnboundedReceiver<Input>) {
    mpsc::unbounded_channel()
}

/// The state of the loop.
struct Loop {
    bridge: Bridge,
    clock: Clock,
    alarm: Alarm,
    signals: mpsc::Receiver<Signal>,
    children: Children,
    editor: Outbox,
    /// The editor is never made to wait for an agent; only for itself, when it
    /// does not take its answers.
    editor_gate: Gate,
    marks: Rc<Notify>,
    from_channels: mpsc::UnboundedReceiver<Input>,
    from_clients: mpsc::UnboundedReceiver<Input>,
    tasks: JoinSet<()>,
    outcome: Option<Outcome>,
}

impl Loop {
    fn new(setup: Setup) -> io::Result<Loop> {
        let clock = Clock::new();
        let marks = Rc::new(Notify::new());
        let (to_loop, from_channels) = inputs();
        let (clients_to_loop, from_clients) = inputs();
        let mut tasks = JoinSet::new();
        let (to_signals, signals) = mpsc::channel(SIGNALS);
        tasks.spawn_local(Signals::new()?.tell(to_signals));

        let editor = Outbox::new(setup.outbox_bytes, marks.clone());
        let (writer, stdout) = (editor.clone(), Sink::own()?);
        tasks.spawn_local(async move {
            // If it breaks, the outbox says so.
            writer.write_to(stdout).await;
        });
        let editor_gate = Gate::new();
        let gate = editor_gate.clone();
        let (source, limit) = (Source::own()?, setup.max_frame_bytes);
        let reader = Reader { source, limit, to: clients_to_loop, gate };
        tasks.spawn_local(reader.run(Input::FromClient, Input::ClientEnded));

        if let Some(folder) = setup.ledgers.clone().filter(|folder| folder.is_dir()) {
            let spare = setup.spare.clone();
            tasks.spawn_local(async move {
                let swept = spawn_blocking(move || ledger::sweep(&folder, &spare)).await;
                children::tell_swept("a bridge that was killed", &swept.unwrap_or_default());
            });
        }
        let orders = Orders {
            command: setup.agent,
            environment: setup.passing.through(env::vars_os()),
            ledger: Ledger::in_folder(setup.ledgers.as_deref()),
            outbox_bytes: setup.outbox_bytes,
            #[cfg(target_os = "linux")]
            keepers: Keepers::wanted(setup.keeper, &setup.config, &setup.spare),
            spare: setup.spare,
        };
        Ok(Loop {
            bridge: Bridge::new(setup.config),
            children: Children::new(orders, limit, setup.stderr, to_loop, marks.clone()),
            clock,
            alarm: Alarm::new()?,
            signals,
            editor,
            editor_gate,
            marks,
            from_channels,
            from_clients,
            tasks,
            outcome: None,
        })
    }

    async fn run(mut self) -> io::Result<Outcome> {
        let cwd = env::current_dir().unwrap_or_else(|_| "/".into()).to_string_lossy().into_owned();
        let preheat = self.bridge.wants_preheat();
        self.happened(Event::ClientConnected { client: EDITOR, cwd: cwd.clone() });
        if preheat {
            self.happened(Event::Preheat { cwd });
        }
        loop {
            self.run_effects();
            self.flush();
            if let Some(outcome) = self.outcome {
                self.last_words().await;
                return Ok(outcome);
            }
            // What a peer has written in one go is sent on in one go.
            while self.wait_and_serve().await? == Rest::Waits {}
        }
    }

    /// Waits for the first thing that happens, serves it, then what is due; says
    /// whether the rest of the same read comes next.
    async fn wait_and_serve(&mut self) -> io::Result<Rest> {
        let wake = self.bridge.poll_timeout();
        self.alarm.set(wake, &self.clock)?;
        let cause = tokio::select! {
            biased;
            Some(signal) = self.signals.recv() => Cause::Signal(signal),
            Some(input) = self.from_channels.recv() => Cause::Input(input),
            Some(input) = self.from_clients.recv() => Cause::Input(input),
            () = self.marks.notified() => Cause::Marks,
            () = self.alarm.rings() => Cause::Due,
        };
        let now = self.clock.now();
        let rest = match cause {
            Cause::Input(input) => self.serve(input, now),
            Cause::Signal(signal) => {
                self.signalled(signal);
                Rest::None
            }
            Cause::Marks => {
                self.tell_marks();
                Rest::None
            }
            Cause::Due => Rest::None,
        };
        match wake.filter(|wake| *wake <= now) {
            Some(wake) => {
                self.tick(wake, now).await;
                Ok(Rest::None)
            }
            None => Ok(rest),
        }
    }

    async fn tick(&mut self, wake: Moment, now: Moment) {
        if self.clock.slept_since() || now.since(wake) > STOOD_STILL {
            self.happened(Event::HostPaused);
        }
        if now.since(wake) > LATE {
            self.catch_up().await;
        }
        self.bridge.handle_timeout(self.clock.now());
    }

    /// Serves what lies in the pipes and the queues: it is not timed out because
    /// we are late.
    async fn catch_up(&mut self) {
        for _ in 0..ROUNDS {
            // Meanwhile the readers read, each at most one batch.
            tokio::task::yield_now().await;
            while let Ok(input) = self.from_channels.try_recv() {
                self.serve(input, self.clock.now());
            }
            while let Ok(input) = self.from_clients.try_recv() {
                self.serve(input, self.clock.now());
            }
        }
    }

    fn happened(&mut self, event: Event) {
        self.bridge.handle(self.clock.now(), event);
        self.run_effects();
    }

    fn signalled(&mut self, signal: Signal) {
        match signal {
            Signal::End => self.happened(Event::Shutdown(ShutdownCause::Signal)),
            Signal::ChildEnded => self.children.reap(&mut self.tasks),
        }
        self.report_exits();
    }

    fn serve(&mut self, input: Input, now: Moment) -> Rest {
        let mut rest = Rest::None;
        match input {
            Input::FromClient(batch) => {
                let before = self.editor.pushed();
                for frame in batch.frames {
                    self.bridge.handle(now, Event::ClientFrame { client: EDITOR, frame });
                    self.run_effects();
                }
                self.editor.owes(before);
                let may_read = !self.editor.is_choked();
                self.editor_gate.set(may_read);
                rest = batch.rest.if_read(may_read);
            }
            Input::ClientEnded(half_line) => {
                if half_line > 0 {
                    tracing::debug!(bytes = half_line, "the editor's last line had no end");
                }
                self.happened(Event::Shutdown(ShutdownCause::StdinEnded));
            }
            Input::FromChannel(channel, batch) => {
                let before = self.children.pushed(channel);
                for frame in batch.frames {
                    self.bridge.handle(now, Event::ChannelFrame { channel, frame });
                    // At once, while it is at hand; it is written with the rest.
                    self.run_effects();
                }
                self.children.owes(channel, before);
                rest = batch.rest.if_read(self.children.open_gate(channel));
            }
            Input::PartDone(channel, part, half_line) => {
                self.children.part_done(channel, part, half_line);
            }
            Input::DrainOver(channel) => self.children.drain_over(channel),
            Input::StillRunning(channel) => {
                if self.children.is_running(channel) {
                    self.happened(Event::ChannelLost { channel });
                }
            }
            Input::Surveyed(channel, found) => self.surveyed(channel, found),
            #[cfg(target_os = "linux")]
            Input::FromKeeper(channel, report) => {
                if let Some(event) = self.children.reported(channel, report, &mut self.tasks) {
                    self.happened(event);
                }
            }
        }
        self.report_exits();
        rest
    }

    fn report_exits(&mut self) {
        while let Some((channel, exit)) = self.children.next_exit() {
            self.happened(Event::ChannelExited { channel, exit });
        }
    }

    fn surveyed(&mut self, channel: ChannelId, found: Vec<Entry>) {
        let agent = self.children.pid(channel);
        // Without the agent itself the look has failed, or was too late.
        let is_whole = found.iter().any(|process| Some(process.pid) == agent);
        let worked = is_whole.then(|| found.iter().map(tree::worked).sum());
        let processes = found
            .into_iter()
            .filter(|process| Some(process.pid) != agent)
            .map(|process| Process {
                pid: process.pid,
                born: self.clock.moment_of_boot_time(tree::born(&process)),
                name: process.name,
            })
            .collect();
        self.happened(Event::Surveyed { channel, processes, worked });
    }

    /// Tells the core which outboxes went over or under their marks.
    fn tell_marks(&mut self) {
        if self.editor.is_broken() {
            // Nobody reads us any more: the editor is gone, whatever its stdin says.
            self.happened(Event::Shutdown(ShutdownCause::StdinEnded));
        }
        self.editor_gate.set(!self.editor.is_choked());
        if let Some(over) = self.editor.mark_passed() {
            self.happened(Event::ClientSaturated { client: EDITOR, over });
        }
        for (channel, over) in self.children.marks_passed() {
            self.happened(Event::ChannelSaturated { channel, over });
        }
    }

    /// Does everything that the core asks for.
    fn run_effects(&mut self) {
        while let Some(effect) = self.bridge.poll_effect() {
            match effect {
                Effect::ToClient { frame, .. } => self.editor.push(frame),
                Effect::ToChannel { channel, frame } => self.children.send(channel, frame),
                Effect::Conceal { channel, secrets } => self.children.conceal(channel, secrets),
                Effect::Spawn { channel, cwd } => {
                    if let Some(event) = self.children.spawn(channel, &cwd, &mut self.tasks) {
                        self.bridge.handle(self.clock.now(), event);
                    }
                }
                Effect::CloseStdin(channel) => self.children.close_stdin(channel),
                Effect::Terminate(channel) => self.children.terminate(channel),
                Effect::Kill(channel) => self.children.kill(channel),
                Effect::Pause(channel) => self.children.set_reading(channel, false),
                Effect::Resume(channel) => self.children.set_reading(channel, true),
                Effect::Survey(channel) => self.children.survey(channel, &mut self.tasks),
                Effect::Publish(notice) => tell::tell(&notice),
                Effect::Exit { survivors } => {
                    let clean = survivors.is_empty();
                    self.outcome = Some(if clean { Outcome::Clean } else { Outcome::Survivors });
                }
            }
        }
    }

    /// Writes what came of it.
    fn flush(&mut self) {
        self.editor.flush();
        self.children.flush();
        // Tasks that ended are forgotten; each has said its last word already.
        while self.tasks.try_join_next().is_some() {}
    }

    /// The last answers go out, if the editor still takes them.
    async fn last_words(&mut self) {
        self.editor.end();
        let deadline = tokio::time::sleep(LAST_WORDS);
        tokio::pin!(deadline);
        while !self.editor.is_done() {
            tokio::select! {
                () = self.marks.notified() => {}
                () = &mut deadline => break,
            }
        }
        let unread = self.editor.waiting();
        if unread > 0 && !self.editor.is_broken() {
            tracing::warn!(bytes = unread, "the editor did not read the last answers in time");
        }
        tell::counters(&self.bridge.counters());
    }
}
