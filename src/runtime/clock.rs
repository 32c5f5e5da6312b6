//! The one clock of the bridge.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use nix::time::{ClockId, clock_gettime};

use crate::bridge::Moment;

/// Shorter sleeps of the host are ignored (ms).
const SHORTEST_SLEEP: u64 = 5_000;

/// Counts milliseconds from the start of the bridge, without the time that the host
/// sleeps.
#[derive(Debug)]
pub(super) struct Clock {
    start: Instant,
    /// The time that the host has slept, from its start to the last call of
    /// `slept_since_last_call` (ms).
    slept: u64,
}

impl Clock {
    #[allow(clippy::disallowed_methods)] // the one clock
    pub(super) fn new() -> Self {
        Clock { start: Instant::now(), slept: total_sleep() }
    }

    #[allow(clippy::disallowed_methods)] // the one clock
    pub(super) fn now(&self) -> Moment {
        let millis = self.start.elapsed().as_millis();
        Moment::from_millis(u64::try_from(millis).unwrap_or(u64::MAX))
    }

    /// Whether the host slept since the last call.
    pub(super) fn slept_since_last_call(&mut self) -> bool {
        let now = total_sleep();
        let slept = now.saturating_sub(self.slept) > SHORTEST_SLEEP;
        self.slept = now;
        slept
    }

    /// The moment that is `millis` after the machine's start; if that is before the
    /// bridge's start, the latter.
    pub(super) fn moment_of_boot_time(&self, millis: u64) -> Moment {
        let since_boot = milliseconds(BOOT);
        let age = since_boot.saturating_sub(millis);
        Moment::from_millis(self.now().as_millis().saturating_sub(age))
    }
}

#[cfg(target_os = "linux")]
const BOOT: ClockId = ClockId::CLOCK_BOOTTIME;
#[cfg(not(target_os = "linux"))]
const BOOT: ClockId = ClockId::CLOCK_MONOTONIC;

fn total_sleep() -> u64 {
    milliseconds(BOOT).saturating_sub(milliseconds(ClockId::CLOCK_MONOTONIC))
}

fn milliseconds(clock: ClockId) -> u64 {
    clock_gettime(clock).map_or(0, |time| {
        let millis = time.tv_sec().saturating_mul(1_000) + time.tv_nsec() / 1_000_000;
        u64::try_from(millis).unwrap_or_default()
    })
}

/// The milliseconds since 1970, for numbers that no earlier process has used.
#[allow(clippy::disallowed_methods)] // a name, not a measurement
pub(super) fn since_epoch() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or_default()
}
