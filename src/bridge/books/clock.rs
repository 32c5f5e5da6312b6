//! The clock of a channel: since when it has nothing to do, since when its agent is
//! waited for, and when that last gave a sign of life.

use crate::bridge::time::Moment;

/// A tree that used less than this part of an interval has done no work: timers
/// of a runtime tick even when nothing is done.
const WORK_PART: u64 = 1_000;

/// What is known of an agent that is silent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Silence {
    /// Nothing: it was not looked at.
    #[default]
    Unknown,
    /// The runtime is looking; with what was seen before.
    Asked(Option<Look>),
    /// It was looked at.
    Seen(Look),
}

/// A look at a silent agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Look {
    at: Moment,
    /// The time that its tree has spent on the processor until then (ms), if
    /// that could be seen.
    worked: Option<u64>,
    /// Intervals without a sign of life until then, in a row.
    strikes: usize,
}

/// The times of one channel.
#[derive(Clone, Debug)]
pub struct Clock {
    /// When the row was made.
    pub born: Moment,
    heard_at: Moment,
    idle_since: Option<Moment>,
    waited_for_since: Option<Moment>,
    silence: Silence,
}

impl Clock {
    /// Of a channel that is made now.
    pub fn new(now: Moment) -> Self {
        Clock {
            born: now,
            heard_at: now,
            idle_since: None,
            waited_for_since: None,
            silence: Silence::Unknown,
        }
    }

    /// Its agent wrote a line.
    pub fn heard(&mut self, now: Moment) {
        self.heard_at = now;
    }

    /// Whether it has nothing to do, as the end of a step found.
    pub fn set_idle(&mut self, is_idle: bool, now: Moment) {
        self.idle_since = is_idle.then(|| self.idle_since.unwrap_or(now));
    }

    /// Since when it has nothing to do.
    pub fn idle_since(&self) -> Option<Moment> {
        self.idle_since
    }

    /// Whether its agent has something to answer and no question open, as the end of
    /// a step found.
    pub fn set_waited_for(&mut self, is_waited_for: bool, now: Moment) {
        self.waited_for_since = is_waited_for.then(|| self.waited_for_since.unwrap_or(now));
    }

    /// How long its agent has written nothing (ms).
    pub fn silent_for(&self, now: Moment) -> u64 {
        now.since(self.heard_at)
    }

    /// Since when its agent is waited for and gives no sign of life; not while it is
    /// looked at.
    pub fn silent_since(&self) -> Option<Moment> {
        let since = self.heard_at.max(self.waited_for_since?);
        match self.silence {
            Silence::Asked(_) => None,
            Silence::Seen(look) => Some(since.max(look.at)),
            Silence::Unknown => Some(since),
        }
    }

    /// The runtime is asked to look at the agent.
    pub fn look(&mut self) {
        // What was seen before it was waited for says nothing.
        let since = self.waited_for_since.map_or(self.heard_at, |since| since.max(self.heard_at));
        let before = match self.silence {
            Silence::Seen(look) if look.at > since => Some(look),
            _ => None,
        };
        self.silence = Silence::Asked(before);
    }

    /// The agent was looked at: its tree has `worked` so long in all. Gives the
    /// number of intervals without a sign of life, if this is one more.
    pub fn looked(&mut self, worked: Option<u64>, now: Moment) -> Option<usize> {
        let Silence::Asked(before) = self.silence else { return None };
        let before = before.filter(|look| look.at > self.heard_at);
        let so_far = before.map_or(0, |look| look.strikes);
        let strikes = match (before, worked) {
            (Some(Look { at, worked: Some(then), .. }), Some(worked)) => {
                // Less than before: somebody has ended, so there was life.
                let idle =
                    worked.checked_sub(then).filter(|work| *work <= now.since(at) / WORK_PART);
                idle.map_or(0, |_| so_far + 1)
            }
            // A look without evidence repeats no strike.
            _ => so_far,
        };
        self.silence = Silence::Seen(Look { at: now, worked, strikes });
        (strikes > so_far).then_some(strikes)
    }

    /// The host stood still: nobody could give a sign of life.
    pub fn forget_silence(&mut self) {
        self.silence = match self.silence {
            Silence::Asked(_) => Silence::Asked(None),
            Silence::Seen(_) | Silence::Unknown => Silence::Unknown,
        };
    }
}
