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

#[cfg(test)]
mod tests {
    use super::*;

    /// So many ended, one after the other.
    fn ended(count: usize) -> Ended {
        let mut ended = Ended::default();
        for number in 0..count {
            ended.remember(&format!("s{number}"), "killed");
        }
        ended
    }

    #[test]
    fn why_a_session_ended_is_known_of_that_one_alone() {
        let mut ended = ended(1);
        ended.remember("a", "evicted");
        assert_eq!(ended.reason("a"), Some("evicted"));
        assert_eq!(ended.reason("s0"), Some("killed"));
        assert_eq!(ended.reason("b"), None);
    }

    #[test]
    fn the_oldest_is_forgotten_first() {
        let mut ended = ended(MAX_ENDED);
        assert_eq!(ended.reason("s0"), Some("killed"));
        ended.remember("a", "evicted");
        assert_eq!(ended.reason("s0"), None);
        assert_eq!(ended.reason("s1"), Some("killed"));
        assert_eq!(ended.reason("a"), Some("evicted"));
        assert_eq!((ended.order.len(), ended.reasons.len()), (MAX_ENDED, MAX_ENDED));
    }

    #[test]
    fn one_that_is_open_again_is_forgotten_and_makes_room() {
        let mut ended = ended(MAX_ENDED);
        ended.forget("s9");
        ended.forget("unknown");
        assert_eq!(ended.reason("s9"), None);
        ended.remember("a", "evicted");
        assert_eq!(ended.reason("s0"), Some("killed"));
        ended.remember("b", "evicted");
        assert_eq!(ended.reason("s0"), None);
    }

    #[test]
    fn one_that_ended_again_after_it_was_opened_is_the_newest() {
        let mut ended = ended(MAX_ENDED);
        ended.forget("s0");
        ended.remember("s0", "evicted");
        ended.remember("a", "evicted");
        assert_eq!(ended.reason("s0"), Some("evicted"));
        assert_eq!(ended.reason("s1"), None);
    }

    #[test]
    fn of_several_reasons_the_latest_counts_and_takes_one_place() {
        let mut ended = ended(MAX_ENDED);
        ended.remember("s7", "evicted");
        assert_eq!(ended.reason("s7"), Some("evicted"));
        assert_eq!(ended.reason("s0"), Some("killed"), "nothing had to give way");
        ended.forget("s7");
        assert_eq!(ended.reason("s7"), None);
        assert!(!ended.order.iter().any(|id| &**id == "s7"));
    }
}
