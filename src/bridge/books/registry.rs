//! All tables, and the only place where two of them change together.
//!
//! Every method here leaves the tables in agreement with each other; the rules
//! that they keep are checked in [`check`](crate::bridge::check). Rows that changed are
//! remembered as *touched*, so that the end of a step can settle them.

use std::collections::BTreeMap;

use foldhash::HashMap;
use foldhash::fast::FixedState;
use indexmap::IndexMap;

use crate::bridge::books::call::{Asker, Call, Fanout, Opening, Purpose, Question};
use crate::bridge::books::channel::Channel;
use crate::bridge::books::client::{Client, Pool};
use crate::bridge::books::deadlines::{Deadlines, Due};
use crate::bridge::books::id_set::Ids;
use crate::bridge::books::session::{Audience, Session};
use crate::bridge::id::{CallId, ChannelId, ClientId, FanoutId, PoolId, QuestionId, SessionKey};

/// Sessions of sub-agents that are known of one session.
const MAX_CHILDREN: usize = 1024;

/// A table of which there may be very many rows: one is found in one step, and
/// when it grows no row is hashed again. Its order means nothing, but is the same
/// for the same history.
pub(in crate::bridge) type Table<K, V> = IndexMap<K, V, FixedState>;

/// The ids in a table, the oldest first.
pub(in crate::bridge) fn ids_of<K: Copy + Ord, V>(table: &Table<K, V>) -> Vec<K> {
    let mut ids: Vec<K> = table.keys().copied().collect();
    ids.sort_unstable();
    ids
}

/// The tables.
#[derive(Debug, Default)]
pub struct Registry {
    pub(in crate::bridge) clients: BTreeMap<ClientId, Client>,
    pub(in crate::bridge) pools: BTreeMap<PoolId, Pool>,
    /// The oldest first: there are few enough to keep them so.
    pub(in crate::bridge) channels: Table<ChannelId, Channel>,
    pub(in crate::bridge) sessions: Table<SessionKey, Session>,
    pub(in crate::bridge) calls: Table<CallId, Call>,
    pub(in crate::bridge) fanouts: BTreeMap<FanoutId, Fanout>,
    pub(in crate::bridge) questions: BTreeMap<QuestionId, Question>,
    /// Live sessions and their children, by the id that clients know.
    pub(in crate::bridge) public: HashMap<Box<str>, SessionKey>,
    /// Calls that restore a stored conversation, by the agent's id of it.
    pub(in crate::bridge) restoring: HashMap<Box<str>, Ids<CallId>>,
    /// Calls that wait for a channel.
    pub(in crate::bridge) unplaced: Ids<CallId>,
    /// Which channel gave a cursor of `session/list`.
    pub(in crate::bridge) cursors: BTreeMap<Box<str>, ChannelId>,
    pub(in crate::bridge) deadlines: Deadlines,
    pub(in crate::bridge) touched_channels: Ids<ChannelId>,
    pub(in crate::bridge) touched_sessions: Ids<SessionKey>,
    pub(in crate::bridge) numbers: Numbers,
}

/// The numbers that ids are made of, a row of them for each kind.
#[derive(Debug, Default)]
pub(in crate::bridge) struct Numbers {
    pub(in crate::bridge) pools: Counter,
    pub(in crate::bridge) channels: Counter,
    pub(in crate::bridge) sessions: Counter,
    pub(in crate::bridge) calls: Counter,
    pub(in crate::bridge) fanouts: Counter,
    pub(in crate::bridge) questions: Counter,
}

/// Counts up, and gives no number twice.
#[derive(Debug, Default)]
pub(in crate::bridge) struct Counter(u64);

impl Counter {
    pub(in crate::bridge) fn next(&mut self) -> u64 {
        self.0 += 1;
        self.0
    }
}

impl Registry {
    pub(in crate::bridge) fn channel(&self, id: ChannelId) -> Option<&Channel> {
        self.channels.get(&id)
    }

    /// A channel that is about to change: it is settled at the end of the step.
    pub(in crate::bridge) fn channel_mut(&mut self, id: ChannelId) -> Option<&mut Channel> {
        self.touched_channels.insert(id);
        self.channels.get_mut(&id)
    }

    /// A session that is about to change: its deadline is looked at again.
    pub(in crate::bridge) fn session_mut(&mut self, key: SessionKey) -> Option<&mut Session> {
        self.touched_sessions.insert(key);
        self.sessions.get_mut(&key)
    }

    pub(in crate::bridge) fn add_channel(&mut self, channel: Channel) -> ChannelId {
        let id = ChannelId(self.numbers.channels.next());
        self.channels.insert(id, channel);
        self.touched_channels.insert(id);
        id
    }

    /// Removes a channel's row. Its calls, questions and sessions must be settled.
    pub(in crate::bridge) fn remove_channel(&mut self, id: ChannelId) -> Option<Channel> {
        self.deadlines.forget(Due::Channel(id));
        self.deadlines.forget(Due::Silence(id));
        self.touched_channels.remove(&id);
        self.cursors.retain(|_, channel| *channel != id);
        for client in self.clients.values_mut() {
            if client.served_by == Some(id) {
                client.served_by = None;
            }
        }
        let row = self.channels.shift_remove(&id);
        self.forget_pools();
        row
    }

    /// Removes a client's row. Its calls, questions and sessions must be settled.
    pub(in crate::bridge) fn remove_client(&mut self, id: ClientId) {
        self.clients.remove(&id);
        self.forget_pools();
    }

    /// A pool goes with the last client and the last channel of it.
    fn forget_pools(&mut self) {
        let (clients, channels) = (&self.clients, &self.channels);
        self.pools.retain(|id, _| {
            clients.values().any(|row| row.pool == Some(*id))
                || channels.values().any(|row| row.pool == Some(*id))
        });
    }

    /// Registers a session that its agent opened.
    pub(in crate::bridge) fn add_session(&mut self, session: Session) {
        let key = session.key;
        self.public.insert(session.id.clone(), key);
        if let Some(channel) = self.channel_mut(session.channel) {
            channel.sessions.insert(key);
            channel.names.insert(session.agent_id.clone(), key);
        }
        self.touched_sessions.insert(key);
        self.sessions.insert(key, session);
    }

    /// Makes the session of a sub-agent part of its parent.
    pub(in crate::bridge) fn add_child(&mut self, key: SessionKey, child: &str) {
        let Some(session) = self.sessions.get_mut(&key) else { return };
        let Some(channel) = self.channels.get_mut(&session.channel) else { return };
        if channel.names.contains(child) || session.children.len() >= MAX_CHILDREN {
            return;
        }
        channel.names.insert(child.into(), key);
        session.children.push(child.into());
        self.public.entry(child.into()).or_insert(key);
    }

    /// Part 1 of the close order: the session is gone from every table, and
    /// from *its own* channel's set. What was pending in it is in the row.
    pub(in crate::bridge) fn remove_session(&mut self, key: SessionKey) -> Option<Session> {
        let session = self.sessions.swap_remove(&key)?;
        self.deadlines.forget(Due::Session(key));
        self.touched_sessions.remove(&key);
        for id in session.children.iter().chain([&session.id]) {
            if self.public.get(id) == Some(&key) {
                self.public.remove(id);
            }
        }
        for client in session.clients() {
            if let Some(client) = self.clients.get_mut(client) {
                client.sessions.remove(&key);
            }
        }
        let owner = self.owner_of(&session);
        if let Some(channel) = self.channel_mut(owner) {
            channel.sessions.remove(&key);
            for id in session.children.iter().chain([&session.agent_id]) {
                channel.names.remove(id);
            }
        }
        Some(session)
    }

    /// The channel whose books a session is in: its own (I1).
    fn owner_of(&self, session: &Session) -> ChannelId {
        #[cfg(feature = "seeded-bugs")]
        if crate::bridge::seeded::is(crate::bridge::seeded::Bug::CloseOnCurrentChannel) {
            let newest = self.channels.iter().rev().find(|(_, channel)| channel.is_open());
            return newest.map_or(session.channel, |(id, _)| *id);
        }
        session.channel
    }

    pub(in crate::bridge) fn attach(&mut self, client: ClientId, key: SessionKey) {
        let (Some(session), Some(row)) =
            (self.sessions.get_mut(&key), self.clients.get_mut(&client))
        else {
            return;
        };
        match &mut session.audience {
            Audience::Attached(clients) if clients.contains(&client) => {}
            Audience::Attached(clients) => clients.push(client),
            audience => *audience = Audience::Attached(vec![client]),
        }
        row.sessions.insert(key);
        row.ended.forget(&session.id);
        let channel = session.channel;
        self.touched_sessions.insert(key);
        self.touched_channels.insert(channel);
    }

    /// Ends an attachment; `then` is who is there if that was the last one.
    pub(in crate::bridge) fn detach(&mut self, client: ClientId, key: SessionKey, then: Audience) {
        if let Some(row) = self.clients.get_mut(&client) {
            row.sessions.remove(&key);
        }
        let Some(session) = self.session_mut(key) else { return };
        if let Audience::Attached(clients) = &mut session.audience {
            clients.retain(|other| *other != client);
            if clients.is_empty() {
                session.audience = then;
            }
        }
        let channel = session.channel;
        self.touched_channels.insert(channel);
    }

    pub(in crate::bridge) fn add_call(&mut self, call: Call) -> CallId {
        let id = CallId(self.numbers.calls.next());
        if let Some(client) = call.client().and_then(|client| self.clients.get_mut(&client)) {
            client.calls.insert(id);
        }
        match call.channel {
            Some(channel) => {
                if let Some(channel) = self.channel_mut(channel) {
                    channel.calls.insert(id);
                }
            }
            None => {
                self.unplaced.insert(id);
            }
        }
        if let Some(source) = call.opening().and_then(Opening::restores) {
            self.restoring.entry(source.into()).or_default().insert(id);
        }
        // A close belongs to the tombstone's `hold`, not to what waits in it.
        if !matches!(call.purpose, Purpose::Close(_))
            && let Some(session) = call.session.and_then(|key| self.session_mut(key))
        {
            session.calls.insert(id);
        }
        self.calls.insert(id, call);
        id
    }

    /// Gives a waiting call a channel, or takes it away again.
    pub(in crate::bridge) fn move_call(&mut self, id: CallId, to: Option<ChannelId>) {
        let Some(call) = self.calls.get_mut(&id) else { return };
        let from = std::mem::replace(&mut call.channel, to);
        self.unplaced.remove(&id);
        if let Some(from) = from.and_then(|from| self.channel_mut(from)) {
            from.calls.remove(&id);
        }
        match to {
            Some(to) => {
                if let Some(to) = self.channel_mut(to) {
                    to.calls.insert(id);
                }
            }
            None => {
                self.unplaced.insert(id);
            }
        }
        self.deadlines.forget(Due::Call(id));
    }

    /// Takes a call out of every table. It is over, or about to be answered.
    pub(in crate::bridge) fn take_call(&mut self, id: CallId) -> Option<Call> {
        let call = self.calls.swap_remove(&id)?;
        self.deadlines.forget(Due::Call(id));
        self.unplaced.remove(&id);
        if let Some(source) = call.opening().and_then(Opening::restores)
            && let Some(same) = self.restoring.get_mut(source)
        {
            same.remove(&id);
            if same.is_empty() {
                self.restoring.remove(source);
            }
        }
        if let Some(client) = call.client().and_then(|client| self.clients.get_mut(&client)) {
            client.calls.remove(&id);
        }
        if let Some(channel) = call.channel.and_then(|channel| self.channel_mut(channel)) {
            channel.calls.remove(&id);
        }
        let Some(key) = call.session else { return Some(call) };
        if let Some(session) = self.session_mut(key) {
            session.calls.remove(&id);
            session.queue.retain(|queued| *queued != id);
        } else if let Some(channel) = call.channel.and_then(|id| self.channels.get_mut(&id)) {
            // Of a session that is gone, the tombstone keeps what waits.
            for tombstone in channel.tombstones.values_mut().filter(|tomb| tomb.key == key) {
                tombstone.calls.remove(&id);
            }
        }
        Some(call)
    }

    /// The asker is answered or gone; the call goes on for the bridge's sake.
    pub(in crate::bridge) fn disown_call(&mut self, id: CallId) -> Asker {
        let Some(call) = self.calls.get_mut(&id) else { return Asker::Nobody };
        let asker = std::mem::replace(&mut call.asker, Asker::Nobody);
        if let Asker::Client(client, _) = &asker
            && let Some(client) = self.clients.get_mut(client)
        {
            client.calls.remove(&id);
        }
        if let Some(channel) = call.channel {
            self.touched_channels.insert(channel);
        }
        asker
    }

    pub(in crate::bridge) fn add_question(&mut self, question: Question) -> QuestionId {
        let id = QuestionId(self.numbers.questions.next());
        if let Some(channel) = self.channel_mut(question.channel) {
            channel.questions.insert(id);
        }
        if let Some(session) = question.session.and_then(|key| self.session_mut(key)) {
            session.questions.insert(id);
        }
        for client in &question.asked {
            if let Some(client) = self.clients.get_mut(client) {
                client.questions.insert(id);
            }
        }
        self.questions.insert(id, question);
        id
    }

    pub(in crate::bridge) fn take_question(&mut self, id: QuestionId) -> Option<Question> {
        let question = self.questions.remove(&id)?;
        self.deadlines.forget(Due::Question(id));
        if let Some(channel) = self.channel_mut(question.channel) {
            channel.questions.remove(&id);
        }
        if let Some(session) = question.session.and_then(|key| self.session_mut(key)) {
            session.questions.remove(&id);
        }
        for client in &question.asked {
            if let Some(client) = self.clients.get_mut(client) {
                client.questions.remove(&id);
            }
        }
        Some(question)
    }
}
