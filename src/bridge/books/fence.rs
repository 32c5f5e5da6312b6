//! The fence (I12): a conversation that one channel may still hold is not opened
//! on another. Two holders of one conversation lose turns.

use std::cmp::Reverse;

use crate::bridge::Bridge;
use crate::bridge::books::call::Opening;
use crate::bridge::books::channel::{Channel, Hold, Rung, State};
use crate::bridge::id::{CallId, ChannelId};
use crate::bridge::time::Moment;

/// Whether a channel may still be holding a conversation.
pub(in crate::bridge) enum Fence {
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

impl Bridge {
    /// Who holds a conversation. Where agents number their sessions per process,
    /// several hold that id: then the one that clients know by the public id.
    pub(in crate::bridge) fn fence(&self, id: &str, public: Option<&str>) -> Fence {
        #[cfg(feature = "seeded-bugs")]
        if crate::bridge::seeded::is(crate::bridge::seeded::Bug::OpenFencedId) {
            return Fence::Open;
        }
        if self.registry.channels.values().any(|row| row.names.contains(id)) {
            return Fence::Live;
        }
        let holders = self.registry.channels.iter().filter(|(_, row)| row.fences(id));
        let is_meant =
            |row: &Channel| row.tombstones.get(id).is_some_and(|tomb| Some(&*tomb.id) == public);
        let Some((channel, row)) =
            holders.max_by_key(|(channel, row)| (is_meant(row), Reverse(**channel)))
        else {
            return Fence::Open;
        };
        let hold = row.tombstones.get(id).map_or(Hold::Nothing, |tomb| tomb.hold);
        match hold {
            _ if row.is_stopping() => Fence::Soon(*channel),
            Hold::Husk if row.is_open() => Fence::Reinstate(*channel),
            Hold::Unanswered => Fence::Shut(*channel),
            _ => Fence::Soon(*channel),
        }
    }

    /// The channel of the live session that a client wants to open or copy.
    pub(in crate::bridge) fn owner(&self, opening: &Opening) -> Option<ChannelId> {
        let key = self.registry.public.get(opening.public.as_ref()?)?;
        self.registry.sessions.get(key).map(|session| session.channel)
    }

    /// A waiter moves the channel that holds its conversation one rung on, once.
    pub(in crate::bridge) fn hurry(&mut self, id: CallId, channel: ChannelId, now: Moment) {
        let since = match self.registry.channel(channel).map(|row| &row.state) {
            Some(State::Stopping {
                since, rung: Rung::ClosingStdin | Rung::Terminated, ..
            }) => *since,
            _ => return,
        };
        let asked_at = self.registry.calls.get(&id).map(|call| call.asked_at);
        if asked_at == Some(now) && since < now {
            self.next_rung(channel, now);
        }
    }
}
