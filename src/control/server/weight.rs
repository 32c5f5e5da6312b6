//! The weight of process trees.

use crate::api::{ChannelStatus, TreeProcess};
use crate::processes::{self, ProcessEntry};
use crate::runtime::Trace;

/// The process table at one moment, and what its processes weigh.
pub(super) struct Scales {
    table: Vec<ProcessEntry>,
}

impl Scales {
    /// Reads the process table.
    pub(super) fn new() -> Scales {
        Scales { table: processes::all().collect() }
    }

    /// Adds the weight of its processes to a channel.
    pub(super) fn weigh(&self, channel: &mut ChannelStatus, trace: Option<&Trace>) {
        let found = self.tree(trace);
        // Where the system shows no processes, nothing is known of them.
        channel.tree = channel.tree.filter(|_| !found.is_empty());
        if let Some(tree) = &mut channel.tree {
            tree.processes = found.len();
            tree.memory_bytes = found.iter().filter_map(|entry| processes::memory(entry.pid)).sum();
            tree.worked_ms = found.iter().map(ProcessEntry::worked_ms).sum();
        }
    }

    /// The processes of a tree.
    pub(super) fn processes(&self, trace: Option<&Trace>) -> Vec<TreeProcess> {
        let found = self.tree(trace).into_iter().map(|entry| TreeProcess {
            pid: entry.pid,
            parent: entry.parent,
            memory_bytes: processes::memory(entry.pid).unwrap_or_default(),
            name: entry.name,
        });
        found.collect()
    }

    fn tree(&self, trace: Option<&Trace>) -> Vec<ProcessEntry> {
        trace.map(|trace| trace.living_in(&self.table)).unwrap_or_default()
    }
}
