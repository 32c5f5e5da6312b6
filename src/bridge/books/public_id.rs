//! The id under which clients know, or will know, a conversation that is opened.

use crate::bridge::books::Books;
use crate::bridge::books::call::Opening;
use crate::bridge::id::{AgentId, ClientId};

impl Books {
    /// The stored id behind an id with our own prefix, as this client says it.
    pub fn without_prefix(&self, client: ClientId, id: &str) -> Box<str> {
        let agent = self.agent_of_client(client);
        agent.map_or(id, |agent| agent.aliases.without_prefix(id)).into()
    }

    /// The id under which clients know, or would know, what was opened. That of a new
    /// conversation is the agent's own, unless it is another conversation's.
    pub fn public_id(&self, agent: AgentId, opening: &Opening, agent_id: &str) -> Box<str> {
        if let (Some(_), Some(id)) = (opening.restores(), &opening.public_id) {
            return id.clone();
        }
        let channels = || self.channels.values().filter(|row| row.agent == agent);
        let is_buried = channels().any(|row| row.tombstones.contains(agent_id));
        if !is_buried && !self.is_known(agent, agent_id) {
            return agent_id.into();
        }
        self.agent(agent).aliases.free(agent_id, |id| {
            self.is_known(agent, id) || channels().any(|row| row.tombstones.named(id).is_some())
        })
    }

    /// Whether a client may mean a conversation of this agent by an id.
    fn is_known(&self, agent: AgentId, id: &str) -> bool {
        // A client that knew another conversation by it may still speak of that one.
        let mut clients = self.clients.values().filter(|client| client.agent == agent);
        self.agent(agent).aliases.is_known(id)
            || clients.any(|client| client.ended.reason(id).is_some())
    }
}
