//! Measures: how often something happened, and how long it took.

use std::collections::BTreeMap;

use super::reason::EndReason;

/// The upper bounds of the classes of a histogram (ms); a last class has none.
pub const BOUNDS: [u64; 14] =
    [5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000, 60_000, 300_000];

/// How many times of each length there were.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Histogram {
    /// The number of times in each class; the last one is over all bounds.
    classes: [u64; BOUNDS.len() + 1],
    sum_ms: u64,
}

impl Histogram {
    /// Adds one time (ms).
    pub fn observe(&mut self, millis: u64) {
        let class = BOUNDS.iter().position(|bound| millis <= *bound).unwrap_or(BOUNDS.len());
        self.classes[class] += 1;
        self.sum_ms = self.sum_ms.saturating_add(millis);
    }

    /// The number of all times.
    pub fn count(&self) -> u64 {
        self.classes.iter().sum()
    }

    /// All times together (ms).
    pub fn sum_ms(&self) -> u64 {
        self.sum_ms
    }

    /// Each bound (ms), with the number of times up to it.
    pub fn up_to(&self) -> impl Iterator<Item = (u64, u64)> {
        let sums = self.classes.iter().scan(0, |sum, class| {
            *sum += class;
            Some(*sum)
        });
        BOUNDS.into_iter().zip(sums)
    }
}

/// The measures of a bridge since its start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Measures {
    /// The times from `initialize`, which is sent as a process starts, to its answer.
    pub handshake: Histogram,
    /// The times from the request for a session to its opening.
    pub open: Histogram,
    /// The times from `session/close` to the agent's answer.
    pub close: Histogram,
    /// The times from a prompt to its answer.
    pub turn: Histogram,
    /// The numbers of sessions that ended, by their reasons.
    pub closes: BTreeMap<EndReason, u64>,
    /// The numbers of channels that ended, by words for their reasons.
    pub exits: BTreeMap<&'static str, u64>,
    /// How often a parked session was brought back.
    pub restores: u64,
    /// How often an attempt to bring one back has failed.
    pub failed_restores: u64,
    /// How often a session was due to be closed for being idle.
    pub nominated: u64,
    /// How often such a session was kept, because of background work.
    pub vetoed: u64,
}

impl Measures {
    /// Counts the end of a session.
    pub fn closed(&mut self, reason: EndReason) {
        *self.closes.entry(reason).or_default() += 1;
    }

    /// Counts the end of a channel.
    pub fn exited(&mut self, reason: &'static str) {
        *self.exits.entry(reason).or_default() += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_counted_up_to_each_bound() {
        let mut histogram = Histogram::default();
        for millis in [0, 5, 6, 250, 400_000] {
            histogram.observe(millis);
        }
        let up_to: Vec<u64> = histogram.up_to().map(|(_, count)| count).collect();
        assert_eq!(up_to, [2, 3, 3, 3, 3, 4, 4, 4, 4, 4, 4, 4, 4, 4]);
        assert_eq!((histogram.count(), histogram.sum_ms()), (5, 400_261));
    }
}
