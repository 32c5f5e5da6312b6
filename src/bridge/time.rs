//! Time as the core sees it: told from outside, in whole milliseconds.
//!
//! The core has no clock. The runtime counts from the start of the process and
//! hands a [`Moment`] to every call, so a test can live a week in a millisecond.
//! Arithmetic saturates: no limit, however large, wraps into a short one.

use std::fmt;
use std::time::Duration;

use humantime::{FormattedDuration, format_duration};

/// A point in time: milliseconds since the bridge started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(u64);

impl Moment {
    /// The start of the bridge.
    pub const START: Moment = Moment(0);

    /// The moment `millis` milliseconds after the start.
    pub const fn from_millis(millis: u64) -> Self {
        Moment(millis)
    }

    /// Milliseconds since the start.
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// Milliseconds from `earlier` until this moment; 0 if `earlier` is later.
    pub const fn since(self, earlier: Moment) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// This moment, `millis` later.
    pub const fn plus_millis(self, millis: u64) -> Moment {
        Moment(self.0.saturating_add(millis))
    }

    /// When `limit` is over, counted from this moment; `None`: never.
    pub fn plus(self, limit: Limit) -> Option<Moment> {
        match limit {
            Limit::After(millis) => Some(self.plus_millis(millis)),
            Limit::Never => None,
        }
    }
}

/// How long something may take: a number of milliseconds, or for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// Over after this many milliseconds; 0 is "at once".
    After(u64),
    /// Never over.
    Never,
}

impl Limit {
    /// The number of milliseconds; `None`: it is never over.
    pub fn millis(self) -> Option<u64> {
        match self {
            Limit::After(millis) => Some(millis),
            Limit::Never => None,
        }
    }

    /// For the limits where 0 means "off": 0 becomes `Never`.
    pub fn zero_is_never(self) -> Limit {
        match self {
            Limit::After(0) => Limit::Never,
            other => other,
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Limit::After(millis) => write!(f, "{}", spelled(*millis)),
            Limit::Never => f.write_str("never"),
        }
    }
}

/// A number of milliseconds as a person reads it, and as every option takes it: `2s 500ms`.
pub fn spelled(millis: u64) -> FormattedDuration {
    format_duration(Duration::from_millis(millis))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_huge_limit_saturates_and_does_not_wrap() {
        let late = Moment::from_millis(u64::MAX - 5);
        assert_eq!(late.plus(Limit::After(100)), Some(Moment(u64::MAX)));
        assert_eq!(Moment::START.plus(Limit::After(1 << 40)), Some(Moment(1 << 40)));
    }

    #[test]
    fn durations_are_spelled_with_units() {
        for (millis, text) in [(0, "0s"), (2_500, "2s 500ms"), (5_400_000, "1h 30m"), (7, "7ms")] {
            assert_eq!(spelled(millis).to_string(), text);
            assert_eq!(Limit::After(millis).to_string(), text);
        }
        assert_eq!(Limit::Never.to_string(), "never");
    }
}
