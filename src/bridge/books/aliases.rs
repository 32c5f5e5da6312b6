//! The ids under which clients know conversations: the agent's own, or an alias
//! where two conversations have the same one.

use crate::bridge::books::Books;
use crate::bridge::books::call::Opening;
use crate::bridge::id::{AgentId, ClientId};

impl Books {
    /// The stored id behind an id with our own prefix, as this client says it.
    pub fn without_prefix(&self, client: ClientId, id: &str) -> Box<str> {
        let agent = self.agent_of_client(client);
        let without = agent.and_then(|agent| stripped(&agent.config.name, id));
        without.unwrap_or(id).into()
    }

    /// The id under which clients know, or would know, what was opened.
    pub fn public_id(&self, agent: AgentId, opening: &Opening, agent_id: &str) -> Box<str> {
        match (opening.restores(), &opening.public) {
            (Some(_), Some(id)) => id.clone(),
            _ => self.free_id(agent, agent_id),
        }
    }

    /// The id under which clients will know a new conversation: the agent's own,
    /// unless that is another conversation's.
    fn free_id(&self, agent: AgentId, agent_id: &str) -> Box<str> {
        let mut channels = self.channels.values().filter(|row| row.agent == agent);
        let is_buried = channels.any(|row| row.tombstones.contains(agent_id));
        if !is_buried && !self.is_known(agent, agent_id) {
            return agent_id.into();
        }
        let is_taken = |id: &str| {
            let mut channels = self.channels.values().filter(|row| row.agent == agent);
            self.is_known(agent, id) || channels.any(|row| row.tombstones.named(id).is_some())
        };
        let alias = format!("{}:{agent_id}", self.agent(agent).config.name);
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

    /// Whether a client may mean a conversation of this agent by an id.
    fn is_known(&self, agent: AgentId, id: &str) -> bool {
        let row = self.agent(agent);
        // A stored conversation that is on its way has its name already.
        let stored = [Some(id), stripped(&row.config.name, id)].into_iter().flatten();
        let restores = stored.filter_map(|stored| row.restoring.get(stored)).flatten();
        let mut openings = restores.filter_map(|call| self.calls.get(call)?.opening());
        // A client that knew another conversation by it may still speak of that one.
        let mut clients = self.clients.values().filter(|client| client.agent == agent);
        row.public.contains_key(id)
            || openings.any(|opening| opening.public.as_deref() == Some(id))
            || clients.any(|client| client.ended.reason(id).is_some())
    }
}

/// An id without the prefix that aliases of this agent have; `None`: it has none.
fn stripped<'a>(name: &str, id: &'a str) -> Option<&'a str> {
    id.strip_prefix(name)?.strip_prefix(':')
}
