//! The core: it holds the books and decides; it never waits.
//!
//! A [`Bridge`] is told the time and what happened ([`Event`]), and says what
//! is to be done ([`Effect`]). It has no clock, does no I/O and knows no tokio,
//! so that a test can drive it through a year of trouble in a second. One task
//! owns it; everything around that task is dumb.

pub mod config;
pub mod counters;
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
mod due;
mod outgoing;
mod routing;
mod sessions;
mod settle;
mod shutdown;
mod step;

pub use config::Config;
pub use counters::Counters;
pub use effect::Effect;
pub use event::{Event, Exit, ExitStatus, Process, ShutdownCause};
pub use id::{ChannelId, ClientId, SessionKey};
pub use notice::{EndReason, Notice, StopReason};
pub use refusal::Refusal;
pub use time::{Limit, Moment};

use books::Books;
use books::phase::Phase;
use channels::{liveness, pressure, start, stop};
use routing::{connection, from_agent, from_client};
use sessions::reaper;
use step::{Said, Step};

/// Nothing is reaped or timed out for this long after the host stood still (ms).
pub const PAUSE_GRACE: u64 = 60_000;

/// Rows that are looked at in one call of [`Bridge::handle_timeout`].
const LOOKS: usize = 256;

/// The core.
#[derive(Debug)]
pub struct Bridge {
    books: Books,
    outgoing: Said,
}

impl Bridge {
    /// A bridge without clients or channels.
    pub fn new(config: Config) -> Self {
        Bridge { books: Books::new(config), outgoing: Said::default() }
    }

    /// Something happened.
    pub fn handle(&mut self, now: Moment, event: Event) {
        let step = &mut self.step(now);
        match event {
            Event::ClientConnected { client, cwd } => {
                step.books.add_client(client, cwd.into());
            }
            Event::ClientFrame { client, frame } => from_client::frame(step, client, frame),
            Event::ClientGone { client } => connection::gone(step, client),
            Event::ChannelSpawned { channel, pid } => {
                step.publish(Notice::ChannelStarted { channel, pid });
            }
            Event::SpawnFailed { channel, error } => stop::spawn_failed(step, channel, error),
            Event::ChannelFrame { channel, frame } => from_agent::frame(step, channel, frame),
            Event::ChannelExited { channel, exit } => stop::exited(step, channel, exit),
            Event::ChannelLost { channel } => stop::begin(step, channel, StopReason::StdioClosed),
            Event::ClientSaturated { client, over } => {
                pressure::client_saturated(step, client, over);
            }
            Event::ChannelSaturated { channel, over } => {
                pressure::channel_saturated(step, channel, over);
            }
            Event::Surveyed { channel, processes, worked } => {
                reaper::surveyed(step, channel, &processes);
                liveness::listened(step, channel, worked);
            }
            Event::HostPaused => {
                step.books.host_paused(now.plus_millis(PAUSE_GRACE));
                step.publish(Notice::HostPaused);
            }
            Event::Preheat { cwd } => start::preheat(step, &cwd),
            Event::Shutdown(cause) => shutdown::asked(step, cause),
        }
        settle::finish(step);
    }

    /// The time that [`Bridge::poll_timeout`] gave has come. Extra calls are harmless.
    ///
    /// If very many rows come up at once, only some are looked at, so that no
    /// prompt waits for all of them: `poll_timeout` is not after `now` then.
    pub fn handle_timeout(&mut self, now: Moment) {
        let step = &mut self.step(now);
        for _ in 0..LOOKS {
            match step.books.next_due(now) {
                Some(Some(due)) => due::act(step, due),
                Some(None) => {}
                None => break,
            }
        }
        settle::finish(step);
    }

    /// What is to be done next, in order.
    pub fn poll_effect(&mut self) -> Option<Effect> {
        self.outgoing.effects.pop_front()
    }

    /// When [`Bridge::handle_timeout`] must be called at the latest.
    pub fn poll_timeout(&self) -> Option<Moment> {
        self.books.first_bound()
    }

    /// Whether [`Event::Preheat`] is wanted.
    pub fn wants_preheat(&self) -> bool {
        self.books.limits.preheat
    }

    /// What was thrown away so far.
    pub fn counters(&self) -> Counters {
        self.outgoing.counters
    }

    /// Whether everything is over.
    pub fn is_over(&self) -> bool {
        self.books.phase() == Phase::Over
    }

    /// Says which rule is broken, and where. To be called between two events.
    ///
    /// # Errors
    /// The number of the rule (see `docs/architecture.md`) and the rows.
    pub fn check(&self) -> Result<(), String> {
        check::all(&self.books)
    }

    fn step(&mut self, now: Moment) -> Step<'_> {
        Step { now, books: &mut self.books, outgoing: &mut self.outgoing }
    }
}
