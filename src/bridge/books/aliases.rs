//! Under which ids clients know an agent's conversations: the agent's own, or an
//! alias where two conversations have the same one.

use foldhash::HashMap;

use crate::bridge::books::id_set::Ids;
use crate::bridge::id::{CallId, SessionKey};

/// The ids of one agent's conversations that are live or on their way.
#[derive(Debug)]
pub struct Aliases {
    /// What every alias begins with.
    prefix: String,
    /// Live sessions and their children, by the id that clients know.
    live: HashMap<Box<str>, SessionKey>,
    /// Calls that restore a stored conversation, by the agent's id of it.
    restoring: HashMap<Box<str>, Ids<CallId>>,
}

impl Aliases {
    /// Of an agent with this name, without a conversation.
    pub fn new(agent: &str) -> Self {
        let prefix = format!("{agent}:");
        Aliases { prefix, live: HashMap::default(), restoring: HashMap::default() }
    }

    /// The live session that clients know by this id.
    pub fn live(&self, id: &str) -> Option<SessionKey> {
        self.live.get(id).copied()
    }

    /// Clients know a session by this id from now on.
    pub fn insert(&mut self, id: &str, key: SessionKey) {
        self.live.insert(id.into(), key);
    }

    /// The same for the session of a sub-agent, unless the id means another one.
    pub fn insert_child(&mut self, id: &str, key: SessionKey) {
        self.live.entry(id.into()).or_insert(key);
    }

    /// Clients do not know this session by this id any more.
    pub fn remove(&mut self, id: &str, key: SessionKey) {
        if self.live.get(id) == Some(&key) {
            self.live.remove(id);
        }
    }

    /// A call restores the conversation that the agent knows by this id.
    pub fn begin_restore(&mut self, source: &str, call: CallId) {
        self.restoring.entry(source.into()).or_default().insert(call);
    }

    /// It does so no more.
    pub fn end_restore(&mut self, source: &str, call: CallId) {
        let Some(same) = self.restoring.get_mut(source) else { return };
        same.remove(&call);
        if same.is_empty() {
            self.restoring.remove(source);
        }
    }

    /// The calls that restore a conversation, in the order in which they were asked.
    pub fn restores(&self, source: &str) -> impl Iterator<Item = CallId> {
        self.restoring.get(source).into_iter().flatten().copied()
    }

    /// Whether every call that restores a conversation is one of these.
    pub fn are_all(&self, is_one: impl Fn(CallId) -> bool) -> bool {
        self.restoring.values().all(|calls| calls.iter().all(|call| is_one(*call)))
    }

    /// An id without the prefix of aliases.
    pub fn without_prefix<'a>(&self, id: &'a str) -> &'a str {
        id.strip_prefix(&*self.prefix).unwrap_or(id)
    }

    /// The alias for a conversation that the agent knows by this id: the first that
    /// nobody means by anything else.
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
