//! The time of a line: UTC, RFC 3339, milliseconds.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::FormatTime;

/// Writes the current time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stamp;

impl FormatTime for Stamp {
    fn format_time(&self, writer: &mut Writer<'_>) -> fmt::Result {
        // A clock before 1970 is wrong in any case.
        #[allow(clippy::disallowed_methods)] // log lines carry the time of day
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        write!(writer, "{}", Utc::from_unix(since.as_secs(), since.subsec_millis()))
    }
}

/// A point in time, taken apart.
struct Utc {
    year: u64,
    month: u64,
    day: u64,
    second_of_day: u64,
    millis: u32,
}

impl Utc {
    fn from_unix(seconds: u64, millis: u32) -> Utc {
        const DAY: u64 = 86_400;
        let mut day = seconds / DAY;
        // Calendars repeat after 400 years; the loops below then stay short.
        const ERA: u64 = 146_097;
        let mut year = 1970 + day / ERA * 400;
        day %= ERA;
        while day >= days_of(year) {
            day -= days_of(year);
            year += 1;
        }
        let mut month = 1;
        for days in months_of(year) {
            if day < days {
                break;
            }
            day -= days;
            month += 1;
        }
        Utc { year, month, day: day + 1, second_of_day: seconds % DAY, millis }
    }
}

impl fmt::Display for Utc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Utc { year, month, day, second_of_day: second, millis } = self;
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z")
    }
}

fn is_leap(year: u64) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

fn days_of(year: u64) -> u64 {
    if is_leap(year) { 366 } else { 365 }
}

fn months_of(year: u64) -> [u64; 12] {
    let february = if is_leap(year) { 29 } else { 28 };
    [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_moments_are_spelled_right() {
        for (seconds, expected) in [
            (0, "1970-01-01T00:00:00.007Z"),
            (951_782_399, "2000-02-28T23:59:59.007Z"),
            (951_782_400, "2000-02-29T00:00:00.007Z"),
            (1_000_000_000, "2001-09-09T01:46:40.007Z"),
            (1_735_689_599, "2024-12-31T23:59:59.007Z"),
            (4_107_542_400, "2100-03-01T00:00:00.007Z"),
            (253_402_300_799, "9999-12-31T23:59:59.007Z"),
        ] {
            assert_eq!(Utc::from_unix(seconds, 7).to_string(), expected);
        }
    }
}
