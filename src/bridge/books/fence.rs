//! The fence (I12): a conversation that one channel may still hold is not opened
//! on another. If two agents held one conversation, turns would be lost.

use std::cmp::Reverse;

use crate::bridge::books::Books;
use crate::bridge::books::call::Opening;
use crate::bridge::books::channel::Channel;
use crate::bridge::books::tombstones::{Hold, Tombstone};
use crate::bridge::id::{AgentId, ChannelId, ClientId};
#[cfg(feature = "seeded-bugs")]
use crate::bridge::seeded;

/// Whether a channel may still hold a conversation.
pub enum Fence {
    /// No channel holds it.
    Free,
    /// This channel holds it as a husk, and can go on with it.
    Reinstate(ChannelId),
    /// This channel holds it now, but stops, or a close of it is under way: ask again later.
    Leaving(ChannelId),
    /// This channel may hold it: its agent did not answer a close or a restore of it.
    Unanswered(ChannelId),
    /// A live session has this id of the agent; clients know that session by another id.
    Live,
}

impl Books {
    /// The newest channel with a tombstone of the session that clients knew by `public`,
    /// and the agent's id of that session.
    pub fn last_home(&self, client: ClientId, public: &str) -> Option<(ChannelId, Box<str>)> {
        let agent = self.client(client)?.agent;
        let channels = self.channels.iter().rev().filter(|(_, row)| row.agent == agent);
        let mut channels = channels;
        channels.find_map(|(channel, row)| {
            Some((*channel, row.tombstones.named(public)?.agent_id.clone()))
        })
    }

    /// Whether a channel may still hold the conversation that the agent knows by `id`.
    /// Where agents number their sessions per process, several channels may hold that id:
    /// then the one counts whose session clients knew by `public`, else the oldest.
    pub fn fence(&self, agent: AgentId, id: &str, public: Option<&str>) -> Fence {
        #[cfg(feature = "seeded-bugs")]
        if seeded::is(seeded::Bug::OpenFencedId) {
            return Fence::Free;
        }
        let channels = || self.channels.iter().filter(|(_, row)| row.agent == agent);
        if channels().any(|(_, row)| row.names.contains(id)) {
            return Fence::Live;
        }
        let holders = channels().filter(|(_, row)| row.tombstones.fences(id));
        let is_meant =
            |row: &Channel| row.tombstones.get(id).is_some_and(|tomb| Some(tomb.id()) == public);
        let Some((channel, row)) =
            holders.max_by_key(|(channel, row)| (is_meant(row), Reverse(**channel)))
        else {
            return Fence::Free;
        };
        let hold = row.tombstones.get(id).map_or(Hold::Nothing, Tombstone::hold);
        match hold {
            _ if row.is_stopping() => Fence::Leaving(*channel),
            Hold::Husk if row.is_open() => Fence::Reinstate(*channel),
            Hold::Unanswered => Fence::Unanswered(*channel),
            _ => Fence::Leaving(*channel),
        }
    }

    /// The channel of the session that an open names; `None`: that session is not live.
    pub fn channel_of(&self, agent: AgentId, opening: &Opening) -> Option<ChannelId> {
        let key = self.agent(agent).aliases.live(opening.public_id.as_ref()?)?;
        self.sessions.get(&key).map(|session| session.channel)
    }
}
