//! The processes below the keeper: the agent, its descendants, and the orphans
//! among them. All of them are found by descent, even if they have changed their
//! group, their session or their environment.

use std::collections::BTreeSet;
use std::mem;

use nix::errno::Errno;
use nix::libc;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::{Pid, getpid};

use super::message::End;
use crate::processes::{self, ProcessEntry, Spare, Swept};

/// A child of the keeper that has ended and is not reaped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Dead {
    pub(super) pid: Pid,
    pub(super) end: End,
}

/// The next child that has ended; `None`: all children live. The child is not
/// reaped, so its process id is not used again yet.
///
/// # Errors
/// `ECHILD` if there is no child at all, dead or alive.
pub(super) fn next_dead() -> Result<Option<Dead>, Errno> {
    // SAFETY: a `siginfo_t` is plain data, for which zeroes are a valid value.
    #[allow(unsafe_code)] // the safe wrapper refuses a child that a real-time signal ended
    let mut found: libc::siginfo_t = unsafe { mem::zeroed() };
    let flags = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
    // SAFETY: the pointer is to a local value that outlives the call.
    #[allow(unsafe_code)] // see above
    let answer = unsafe { libc::waitid(libc::P_ALL, 0, &raw mut found, flags) };
    Errno::result(answer)?;
    // SAFETY: `waitid` has filled in the fields of a child, or left the zeroes.
    #[allow(unsafe_code)] // the fields stand in a union
    let (pid, status) = unsafe { (found.si_pid(), found.si_status()) };
    let end =
        if found.si_code == libc::CLD_EXITED { End::Code(status) } else { End::Signal(status) };
    Ok((pid != 0).then(|| Dead { pid: Pid::from_raw(pid), end }))
}

/// Reaps a dead child.
pub(super) fn reap(pid: Pid) {
    let _ = waitpid(pid, Some(WaitPidFlag::WNOHANG));
}

/// Whether a tree has processes left that are to be ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TreeState {
    /// At least one process is left that is to be ended.
    Alive,
    /// No process is left but those that are left alone.
    Gone,
}

/// The sweep of a tree with SIGKILL, and its result so far.
#[derive(Debug)]
pub(super) struct Sweep<'a> {
    /// The id of the agent's process group, which gets SIGKILL as a whole.
    group: u32,
    spare: &'a Spare,
    /// The processes that were sent SIGKILL, so that each is counted once.
    signalled: BTreeSet<u32>,
    pub(super) swept: Swept,
}

impl<'a> Sweep<'a> {
    pub(super) fn new(group: Pid, spare: &'a Spare) -> Self {
        let group = group.as_raw().cast_unsigned();
        Sweep { group, spare, signalled: BTreeSet::new(), swept: Swept::default() }
    }

    /// Sends SIGKILL to all processes below the keeper, except spared ones and those
    /// below these. To be called only while the keeper has a child.
    pub(super) fn kill_found(&mut self) -> TreeState {
        let (group, spare) = (self.group, self.spare);
        let is_spared = |entry: &ProcessEntry| {
            // The agent's group gets SIGKILL as a whole: nothing in it is spared.
            !entry.is_zombie && entry.group != group && spare.holds(&entry.name)
        };
        let mut state = TreeState::Gone;
        self.swept.spared.clear();
        let own = getpid().as_raw().cast_unsigned();
        for entry in processes::below_but(own, |entry| !is_spared(entry)) {
            if is_spared(&entry) {
                self.swept.spared.push(entry.name);
                continue;
            }
            match kill(Pid::from_raw(entry.pid.cast_signed()), Signal::SIGKILL) {
                // The process belongs to another user now: the keeper may not end it.
                Err(Errno::EPERM) => self.swept.spared.push(entry.name),
                // Zombies, too: a dead main thread may have left other threads running.
                _ => {
                    state = TreeState::Alive;
                    let is_new = self.signalled.insert(entry.pid);
                    if is_new && !entry.is_zombie && entry.group != group {
                        self.swept.ended += 1;
                    }
                }
            }
        }
        // There is a child, so an empty look has missed it: the table changes while
        // it is read.
        if self.swept.spared.is_empty() { TreeState::Alive } else { state }
    }
}
