//! The alarm that wakes the loop when a row is due.
//!
//! On Linux it is a `timerfd`: tokio's timers wake the process several times on the
//! way to a far deadline, and an idle bridge must not wake at all. The alarm may
//! ring early, which is harmless, but never late.

use std::io;
use std::time::Duration;

use super::clock::Clock;
use crate::bridge::Moment;

/// The alarm, which rings once for each moment that it is set for.
pub(super) struct Alarm {
    timer: Timer,
    set_for: Option<Moment>,
}

impl Alarm {
    pub(super) fn new() -> io::Result<Alarm> {
        Ok(Alarm { timer: Timer::new()?, set_for: None })
    }

    /// Sets the alarm to ring at `moment`, in place of the moment before. `None`: it
    /// does not ring, so that a withdrawn deadline does not wake the loop.
    pub(super) fn set(&mut self, moment: Option<Moment>, clock: &Clock) -> io::Result<()> {
        if self.set_for != moment {
            let after = |moment: Moment| Duration::from_millis(moment.since(clock.now()));
            self.timer.set(moment.map(after))?;
            self.set_for = moment;
        }
        Ok(())
    }

    /// Waits until the alarm rings; for ever if it is not set.
    pub(super) async fn rings(&mut self) {
        self.timer.rings().await;
        self.set_for = None;
    }
}

#[cfg(target_os = "linux")]
use linux::Timer;
#[cfg(not(target_os = "linux"))]
use other::Timer;

#[cfg(target_os = "linux")]
mod linux {
    use std::future::poll_fn;
    use std::io;
    use std::os::fd::{AsFd, AsRawFd, RawFd};
    use std::task::{Poll, ready};
    use std::time::Duration;

    use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
    use tokio::io::Interest;
    use tokio::io::unix::AsyncFd;

    use crate::runtime::stdio::watched;

    /// A timer of the system, which is a descriptor.
    pub(super) struct Timer(AsyncFd<Descriptor>);

    struct Descriptor(TimerFd);

    impl AsRawFd for Descriptor {
        fn as_raw_fd(&self) -> RawFd {
            self.0.as_fd().as_raw_fd()
        }
    }

    impl Timer {
        pub(super) fn new() -> io::Result<Timer> {
            let flags = TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC;
            let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, flags)?;
            Ok(Timer(watched(Descriptor(timer), Interest::READABLE)?))
        }

        pub(super) fn set(&mut self, after: Option<Duration>) -> io::Result<()> {
            let Some(after) = after else { return Ok(self.0.get_ref().0.unset()?) };
            // Zero would switch the timer off.
            let after = after.max(Duration::from_nanos(1));
            let once = Expiration::OneShot(after.into());
            Ok(self.0.get_ref().0.set(once, TimerSetTimeFlags::empty())?)
        }

        pub(super) async fn rings(&mut self) {
            poll_fn(|context| {
                match ready!(self.0.poll_read_ready(context)) {
                    // The descriptor is edge-triggered, and each expiry is an edge of
                    // its own: the number of expiries need not be read.
                    Ok(mut guard) => guard.clear_ready(),
                    Err(error) => tracing::error!("the timer cannot be read: {error}"),
                }
                Poll::Ready(())
            })
            .await;
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod other {
    use std::future::poll_fn;
    use std::io;
    use std::pin::Pin;
    use std::task::{Poll, ready};
    use std::time::Duration;

    use tokio::time::{Sleep, sleep};

    /// A timer of tokio.
    pub(super) struct Timer(Option<Pin<Box<Sleep>>>);

    impl Timer {
        pub(super) fn new() -> io::Result<Timer> {
            Ok(Timer(None))
        }

        pub(super) fn set(&mut self, after: Option<Duration>) -> io::Result<()> {
            self.0 = after.map(|after| Box::pin(sleep(after)));
            Ok(())
        }

        pub(super) async fn rings(&mut self) {
            poll_fn(|context| {
                let Some(sleep) = &mut self.0 else { return Poll::Pending };
                ready!(sleep.as_mut().poll(context));
                self.0 = None;
                Poll::Ready(())
            })
            .await;
        }
    }
}
