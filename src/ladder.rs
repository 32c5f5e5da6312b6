//! The graces of the stop ladder, fitted into a bound, for the core and the keeper.
//!
//! The ladder has three rungs: the agent's stdin is closed, its group gets SIGTERM,
//! then SIGKILL. Each rung has a grace. Where the whole ladder must be over in a
//! given time, the graces are scaled down together. All times are milliseconds;
//! `None` is a grace that never ends.

/// The time that a process gets to die of SIGKILL, however short a shutdown must be (ms).
const LEAST_KILL_GRACE: u64 = 250;

/// The graces of one ladder, such that their sum is at most `bound`. Each is first
/// cut to `bound`; if their sum is still longer, all are scaled down by the same
/// factor.
pub fn fitted<const STEPS: usize>(graces: [Option<u64>; STEPS], bound: u64) -> [u64; STEPS] {
    let limited = graces.map(|grace| grace.map_or(bound, |millis| millis.min(bound)));
    let whole: u128 = limited.iter().copied().map(u128::from).sum();
    if whole <= u128::from(bound) {
        return limited;
    }
    limited.map(|grace| {
        let scaled = u128::from(grace) * u128::from(bound) / whole;
        u64::try_from(scaled).unwrap_or(bound)
    })
}

/// The part of the bound `shutdown` in which agents can answer closes, before the
/// ladder begins: a quarter.
pub const fn closes_share(shutdown: u64) -> u64 {
    shutdown / 4
}

/// The part of the bound `shutdown` that is left for the ladder.
const fn ladder_share(shutdown: u64) -> u64 {
    shutdown - closes_share(shutdown)
}

/// The graces for stdin, SIGTERM and SIGKILL in a shutdown with the bound `shutdown`:
/// fitted into the part that the closes leave. The last grace has a least length,
/// even beyond the bound: an agent that is just dying of SIGKILL is no survivor.
pub fn in_shutdown(graces: [Option<u64>; 3], shutdown: u64) -> [u64; 3] {
    let [stdin, term, kill] = fitted(graces, ladder_share(shutdown));
    [stdin, term, kill.max(LEAST_KILL_GRACE)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn graces_that_fit_stay_as_they_are() {
        assert_eq!(fitted([Some(100), Some(200)], 2_500), [100, 200]);
        assert_eq!(fitted([Some(1_500), Some(1_000)], 2_500), [1_500, 1_000]);
        assert_eq!(fitted([Some(0), Some(0)], 0), [0, 0]);
    }

    #[test]
    fn longer_ones_are_capped_and_then_scaled_together() {
        assert_eq!(fitted([Some(2_500), Some(7_500)], 2_500), [1_250, 1_250]);
        assert_eq!(fitted([Some(1_000), Some(3_000)], 3_000), [750, 2_250]);
        assert_eq!(fitted([None, Some(0)], 800), [800, 0]);
        assert_eq!(fitted([None, None], 0), [0, 0]);
    }

    #[test]
    fn what_is_lost_in_the_scaling_makes_the_sum_shorter_and_never_longer() {
        assert_eq!(fitted([None, None, None], 100), [33, 33, 33]);
        assert_eq!(fitted([Some(1), Some(1)], 1), [0, 0]);
    }

    #[test]
    fn a_huge_bound_does_not_overflow() {
        assert_eq!(fitted([None, None], u64::MAX), [u64::MAX / 2; 2]);
        assert_eq!(in_shutdown([None, None, None], u64::MAX), [u64::MAX / 4 + 1; 3]);
    }

    #[test]
    fn three_quarters_of_a_shutdown_are_for_the_ladder() {
        assert_eq!(ladder_share(2_500), 1_875);
        assert_eq!(ladder_share(800), 600);
        assert_eq!(ladder_share(3), 3);
        assert_eq!(ladder_share(0), 0);
    }

    #[test]
    fn a_shutdown_scales_the_whole_ladder() {
        // Each grace is first cut to the 1,875 ms that the closes leave.
        assert_eq!(in_shutdown([Some(4_000), Some(5_000), Some(2_000)], 2_500), [625; 3]);
        assert_eq!(in_shutdown([Some(2_500), Some(7_500), Some(1_000)], 2_500), [740, 740, 394]);
        assert_eq!(in_shutdown([Some(100), Some(200), Some(300)], 2_500), [100, 200, 300]);
        assert_eq!(in_shutdown([None, None, None], 4_000), [1_000; 3]);
    }

    #[test]
    fn sigkill_has_its_least_grace_beyond_the_bound() {
        assert_eq!(in_shutdown([None, None, None], 400), [100, 100, 250]);
        assert_eq!(in_shutdown([Some(0), Some(0), Some(0)], 0), [0, 0, 250]);
        assert_eq!(in_shutdown([Some(10), Some(10), Some(100)], 2_500), [10, 10, 250]);
    }
}
