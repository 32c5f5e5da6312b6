//! Live sessions enter the tables and leave them, and clients are attached to them and detached.

use crate::bridge::books::Books;
use crate::bridge::books::absence::Absence;
use crate::bridge::books::deadlines::Due;
use crate::bridge::books::session::{Audience, Session};
use crate::bridge::books::session_names::Name;
use crate::bridge::id::{ChannelId, ClientId, SessionKey};
#[cfg(feature = "seeded-bugs")]
use crate::bridge::seeded;

impl Books {
    /// Registers a session that its agent opened.
    pub fn add_session(&mut self, session: Session) {
        let key = session.key;
        let name = Name::Session(key);
        self.agent_mut(session.agent).aliases.insert(&session.id, name);
        if let Some(channel) = self.channel_mut(session.channel) {
            channel.sessions.insert(key);
            channel.names.insert(&session.agent_id, &session.id, name);
        }
        self.touched.sessions.insert(key);
        self.sessions.insert(key, session);
    }

    /// Part 1 of the close order: removes the session from every table, and from *its own*
    /// channel's set. The returned row still lists its open calls, its questions and its
    /// passing ids, which the caller removes.
    pub fn remove_session(&mut self, key: SessionKey) -> Option<Session> {
        let session = self.sessions.swap_remove(&key)?;
        if let Some(transcript) = &session.transcript {
            self.forget_transcript(key, transcript);
        }
        self.deadlines.forget(Due::Session(key));
        self.touched.sessions.remove(&key);
        self.agent_mut(session.agent).aliases.remove(&session.id, Name::Session(key));
        for client in session.clients() {
            if let Some(row) = self.clients.get_mut(client) {
                row.sessions.remove(&key);
            }
        }
        let owner = self.owner_of(&session);
        if let Some(channel) = self.channel_mut(owner) {
            channel.sessions.remove(&key);
            channel.names.remove(&session.agent_id);
        }
        Some(session)
    }

    /// Notes that the clients of a session that was removed have it no more.
    pub fn forget_attachments(&mut self, session: &Session) {
        for client in session.clients() {
            self.touched.detached(*client, session, self.phase);
        }
    }

    /// Makes the connections of a session's clients keep it anew: its recipe has changed.
    pub fn keep_anew(&mut self, key: SessionKey) {
        let Some(session) = self.sessions.get(&key) else { return };
        for client in session.clients().iter().filter(|_| self.limits.is_succeeded) {
            self.touched.kept(*client, session);
        }
    }

    /// The channel that lists a session: its own (I1).
    fn owner_of(&self, session: &Session) -> ChannelId {
        #[cfg(feature = "seeded-bugs")]
        if seeded::is(seeded::Bug::CloseOnCurrentChannel) {
            return self.newest_open_channel().unwrap_or(session.channel);
        }
        session.channel
    }

    /// The channel that keeps the tombstone of a closed session: its own, too.
    pub fn tombstone_channel(&self, session: &Session) -> ChannelId {
        #[cfg(feature = "seeded-bugs")]
        if seeded::is(seeded::Bug::TombstoneOnWrongChannel) {
            return self.newest_open_channel().unwrap_or(session.channel);
        }
        session.channel
    }

    #[cfg(feature = "seeded-bugs")]
    /// The newest open channel, for mistakes that take it for another.
    pub fn newest_open_channel(&self) -> Option<ChannelId> {
        self.channels.iter().rev().find(|(_, row)| row.is_open()).map(|(id, _)| *id)
    }

    /// Attaches a client that merely watches, unless it is attached already.
    pub fn attach_watcher(&mut self, client: ClientId, key: SessionKey) {
        if let Some(session) = self.sessions.get_mut(&key)
            && !session.clients().contains(&client)
        {
            session.watchers.push(client);
        }
        self.attach(client, key);
    }

    /// Attaches a client to a session. Does nothing if either is gone.
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
        let channel = session.channel;
        if row.sessions.insert(key) {
            self.touched.attached(client, session);
            if self.limits.is_succeeded {
                self.touched.kept(client, session);
            }
        }
        row.ended.forget(&session.id);
        self.touched.sessions.insert(key);
        self.touched.channels.insert(channel);
    }

    /// Detaches a client from a session. If it was the last one, `then` begins.
    pub fn detach(&mut self, client: ClientId, key: SessionKey, then: Absence) {
        let row = self.clients.get_mut(&client);
        let was_attached = row.is_some_and(|row| row.sessions.remove(&key));
        let Some(session) = self.session_mut(key) else { return self.absent(key) };
        session.watchers.retain(|other| *other != client);
        if let Audience::Attached(clients) = &mut session.audience {
            clients.retain(|other| *other != client);
            if clients.is_empty() {
                session.audience = Audience::Absent(Box::new(then));
            }
        }
        let channel = session.channel;
        self.touched.channels.insert(channel);
        if was_attached && let Some(session) = self.sessions.get(&key) {
            self.touched.detached(client, session, self.phase);
        }
    }
}
