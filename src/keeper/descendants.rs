//! The processes below the keeper: the agent, its descendants, and the orphans
//! among them. All of them are found by descent, even if they have changed their
//! group, their session or their environment.

use std::collections::BTreeMap;

use nix::sys::signal::Signal;
use nix::unistd::{Pid, getpid};

use crate::processes::signal::{Sent, send};
use crate::processes::{self, ProcessEntry, Spare, Swept};

/// Whether a tree has processes left that are to be ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TreeState {
    /// At least one process is left that is to be ended.
    Alive,
    /// No process is left but those that are left alone.
    Gone,
}

/// The processes that a sweep signals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// All that are found.
    All,
    /// Those outside the agent's group, which has got the signal as a whole: for some agents a
    /// second SIGTERM means to leave at once.
    OutsideGroup,
}

/// The sweep of a tree with signals, and its result so far.
#[derive(Debug)]
pub(super) struct Sweep<'a> {
    /// The id of the agent's process group, which is signalled as a whole.
    group: u32,
    spare: &'a Spare,
    /// The processes that were signalled, each with the last signal: SIGTERM is sent once.
    signalled: BTreeMap<u32, Signal>,
    pub(super) swept: Swept,
}

impl<'a> Sweep<'a> {
    pub(super) fn new(group: Pid, spare: &'a Spare) -> Self {
        let group = group.as_raw().cast_unsigned();
        Sweep { group, spare, signalled: BTreeMap::new(), swept: Swept::default() }
    }

    /// Sends this signal to all processes below the keeper, except spared ones and those
    /// below these. To be called only while the keeper has a child.
    pub(super) fn signal_found(&mut self, signal: Signal, reach: Reach) -> TreeState {
        let (group, spare) = (self.group, self.spare);
        let spared_name = |entry: &ProcessEntry| {
            // The agent's group is signalled as a whole: nothing in it is spared.
            let may_be = !entry.is_zombie && entry.group != group;
            if may_be { spare.name_of(entry) } else { None }
        };
        let mut state = TreeState::Gone;
        self.swept.spared.clear();
        let own = getpid().as_raw().cast_unsigned();
        for entry in processes::below_but(own, |entry| spared_name(entry).is_none()) {
            if let Some(name) = spared_name(&entry) {
                self.swept.spared.push(name);
                continue;
            }
            let before = self.signalled.get(&entry.pid).copied();
            let has_got_it = before == Some(Signal::SIGTERM) && signal == Signal::SIGTERM;
            let gets_it_with_group = reach == Reach::OutsideGroup && entry.group == group;
            if has_got_it || gets_it_with_group {
                state = TreeState::Alive;
                self.signalled.insert(entry.pid, signal);
                continue;
            }
            match send(&entry, signal) {
                // The process belongs to another user now: the keeper may not end it.
                Sent::Denied => self.swept.spared.push(entry.name),
                // Zombies, too: a dead main thread may have left other threads running.
                Sent::Yes | Sent::Gone => {
                    state = TreeState::Alive;
                    self.signalled.insert(entry.pid, signal);
                    if before.is_none() && !entry.is_zombie && entry.group != group {
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
