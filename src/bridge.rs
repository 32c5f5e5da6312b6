//! The core: it holds the books and decides; it never waits.
//!
//! A [`Bridge`] is told the time and what happened ([`Event`]), and says what
//! is to be done ([`Effect`]). It has no clock, does no I/O and knows no tokio,
//! so that a test can drive it through a year of trouble in a second. One task
//! owns it; everything around that task is dumb.
//!
//! An event goes down through the rooms and never up; a file imports files of
//! its own room and of those below. `tests/tidy/rooms.rs` holds that.
//!
//! | room | what is decided there |
//! |---|---|
//! | this file | the face: which event goes where |
//! | `settle` | how a step ends: what follows from the rows that it touched |
//! | `due` | what follows when a row is due |
//! | `shutdown`, `operator`, `view`, `check` | the end of the bridge; the wishes of a person; what they see; the rules that never break, as code |
//! | `routing` | a frame arrives: what happens to each message |
//! | `channels` | which channel serves a request, how one starts, and how it ends |
//! | `sessions` | how sessions open and close, turns, questions, who is attached, the reaper |
//! | `outgoing` | what the bridge says: to clients, to agents, under which ids |
//! | `step` | one step: its time, the books, and what is said in it |
//! | `books` | the tables, their rows, and every question that they answer |
//! | [`event`], [`effect`], [`notice`], [`refusal`], [`config`], [`time`], [`id`] and the rest | the vocabulary |
//!
//! The rules that never break are checked by [`Bridge::check`], which the tests
//! call after every event. `docs/architecture.md` says what each is for, and follows
//! a prompt and a session that is reaped through the files.

pub mod config;
pub mod counters;
pub mod directory;
pub mod effect;
pub mod environment;
pub mod event;
pub mod id;
mod last_words;
pub mod measures;
pub mod notice;
pub mod quirks;
pub mod reason;
pub mod recipe;
pub mod refusal;
pub mod restore;
#[cfg(feature = "seeded-bugs")]
pub mod seeded;
pub mod settings;
pub mod time;
pub mod update;
pub mod words;

/// Messages of the bridge itself, for a shim that has to speak in its place.
pub mod lines {
    pub use super::outgoing::compose::{cancel_request, failure};
}

mod books;
mod channels;
mod check;
mod due;
mod operator;
mod outgoing;
mod routing;
mod sessions;
mod settle;
mod shutdown;
mod step;
mod view;

pub use config::{AgentConfig, Config};
pub use counters::Counters;
pub use effect::Effect;
pub use environment::Environment;
pub use event::{
    EarlierBridges, Event, Exit, ExitStatus, Look, Order, Outdated, Process, ShutdownCause,
};
pub use id::{AgentId, ChannelId, ClientId, EnvironmentId, Lane, SessionKey};
pub use notice::Notice;
pub use reason::{EndReason, LossReason, StopReason};
pub use refusal::Refusal;
pub use time::{Limit, Moment};
pub use view::View;

use std::collections::BTreeSet;

use books::Books;
use books::call::OpenKind;
use books::channel::{Channel, ChannelState};
use books::phase::Phase;
use books::tenure::Leaving;
use channels::{backpressure, liveness, pressure, retirement, start, stop};
use measures::Measures;
use routing::{connection, from_agent, from_client};
use sessions::reaper;
use step::{Outgoing, Step};

use crate::wire::{Frame, FrameKind, Method};

pub use books::pairs::MAX_PAIRS;
pub use books::registry::{PAUSE_GRACE, PAUSE_INTERVAL};

/// The most rows that one call of [`Bridge::handle_timeout`] looks at.
const LOOKS: usize = 256;

/// The core.
///
/// It is driven by one owner, in a loop:
///
/// 1. hand in what happened with [`handle`](Bridge::handle), or call
///    [`handle_timeout`](Bridge::handle_timeout) if the moment has come that
///    [`poll_timeout`](Bridge::poll_timeout) gave;
/// 2. take effects from [`poll_effect`](Bridge::poll_effect) until there is none, and
///    carry them out in this order: frames of one peer reach it in the order in which
///    they are given, and before the end of its stdin;
/// 3. wait until something happens, or until `poll_timeout`, which is asked anew each
///    time: any event may have brought it forward.
///
/// Events may be handed in while effects are not drained yet; the new effects stand
/// behind the old. The outcome of an effect comes back as an event, however late:
/// [`Effect::Spawn`] as `ChannelSpawned` or `SpawnFailed`, the end of a process as
/// `ChannelExited`. Time only grows: a moment before the last one counts as the last.
#[derive(Debug)]
pub struct Bridge {
    books: Books,
    outgoing: Outgoing,
    now: Moment,
}

impl Bridge {
    /// A bridge with one agent, which has the number 0, and without clients or channels.
    pub fn new(config: Config) -> Self {
        Bridge { books: Books::new(config), outgoing: Outgoing::default(), now: Moment::START }
    }

    /// Adds an agent that clients may be assigned to, and returns its number.
    pub fn add_agent(&mut self, config: AgentConfig) -> AgentId {
        self.books.add_agent(config)
    }

    /// Makes the ids of its questions to clients begin behind `number`: two bridges that a client
    /// meets one after the other must not use the same.
    pub fn number_questions_after(&mut self, number: u64) {
        self.books.number_questions_after(number);
    }

    /// The ids of all conversations that agents of this bridge hold or may hold, as clients and
    /// as agents know them.
    pub fn held_ids(&self) -> BTreeSet<Box<str>> {
        self.books.held_ids()
    }

    /// Takes one event and makes the step that follows from it.
    pub fn handle(&mut self, now: Moment, event: Event) {
        let step = &mut self.step(now);
        match event {
            Event::ClientConnected { client, agent, environment, cwd } => {
                step.books.add_client(client, agent, environment, cwd.into(), step.now);
            }
            Event::ClientFrame { client, frame } => from_client::frame(step, client, frame),
            Event::ParentGone { client } => connection::parent_gone(step, client),
            Event::ClientGone { client } => connection::gone(step, client),
            Event::EditorSeen { client, lives } => step.books.editor_seen(client, lives),
            Event::ChannelSpawned { channel, pid } => {
                step.publish(Notice::ChannelStarted { channel, pid });
            }
            Event::SpawnFailed { channel, error } => stop::spawn_failed(step, channel, error),
            Event::ChannelFrame { channel, frame } => from_agent::frame(step, channel, frame),
            Event::ChannelRun { channel, run } => {
                if let Some(run) = from_agent::run(step, channel, run) {
                    return run.frames().for_each(|frame| {
                        self.handle(now, Event::ChannelFrame { channel, frame });
                    });
                }
            }
            Event::ChannelExited { channel, exit } => stop::exited(step, channel, exit),
            Event::ChannelOutdated { channel, what } => retirement::outdated(step, channel, what),
            Event::ChannelLost { channel } => stop::begin(step, channel, StopReason::StdioClosed),
            Event::ClientMarkPassed { client, over } => {
                step.books.set_slow(client, over, step.now);
            }
            Event::ClientFull { client } => connection::full(step, client),
            Event::ChannelMarkPassed { channel, over } => {
                backpressure::channel_mark_passed(step, channel, over);
            }
            Event::Surveyed { channel, processes, worked } => {
                reaper::surveyed(step, channel, processes);
                liveness::surveyed(step, channel, worked);
            }
            Event::Weighed { bytes, stalls } => pressure::weighed(step, bytes, stalls),
            Event::LoopLate { millis } => step.books.give_back(millis, step.now),
            Event::HostPaused { millis } => {
                if step.books.host_paused(millis, step.now) {
                    step.publish(Notice::HostPaused);
                }
            }
            Event::Preheat { client } => start::preheat(step, client),
            Event::Adopted { client, sessions } => connection::adopted(step, client, &sessions),
            Event::Recalled { agent, version, known } => {
                step.books.agent_mut(agent).trust.recall(&version, known);
                step.books.touch_sessions_of(agent);
            }
            Event::Pairs { agent, pairs } => {
                let known = &mut step.books.agent_mut(agent).pairs;
                pairs.into_iter().for_each(|pair| known.add(pair));
            }
            Event::EarlierBridges(earlier) => step.books.set_earlier_bridges(earlier),
            Event::Superseded => step.books.leave(Leaving::Superseded),
            Event::Operator(order) => operator::obey(step, order),
            Event::Followed(is_followed) => step.outgoing.is_followed = is_followed,
            Event::Reconfigured { limits, agents } => step.books.reconfigure(*limits, agents),
            Event::Shutdown(cause) => shutdown::asked(step, cause),
        }
        settle::finish(step);
    }

    /// Does what is due at `now`. To be called at the moment that
    /// [`Bridge::poll_timeout`] gave; extra calls are harmless.
    ///
    /// If very many rows come up at once, only some are looked at, so that no prompt
    /// waits for all of them: the moment that `poll_timeout` gives is then not after
    /// `now`.
    pub fn handle_timeout(&mut self, now: Moment) {
        let step = &mut self.step(now);
        let mut looks = LOOKS;
        while let Some(due) = step.books.next_due(step.now, &mut looks) {
            due::act(step, due);
        }
        settle::finish(step);
    }

    /// Takes the next effect; `None`: there is none now.
    pub fn poll_effect(&mut self) -> Option<Effect> {
        self.outgoing.effects.pop_front()
    }

    /// When [`Bridge::handle_timeout`] must be called at the latest; `None`: not before
    /// the next event.
    pub fn poll_timeout(&self) -> Option<Moment> {
        self.books.first_bound()
    }

    /// Whether [`Event::Preheat`] is wanted.
    pub fn wants_preheat(&self) -> bool {
        self.books.limits.preheat
    }

    /// The look that is due before this message of a client is handed in, if it introduces the
    /// client or opens a session.
    pub fn look_before(&self, client: ClientId, message: &Frame) -> Option<Look> {
        let introduces = message.method == Method::Initialize;
        let opens = OpenKind::of(message.method).is_some();
        if message.kind != FrameKind::Request || !(introduces || opens) {
            return None;
        }
        let row = self.books.client(client)?;
        // The pool of a newcomer is not known yet. The handles of a client say nothing about the
        // channels of another pool.
        let pool = row.pool.filter(|_| opens);
        let is_meant = |channel: &Channel| {
            let may_serve = pool.is_none_or(|pool| channel.pool == Some(pool));
            channel.agent == row.agent && channel.state == ChannelState::Ready && may_serve
        };
        let channels = self.books.channels().iter().filter(|(_, row)| is_meant(row));
        let channels = channels.map(|(id, _)| *id).collect();
        Some(Look { channels, handles_of: pool.map(|_| row.environment.id) })
    }

    /// The counts of what was thrown away or refused so far, and of strikes.
    pub fn counters(&self) -> Counters {
        self.outgoing.counters
    }

    /// How often something happened since the start, and how long it took.
    pub fn measures(&self) -> &Measures {
        &self.outgoing.measures
    }

    /// The books as they are at this moment, in the words of the control API.
    pub fn view(&self, now: Moment) -> View<'_> {
        View::of(&self.books, now.max(self.now))
    }

    /// Whether a shutdown is under way or over.
    pub fn is_ending(&self) -> bool {
        self.books.is_ending()
    }

    /// Whether the shutdown is over: [`Effect::Exit`] was the last effect.
    pub fn is_over(&self) -> bool {
        self.books.phase() == Phase::Over
    }

    /// Checks the rules that never break. To be called between two events.
    ///
    /// # Errors
    /// The number of the broken rule (see `docs/architecture.md`) and its rows.
    pub fn check(&self) -> Result<(), String> {
        check::all(&self.books)
    }

    fn step(&mut self, now: Moment) -> Step<'_> {
        self.now = now.max(self.now);
        Step { now: self.now, books: &mut self.books, outgoing: &mut self.outgoing }
    }
}
