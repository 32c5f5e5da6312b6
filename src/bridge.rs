//! The core: it holds the books and decides; it never waits.
//!
//! A [`Bridge`] is told the time and what happened ([`Event`]), and says what
//! is to be done ([`Effect`]). It has no clock, does no I/O and knows no tokio,
//! so that a test can drive it through a year of trouble in a second. One task
//! owns it; everything around that task is dumb.
//!
//! The rules that never break are checked by [`Bridge::check`], which the tests
//! call after every event. `docs/architecture.md` says what each is for.
//!
//! | room | what is in it |
//! |---|---|
//! | [`event`], [`effect`], [`notice`] | the core's face: what comes in, what goes out |
//! | [`config`], [`time`], [`id`] | limits, moments, names |
//! | `registry`, `channel`, `session`, `client`, `pending`, `names`, `ids` | the tables and their rows |
//! | `route_client`, `route_agent` | what happens to each message |
//! | `handshake`, `place`, `room`, `fence` | which channel a request goes to |
//! | `pressure` | peers that do not take what is written for them |
//! | `open`, `turn`, `question`, `close`, `carry`, `fanout` | the life of sessions and questions |
//! | `settle`, `deadline`, `idle`, `liveness`, `stop`, `shutdown` | what a step leaves behind, what becomes due, and how things end |
//! | `translate`, `secrets`, `refusal`, `compose` | ids on the way through; what must not be said, and what the bridge says itself |
//! | `check`, `seeded` | the rules as code; mistakes for the tests to find |

pub mod config;
pub mod effect;
pub mod event;
pub mod id;
pub mod notice;
pub mod refusal;
#[cfg(feature = "seeded-bugs")]
pub mod seeded;
pub mod time;

mod books;
mod channels;
mod check;
mod outgoing;
mod routing;
mod sessions;
mod settle;
mod shutdown;

use std::collections::VecDeque;
use std::fmt;

use crate::wire::{Method, Outgoing, Token};

pub use config::Config;
pub use effect::Effect;
pub use event::{Event, Exit, ExitStatus, Process, ShutdownCause};
pub use id::{ChannelId, ClientId, SessionKey};
pub use notice::{EndReason, Notice, StopReason};
pub use refusal::Refusal;
pub use time::{Limit, Moment};

use books::call::{Asker, Call};
use books::client::{Client, Restarts};
use books::deadlines::Due;
use books::registry::Registry;
use id::CallId;
use outgoing::compose;

/// Nothing is reaped or timed out for this long after the host stood still (ms).
pub const PAUSE_GRACE: u64 = 60_000;

/// Rows that are looked at in one call of [`Bridge::handle_timeout`].
const LOOKS: usize = 256;

/// What was thrown away, and why. Nothing is lost without a count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Notifications of an agent for a session that was closed.
    pub late_frames: u64,
    /// Notifications of an agent for a session that nobody knows.
    pub unknown_session_frames: u64,
    /// Notifications before the answer that makes their session known, over the cap.
    pub early_frames: u64,
    /// Answers under an unknown id, and second answers.
    pub stray_answers: u64,
    /// Lines of agents that are no message.
    pub stray_lines: u64,
    /// Lines over the frame limit.
    pub overlong_lines: u64,
    /// Bytes of unfinished last lines.
    pub half_line_bytes: u64,
    /// Tombstones that gave way.
    pub tombstones: u64,
    /// Notifications that had nowhere to go.
    pub unrouted: u64,
    /// Requests that were refused, whoever sent them.
    pub refused: u64,
    /// Intervals in which an agent gave no sign of life.
    pub strikes: u64,
    /// Cursors of `session/list` that gave way: who goes on with one is refused.
    pub cursors: u64,
    /// Settings that further channels will not be told.
    pub rehearsals: u64,
}

impl fmt::Display for Counters {
    /// What was thrown away at all: `3 late_frames, 1 refused`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = [
            (self.late_frames, "late_frames"),
            (self.unknown_session_frames, "unknown_session_frames"),
            (self.early_frames, "early_frames"),
            (self.stray_answers, "stray_answers"),
            (self.stray_lines, "stray_lines"),
            (self.overlong_lines, "overlong_lines"),
            (self.half_line_bytes, "half_line_bytes"),
            (self.tombstones, "tombstones"),
            (self.unrouted, "unrouted"),
            (self.refused, "refused"),
            (self.strikes, "strikes"),
            (self.cursors, "cursors"),
            (self.rehearsals, "rehearsals"),
        ];
        let said: Vec<String> = all
            .iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, name)| format!("{count} {name}"))
            .collect();
        f.write_str(&said.join(", "))
    }
}

/// Where the bridge stands in its own life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Running,
    Ending {
        since: Moment,
        cause: ShutdownCause,
        /// Every process was sent SIGKILL already.
        forced: bool,
    },
    Over,
}

/// The core.
#[derive(Debug)]
pub struct Bridge {
    config: Config,
    registry: Registry,
    restarts: Restarts,
    phase: Phase,
    /// Until then nothing is reaped or timed out, because the host stood still.
    paused_until: Moment,
    effects: VecDeque<Effect>,
    counters: Counters,
}

impl Bridge {
    /// A bridge without clients or channels.
    pub fn new(config: Config) -> Self {
        Bridge {
            config,
            registry: Registry::default(),
            restarts: Restarts::default(),
            phase: Phase::Running,
            paused_until: Moment::START,
            effects: VecDeque::new(),
            counters: Counters::default(),
        }
    }

    /// Something happened.
    pub fn handle(&mut self, now: Moment, event: Event) {
        match event {
            Event::ClientConnected { client, cwd } => {
                self.registry.clients.insert(client, Client::new(cwd.into()));
            }
            Event::ClientFrame { client, frame } => self.client_frame(client, frame, now),
            Event::ClientGone { client } => self.client_gone(client, now),
            Event::ChannelSpawned { channel, pid } => {
                self.publish(Notice::ChannelStarted { channel, pid });
            }
            Event::SpawnFailed { channel, error } => self.spawn_failed(channel, error, now),
            Event::ChannelFrame { channel, frame } => self.channel_frame(channel, frame, now),
            Event::ChannelExited { channel, exit } => self.channel_exited(channel, exit, now),
            Event::ChannelLost { channel } => self.stop(channel, StopReason::StdioClosed, now),
            Event::ClientSaturated { client, over } => self.client_saturated(client, over),
            Event::ChannelSaturated { channel, over } => self.channel_saturated(channel, over),
            Event::Surveyed { channel, processes, worked } => {
                self.surveyed(channel, &processes, now);
                self.listened(channel, worked, now);
            }
            Event::HostPaused => {
                self.paused_until = now.plus_millis(PAUSE_GRACE);
                self.forget_silence();
                self.publish(Notice::HostPaused);
            }
            Event::Preheat { cwd } => self.preheat(&cwd, now),
            Event::Shutdown(cause) => self.shutdown(cause, now),
        }
        self.finish_step(now);
    }

    /// The time that [`Bridge::poll_timeout`] gave has come. Extra calls are harmless.
    ///
    /// If very many rows come up at once, only some are looked at, so that no
    /// prompt waits for all of them: `poll_timeout` is not after `now` then.
    pub fn handle_timeout(&mut self, now: Moment) {
        for _ in 0..LOOKS {
            let Some(due) = self.registry.deadlines.pop(now) else { break };
            match self.deadline(due) {
                Some(at) if at <= now => self.act_on(due, now),
                Some(at) => self.registry.deadlines.watch(due, at),
                None => {}
            }
        }
        self.finish_step(now);
    }

    /// What is to be done next, in order.
    pub fn poll_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// When [`Bridge::handle_timeout`] must be called at the latest.
    pub fn poll_timeout(&self) -> Option<Moment> {
        self.registry.deadlines.first()
    }

    /// Whether [`Event::Preheat`] is wanted.
    pub fn wants_preheat(&self) -> bool {
        self.config.limits.preheat
    }

    /// What was thrown away so far.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Whether everything is over.
    pub fn is_over(&self) -> bool {
        self.phase == Phase::Over
    }

    /// The end of every step: what was touched is settled, what waits is placed.
    fn finish_step(&mut self, now: Moment) {
        loop {
            while let Some(session) = self.registry.touched_sessions.pop_first() {
                self.settle_session(session, now);
            }
            while let Some(channel) = self.registry.touched_channels.pop_first() {
                self.settle_channel(channel, now);
            }
            self.place_waiting(now);
            if self.registry.touched_channels.is_empty()
                && self.registry.touched_sessions.is_empty()
            {
                break;
            }
        }
        self.finish_shutdown();
    }

    /// Makes sure that a row comes up when it is due.
    fn watch(&mut self, due: Due) {
        if let Some(at) = self.deadline(due) {
            self.registry.deadlines.watch(due, at);
        }
    }

    fn publish(&mut self, notice: Notice) {
        self.effects.push_back(Effect::Publish(notice));
    }

    fn send_to_client(&mut self, client: ClientId, frame: Outgoing) {
        if self.registry.clients.contains_key(&client) {
            self.effects.push_back(Effect::ToClient { client, frame });
        }
    }

    fn send_to_channel(&mut self, channel: ChannelId, frame: Outgoing) {
        self.effects.push_back(Effect::ToChannel { channel, frame });
    }

    /// Answers a request of a client that never became a call.
    fn refuse(&mut self, client: ClientId, token: &Token, refusal: &Refusal) {
        self.counters.refused += 1;
        self.send_to_client(client, compose::failure(token, refusal));
    }

    /// Answers one who asked, if it is still there.
    fn answer(&mut self, asker: &Asker, answer: impl FnOnce(&Token) -> Outgoing) {
        if let Asker::Client(client, token) = asker {
            self.send_to_client(*client, answer(token));
        }
    }

    /// Ends a call with a result of the bridge's own.
    fn answer_call(&mut self, id: CallId, result: &[u8]) -> Option<Call> {
        let call = self.registry.take_call(id)?;
        self.answer(&call.asker, |token| compose::success(token, result));
        Some(call)
    }

    /// Ends a call with a refusal.
    fn refuse_call(&mut self, id: CallId, refusal: &Refusal) -> Option<Call> {
        let call = self.registry.take_call(id)?;
        if call.asker != Asker::Nobody {
            self.counters.refused += 1;
        }
        self.answer(&call.asker, |token| compose::failure(token, refusal));
        Some(call)
    }

    fn agent_name(&self) -> String {
        self.config.agent.name.clone()
    }

    fn is_ending(&self) -> bool {
        self.phase != Phase::Running
    }
}
