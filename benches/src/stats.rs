//! Medians and percentiles.

use std::time::Duration;

/// The value below which the share `share` (0 to 1) of all values lies; NaN without values.
pub fn percentile(values: &[f64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = (share * sorted.len().saturating_sub(1) as f64).round() as usize;
    sorted.get(at).copied().unwrap_or(f64::NAN)
}

/// The value in the middle.
pub fn median(values: &[f64]) -> f64 {
    percentile(values, 0.5)
}

/// The middle and the slow end of many round trips, in seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Latency {
    /// The median.
    pub p50: f64,
    /// The value that one round trip in a hundred exceeds.
    pub p99: f64,
}

impl Latency {
    /// The latency of these round trips.
    pub fn of(trips: &[Duration]) -> Latency {
        let seconds: Vec<f64> = trips.iter().map(Duration::as_secs_f64).collect();
        Latency { p50: median(&seconds), p99: percentile(&seconds, 0.99) }
    }

    /// The median p50 and the median p99 of several repetitions.
    pub fn middle(repetitions: &[Latency]) -> Latency {
        let of =
            |part: fn(&Latency) -> f64| median(&repetitions.iter().map(part).collect::<Vec<_>>());
        Latency { p50: of(|one| one.p50), p99: of(|one| one.p99) }
    }
}
