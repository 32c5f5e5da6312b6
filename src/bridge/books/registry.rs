//! The changes of several tables at once, and the only place where they happen.
//!
//! Every method here leaves the tables in agreement with each other; the rules
//! that they keep are checked in [`check`](crate::bridge::check). Rows that changed
//! are remembered as *touched*, so that the end of a step can settle them.

use crate::bridge::books::Books;
use crate::bridge::books::channel::{Capabilities, Channel};
use crate::bridge::books::client::{Carry, Pool};
use crate::bridge::books::deadlines::Due;
use crate::bridge::books::session::{Audience, Session};
use crate::bridge::id::{ChannelId, ClientId, PoolId, SessionKey};
#[cfg(feature = "seeded-bugs")]
use crate::bridge::seeded;
use crate::wire::Frame;

/// Sessions of sub-agents that are known of one session.
const MAX_CHILDREN: usize = 1024;

impl Books {
    pub fn add_channel(&mut self, channel: Channel) -> ChannelId {
        let id = ChannelId(self.numbers.channels.next());
        self.channels.insert(id, channel);
        self.touched_channels.insert(id);
        id
    }

    /// Removes a channel's row. Its calls, questions and sessions must be settled.
    pub fn remove_channel(&mut self, id: ChannelId) -> Option<Channel> {
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
    pub fn remove_client(&mut self, id: ClientId) {
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

    /// A pool for clients with this identity.
    pub fn add_pool(&mut self, identity: Box<[u8]>, frame: &Frame) -> PoolId {
        let pool = PoolId(self.numbers.pools.next());
        self.pools.insert(
            pool,
            Pool {
                identity,
                initialize: frame.detached(),
                answer: None,
                version: Box::default(),
                capabilities: Capabilities::default(),
                carry: Carry::Sessions,
                rehearsal: Vec::new(),
            },
        );
        pool
    }

    /// Registers a session that its agent opened.
    pub fn add_session(&mut self, session: Session) {
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
    pub fn add_child(&mut self, key: SessionKey, child: &str) {
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
    pub fn remove_session(&mut self, key: SessionKey) -> Option<Session> {
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
        if seeded::is(seeded::Bug::CloseOnCurrentChannel) {
            return self.newest_open_channel().unwrap_or(session.channel);
        }
        session.channel
    }

    /// The channel that remembers a closed session: its own, too.
    pub fn tombstone_channel(&self, session: &Session) -> ChannelId {
        #[cfg(feature = "seeded-bugs")]
        if seeded::is(seeded::Bug::TombstoneOnWrongChannel) {
            return self.newest_open_channel().unwrap_or(session.channel);
        }
        session.channel
    }

    #[cfg(feature = "seeded-bugs")]
    fn newest_open_channel(&self) -> Option<ChannelId> {
        self.channels.iter().rev().find(|(_, row)| row.is_open()).map(|(id, _)| *id)
    }

    /// A client is attached to a session from now on.
    pub fn attach(&mut self, client: ClientId, key: SessionKey) {
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
    pub fn detach(&mut self, client: ClientId, key: SessionKey, then: Audience) {
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
}
