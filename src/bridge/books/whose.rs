//! Queries that lead from one row to another: to the agent of a client, a channel or a call,
//! to the session that a client means by an id, to the clients of a channel, and to the pool
//! of a passthrough client.

use crate::bridge::books::Books;
use crate::bridge::books::agent::Agent;
use crate::bridge::books::pool::Treatment;
use crate::bridge::id::{AgentId, CallId, ChannelId, ClientId, PoolId, SessionKey};
use crate::bridge::refusal::Refusal;
use crate::wire::Frame;

impl Books {
    /// The agent that a new client is assigned to.
    pub fn default_agent(&self) -> AgentId {
        AgentId(0)
    }

    /// The agent that a client is assigned to.
    pub fn agent_of_client(&self, id: ClientId) -> Option<&Agent> {
        self.client(id).map(|row| self.agent(row.agent))
    }

    /// The agent whose process a channel is.
    pub fn agent_of_channel(&self, id: ChannelId) -> Option<&Agent> {
        self.channel(id).map(|row| self.agent(row.agent))
    }

    /// The name of a client's agent, for messages to people.
    pub fn agent_name_for(&self, id: ClientId) -> String {
        self.agent_of_client(id).map(|row| row.config.name.clone()).unwrap_or_default()
    }

    /// The name of a channel's agent, for messages to people.
    pub fn agent_name_on(&self, id: ChannelId) -> String {
        self.agent_of_channel(id).map(|row| row.config.name.clone()).unwrap_or_default()
    }

    /// The name of the agent that a call is for, for messages to people.
    pub fn agent_name_of(&self, id: CallId) -> String {
        let agent = self.call(id).map(|call| &self.agent(call.agent).config.name);
        agent.cloned().unwrap_or_default()
    }

    /// The live session that a client means by an id, whether or not it is attached to it.
    pub fn live(&self, client: ClientId, id: &str) -> Option<SessionKey> {
        self.agent_of_client(client)?.aliases.live(id)
    }

    /// The clients that a notification without a session goes to: those of the channel's pool
    /// whose `initialize` was answered.
    pub fn clients_of(&self, channel: ChannelId) -> Vec<ClientId> {
        let pool = self.channel(channel).and_then(|row| row.pool);
        let clients = self.clients.iter();
        clients
            .filter(|(_, row)| pool.is_some() && row.pool == pool && row.initialized)
            .map(|(id, _)| *id)
            .collect()
    }

    /// The directory in which a channel for this client is started, unless an open names
    /// another one.
    pub fn client_cwd(&self, client: ClientId) -> Box<str> {
        self.clients.get(&client).map_or_else(Default::default, |row| row.cwd.clone())
    }

    /// The session that a client means by an id, if it is attached to it.
    pub fn attached_session(&self, client: ClientId, id: &str) -> Result<SessionKey, Refusal> {
        let key = self.live(client, id);
        let session = key.and_then(|key| self.sessions.get(&key));
        if let Some(session) = session.filter(|row| row.clients().contains(&client)) {
            return Ok(session.key);
        }
        let ended = self.clients.get(&client).and_then(|row| row.ended.reason(id));
        Err(match ended {
            Some(reason) => Refusal::SessionEnded { id: id.to_owned(), reason },
            None => Refusal::UnknownSession { id: id.to_owned() },
        })
    }

    /// The sessions that a client's frame means: the one that it names, or all that the
    /// client is attached to.
    pub fn meant_sessions(
        &self,
        client: ClientId,
        frame: &Frame,
    ) -> Result<Vec<SessionKey>, Refusal> {
        match frame.session() {
            Some(id) => self.attached_session(client, &id).map(|key| vec![key]),
            None => {
                let row = self.client(client);
                Ok(row.map_or_else(Vec::new, |row| row.sessions.iter().copied().collect()))
            }
        }
    }

    /// The pool of a passthrough client; `None`: the client is no passthrough.
    pub fn passthrough_pool(&self, client: ClientId) -> Option<PoolId> {
        let pool = self.clients.get(&client)?.pool?;
        let treatment = self.pools.get(&pool)?.treatment;
        (treatment == Treatment::Passthrough).then_some(pool)
    }
}
