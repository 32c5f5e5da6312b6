//! Sessions that ended while a client was attached, so that it can be told why.

use std::collections::{BTreeMap, VecDeque};

/// Ended sessions that a client is still told about.
const MAX_ENDED: usize = 256;

/// The last sessions that ended, and the word for why; the oldest is forgotten first.
#[derive(Clone, Debug, Default)]
pub struct Ended {
    reasons: BTreeMap<Box<str>, &'static str>,
    order: VecDeque<Box<str>>,
}

impl Ended {
    /// Remembers one.
    pub fn remember(&mut self, id: &str, reason: &'static str) {
        if self.reasons.insert(id.into(), reason).is_none() {
            self.order.push_back(id.into());
        }
        if self.order.len() > MAX_ENDED
            && let Some(oldest) = self.order.pop_front()
        {
            self.reasons.remove(&oldest);
        }
    }

    /// It was opened again.
    pub fn forget(&mut self, id: &str) {
        if self.reasons.remove(id).is_some() {
            self.order.retain(|old| &**old != id);
        }
    }

    /// Why it ended.
    pub fn reason(&self, id: &str) -> Option<&'static str> {
        self.reasons.get(id).copied()
    }
}
