//! The loop that owns the core, and the dumb tasks around it.
//!
//! The loop never waits for a peer. It serves, in this order: signals and the ends of
//! processes, one batch of frames (of an agent and of a client in turn), what is due, and then
//! runs every effect before it waits again.
//! Readers, writers and other tasks know nothing of sessions; one `JoinSet` holds
//! them all. The end of a peer's stream comes to the loop in the same queue as its
//! frames, behind the last one.

mod alarm;
mod arrivals;
mod children;
mod clients;
mod clock;
mod connection;
mod control;
mod editors;
mod effects;
mod flow;
mod followed;
mod hosting;
mod input;
mod inquiry;
mod last_words;
mod late;
mod marks;
mod origins;
mod outbox;
pub(crate) mod parent;
mod setup;
mod signals;
pub(crate) mod start_over;
pub(crate) mod stdio;
mod surroundings;
mod tap;
mod tell;

use std::io;
use std::panic::resume_unwind;
use std::rc::Rc;

use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;

use self::alarm::Alarm;
#[cfg(target_os = "linux")]
use self::children::keeper_process::KeeperStarter;
use self::children::ledger::Ledger;
pub use self::children::start::program as program_of;
use self::children::{Children, StartSetup};
use self::clients::Clients;
use self::clock::Clock;
pub use self::connection::{Arrival, Connection, DoorOrder, Link};
use self::editors::Editors;
use self::flow::{Crowd, Rest};
pub use self::hosting::Host;
use self::hosting::{EDITOR, Earlier, Hosting};
use self::input::{Input, Inputs};
use self::inquiry::Events;
pub use self::inquiry::{ControlPort, Figures, Health, Inquiry, Reply, Snapshot, Trace};
use self::origins::Origins;
use self::outbox::OutboxSum;
pub use self::setup::{AgentSetup, Outcome, Setup};
use self::signals::{Signal, Signals};
use self::tap::Tap;
pub use self::tap::{Passed, Traffic};
use crate::bridge::{Bridge, Config, EarlierBridges, Event, Moment, ShutdownCause};
use crate::restores::RestoreMemory;
use crate::trace::Direction;
use crate::wire::Lines;

/// The most signals that wait for the loop; several of one kind may arrive as one.
const SIGNALS: usize = 8;

/// Why the loop wakes.
enum Cause {
    Signal(Signal),
    Input(Input),
    /// An outbox may have gone over or under its marks, or its peer is gone.
    Marks,
    /// A client comes by a socket, or other news from there.
    Arrival(Arrival),
    /// A question or an order from the control socket.
    Inquiry(Inquiry),
    /// The alarm has rung.
    Due,
}

/// Runs a bridge until its end. Its one client is at the other end of its own stdio.
///
/// # Errors
/// If the bridge's own stdio, the alarm or the system's signals cannot be used at all.
pub fn run_embedded(setup: Setup) -> io::Result<Outcome> {
    run(setup, Hosting::Editor)
}

/// Runs a bridge for the clients that come through a door, until a signal ends it or nobody uses
/// it any more.
///
/// # Errors
/// If the alarm or the system's signals cannot be used at all.
pub fn run_for_many(mut setup: Setup, host: Host) -> io::Result<Outcome> {
    setup.agents = setup.agents.into_iter().map(AgentSetup::for_many_clients).collect();
    run(setup, Hosting::Many(host))
}

fn run(setup: Setup, hosting: Hosting) -> io::Result<Outcome> {
    let runtime = Builder::new_current_thread().enable_all().build_local(LocalOptions::default())?;
    // The loop is a task like the others: as the outermost future it would run only
    // once between two looks of the scheduler at the streams.
    let outcome = runtime.spawn_local(async { Loop::new(setup, hosting)?.run().await });
    let outcome = runtime.block_on(outcome);
    // A thread may still block in a read of the bridge's stdin; it is not waited for.
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
    /// All write queues together.
    sum: OutboxSum,
    origins: Origins,
    editors: Editors,
    hosting: Hosting,
    earlier: Earlier,
    control: Option<ControlPort>,
    events: Events,
    restores: RestoreMemory,
    tap: Tap,
    /// The number of the client that connected last.
    last_client: u64,
    marks: Rc<Notify>,
    inputs: Inputs,
    tasks: JoinSet<()>,
    /// When the loop last came round.
    last_round: Moment,
    /// The sentence that says why there is no agent for the editor, which has got nothing else.
    no_agent: Option<String>,
    outcome: Option<Outcome>,
}

impl Loop {
    fn new(setup: Setup, hosting: Hosting) -> io::Result<Loop> {
        let clock = Clock::new();
        let marks = Rc::new(Notify::new());
        let (inputs, to_loop, clients_to_loop) = Inputs::new();
        let swept = clients_to_loop.clone();
        let mut tasks = JoinSet::new();
        let (to_signals, signals) = mpsc::channel(SIGNALS);
        tasks.spawn_local(Signals::new()?.tell(to_signals));
        tasks.spawn_local(start_over::release_memory_of_start());

        let limit = setup.max_frame_bytes;
        if let Hosting::Editor = hosting {
            tasks.spawn_local(parent::watch(EDITOR, clients_to_loop.clone()));
        }
        let crowd = Crowd::default();
        let (own_marks, own_crowd) = (marks.clone(), crowd.clone());
        let sum = OutboxSum::new(setup.outbox_total_bytes);
        let clients = Clients::new(
            (setup.outbox_bytes, sum.clone()),
            limit,
            clients_to_loop,
            own_marks,
            own_crowd,
        );

        let state = setup.state.clone().filter(|state| children::ledger::may_be_in(state));
        let is_sweeping = state.is_some();
        if let Some(state) = state {
            let spare = setup.agents.first().map(|agent| agent.spare.clone()).unwrap_or_default();
            tasks.spawn_local(async move {
                children::sweeps::sweep_ledgers(state, spare).await;
                let _ = swept.send(Input::LedgersSwept);
            });
        }
        let starts = StartSetup {
            ledger: Ledger::in_state(setup.state.as_deref()),
            outbox_bytes: setup.outbox_bytes,
            sum: sum.clone(),
            descriptor_limit: setup.descriptor_limit,
            #[cfg(target_os = "linux")]
            keepers: KeeperStarter::wanted(
                setup.keeper,
                setup.limits.shutdown_timeout,
                setup.log,
                setup.trees,
            ),
        };
        let mut agents = setup.agents.iter().map(|agent| agent.config.clone());
        let first = agents.next().unwrap_or_default();
        let mut bridge = Bridge::new(Config { limits: setup.limits, agent: first });
        for agent in agents {
            bridge.add_agent(agent);
        }
        if let Hosting::Many(_) = hosting {
            // An answer to a question of an earlier bridge must not meet one of this.
            bridge.number_questions_after(clock::since_epoch());
        }
        Ok(Loop {
            bridge,
            origins: Origins::new(setup.agents),
            editors: Editors::default(),
            hosting,
            earlier: Earlier { daemons: EarlierBridges::default(), is_sweeping },
            control: setup.control,
            events: Events::new(),
            restores: RestoreMemory::in_state(setup.restores),
            tap: Tap::new(setup.trace),
            last_client: EDITOR.0,
            children: Children::new(starts, limit, setup.stderr, to_loop, marks.clone(), crowd),
            clock,
            alarm: Alarm::new()?,
            signals,
            clients,
            sum,
            marks,
            inputs,
            tasks,
            last_round: Moment::START,
            no_agent: None,
            outcome: None,
        })
    }

    async fn run(mut self) -> io::Result<Outcome> {
        match self.hosting {
            Hosting::Editor => self.connect_editor()?,
            Hosting::Many(_) => self.tell_earlier(),
        }
        loop {
            self.run_effects();
            self.flush();
            if self.bridge.is_ending() {
                self.hosting.close_door();
            }
            if let Some(outcome) = self.outcome.take() {
                self.last_words().await;
                return Ok(outcome);
            }
            // The outboxes are flushed when all lines of one read are served, or another peer's
            // batch between them.
            while matches!(self.wait_and_serve().await?, Rest::Waits) {}
        }
    }

    /// Waits for the next cause and serves it, then the rows that are due. Returns
    /// whether the rest of the same read comes next.
    async fn wait_and_serve(&mut self) -> io::Result<Rest> {
        let wake = self.bridge.poll_timeout();
        self.alarm.set(wake, &self.clock)?;
        let cause = tokio::select! {
            biased;
            Some(signal) = self.signals.recv() => Cause::Signal(signal),
            Some(input) = self.inputs.next() => Cause::Input(input),
            arrival = self.hosting.next() => Cause::Arrival(arrival),
            () = self.marks.notified() => Cause::Marks,
            () = self.alarm.rings() => Cause::Due,
            inquiry = ControlPort::next(&mut self.control) => Cause::Inquiry(inquiry),
        };
        let now = self.clock.now();
        let rest = match cause {
            Cause::Input(input) => self.serve(input, now),
            Cause::Signal(signal) => {
                self.signalled(signal);
                Rest::Over
            }
            Cause::Marks => {
                self.tell_marks();
                Rest::Over
            }
            Cause::Arrival(arrival) => {
                self.arrived(arrival);
                Rest::Over
            }
            Cause::Inquiry(inquiry) => {
                self.inquired(inquiry);
                Rest::Over
            }
            Cause::Due => Rest::Over,
        };
        let rest = match wake.filter(|wake| *wake <= now) {
            Some(wake) => {
                self.tick(wake, now).await;
                Rest::Over
            }
            None => rest,
        };
        self.last_round = self.clock.now();
        Ok(rest)
    }

    fn handle_event(&mut self, event: Event) {
        self.handle_at(self.clock.now(), event);
    }

    /// Hands an event to the core and runs its effects. The outboxes are flushed later.
    fn handle_at(&mut self, now: Moment, event: Event) {
        self.bridge.handle(now, event);
        self.run_effects();
    }

    fn signalled(&mut self, signal: Signal) {
        match signal {
            Signal::End("SIGHUP") if self.hosting.reloads() => {}
            Signal::End(name) => {
                self.handle_event(Event::Shutdown(ShutdownCause::Signal(name)));
            }
            Signal::ChildEnded => self.children.reap(&mut self.tasks),
        }
        self.report_exits();
    }

    fn serve(&mut self, input: Input, now: Moment) -> Rest {
        let mut rest = Rest::Over;
        match input {
            Input::FromClient(client, batch) => {
                rest = batch.serve(|received| {
                    self.tap.came(Direction::FromClient, client, &received);
                    match received {
                        Lines::One(frame) => self.client_says(client, frame, now),
                        Lines::Run(run) => {
                            run.frames().for_each(|frame| self.client_says(client, frame, now));
                        }
                    }
                });
            }
            Input::ClientEnded(client, half_line) => {
                if half_line > 0 {
                    tracing::debug!(bytes = half_line, "the editor's input ended within a line");
                }
                self.client_gone(client, ShutdownCause::StdinEnded);
            }
            Input::LedgersSwept => {
                self.earlier.is_sweeping = false;
                self.tell_earlier();
            }
            Input::ParentGone(client) => self.handle_event(Event::ParentGone { client }),
            Input::FromChannel(channel, batch) => {
                rest = batch.serve(|received| {
                    self.tap.came(Direction::FromAgent, channel, &received);
                    let event = match received {
                        Lines::One(frame) => Event::ChannelFrame { channel, frame },
                        Lines::Run(run) => Event::ChannelRun { channel, run },
                    };
                    self.handle_at(now, event);
                });
            }
            Input::PartDone(channel, part, half_line) => {
                self.children.part_done(channel, part, half_line);
            }
            Input::DrainOver(channel) => self.children.drain_over(channel),
            Input::StillRunning(channel) => {
                if self.children.is_running(channel) {
                    self.handle_event(Event::ChannelLost { channel });
                }
            }
            Input::Surveyed(channel, found) => {
                let agent = self.children.pid(channel);
                self.handle_event(children::survey::event(channel, found, agent, &self.clock));
            }
            Input::Weighed(bytes, stalls) => self.handle_event(Event::Weighed { bytes, stalls }),
            #[cfg(target_os = "linux")]
            Input::FromKeeper(channel, report) => {
                if let Some(event) = self.children.reported(channel, report, &mut self.tasks) {
                    self.handle_event(event);
                }
            }
        }
        self.report_exits();
        rest
    }

    fn report_exits(&mut self) {
        while let Some((channel, exit)) = self.children.next_exit() {
            self.handle_event(Event::ChannelExited { channel, exit });
        }
    }

    /// Writes the queued messages, as far as the peers take them at once.
    fn flush(&mut self) {
        // The agents come first: a client that wakes up may take the processor from the bridge.
        self.children.flush();
        self.clients.flush();
        // Removes the tasks that have ended; their last messages are in the queues.
        while self.tasks.try_join_next().is_some() {}
    }
}
