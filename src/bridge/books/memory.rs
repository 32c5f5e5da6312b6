//! The memory that the agents take, and when it is looked at.

use crate::bridge::books::Books;
use crate::bridge::time::Moment;

/// How long after a look the next one follows (ms).
const INTERVAL: u64 = 10_000;

/// The same while the agents take too much (ms).
const SOON: u64 = 2_000;

/// The knowledge of the memory that the agents take.
#[derive(Clone, Copy, Debug, Default)]
pub struct Memory {
    /// When the next look is due; `None`: there was none yet.
    next: Option<Moment>,
    is_over: bool,
    is_looking: bool,
}

impl Books {
    /// When the memory of the agents is to be looked at. `None`: there is no limit, no agent, or a
    /// look is under way.
    pub fn memory_deadline(&self) -> Option<Moment> {
        let is_wanted = self.limits.memory_high_mb > 0 && !self.channels.is_empty();
        let may_look = is_wanted && !self.memory.is_looking && !self.is_ending();
        may_look.then(|| self.memory.next.unwrap_or(Moment::START))
    }

    /// Notes that the memory is being looked at.
    pub fn memory_asked(&mut self) {
        self.memory.is_looking = true;
    }

    /// Notes whether the agents take too much memory; says whether that is news.
    pub fn memory_seen(&mut self, is_over: bool, now: Moment) -> bool {
        let is_news = self.memory.is_over != is_over;
        let next = now.plus_millis(if is_over { SOON } else { INTERVAL });
        self.memory = Memory { next: Some(next), is_over, is_looking: false };
        is_news
    }
}
