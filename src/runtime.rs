//! The loop that owns the core, and the dumb tasks around it.
//!
//! The loop never waits for a peer. It serves, in this order: signals and the
//! ends of processes, one batch of frames (agents before clients; one read is
//! one batch), what is due, and then runs every effect before it waits again.
//! Readers, writers and the like know nothing of sessions; each is tracked, and
//! ends by saying so. The end of a peer travels in that peer's own queue, behind
//! its last frame.

mod agent_process;
mod agent_stderr;
mod alarm;
mod child;
mod children;
mod clients;
mod clock;
mod exit;
mod flow;
mod input;
#[cfg(target_os = "linux")]
mod keeper_process;
mod ledger;
mod outbox;
mod setup;
mod signals;
mod stdio;
mod streams;
mod survey;
mod tell;
mod tree;

use std::env;
use std::io;
use std::panic::resume_unwind;
use std::rc::Rc;
use std::time::Duration;

use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;

use self::alarm::Alarm;
use self::children::{Children, Orders};
use self::clients::Clients;
use self::clock::Clock;
use self::flow::{Batch, Rest};
use self::input::{Input, inputs};
#[cfg(target_os = "linux")]
use self::keeper_process::KeeperStarter;
use self::ledger::Ledger;
pub use self::setup::{Outcome, Setup};
use self::signals::{Signal, Signals};
use self::stdio::{Sink, Source};
use crate::bridge::words::counted;
use crate::bridge::{Bridge, ClientId, Effect, Event, Moment, ShutdownCause};
use crate::wire::{Frame, Malformed};

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
/// The one client of embedded mode: the editor that has started us.
const EDITOR: ClientId = ClientId(1);

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

/// The state of the loop.
struct Loop {
    bridge: Bridge,
    clock: Clock,
    alarm: Alarm,
    signals: mpsc::Receiver<Signal>,
    children: Children,
    clients: Clients,
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

        let limit = setup.max_frame_bytes;
        let mut clients = Clients::new(setup.outbox_bytes, limit, clients_to_loop, marks.clone());
        let (stdout, stdin) = (Sink::own()?, Source::own()?);
        clients.connect(EDITOR, stdin, stdout, &mut tasks);

        if let Some(folder) = setup.ledgers.clone().filter(|folder| folder.is_dir()) {
            tasks.spawn_local(children::sweep_ledgers(folder, setup.spare.clone()));
        }
        let orders = Orders {
            command: setup.agent,
            environment: setup.passing.apply(env::vars_os()),
            ledger: Ledger::in_folder(setup.ledgers.as_deref()),
            outbox_bytes: setup.outbox_bytes,
            #[cfg(target_os = "linux")]
            keepers: KeeperStarter::wanted(setup.keeper, &setup.config, &setup.spare),
            spare: setup.spare,
        };
        Ok(Loop {
            bridge: Bridge::new(setup.config),
            children: Children::new(orders, limit, setup.stderr, to_loop, marks.clone()),
            clock,
            alarm: Alarm::new()?,
            signals,
            clients,
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
            while matches!(self.wait_and_serve().await?, Rest::Waits) {}
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
        if self.clock.slept_since_last_call() || now.since(wake) > STOOD_STILL {
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
            Input::FromClient(client, batch) => {
                rest = self.serve_batch(batch, now, |frame| Event::ClientFrame { client, frame });
            }
            Input::ClientEnded(client, half_line) => {
                if half_line > 0 {
                    tracing::debug!(
                        "the editor's input ended within a line; dropped {half_line} bytes of it"
                    );
                }
                self.client_gone(client);
            }
            Input::FromChannel(channel, batch) => {
                rest = self.serve_batch(batch, now, |frame| Event::ChannelFrame { channel, frame });
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
            Input::Surveyed(channel, found) => {
                let agent = self.children.pid(channel);
                self.happened(survey::event(channel, found, agent, &self.clock));
            }
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

    fn serve_batch(
        &mut self,
        batch: Batch,
        now: Moment,
        event: impl Fn(Result<Frame, Malformed>) -> Event,
    ) -> Rest {
        let (frames, turn) = batch.begin();
        for frame in frames {
            self.bridge.handle(now, event(frame));
            // At once, while it is at hand; it is written with the rest.
            self.run_effects();
        }
        turn.end()
    }

    /// The bridge of embedded mode ends with its editor.
    fn client_gone(&mut self, client: ClientId) {
        if client == EDITOR {
            self.happened(Event::Shutdown(ShutdownCause::StdinEnded));
        }
    }

    fn report_exits(&mut self) {
        while let Some((channel, exit)) = self.children.next_exit() {
            self.happened(Event::ChannelExited { channel, exit });
        }
    }

    /// Tells the core which outboxes went over or under their marks.
    fn tell_marks(&mut self) {
        for client in self.clients.broken() {
            // It does not read us any more: it is gone, whatever our stdin says.
            self.client_gone(client);
        }
        for (client, over) in self.clients.marks_passed() {
            self.happened(Event::ClientMarkPassed { client, over });
        }
        for (channel, over) in self.children.marks_passed() {
            self.happened(Event::ChannelMarkPassed { channel, over });
        }
    }

    /// Does everything that the core asks for.
    fn run_effects(&mut self) {
        while let Some(effect) = self.bridge.poll_effect() {
            match effect {
                Effect::ToClient { client, frame } => self.clients.send(client, frame),
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
                Effect::Pause(channel) => self.children.set_paused(channel, true),
                Effect::Resume(channel) => self.children.set_paused(channel, false),
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
        self.clients.flush();
        self.children.flush();
        // Tasks that ended are forgotten; each has said its last word already.
        while self.tasks.try_join_next().is_some() {}
    }

    /// The last answers go out, if the editor still takes them.
    async fn last_words(&mut self) {
        self.clients.end();
        let deadline = tokio::time::sleep(LAST_WORDS);
        tokio::pin!(deadline);
        while !self.clients.are_done() {
            tokio::select! {
                () = self.marks.notified() => {}
                () = &mut deadline => break,
            }
        }
        let unread = self.clients.unread();
        if unread > 0 {
            let unread = counted(unread, "byte");
            tracing::warn!("the editor did not read the last answers in time; {unread} are lost");
        }
        tell::counters(&self.bridge.counters());
    }
}
