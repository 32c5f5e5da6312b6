//! The process tree of a channel, as far as the system shows it.
//!
//! With a keeper, the tree is every process below the keeper. Without one, it is
//! found by a cookie: every agent gets the cookie in its environment, and its
//! descendants inherit it, even in a group or session of their own or with another
//! parent, unless they clear it. Where there is no `/proc`, no process is found, and
//! only the agent's group is signalled.

use std::collections::BTreeSet;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::agent_environment::COOKIE;
use crate::processes::{self, ProcessEntry, Spare, Swept};

/// The pause between two looks of a sweep.
const BETWEEN_LOOKS: Duration = Duration::from_millis(2);

/// How the processes of a tree are found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Trace {
    /// As all processes below the keeper with this process id.
    #[cfg(target_os = "linux")]
    Keeper(u32),
    /// As all processes with this cookie in their environment.
    Cookie(String),
}

impl Trace {
    /// All living processes of the tree. It blocks, so the loop must not call it.
    pub(super) fn living(&self) -> Vec<ProcessEntry> {
        let mut found = match self {
            #[cfg(target_os = "linux")]
            Trace::Keeper(pid) => processes::below(*pid),
            Trace::Cookie(cookie) => carrying(cookie),
        };
        found.retain(|entry| !entry.is_zombie);
        found
    }
}

fn carrying(cookie: &str) -> Vec<ProcessEntry> {
    processes::with_variable(format!("{COOKIE}={cookie}").as_bytes()).collect()
}

/// Sends SIGKILL to all processes with this cookie that are not spared, until two
/// looks in a row find none, or after 16 looks. `signalled`: processes that were sent
/// SIGKILL before; they count as ended, and each process counts once. It blocks, so
/// the loop must not call it.
pub(super) fn sweep(cookie: &str, spare: &Spare, mut signalled: BTreeSet<u32>) -> Swept {
    let mut swept = Swept::default();
    let mut empty_looks = 0;
    // A process that is born during a look is found by the next one. A process in
    // the middle of an exec shows no environment for a moment, so one empty look
    // proves nothing.
    for _ in 0..16 {
        let found = Trace::Cookie(cookie.to_owned()).living();
        let (spared, left): (Vec<ProcessEntry>, Vec<ProcessEntry>) =
            found.into_iter().partition(|entry| spare.holds(&entry.name));
        swept.spared = spared.into_iter().map(|entry| entry.name).collect();
        empty_looks = if left.is_empty() { empty_looks + 1 } else { 0 };
        if empty_looks == 2 {
            break;
        }
        for entry in left {
            if let Ok(pid) = i32::try_from(entry.pid)
                && kill(Pid::from_raw(pid), Signal::SIGKILL).is_ok()
            {
                signalled.insert(entry.pid);
            }
        }
        std::thread::sleep(BETWEEN_LOOKS);
    }
    swept.ended = u32::try_from(signalled.len()).unwrap_or(u32::MAX);
    swept
}

/// When a process was born, in milliseconds from the machine's start.
pub(super) fn born(entry: &ProcessEntry) -> u64 {
    millis(entry.born_ticks)
}

/// How long a process and its reaped children were on the processor, in milliseconds.
pub(super) fn worked(entry: &ProcessEntry) -> u64 {
    millis(entry.worked_ticks)
}

fn millis(ticks: u64) -> u64 {
    ticks.saturating_mul(1_000) / ticks_per_second()
}

fn ticks_per_second() -> u64 {
    let ticks = nix::unistd::sysconf(nix::unistd::SysconfVar::CLK_TCK);
    ticks
        .ok()
        .flatten()
        .and_then(|ticks| u64::try_from(ticks).ok())
        .filter(|t| *t > 0)
        .unwrap_or(100)
}
