//! The memory that the agents take, and when it is looked at.

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

impl Memory {
    /// When the next look is due. `None`: one is under way.
    pub fn next_look(&self) -> Option<Moment> {
        (!self.is_looking).then(|| self.next.unwrap_or(Moment::START))
    }

    /// Notes that a look is under way.
    pub fn asked(&mut self) {
        self.is_looking = true;
    }

    /// Notes whether the agents take too much memory; says whether that is news.
    pub fn seen(&mut self, is_over: bool, now: Moment) -> bool {
        let is_news = self.is_over != is_over;
        let next = now.plus_millis(if is_over { SOON } else { INTERVAL });
        *self = Memory { next: Some(next), is_over, is_looking: false };
        is_news
    }
}
