//! The fence (I12): a conversation that one channel may still hold is not opened
//! on another. Two holders of one conversation lose turns.

use std::cmp::Reverse;

use crate::bridge::books::Books;
use crate::bridge::books::call::Opening;
use crate::bridge::books::channel::Channel;
use crate::bridge::books::tombstones::{Hold, Tombstone};
use crate::bridge::id::{AgentId, ChannelId, ClientId};
#[cfg(feature = "seeded-bugs")]
use crate::bridge::seeded;

/// Whether a channel may still be holding a conversation.
pub enum Fence {
    /// None does.
    Open,
    /// This one does, and can go on with it.
    Reinstate(ChannelId),
    /// One is about to let go of it.
    Soon(ChannelId),
    /// One that does not answer holds it.
    Shut(ChannelId),
    /// It is live, and known by another id.
    Live,
}

impl Books {
    /// The channel that had a closed session last, and the agent's id of it.
    pub fn last_home(&self, client: ClientId, public: &str) -> Option<(ChannelId, Box<str>)> {
        let agent = self.client(client)?.agent;
        let channels = self.channels.iter().rev().filter(|(_, row)| row.agent == agent);
        let mut channels = channels;
        channels.find_map(|(channel, row)| {
            Some((*channel, row.tombstones.named(public)?.agent_id.clone()))
        })
    }

    /// Who holds a conversation. Where agents number their sessions per process,
    /// several hold that id: then the one that clients know by the public id.
    pub fn fence(&self, agent: AgentId, id: &str, public: Option<&str>) -> Fence {
        #[cfg(feature = "seeded-bugs")]
        if seeded::is(seeded::Bug::OpenFencedId) {
            return Fence::Open;
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
            return Fence::Open;
        };
        let hold = row.tombstones.get(id).map_or(Hold::Nothing, Tombstone::hold);
        match hold {
            _ if row.is_stopping() => Fence::Soon(*channel),
            Hold::Husk if row.is_open() => Fence::Reinstate(*channel),
            Hold::Unanswered => Fence::Shut(*channel),
            _ => Fence::Soon(*channel),
        }
    }

    /// The channel of the live session that a client wants to open or copy.
    pub fn owner(&self, agent: AgentId, opening: &Opening) -> Option<ChannelId> {
        let key = self.agent(agent).aliases.live(opening.public.as_ref()?)?;
        self.sessions.get(&key).map(|session| session.channel)
    }
}
