//! The process tree of a channel, as far as the system shows it.
//!
//! With a keeper, the tree is every process below the keeper. Without one, it is
//! found by a cookie: every agent gets the cookie in its environment, and its
//! descendants inherit it, even in a group or session of their own or with another
//! parent, unless they clear it. Where there is no `/proc`, no process is found, and
//! only the agent's group is signalled.

use std::collections::BTreeSet;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::agent_environment::COOKIE;
use crate::processes::signal::{Sent, send_to_own};
use crate::processes::{self, ProcessEntry, Spare, Swept};

/// The pause between two looks of a sweep.
const BETWEEN_LOOKS: Duration = Duration::from_millis(5);

/// How the processes of a tree are found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trace {
    /// As all processes below the keeper with this process id.
    #[cfg(target_os = "linux")]
    Keeper(u32),
    /// As all processes with this cookie in their environment.
    Cookie(String),
}

impl Trace {
    /// The process id of the keeper, if there is one.
    pub(in crate::runtime) fn keeper(&self) -> Option<u32> {
        match self {
            #[cfg(target_os = "linux")]
            Trace::Keeper(pid) => Some(*pid),
            Trace::Cookie(_) => None,
        }
    }

    /// All living processes of the tree. It blocks, so the loop must not call it.
    pub(super) fn living(&self) -> Vec<ProcessEntry> {
        self.living_in(&processes::all().collect::<Vec<_>>())
    }

    /// All processes of the tree that live in this table. It blocks if there is no keeper.
    pub fn living_in(&self, table: &[ProcessEntry]) -> Vec<ProcessEntry> {
        let mut found: Vec<ProcessEntry> = match self {
            #[cfg(target_os = "linux")]
            Trace::Keeper(pid) => processes::below_in(table, *pid),
            Trace::Cookie(cookie) => {
                let pair = pair(cookie);
                let is_its =
                    |entry: &&ProcessEntry| processes::has_variable(entry.pid, pair.as_bytes());
                table.iter().filter(is_its).cloned().collect()
            }
        };
        found.retain(|entry| !entry.is_zombie);
        found
    }
}

/// The sweep of all processes that have a cookie and are not spared: SIGTERM, once for each,
/// and after a grace SIGKILL.
#[derive(Debug)]
pub(super) struct CookieSweep<'a> {
    pub(super) cookie: &'a str,
    pub(super) spare: &'a Spare,
    /// The process group of the agent, which got SIGTERM as a whole; `None`: it got none.
    pub(super) terminated: Option<u32>,
    /// The time from SIGTERM to SIGKILL.
    pub(super) grace: Duration,
}

impl CookieSweep<'_> {
    /// Runs until two looks in a row find no process, or until 16 looks after the grace.
    /// `signalled`: processes that were signalled before; they count as ended, and each
    /// process counts once. It blocks, so the loop must not call it.
    pub(super) fn run(&self, mut signalled: BTreeSet<u32>) -> Swept {
        let mut swept = Swept::default();
        let mut terminated = BTreeSet::new();
        let (mut empty_looks, mut killing_looks) = (0, 0);
        let mut waited = Duration::ZERO;
        // A process that is born during a look is found by the next one. A process in
        // the middle of an exec shows no environment for a moment, so one empty look
        // proves nothing.
        while empty_looks < 2 && killing_looks < 16 {
            let left = self.look(&mut swept);
            empty_looks = if left.is_empty() { empty_looks + 1 } else { 0 };
            let is_over = waited >= self.grace;
            killing_looks += usize::from(is_over);
            for entry in left {
                if is_over {
                    self.send(&entry, Signal::SIGKILL, &mut signalled);
                } else if terminated.insert(entry.pid) && Some(entry.group) != self.terminated {
                    self.send(&entry, Signal::SIGTERM, &mut signalled);
                }
            }
            std::thread::sleep(BETWEEN_LOOKS);
            waited += BETWEEN_LOOKS;
        }
        swept.ended = u32::try_from(signalled.len()).unwrap_or(u32::MAX);
        swept
    }

    /// The processes that are to be ended; the others are noted.
    fn look(&self, swept: &mut Swept) -> Vec<ProcessEntry> {
        swept.spared.clear();
        let mut left = Trace::Cookie(self.cookie.to_owned()).living();
        left.retain(|entry| match self.spare.name_of(entry) {
            Some(name) => {
                swept.spared.push(name);
                false
            }
            None => true,
        });
        left
    }

    fn send(&self, entry: &ProcessEntry, signal: Signal, signalled: &mut BTreeSet<u32>) {
        let is_it = || processes::has_variable(entry.pid, pair(self.cookie).as_bytes());
        if send_to_own(entry, signal, is_it) == Sent::Yes {
            signalled.insert(entry.pid);
        }
    }
}

fn pair(cookie: &str) -> String {
    format!("{COOKIE}={cookie}")
}
