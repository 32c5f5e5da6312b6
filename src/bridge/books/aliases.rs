//! The ids under which clients know conversations: the agent's own, or an alias
//! where two conversations have the same one.

use crate::bridge::books::Books;
use crate::bridge::books::call::Opening;

impl Books {
    /// The stored id behind an id with our own prefix.
    pub fn without_prefix(&self, id: &str) -> Box<str> {
        id.strip_prefix(&format!("{}:", self.the_agent().name)).unwrap_or(id).into()
    }

    /// The id under which clients know, or would know, what was opened.
    pub fn public_id(&self, opening: &Opening, agent_id: &str) -> Box<str> {
        match (opening.restores(), &opening.public) {
            (Some(_), Some(id)) => id.clone(),
            _ => self.free_id(agent_id),
        }
    }

    /// The id under which clients will know a new conversation: the agent's own,
    /// unless that is another conversation's.
    pub fn free_id(&self, agent_id: &str) -> Box<str> {
        let is_buried =
            |id: &str| self.channels.values().any(|row| row.tombstones.contains_key(id));
        // A stored conversation that is on its way has its name already.
        let is_restored = |id: &str| {
            let mut openings = self.calls.values().filter_map(|call| call.opening());
            openings.any(|row| row.restores().is_some() && row.public.as_deref() == Some(id))
        };
        // A client that knew another conversation by it may still speak of that one.
        let is_remembered =
            |id: &str| self.clients.values().any(|client| client.ended.reason(id).is_some());
        let is_live =
            |id: &str| self.public.contains_key(id) || is_restored(id) || is_remembered(id);
        if !is_live(agent_id) && !is_buried(agent_id) {
            return agent_id.into();
        }
        let is_taken = |id: &str| {
            is_live(id)
                || self
                    .channels
                    .values()
                    .any(|row| row.tombstones.values().any(|tombstone| *tombstone.id == *id))
        };
        let alias = format!("{}:{agent_id}", self.the_agent().name);
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
