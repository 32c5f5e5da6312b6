//! A look at the process table: the bridge, its keepers, its agents and what they started.

use std::thread;
use std::time::{Duration, Instant};

use crate::control::report::size;
use crate::processes::{self, ProcessEntry};

/// How long a look waits for the end of the processes.
const PATIENCE: Duration = Duration::from_secs(10);

/// The processes of a bridge, at one moment.
pub(super) struct Sight(Vec<Seen>);

struct Seen {
    entry: ProcessEntry,
    /// Its resident memory.
    bytes: u64,
}

impl Sight {
    /// The bridge with this process id, and everything below it.
    pub(super) fn of(bridge: u32) -> Sight {
        let entries = processes::at(bridge).into_iter().chain(processes::below(bridge));
        let seen = |entry: ProcessEntry| Seen {
            bytes: processes::memory(entry.pid).unwrap_or_default(),
            entry,
        };
        Sight(entries.map(seen).collect())
    }

    /// The number of processes.
    pub(super) fn count(&self) -> usize {
        self.0.len()
    }

    /// The memory of all of them.
    pub(super) fn memory(&self) -> String {
        size(self.0.iter().map(|seen| seen.bytes).sum())
    }

    /// A line for each process.
    pub(super) fn lines(&self) -> impl Iterator<Item = String> {
        self.0.iter().map(|Seen { entry, bytes }| {
            let (pid, parent, role) = (entry.pid, entry.parent, self.role(entry));
            format!("   {pid:>8}  parent {parent:>8}  {:>8}  {role}", size(*bytes))
        })
    }

    /// The role of a process, by its place in the tree: bridge, keeper, agent, or a process that
    /// the agent has started.
    fn role(&self, entry: &ProcessEntry) -> &'static str {
        let parent_of = |pid| self.0.iter().map(|seen| &seen.entry).find(|entry| entry.pid == pid);
        let ancestors = std::iter::successors(parent_of(entry.parent), |up| parent_of(up.parent));
        match ancestors.count() {
            0 => "the bridge",
            1 => "the keeper of the agent",
            2 => "the agent",
            _ => "a process that the agent has started",
        }
    }

    /// Those that are still there, by their ids; zombies are gone.
    pub(super) fn left(&self) -> Vec<u32> {
        let is_left = |entry: &ProcessEntry| {
            processes::at(entry.pid)
                .is_some_and(|now| now.born_ticks == entry.born_ticks && !now.is_zombie)
        };
        self.0
            .iter()
            .map(|seen| &seen.entry)
            .filter(|entry| is_left(entry))
            .map(|e| e.pid)
            .collect()
    }

    /// Waits until none is left, and returns how long that took; `None`: some stay.
    pub(super) fn ends(&self) -> Option<Duration> {
        #[allow(clippy::disallowed_methods)] // the demonstration has a clock of its own
        let begun = Instant::now();
        while !self.left().is_empty() {
            if begun.elapsed() > PATIENCE {
                return None;
            }
            thread::sleep(Duration::from_millis(5));
        }
        Some(begun.elapsed())
    }
}
