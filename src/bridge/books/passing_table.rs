//! The table of passing ids: each is entered and taken in one place, so that every table that
//! it concerns agrees.

use crate::bridge::books::Books;
use crate::bridge::books::passing::{MAX_PASSING, Owner, PassingId, PassingState};
use crate::bridge::books::session_names::Name;
use crate::bridge::books::table::Table;
use crate::bridge::id::{ChannelId, ClientId, PassingKey, SessionKey};
#[cfg(feature = "seeded-bugs")]
use crate::bridge::seeded;

impl Books {
    /// The row of a passing id.
    pub fn passing(&self, key: PassingKey) -> Option<&PassingId> {
        self.passing.get(&key)
    }

    /// The row of a passing id, to change it. It is not touched: no deadline depends on
    /// what other rooms change in it.
    pub fn passing_mut(&mut self, key: PassingKey) -> Option<&mut PassingId> {
        self.passing.get_mut(&key)
    }

    /// Notes that the agent has named a passing id; returns its row.
    pub fn hear_passing(&mut self, key: PassingKey) -> Option<&PassingId> {
        if self.passing.get(&key)?.state == PassingState::Named {
            self.hold_passing(key);
        }
        self.passing.get(&key)
    }

    /// Notes that the agent holds something under a passing id, unless something elsewhere has
    /// taken its public id before that was known, or is about to.
    pub fn hold_passing(&mut self, key: PassingKey) {
        let Some(row) = self.passing.get(&key) else { return self.absent(key) };
        let aliases = &self.agent(row.agent).aliases;
        let is_found = aliases.means(&row.public_id, Name::Passing(key))
            && aliases.on_their_way(&row.public_id).next().is_none()
            && !self.is_expected(row.agent, &row.public_id);
        if let Some(row) = self.passing.get_mut(&key).filter(|_| is_found) {
            row.state = PassingState::Held;
        }
    }

    /// Whether the agent is known to hold something under a passing id.
    pub fn is_held(&self, key: PassingKey) -> bool {
        self.passing.get(&key).is_some_and(|row| row.state == PassingState::Held)
    }

    /// Every passing id, in an order without meaning.
    pub fn all_passing(&self) -> &Table<PassingKey, PassingId> {
        &self.passing
    }

    /// Adds a passing id to a channel, under `public` or a public id that is free; returns
    /// its key, and how many older ones gave way. `None`: the agent means a session or another
    /// passing id by it already.
    pub fn add_passing(
        &mut self,
        channel: ChannelId,
        (agent_id, public): (&str, Option<&str>),
        owner: Owner,
        state: PassingState,
    ) -> Option<(PassingKey, u64)> {
        let row = self.channels.get(&channel)?;
        if row.names.contains(agent_id) {
            return None;
        }
        let (agent, is_full) = (row.agent, row.passing.len() >= MAX_PASSING);
        if is_full {
            // One that has ended, else the oldest one.
            let is_over = |key: &&PassingKey| {
                self.passing.get(*key).is_some_and(|row| row.state == PassingState::Ended)
            };
            let ended = row.passing.iter().find(is_over);
            let oldest = ended.or(row.passing.iter().next()).copied();
            oldest.and_then(|oldest| self.remove_passing(oldest));
        }
        let public_id = public.map(Into::into).or_else(|| self.expected_id(channel, agent_id));
        let public_id = public_id.unwrap_or_else(|| self.free_public_id(agent, agent_id));
        #[cfg(feature = "seeded-bugs")]
        let public_id =
            if seeded::is(seeded::Bug::ReusePublicId) { agent_id.into() } else { public_id };
        let key = PassingKey(self.numbers.passing.next());
        self.agent_mut(agent).aliases.insert(&public_id, Name::Passing(key));
        if let Owner::Session(parent) = owner
            && let Some(session) = self.sessions.get_mut(&parent)
        {
            session.children.insert(key);
        }
        if let Some(row) = self.channel_mut(channel) {
            row.passing.insert(key);
            row.names.insert(agent_id, &public_id, Name::Passing(key));
        }
        let agent_id = agent_id.into();
        self.passing.insert(key, PassingId { agent, channel, agent_id, public_id, owner, state });
        Some((key, u64::from(is_full)))
    }

    /// Makes a passing id that was announced while a session was being restored belong to it.
    pub fn adopt_passing(&mut self, key: PassingKey, session: SessionKey) {
        // It may have ended meanwhile.
        let (Some(row), Some(parent)) =
            (self.passing.get_mut(&key), self.sessions.get_mut(&session))
        else {
            return;
        };
        row.owner = Owner::Session(session);
        parent.children.insert(key);
    }

    /// Removes a passing id from every table.
    pub fn remove_passing(&mut self, key: PassingKey) -> Option<PassingId> {
        let row = self.passing.swap_remove(&key)?;
        self.agent_mut(row.agent).aliases.remove(&row.public_id, Name::Passing(key));
        if let Owner::Session(parent) = row.owner
            && let Some(session) = self.sessions.get_mut(&parent)
        {
            session.children.remove(&key);
        }
        if let Some(channel) = self.channel_mut(row.channel) {
            channel.passing.remove(&key);
            channel.names.remove(&row.agent_id);
        }
        Some(row)
    }

    /// The passing ids of a client.
    pub fn passing_of_client(&self, client: ClientId) -> Vec<PassingKey> {
        let rows = self.passing.iter();
        let its = rows.filter(|(_, row)| row.owner == Owner::Client(client));
        its.map(|(key, _)| *key).collect()
    }

    /// The owner of a new passing id that a client is to get from a channel: the session of
    /// the client there that is in a turn and was heard last, else the one that was heard
    /// last, else the client itself.
    pub fn owner_for(&self, channel: ChannelId, client: ClientId) -> Owner {
        let keys = self.channel(channel).into_iter().flat_map(|row| &row.sessions);
        let sessions = keys.filter_map(|key| self.sessions.get(key));
        let its = sessions.filter(|session| session.clients().contains(&client));
        let last = its.max_by_key(|session| {
            let is_in_turn = self.running_in(session).next().is_some();
            (is_in_turn, session.heard_at, session.key)
        });
        last.map_or(Owner::Client(client), |session| Owner::Session(session.key))
    }
}
