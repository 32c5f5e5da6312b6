//! Crashes of an agent, and when it may be started again.

use std::collections::VecDeque;

use crate::bridge::time::Moment;

/// Crashes that are remembered where the budget does not bound them.
const MAX_CRASHES: usize = 1024;

/// How often an agent crashed lately, and when it may be started again.
#[derive(Clone, Debug, Default)]
pub struct Restarts {
    crashes: VecDeque<Moment>,
    /// How the last one ended, for people.
    pub last: String,
}

impl Restarts {
    /// The first pause after a crash (ms); it doubles with each further one.
    const FIRST_PAUSE: u64 = 250;
    /// The longest pause (ms).
    const LONGEST_PAUSE: u64 = 30_000;

    /// An agent crashed.
    pub fn crashed(&mut self, now: Moment, window: u64, how: &str) {
        self.crashes.push_back(now);
        self.last = how.to_owned();
        self.forget_old(now, window);
    }

    fn forget_old(&mut self, now: Moment, window: u64) {
        while self.crashes.front().is_some_and(|first| now.since(*first) >= window) {
            self.crashes.pop_front();
        }
        // The number is bounded by the budget; this bounds it when there is none.
        while self.crashes.len() > MAX_CRASHES {
            self.crashes.pop_front();
        }
    }

    /// The first moment at which the next start may be tried.
    pub fn not_before(&self) -> Moment {
        let Some(last) = self.crashes.back() else { return Moment::START };
        let doublings = (self.crashes.len() - 1).min(16);
        last.plus_millis((Self::FIRST_PAUSE << doublings).min(Self::LONGEST_PAUSE))
    }

    /// How long starts are refused (ms), if the budget is used up.
    pub fn refused_for(&mut self, now: Moment, limit: usize, window: u64) -> Option<u64> {
        self.forget_old(now, window);
        if limit == 0 || self.crashes.len() < limit {
            return None;
        }
        let first = *self.crashes.front()?;
        Some(window.saturating_sub(now.since(first)))
    }
}

/// Whether a process may be started.
pub enum Start {
    /// Now.
    Now,
    /// After the pause that the last crash brings.
    Later,
    /// Not for a while: the budget of crashes is used up.
    Refused {
        /// How the last one ended, for people.
        last: String,
        /// When it may be tried again (ms).
        retry_after_ms: u64,
    },
}
