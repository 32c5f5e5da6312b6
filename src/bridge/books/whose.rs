//! Queries that lead from one row to another: to the agent of a client, a channel or a call,
//! to the session that a client means by an id, to the clients of a channel, and to the pool
//! of a passthrough client.

use crate::bridge::books::Books;
use crate::bridge::books::agent::Agent;
use crate::bridge::books::aliases;
use crate::bridge::books::call::{Asker, Call};
use crate::bridge::books::channel::Channel;
use crate::bridge::books::passing::Owner;
use crate::bridge::books::pool::Treatment;
use crate::bridge::books::session_names::Name;
use crate::bridge::books::tombstones::Buried;
use crate::bridge::environment::Origin;
use crate::bridge::id::{CallId, ChannelId, ClientId, Lane, PassingKey, PoolId, SessionKey};
use crate::bridge::reason::LossReason;
use crate::bridge::refusal::Refusal;
use crate::wire::Frame;

/// The meaning of a session id for a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// A live session that it is attached to.
    Session(SessionKey),
    /// A passing id of its own, or of a session that it is attached to.
    Passing(PassingKey),
    /// A session that this call of it opens now.
    Opening(CallId),
    /// A parked session in which it is dormant.
    Parked(SessionKey),
    /// A parked session in which it is not.
    ParkedOfOthers,
    /// A live session that it is not attached to, or a passing id of others; with the
    /// reason if it was attached once.
    OfOthers(Name, Option<LossReason>),
    /// A session that is not open any more, for this reason.
    Ended(LossReason),
    /// Nothing that the books know.
    Unknown,
}

impl Books {
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

    /// The meaning of the session id that a frame of a client names.
    pub fn meaning_in(&self, client: ClientId, frame: &Frame) -> Option<Meaning> {
        frame.session().map(|id| self.meaning(client, &id))
    }

    /// The meaning of a session id for a client.
    pub fn meaning(&self, client: ClientId, id: &str) -> Meaning {
        let Some(row) = self.clients.get(&client) else { return Meaning::Unknown };
        let aliases = &self.agent(row.agent).aliases;
        let named = self.meant(client, id);
        // Nearly always it is this one, so it is looked for first.
        if let Some(Name::Session(key)) = named
            && self.is_attached(client, key)
        {
            return Meaning::Session(key);
        }
        let is_its = |call: &CallId| {
            let call = self.calls.get(call).filter(|call| !call.is_overdue());
            call.is_some_and(|call| matches!(&call.asker, Asker::Client(it, _) if *it == client))
        };
        if let Some(call) = aliases.on_their_way(id).find(is_its) {
            return Meaning::Opening(call);
        }
        if let Some(call) = self.open_expected(id).find(is_its) {
            return Meaning::Opening(call);
        }
        if let Some(key) = self.dormant_in(client, id) {
            return Meaning::Parked(key);
        }
        let ended = row.ended.reason(id);
        match named {
            // A session of the client that has ended, and of which the agent knows no more.
            Some(Name::Passing(key)) if ended.is_some() && !self.is_held(key) => {}
            Some(Name::Passing(key)) if self.has_passing(client, key) => {
                return Meaning::Passing(key);
            }
            Some(name) => return Meaning::OfOthers(name, ended),
            None => {}
        }
        if self.is_parked(row.agent, id) {
            return ended.map_or(Meaning::ParkedOfOthers, Meaning::Ended);
        }
        let tombstone = self.tombstone(client, id).filter(|(_, row)| row.of != Buried::Lease);
        let buried =
            tombstone.map(|(_, row)| row.reason.map_or(LossReason::NotOpened, LossReason::Ended));
        match ended.or(buried) {
            Some(reason) => Meaning::Ended(reason),
            None => Meaning::Unknown,
        }
    }

    /// Whether a client is attached to a live session.
    pub fn is_attached(&self, client: ClientId, key: SessionKey) -> bool {
        self.sessions.get(&key).is_some_and(|session| session.clients().contains(&client))
    }

    /// The opens that may bring a session which clients will know by `public`: its agent has
    /// spoken of it before it answered the open.
    fn open_expected<'a>(&'a self, public: &'a str) -> impl Iterator<Item = CallId> + 'a {
        let expects = |row: &&Channel| row.expected.values().any(|expected| **expected == *public);
        let calls = self.channels.values().filter(expects).flat_map(|row| &row.calls).copied();
        calls.filter(|id| {
            let opening = self.calls.get(id).filter(|call| call.is_sent()).and_then(Call::opening);
            opening.is_some_and(|opening| opening.restores().is_none())
        })
    }

    /// The agent's id of the session that an open is to bring and that clients know by
    /// `public`.
    pub fn agent_id_of_open(&self, open: CallId, public: &str) -> Option<Box<str>> {
        let call = self.calls.get(&open)?;
        if let Some(restored) = call.opening()?.restores() {
            return Some(restored.into());
        }
        let mut expected = self.channel(call.channel?)?.expected.iter();
        expected.find(|(_, shown)| ***shown == *public).map(|(id, _)| id.clone())
    }

    /// Whether a passing id is a client's own, or belongs to a session that it is attached
    /// to.
    fn has_passing(&self, client: ClientId, key: PassingKey) -> bool {
        match self.passing.get(&key).map(|row| row.owner) {
            Some(Owner::Client(owner)) => owner == client,
            Some(Owner::Session(parent)) => self.is_attached(client, parent),
            None => false,
        }
    }

    /// The agent's id of what a client calls by `id`, if that is no live session and no
    /// passing id, and the channel that had it last.
    pub fn stored(&self, client: ClientId, id: &str) -> (Box<str>, Option<ChannelId>) {
        self.stored_in(client, id, self.client_cwd(client))
    }

    /// The same, in this directory.
    fn stored_in(&self, client: ClientId, id: &str, cwd: &str) -> (Box<str>, Option<ChannelId>) {
        if let Some((channel, row)) = self.tombstone(client, id) {
            return (row.agent_id.clone(), Some(channel));
        }
        let agent = self.agent_of_client(client);
        let parked = self.parked_conversation(client, id, cwd);
        let parked = parked.and_then(|key| self.parked(key)).map(|row| &*row.agent_id);
        let known = parked.or_else(|| agent?.pairs.agent_id(id, cwd));
        (known.or_else(|| aliases::stripped(id)).unwrap_or(id).into(), None)
    }

    /// The agent's id of the conversation in this directory that a client wants to have opened.
    pub fn source(&self, client: ClientId, id: &str, cwd: &str) -> Box<str> {
        let name = self.meant(client, id);
        let known = name.and_then(|name| self.agent_id(name)).map(Into::into);
        known.unwrap_or_else(|| self.stored_in(client, id, cwd).0)
    }

    /// The agent's id of what an id means.
    pub fn agent_id(&self, name: Name) -> Option<&str> {
        match name {
            Name::Session(key) => self.sessions.get(&key).map(|session| &*session.agent_id),
            Name::Passing(key) => self.passing.get(&key).map(|row| &*row.agent_id),
        }
    }

    /// The clients that get what an agent says under a passing id.
    pub fn clients_of_passing(&self, key: PassingKey) -> Vec<ClientId> {
        match self.passing.get(&key).map(|row| row.owner) {
            Some(Owner::Client(client)) => vec![client],
            Some(Owner::Session(parent)) => {
                self.sessions.get(&parent).map_or_else(Vec::new, |row| row.clients().to_vec())
            }
            None => Vec::new(),
        }
    }

    /// The clients that a notification without a session goes to: those of the channel's pool
    /// whose `initialize` was answered.
    pub fn clients_of(&self, channel: ChannelId) -> Vec<ClientId> {
        let pool = self.channel(channel).and_then(|row| row.pool);
        let clients = self.clients.iter();
        clients
            .filter(|(_, row)| pool.is_some() && row.pool == pool && row.is_introduced())
            .map(|(id, _)| *id)
            .collect()
    }

    /// The place that processes for a client are started from; `None`: it is gone.
    pub fn origin(&self, client: ClientId) -> Option<Origin> {
        let row = self.clients.get(&client)?;
        Some(Origin { environment: row.environment.id, home: row.cwd.clone() })
    }

    /// The directory in which a channel for this client is started, unless an open names
    /// another one.
    pub fn client_cwd(&self, client: ClientId) -> &str {
        self.clients.get(&client).map_or("", |row| &row.cwd)
    }

    /// The session that a client means by an id, if it is attached to it.
    pub fn attached_session(&self, client: ClientId, id: &str) -> Result<SessionKey, Refusal> {
        let id = id.to_owned();
        match self.meaning(client, &id) {
            Meaning::Session(key) => Ok(key),
            Meaning::OfOthers(_, Some(reason)) | Meaning::Ended(reason) => {
                Err(Refusal::SessionEnded { id, reason })
            }
            _ => Err(Refusal::UnknownSession { id }),
        }
    }

    /// The lane of the bridge's own answer to a client's request: that of the session that the
    /// request names, live or ended, so that nothing about it comes after the answer.
    pub fn lane_of_answer(&self, client: ClientId, frame: &Frame) -> Lane {
        let Some(id) = frame.session() else { return Lane::Bridge };
        let channel = match self.meaning(client, &id) {
            Meaning::Session(key) => self.sessions.get(&key).map(|session| session.channel),
            _ => self.clients.get(&client).and_then(|row| row.ended.channel(&id)),
        };
        channel.into()
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
