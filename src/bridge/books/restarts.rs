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

    /// Forgets the crashes that are over: the window is in ms.
    pub fn forget_old(&mut self, now: Moment, window: u64) {
        while self.crashes.front().is_some_and(|first| now.since(*first) >= window) {
            self.crashes.pop_front();
        }
        // The number is bounded by the budget; this bounds it when there is none.
        while self.crashes.len() > MAX_CRASHES {
            self.crashes.pop_front();
        }
    }

    /// Whether no crash is remembered.
    pub fn is_empty(&self) -> bool {
        self.crashes.is_empty()
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

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: u64 = 60_000;

    fn at(millis: u64) -> Moment {
        Moment::from_millis(millis)
    }

    /// Crashes at these moments.
    fn crashed(crashes: &[u64]) -> Restarts {
        let mut restarts = Restarts::default();
        for crash in crashes {
            restarts.crashed(at(*crash), WINDOW, &format!("crash at {crash}"));
        }
        restarts
    }

    #[test]
    fn without_a_crash_a_start_waits_for_nothing() {
        let mut restarts = Restarts::default();
        assert_eq!(restarts.not_before(), Moment::START);
        assert_eq!(restarts.refused_for(at(7), 1, WINDOW), None);
    }

    #[test]
    fn the_pause_doubles_with_each_crash_up_to_the_longest() {
        let expected = [250, 500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000];
        for (before, pause) in expected.into_iter().enumerate() {
            let crashes: Vec<u64> = (0..=before as u64).map(|number| 1_000 + number).collect();
            let last = at(1_000 + before as u64);
            assert_eq!(crashed(&crashes).not_before(), last.plus_millis(pause), "{before}");
        }
    }

    #[test]
    fn the_pause_of_very_many_crashes_is_the_longest_and_their_number_is_bounded() {
        let restarts = crashed(&[5; 2_000]);
        assert_eq!(restarts.not_before(), at(30_005));
        assert_eq!(restarts.crashes.len(), MAX_CRASHES);
    }

    #[test]
    fn a_crash_counts_until_the_window_is_over() {
        let restarts = crashed(&[0, WINDOW - 1]);
        assert_eq!(restarts.not_before(), at(WINDOW - 1 + 500));
        let restarts = crashed(&[0, WINDOW]);
        assert_eq!(restarts.not_before(), at(WINDOW + 250));
    }

    #[test]
    fn starts_are_refused_for_the_rest_of_the_window() {
        let mut restarts = crashed(&[1_000, 5_000, 9_000]);
        assert_eq!(restarts.refused_for(at(10_000), 4, WINDOW), None);
        assert_eq!(restarts.refused_for(at(10_000), 3, WINDOW), Some(51_000));
        assert_eq!(restarts.refused_for(at(60_999), 3, WINDOW), Some(1));
        assert_eq!(restarts.refused_for(at(61_000), 3, WINDOW), None);
        assert_eq!(restarts.refused_for(at(61_000), 2, WINDOW), Some(4_000));
    }

    #[test]
    fn a_limit_of_zero_refuses_nothing() {
        let mut restarts = crashed(&[1; 50]);
        assert_eq!(restarts.refused_for(at(2), 0, WINDOW), None);
        assert_eq!(restarts.not_before(), at(30_001), "the pauses stay");
    }

    #[test]
    fn it_is_known_how_the_last_one_ended() {
        assert_eq!(Restarts::default().last, "");
        assert_eq!(crashed(&[1, 2]).last, "crash at 2");
    }
}
