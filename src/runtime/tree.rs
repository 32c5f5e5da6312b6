//! The process tree of a channel, as far as the system shows it.
//!
//! Below a keeper stands the whole of it. Without one there is a cookie: every
//! agent gets it in its environment, and its descendants inherit it wherever
//! they go, into groups or sessions of their own or to another parent, unless
//! they clear it. Where there is no `/proc`, only the process group is known.

use std::collections::BTreeSet;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::processes::{self, ProcessEntry, Spare, Swept};

/// The variable that holds the cookie.
pub(super) const COOKIE: &str = "DRAWBRIDGE_CHANNEL";

/// The pause between two looks.
const BETWEEN_LOOKS: Duration = Duration::from_millis(2);

/// How the processes of a tree are found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Trace {
    /// All of them stand below the keeper with this number.
    #[cfg(target_os = "linux")]
    Keeper(u32),
    /// Those that were not robbed of it carry this cookie.
    Cookie(String),
}

impl Trace {
    /// All living processes of the tree. Blocks for a moment: not for the loop.
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

/// Ends what carries this cookie, whatever it became, but for what is spared.
/// Who was `signalled` before, or is slow to die, counts once. Blocks for a
/// moment: not for the loop.
pub(super) fn sweep(cookie: &str, spare: &Spare, mut signalled: BTreeSet<u32>) -> Swept {
    let mut swept = Swept::default();
    let mut empty_looks = 0;
    // What is born while we look is found by the next look; a process that is
    // just becoming another program shows no environment for a moment, so one
    // empty look proves nothing.
    for _ in 0..16 {
        let found = Trace::Cookie(cookie.to_owned()).living();
        let (spared, left): (Vec<ProcessEntry>, Vec<ProcessEntry>) =
            found.into_iter().partition(|entry| spare.holds(&entry.name));
        swept.left = spared.into_iter().map(|entry| entry.name).collect();
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

/// How long it was on the processor until now, in milliseconds.
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
