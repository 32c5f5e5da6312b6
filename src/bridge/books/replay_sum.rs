//! The memory of all transcripts together, and in which order the sessions give some of it up:
//! the one that was used least recently first.

use std::collections::BTreeSet;

use crate::bridge::id::SessionKey;
use crate::bridge::time::Moment;

/// The sum.
#[derive(Debug, Default)]
pub struct ReplaySum {
    bytes: usize,
    /// The sessions with turns to give up, by a moment that is not after their last use.
    by_use: BTreeSet<(Moment, SessionKey)>,
}

impl ReplaySum {
    /// The memory of all transcripts, in bytes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Notes that a transcript had `before` bytes and has `after`.
    pub fn changed(&mut self, before: usize, after: usize) {
        self.bytes = (self.bytes + after).saturating_sub(before);
    }

    /// Makes a session one that can give something up; it is in the list once.
    pub fn list(&mut self, key: SessionKey, used_at: Moment) {
        self.by_use.insert((used_at, key));
    }

    /// Takes the session that was used least recently, as far as the list knows, with that
    /// moment.
    pub fn next(&mut self) -> Option<(Moment, SessionKey)> {
        self.by_use.pop_first()
    }

    /// Takes a session out of the list.
    pub fn unlist(&mut self, key: SessionKey, listed_at: Moment) {
        self.by_use.remove(&(listed_at, key));
    }

    /// How many sessions are in the list.
    pub fn listed(&self) -> usize {
        self.by_use.len()
    }
}
