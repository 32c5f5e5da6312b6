//! The one clock of the process.

use std::time::Instant;

use nix::time::{ClockId, clock_gettime};

use crate::bridge::Moment;

/// A host that stood still for longer than this was asleep (ms).
const PAUSE: u64 = 5_000;

/// Counts from the start of the bridge.
#[derive(Debug)]
pub(super) struct Clock {
    start: Instant,
    /// How far the clock that counts sleep was ahead of ours when last asked (ms).
    slept: u64,
}

impl Clock {
    #[allow(clippy::disallowed_methods)] // the one clock
    pub(super) fn new() -> Self {
        Clock { start: Instant::now(), slept: asleep() }
    }

    #[allow(clippy::disallowed_methods)] // the one clock
    pub(super) fn now(&self) -> Moment {
        let millis = self.start.elapsed().as_millis();
        Moment::from_millis(u64::try_from(millis).unwrap_or(u64::MAX))
    }

    /// Whether the host slept since this was last asked.
    pub(super) fn slept_since(&mut self) -> bool {
        let now = asleep();
        let slept = now.saturating_sub(self.slept) > PAUSE;
        self.slept = now;
        slept
    }

    /// When something was born that the system says was born `millis` after the
    /// machine's start.
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

fn asleep() -> u64 {
    milliseconds(BOOT).saturating_sub(milliseconds(ClockId::CLOCK_MONOTONIC))
}

fn milliseconds(clock: ClockId) -> u64 {
    clock_gettime(clock).map_or(0, |time| {
        let millis = time.tv_sec().saturating_mul(1_000) + time.tv_nsec() / 1_000_000;
        u64::try_from(millis).unwrap_or_default()
    })
}
