//! The children of this process that have ended.

use std::mem;

use nix::errno::Errno;
use nix::libc;
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It exited with this code.
    Code(i32),
    /// This signal ended it.
    Signal(i32),
}

/// A child of this process that has ended and is not reaped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dead {
    /// Its process id.
    pub pid: Pid,
    /// How it ended.
    pub end: End,
}

/// The next child that has ended; `None`: all children live. The child is not
/// reaped, so its process id is not used again yet.
///
/// # Errors
/// `ECHILD` if there is no child at all, dead or alive.
pub fn next_dead() -> Result<Option<Dead>, Errno> {
    look(libc::P_ALL, 0)
}

/// How this child ended; `None`: it lives, or is reaped. The child is not reaped.
pub fn end_of(child: Pid) -> Option<End> {
    look(libc::P_PID, child.as_raw().cast_unsigned()).ok().flatten().map(|dead| dead.end)
}

fn look(kind: libc::idtype_t, id: libc::id_t) -> Result<Option<Dead>, Errno> {
    // SAFETY: a `siginfo_t` is plain data, for which zeroes are a valid value.
    #[allow(unsafe_code)] // the safe wrapper refuses a child that a real-time signal ended
    let mut found: libc::siginfo_t = unsafe { mem::zeroed() };
    let flags = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
    // SAFETY: the pointer is to a local value that outlives the call.
    #[allow(unsafe_code)] // see above
    let answer = unsafe { libc::waitid(kind, id, &raw mut found, flags) };
    Errno::result(answer)?;
    // SAFETY: `waitid` has filled in the fields of a child, or left the zeroes.
    #[allow(unsafe_code)] // the fields stand in a union
    let (pid, status) = unsafe { (found.si_pid(), found.si_status()) };
    let end =
        if found.si_code == libc::CLD_EXITED { End::Code(status) } else { End::Signal(status) };
    Ok((pid != 0).then(|| Dead { pid: Pid::from_raw(pid), end }))
}

/// Reaps a dead child.
pub fn reap(pid: Pid) {
    let _ = waitpid(pid, Some(WaitPidFlag::WNOHANG));
}
