//! The graces of the stop ladder, fitted into a bound, for the core and the keeper.
//!
//! The ladder has three rungs: the agent's stdin is closed, its group gets SIGTERM,
//! then SIGKILL. Each rung has a grace. Where the whole ladder must be over in a
//! given time, the end of stdin gets the most of it: agents that leave by themselves
//! need up to two seconds. All times are milliseconds; `None` is a grace that never ends.

use std::time::Duration;

/// The least time that a process gets to die of SIGTERM and of SIGKILL, however short a
/// shutdown must be (ms).
const LEAST_GRACE: u64 = 250;

/// The longest time from SIGTERM to SIGKILL for what an agent leaves behind when it ends.
pub const REST_GRACE: Duration = Duration::from_millis(LEAST_GRACE);

/// The graces for stdin, SIGTERM and SIGKILL of a ladder that must be over in `left`.
/// SIGTERM and SIGKILL get a tenth of it each, but not less than 250 ms, not even if that
/// is longer than `left`, and the end of stdin gets the rest. No grace becomes longer than it
/// is, but for SIGKILL, which has its 250 ms always: an agent that is just dying of it is no
/// survivor.
pub fn fitted([stdin, term, kill]: [Option<u64>; 3], left: u64) -> [u64; 3] {
    let share = LEAST_GRACE.max(left / 10);
    let term = term.unwrap_or(share).min(share);
    let kill = kill.unwrap_or(share).clamp(LEAST_GRACE, share);
    let rest = left.saturating_sub(term).saturating_sub(kill);
    [stdin.unwrap_or(rest).min(rest), term, kill]
}

/// The part of the bound `shutdown` in which agents can answer closes, before the
/// ladder begins: a quarter.
pub const fn closes_share(shutdown: u64) -> u64 {
    shutdown / 4
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_stdin_gets_what_the_others_leave() {
        assert_eq!(fitted([Some(4_000), Some(5_000), Some(2_000)], 2_500), [2_000, 250, 250]);
        assert_eq!(fitted([Some(4_000), Some(5_000), Some(2_000)], 1_875), [1_375, 250, 250]);
        assert_eq!(fitted([None, None, None], 10_000), [8_000, 1_000, 1_000]);
        assert_eq!(fitted([None, Some(0), Some(100)], 10_000), [9_750, 0, 250]);
    }

    #[test]
    fn no_grace_becomes_longer() {
        assert_eq!(fitted([Some(100), Some(200), Some(300)], 2_500), [100, 200, 250]);
        assert_eq!(fitted([Some(0), Some(0), Some(0)], u64::MAX), [0, 0, 250]);
        assert_eq!(fitted([Some(1), Some(2), Some(300)], 60_000), [1, 2, 300]);
    }

    #[test]
    fn signals_have_their_least_grace_beyond_the_bound() {
        assert_eq!(fitted([None, None, None], 400), [0, 250, 250]);
        assert_eq!(fitted([None, None, None], 0), [0, 250, 250]);
        assert_eq!(fitted([Some(10), Some(10), Some(10)], 0), [0, 10, 250]);
    }

    #[test]
    fn a_huge_bound_does_not_overflow() {
        let tenth = u64::MAX / 10;
        assert_eq!(fitted([None, None, None], u64::MAX), [u64::MAX - 2 * tenth, tenth, tenth]);
        assert_eq!(closes_share(u64::MAX), u64::MAX / 4);
    }
}
