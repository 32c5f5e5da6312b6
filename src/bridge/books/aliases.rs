//! The ids by which clients know an agent's conversations: the agent's own id, or an
//! alias where two conversations have the same id.

use foldhash::HashMap;

use crate::bridge::books::id_set::Ids;
use crate::bridge::id::{CallId, SessionKey};

/// The ids of one agent's conversations that are live or being restored.
#[derive(Debug)]
pub struct Aliases {
    /// The beginning of every alias: the agent's name and a colon.
    prefix: String,
    /// Live sessions, by the id that clients know; the id of a sub-agent's session leads
    /// to its parent.
    live: HashMap<Box<str>, SessionKey>,
    /// Calls that restore a stored conversation, by the agent's id of it.
    restoring: HashMap<Box<str>, Ids<CallId>>,
    /// The same calls, by the id by which clients will know the conversation.
    on_their_way: HashMap<Box<str>, Ids<CallId>>,
}

impl Aliases {
    /// The ids of an agent with this name that has no conversation yet.
    pub fn new(agent: &str) -> Self {
        let prefix = format!("{agent}:");
        let (live, restoring, on_their_way) = Default::default();
        Aliases { prefix, live, restoring, on_their_way }
    }

    /// The live session that clients know by this id, or the parent if the id is that of
    /// a sub-agent's session.
    pub fn live(&self, id: &str) -> Option<SessionKey> {
        self.live.get(id).copied()
    }

    /// Makes an id mean this live session, whatever it meant before.
    pub fn insert(&mut self, id: &str, key: SessionKey) {
        self.live.insert(id.into(), key);
    }

    /// Makes the id of a sub-agent's session mean its parent `key`, unless the id has a
    /// meaning already.
    pub fn insert_child(&mut self, id: &str, key: SessionKey) {
        self.live.entry(id.into()).or_insert(key);
    }

    /// Forgets an id, if it means this session.
    pub fn remove(&mut self, id: &str, key: SessionKey) {
        if self.live.get(id) == Some(&key) {
            self.live.remove(id);
        }
    }

    /// Notes that a call restores a conversation: the agent knows it by `source`, and
    /// clients by `public`.
    pub fn begin_restore(&mut self, source: &str, public: &str, call: CallId) {
        self.restoring.entry(source.into()).or_default().insert(call);
        self.on_their_way.entry(public.into()).or_default().insert(call);
    }

    /// Forgets a call that [`begin_restore`](Aliases::begin_restore) noted.
    pub fn end_restore(&mut self, source: &str, public: &str, call: CallId) {
        for (calls, id) in [(&mut self.restoring, source), (&mut self.on_their_way, public)] {
            let Some(same) = calls.get_mut(id) else { continue };
            same.remove(&call);
            if same.is_empty() {
                calls.remove(id);
            }
        }
    }

    /// Whether clients know a conversation by this id, or will when it is restored.
    pub fn is_known(&self, id: &str) -> bool {
        self.live.contains_key(id) || self.on_their_way.contains_key(id)
    }

    /// The calls that restore the conversation with this id of the agent, in the order in
    /// which clients asked.
    pub fn restores(&self, source: &str) -> impl Iterator<Item = CallId> {
        self.restoring.get(source).into_iter().flatten().copied()
    }

    /// Whether `is_one` is true of every restoring call, in both tables.
    pub fn are_all(&self, is_one: impl Fn(CallId) -> bool) -> bool {
        let all = |calls: &Ids<CallId>| calls.iter().all(|call| is_one(*call));
        self.restoring.values().all(all) && self.on_their_way.values().all(all)
    }

    /// An id without the prefix of aliases.
    pub fn without_prefix<'a>(&self, id: &'a str) -> &'a str {
        id.strip_prefix(&*self.prefix).unwrap_or(id)
    }

    /// A new alias for a conversation that the agent knows by `agent_id`: the first one of
    /// `agent:id`, `agent:id~2`, `agent:id~3` … of which `is_taken` is false.
    pub fn free(&self, agent_id: &str, is_taken: impl Fn(&str) -> bool) -> Box<str> {
        let alias = format!("{}{agent_id}", self.prefix);
        if !is_taken(&alias) {
            return alias.into();
        }
        let mut number = 2_u64;
        loop {
            let numbered = format!("{alias}~{number}");
            if !is_taken(&numbered) {
                return numbered.into();
            }
            number += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: SessionKey = SessionKey(1);
    const SECOND: SessionKey = SessionKey(2);

    fn restores(aliases: &Aliases, source: &str) -> Vec<u64> {
        aliases.restores(source).map(|call| call.0).collect()
    }

    #[test]
    fn an_id_means_the_session_that_had_it_last() {
        let mut aliases = Aliases::new("agent");
        assert_eq!(aliases.live("a"), None);
        aliases.insert("a", FIRST);
        assert_eq!(aliases.live("a"), Some(FIRST));
        aliases.insert("a", SECOND);
        assert_eq!(aliases.live("a"), Some(SECOND));
        assert_eq!(aliases.live("agent:a"), None);
    }

    #[test]
    fn a_child_takes_no_id_from_another_session() {
        let mut aliases = Aliases::new("agent");
        aliases.insert("a", FIRST);
        aliases.insert_child("a", SECOND);
        assert_eq!(aliases.live("a"), Some(FIRST));
        aliases.insert_child("child", SECOND);
        aliases.insert_child("child", FIRST);
        assert_eq!(aliases.live("child"), Some(SECOND));
    }

    #[test]
    fn only_the_session_that_has_an_id_gives_it_up() {
        let mut aliases = Aliases::new("agent");
        aliases.insert("a", FIRST);
        aliases.remove("a", SECOND);
        aliases.remove("b", FIRST);
        assert_eq!(aliases.live("a"), Some(FIRST));
        aliases.remove("a", FIRST);
        assert_eq!(aliases.live("a"), None);
    }

    #[test]
    fn restores_are_told_in_the_order_in_which_they_were_asked_until_they_end() {
        let mut aliases = Aliases::new("agent");
        for call in [5, 3, 9] {
            aliases.begin_restore("a", "x:a", CallId(call));
        }
        aliases.begin_restore("b", "x:b", CallId(4));
        assert_eq!(restores(&aliases, "a"), [3, 5, 9]);
        assert_eq!(restores(&aliases, "b"), [4]);
        assert_eq!(restores(&aliases, "c"), [0; 0]);
        aliases.end_restore("a", "x:a", CallId(5));
        aliases.end_restore("a", "x:a", CallId(4));
        aliases.end_restore("c", "x:c", CallId(4));
        assert_eq!(restores(&aliases, "a"), [3, 9]);
        assert_eq!(restores(&aliases, "b"), [4]);
    }

    #[test]
    fn of_a_conversation_that_is_not_restored_any_more_nothing_is_left() {
        let mut aliases = Aliases::new("agent");
        aliases.begin_restore("a", "x:a", CallId(1));
        assert!(aliases.are_all(|call| call == CallId(1)));
        assert!(!aliases.are_all(|call| call == CallId(2)));
        aliases.end_restore("a", "x:a", CallId(1));
        assert!(aliases.are_all(|_| false));
        assert!(aliases.restoring.is_empty() && aliases.on_their_way.is_empty());
    }

    #[test]
    fn an_id_is_known_while_it_is_live_or_on_its_way() {
        let mut aliases = Aliases::new("agent");
        aliases.begin_restore("a", "agent:a", CallId(1));
        assert!(aliases.is_known("agent:a") && !aliases.is_known("a"));
        aliases.end_restore("a", "agent:a", CallId(1));
        assert!(!aliases.is_known("agent:a"));
        aliases.insert("agent:a", FIRST);
        assert!(aliases.is_known("agent:a"));
    }

    #[test]
    fn the_prefix_is_taken_off_once_and_only_in_front() {
        let aliases = Aliases::new("agent");
        assert_eq!(aliases.without_prefix("agent:a"), "a");
        assert_eq!(aliases.without_prefix("agent:agent:a"), "agent:a");
        assert_eq!(aliases.without_prefix("a"), "a");
        assert_eq!(aliases.without_prefix("agent-a"), "agent-a");
        assert_eq!(aliases.without_prefix("other:a"), "other:a");
        assert_eq!(aliases.without_prefix("my agent:a"), "my agent:a");
    }

    #[test]
    fn an_alias_is_numbered_from_two_on_until_it_is_free() {
        let aliases = Aliases::new("agent");
        let free = |taken: &[&str]| aliases.free("a", |id| taken.contains(&id));
        assert_eq!(&*free(&["a"]), "agent:a");
        assert_eq!(&*free(&["agent:a"]), "agent:a~2");
        assert_eq!(&*free(&["agent:a", "agent:a~2", "agent:a~4"]), "agent:a~3");
    }
}
