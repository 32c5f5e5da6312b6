//! Orphans of the first process of a container: what loses its parent there becomes a child
//! of the bridge, and must be reaped by it.

use std::collections::BTreeSet;

use nix::unistd::Pid;

use super::Children;
use crate::processes::{self, dead};

/// The process id of the first process of a container, or of the machine.
const FIRST: u32 = 1;

impl Children {
    /// Reaps the children of this process that have ended and were not started by it, if it is
    /// the first process.
    pub(super) fn reap_orphans(&self) {
        if std::process::id() != FIRST {
            return;
        }
        let leaving = self.leaving.iter().map(std::process::Child::id);
        let rows = self.rows.values().map(|row| row.process.own_child());
        let own: BTreeSet<u32> = leaving.chain(rows).collect();
        for entry in processes::all().filter(|entry| entry.parent == FIRST && entry.is_zombie) {
            if !own.contains(&entry.pid) {
                dead::reap(Pid::from_raw(entry.pid.cast_signed()));
            }
        }
    }
}
