//! The public id of a session that is opened.

use crate::bridge::books::Books;
use crate::bridge::books::call::Opening;
use crate::bridge::id::{AgentId, ClientId};

impl Books {
    /// An id that a client wrote, without the prefix of aliases: the agent's own id, if the
    /// client names a stored conversation by a former alias of it.
    pub fn without_prefix(&self, client: ClientId, id: &str) -> Box<str> {
        let agent = self.agent_of_client(client);
        agent.map_or(id, |agent| agent.aliases.without_prefix(id)).into()
    }

    /// The public id of a session that was opened. A restored conversation keeps the id by
    /// which the client named it; a new one gets the agent id, or an alias if the agent id
    /// may mean another conversation.
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
        // A client that knew an ended session by this id may still name it.
        let mut clients = self.clients.values().filter(|client| client.agent == agent);
        self.agent(agent).aliases.is_known(id)
            || clients.any(|client| client.ended.reason(id).is_some())
    }
}
