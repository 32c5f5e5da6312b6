//! The fence (I12): a conversation that one channel may still hold is not opened
//! on another. If two agents held one conversation, turns would be lost.

use std::cmp::Reverse;

use crate::bridge::books::Books;
use crate::bridge::books::call::Opening;
use crate::bridge::books::channel::Channel;
use crate::bridge::books::conversation::Wanted;
use crate::bridge::books::session_names::Name;
use crate::bridge::books::tombstones::{Hold, Tombstone};
use crate::bridge::id::{AgentId, ChannelId, ClientId};
#[cfg(feature = "seeded-bugs")]
use crate::bridge::seeded;

/// Whether a channel may still hold a conversation.
pub enum Fence {
    /// No channel holds it.
    Free,
    /// This channel holds it as a husk or under a passing id, and can go on with it.
    Reinstate(ChannelId),
    /// This channel holds it now, but stops, or a close of it is under way: ask again later.
    Leaving(ChannelId),
    /// This channel may hold it: its agent did not answer a close or a restore of it.
    Unanswered(ChannelId),
    /// A live session has this id of the agent; clients know that session by another id.
    Live,
}

impl Books {
    /// The tombstone of the session that clients knew by `public`, with its channel: of
    /// several the youngest.
    pub fn tombstone(&self, client: ClientId, public: &str) -> Option<(ChannelId, &Tombstone)> {
        let agent = self.client(client)?.agent;
        let channels = self.channels.iter().filter(|(_, row)| row.agent == agent);
        let found = channels.filter_map(|(id, row)| Some((*id, row.tombstones.named(public)?)));
        found.max_by_key(|(channel, row)| (row.since(), *channel))
    }

    /// Whether a channel may still hold the conversation that the agent knows by `id`, and that
    /// is `wanted`; `None`: whatever its directory. Where agents number their sessions per
    /// process, several channels may hold that id: then the one counts whose session clients
    /// knew by the same id, else the oldest.
    pub fn fence(&self, agent: AgentId, id: &str, wanted: Option<Wanted<'_>>) -> Fence {
        let public = wanted.map(|wanted| wanted.public_id);
        #[cfg(feature = "seeded-bugs")]
        if seeded::is(seeded::Bug::OpenFencedId) {
            return Fence::Free;
        }
        let channels = || self.channels.iter().filter(|(_, row)| row.agent == agent);
        let mut passing = None;
        for (channel, row) in channels() {
            match row.names.get(id) {
                Some(Name::Session(key))
                    if wanted.is_none_or(|wanted| self.is_wanted_live(wanted, key)) =>
                {
                    return Fence::Live;
                }
                Some(Name::Passing(key)) if passing.is_none() && self.is_held(key) => {
                    let known_as = self.passing(key).map(|row| &*row.public_id);
                    passing = Some(match public {
                        Some(public) if known_as != Some(public) => Fence::Live,
                        _ if row.is_open() => Fence::Reinstate(*channel),
                        _ => Fence::Leaving(*channel),
                    });
                }
                Some(_) | None => {}
            }
        }
        let is_its = |(channel, row): &(&ChannelId, &Channel)| {
            let buried = row.tombstones.get(id).filter(|row| row.hold().fences());
            let is_wanted = |tomb: &Tombstone| {
                wanted.is_none_or(|wanted| self.is_wanted_closed(wanted, **channel, &tomb.cwd))
            };
            buried.is_some_and(is_wanted)
        };
        let holders = channels().filter(is_its);
        let is_meant =
            |row: &Channel| row.tombstones.get(id).is_some_and(|tomb| Some(tomb.id()) == public);
        let holder = holders.max_by_key(|(channel, row)| (is_meant(row), Reverse(**channel)));
        // A passing id counts unless another channel may still hold what the client means.
        let (channel, row) = match (holder, passing) {
            (Some((channel, row)), None) => (channel, row),
            (Some((channel, row)), Some(_)) if is_meant(row) => (channel, row),
            (_, Some(passing)) => return passing,
            (None, None) => return Fence::Free,
        };
        let hold = row.tombstones.get(id).map_or(Hold::Nothing, Tombstone::hold);
        match hold {
            _ if row.is_stopping() => Fence::Leaving(*channel),
            Hold::Husk if row.is_open() => Fence::Reinstate(*channel),
            Hold::Unanswered => Fence::Unanswered(*channel),
            _ => Fence::Leaving(*channel),
        }
    }

    /// The channel of the session or passing id that an open names; `None`: it is not live.
    pub fn channel_of(&self, client: ClientId, opening: &Opening) -> Option<ChannelId> {
        match self.meant(client, opening.public_id.as_ref()?)? {
            Name::Session(key) => self.sessions.get(&key).map(|session| session.channel),
            Name::Passing(key) => self.passing.get(&key).map(|row| row.channel),
        }
    }
}
