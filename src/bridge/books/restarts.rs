//! Crashes of an agent, and when it may be started again.

use std::collections::VecDeque;

use crate::bridge::time::Moment;

/// The most crashes of one agent that are remembered, however large the restart limit is.
const MAX_CRASHES: usize = 1024;

/// The recent crashes of one agent's processes, the oldest first. A crash counts for the
/// identity of the process's pool, and so also for a client that leaves and comes back.
#[derive(Clone, Debug, Default)]
pub struct Restarts {
    crashes: VecDeque<Crash>,
}

#[derive(Clone, Debug)]
struct Crash {
    at: Moment,
    /// The identity of the process's pool. `None`: a preheated process that was in no pool
    /// yet; its crash counts for every identity.
    whose: Option<Box<[u8]>>,
    /// How the process ended, for people.
    how: String,
}

impl Restarts {
    /// The first pause after a crash (ms); it doubles with each further one.
    const FIRST_PAUSE: u64 = 250;
    /// The longest pause (ms).
    const LONGEST_PAUSE: u64 = 30_000;

    /// Notes a crash; `window` (ms) is how long a crash counts. See `Crash` for the others.
    pub fn crashed(&mut self, now: Moment, window: u64, whose: Option<Box<[u8]>>, how: &str) {
        self.crashes.push_back(Crash { at: now, whose, how: how.to_owned() });
        self.forget_old(now, window);
    }

    fn forget_old(&mut self, now: Moment, window: u64) {
        while self.crashes.front().is_some_and(|first| now.since(first.at) >= window) {
            self.crashes.pop_front();
        }
        // The restart limit bounds only the crashes of one identity, and may be off.
        while self.crashes.len() > MAX_CRASHES {
            self.crashes.pop_front();
        }
    }

    /// The crashes that count for clients with this identity, the oldest first.
    fn of(&self, identity: &[u8]) -> impl DoubleEndedIterator<Item = &Crash> {
        self.crashes
            .iter()
            .filter(move |crash| crash.whose.as_deref().is_none_or(|whose| whose == identity))
    }

    /// How the process of the last such crash ended, for people; empty without a crash.
    pub fn last(&self, identity: &[u8]) -> &str {
        self.of(identity).next_back().map_or("", |crash| &crash.how)
    }

    /// The end of the pause before the next start; without a crash, the start of the bridge.
    pub fn not_before(&self, identity: &[u8]) -> Moment {
        let Some(last) = self.of(identity).next_back() else { return Moment::START };
        let doublings = (self.of(identity).count() - 1).min(16);
        last.at.plus_millis((Self::FIRST_PAUSE << doublings).min(Self::LONGEST_PAUSE))
    }

    /// How long starts are refused yet (ms); `None`: fewer than `limit` crashes count, or
    /// `limit` is 0, which is no limit. `window` (ms) is how long a crash counts.
    pub fn refused_for(
        &mut self,
        identity: &[u8],
        now: Moment,
        limit: usize,
        window: u64,
    ) -> Option<u64> {
        self.forget_old(now, window);
        if limit == 0 || self.of(identity).count() < limit {
            return None;
        }
        let first = self.of(identity).next()?.at;
        Some(window.saturating_sub(now.since(first)))
    }
}

/// Whether a process may be started.
pub enum Start {
    /// Now.
    Now,
    /// After the pause that the last crash brings.
    Later,
    /// Not for a while: the restart limit is reached.
    Refused {
        /// How the last process that crashed ended, for people.
        last: String,
        /// After how long a start may be tried again (ms).
        retry_after_ms: u64,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: u64 = 60_000;
    const ALICE: &[u8] = b"alice";

    fn at(millis: u64) -> Moment {
        Moment::from_millis(millis)
    }

    /// Crashes of Alice's processes at these moments (ms).
    fn crashed(crashes: &[u64]) -> Restarts {
        let mut restarts = Restarts::default();
        for crash in crashes {
            restarts.crashed(at(*crash), WINDOW, Some(ALICE.into()), &format!("crash at {crash}"));
        }
        restarts
    }

    #[test]
    fn without_a_crash_a_start_waits_for_nothing() {
        let mut restarts = Restarts::default();
        assert_eq!(restarts.not_before(ALICE), Moment::START);
        assert_eq!(restarts.refused_for(ALICE, at(7), 1, WINDOW), None);
    }

    #[test]
    fn the_pause_doubles_with_each_crash_up_to_the_longest() {
        let expected = [250, 500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000];
        for (before, pause) in expected.into_iter().enumerate() {
            let crashes: Vec<u64> = (0..=before as u64).map(|number| 1_000 + number).collect();
            let last = at(1_000 + before as u64);
            assert_eq!(crashed(&crashes).not_before(ALICE), last.plus_millis(pause), "{before}");
        }
    }

    #[test]
    fn the_pause_of_very_many_crashes_is_the_longest_and_their_number_is_bounded() {
        let restarts = crashed(&[5; 2_000]);
        assert_eq!(restarts.not_before(ALICE), at(30_005));
        assert_eq!(restarts.crashes.len(), MAX_CRASHES);
    }

    #[test]
    fn a_crash_counts_until_the_window_is_over() {
        let restarts = crashed(&[0, WINDOW - 1]);
        assert_eq!(restarts.not_before(ALICE), at(WINDOW - 1 + 500));
        let restarts = crashed(&[0, WINDOW]);
        assert_eq!(restarts.not_before(ALICE), at(WINDOW + 250));
    }

    #[test]
    fn starts_are_refused_for_the_rest_of_the_window() {
        let mut restarts = crashed(&[1_000, 5_000, 9_000]);
        assert_eq!(restarts.refused_for(ALICE, at(10_000), 4, WINDOW), None);
        assert_eq!(restarts.refused_for(ALICE, at(10_000), 3, WINDOW), Some(51_000));
        assert_eq!(restarts.refused_for(ALICE, at(60_999), 3, WINDOW), Some(1));
        assert_eq!(restarts.refused_for(ALICE, at(61_000), 3, WINDOW), None);
        assert_eq!(restarts.refused_for(ALICE, at(61_000), 2, WINDOW), Some(4_000));
    }

    #[test]
    fn a_limit_of_zero_refuses_nothing() {
        let mut restarts = crashed(&[1; 50]);
        assert_eq!(restarts.refused_for(ALICE, at(2), 0, WINDOW), None);
        assert_eq!(restarts.not_before(ALICE), at(30_001), "the pauses stay");
    }

    #[test]
    fn it_is_known_how_the_last_one_ended() {
        assert_eq!(Restarts::default().last(ALICE), "");
        assert_eq!(crashed(&[1, 2]).last(ALICE), "crash at 2");
    }

    #[test]
    fn a_crash_counts_for_the_clients_whose_process_it_was_and_one_of_nobody_for_all() {
        let mut restarts = crashed(&[1, 2]);
        assert_eq!(restarts.not_before(b"bob"), Moment::START);
        assert_eq!(restarts.refused_for(b"bob", at(3), 1, WINDOW), None);
        restarts.crashed(at(3), WINDOW, None, "preheated");
        assert_eq!(restarts.not_before(b"bob"), at(253));
        assert_eq!(restarts.not_before(ALICE), at(1_003));
        assert_eq!(restarts.last(ALICE), "preheated");
        assert_eq!(restarts.refused_for(b"bob", at(3), 1, WINDOW), Some(WINDOW));
    }
}
