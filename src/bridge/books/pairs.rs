//! Sessions that were never prompted and were opened anew: clients know each by the id of its first
//! opening, and the agent by another one. A conversation is known by its directory and its id, so
//! that the ids of an agent that counts its sessions mean no other conversation.

use foldhash::HashMap;

use crate::bridge::books::table::Table;
use crate::bridge::directory::is_same_directory;
use crate::bridge::restore::Pair;

/// The most pairs that are kept.
pub const MAX_PAIRS: usize = 4096;

/// The pairs of one agent.
#[derive(Clone, Debug, Default)]
pub struct Pairs {
    /// By the ids that clients know, the oldest first.
    by_known: Table<Box<str>, Pair>,
    /// The ids that clients know, by the agent's.
    known_as: HashMap<Box<str>, Box<str>>,
}

impl Pairs {
    /// Adds a pair; the oldest gives way at the limit.
    pub fn add(&mut self, pair: Pair) {
        if let Some(before) = self.by_known.shift_remove(&pair.known_as) {
            self.known_as.remove(&before.agent_id);
        }
        if self.by_known.len() >= MAX_PAIRS
            && let Some((_, oldest)) = self.by_known.shift_remove_index(0)
        {
            self.known_as.remove(&oldest.agent_id);
        }
        self.known_as.insert(pair.agent_id.clone(), pair.known_as.clone());
        self.by_known.insert(pair.known_as.clone(), pair);
    }

    /// The agent's id of a session in this directory that clients know by this one.
    pub fn agent_id(&self, known_as: &str, cwd: &str) -> Option<&str> {
        let pair = self.by_known.get(known_as)?;
        is_same_directory(&pair.cwd, cwd).then_some(&*pair.agent_id)
    }

    /// The id by which clients know a session of the agent in this directory.
    pub fn known_as(&self, agent_id: &str, cwd: &str) -> Option<&str> {
        let pair = self.by_known.get(self.known_as.get(agent_id)?)?;
        is_same_directory(&pair.cwd, cwd).then_some(&*pair.known_as)
    }

    /// Whether clients may know a session by this id.
    pub fn knows(&self, id: &str) -> bool {
        self.by_known.contains_key(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(known_as: &str, agent_id: &str) -> Pair {
        Pair { known_as: known_as.into(), agent_id: agent_id.into(), cwd: "/w".into() }
    }

    #[test]
    fn a_pair_is_found_by_both_ids_in_its_directory_and_the_last_one_counts() {
        let mut pairs = Pairs::default();
        pairs.add(pair("first", "a"));
        assert_eq!(pairs.agent_id("first", "/w/"), Some("a"));
        assert_eq!(pairs.known_as("a", "/w"), Some("first"));
        assert_eq!((pairs.agent_id("first", "/v"), pairs.known_as("a", "/v")), (None, None));
        pairs.add(pair("first", "b"));
        assert_eq!(pairs.agent_id("first", "/w"), Some("b"));
        assert!(pairs.known_as("a", "/w").is_none() && pairs.knows("first"));
        for number in 0..MAX_PAIRS {
            pairs.add(pair(&format!("k{number}"), &format!("a{number}")));
        }
        assert!(!pairs.knows("first") && pairs.known_as("b", "/w").is_none());
        assert_eq!(pairs.by_known.len(), pairs.known_as.len());
    }
}
