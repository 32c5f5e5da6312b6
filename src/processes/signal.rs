//! Signals to processes of the table, which may have ended since: the system uses process ids
//! again.
//!
//! Where the kernel has descriptors of processes, one is opened before the process is looked
//! at again, so that the signal reaches this process or none.

use nix::errno::Errno;
use nix::sys::signal::Signal;
use nix::unistd::getuid;

use super::{ProcessEntry, at, real_user};

/// The outcome of a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// It was sent.
    Yes,
    /// The process is gone.
    Gone,
    /// The process belongs to another user.
    Denied,
}

/// Sends a signal to a process of the table.
pub fn send(entry: &ProcessEntry, signal: Signal) -> Sent {
    send_if(entry, signal, || true)
}

/// Sends a signal to a process of the table that belongs to this user, if `is_it` still holds
/// for it.
pub fn send_to_own(entry: &ProcessEntry, signal: Signal, is_it: impl FnOnce() -> bool) -> Sent {
    let is_own = || real_user(entry.pid) == Some(getuid().as_raw());
    send_if(entry, signal, || is_own() && is_it())
}

fn send_if(entry: &ProcessEntry, signal: Signal, is_it: impl FnOnce() -> bool) -> Sent {
    let handle = Handle::of(entry.pid);
    let is_there = at(entry.pid).is_some_and(|now| now.born_ticks == entry.born_ticks);
    if !is_there || !is_it() {
        return Sent::Gone;
    }
    match handle.send(signal) {
        Ok(()) => Sent::Yes,
        Err(Errno::EPERM) => Sent::Denied,
        Err(_) => Sent::Gone,
    }
}

/// A process to be signalled.
enum Handle {
    #[cfg(target_os = "linux")]
    Descriptor(std::os::fd::OwnedFd),
    /// The kernel has no descriptors of processes, or there is none of this one.
    Number(u32),
}

impl Handle {
    #[cfg(target_os = "linux")]
    fn of(pid: u32) -> Handle {
        use rustix::process::{Pid, PidfdFlags, pidfd_open};
        let opened = Pid::from_raw(pid.cast_signed())
            .and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok());
        opened.map_or(Handle::Number(pid), Handle::Descriptor)
    }

    #[cfg(not(target_os = "linux"))]
    fn of(pid: u32) -> Handle {
        Handle::Number(pid)
    }

    fn send(&self, signal: Signal) -> Result<(), Errno> {
        use nix::sys::signal::kill;
        use nix::unistd::Pid;
        match self {
            #[cfg(target_os = "linux")]
            Handle::Descriptor(process) => {
                use rustix::process::{Signal as Raw, pidfd_send_signal};
                let Some(raw) = Raw::from_named_raw(signal as i32) else {
                    return Err(Errno::EINVAL);
                };
                pidfd_send_signal(process, raw).map_err(|e| Errno::from_raw(e.raw_os_error()))
            }
            Handle::Number(pid) => kill(Pid::from_raw(pid.cast_signed()), signal),
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
#[allow(clippy::disallowed_methods)] // a test starts a process
mod tests {
    use std::os::unix::process::ExitStatusExt;
    use std::process::Command;

    use super::*;

    #[test]
    fn only_the_process_that_was_seen_gets_the_signal() {
        let mut child = Command::new("sleep").arg("600").spawn().unwrap();
        let entry = at(child.id()).unwrap();
        let other = ProcessEntry { born_ticks: entry.born_ticks + 1, ..entry.clone() };
        assert_eq!(send(&other, Signal::SIGKILL), Sent::Gone);
        assert_eq!(send_to_own(&entry, Signal::SIGKILL, || false), Sent::Gone);
        assert!(child.try_wait().unwrap().is_none());
        assert_eq!(send_to_own(&entry, Signal::SIGTERM, || true), Sent::Yes);
        assert_eq!(child.wait().unwrap().signal(), Some(15));
        assert_eq!(send(&entry, Signal::SIGKILL), Sent::Gone);
    }
}
