//! The work that would be lost if the bridge ended now.

use crate::bridge::books::Books;
use crate::bridge::books::call::{Asker, Call};
use crate::bridge::books::channel::Channel;
use crate::bridge::books::id_set::Ids;
use crate::bridge::id::{CallId, ChannelId};

/// The kind of a request that is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnderWay {
    /// A turn, also one whose client is gone, and a prompt that waits for its turn.
    Turn,
    /// A session is being opened.
    Open,
    /// Any other request of a client.
    Request,
}

impl Books {
    /// The kind of a call, if its end would be a loss. Closes are none, and calls that only wait in
    /// the tombstone of a session or were answered by the bridge already.
    pub fn under_way(&self, call: &Call) -> Option<UnderWay> {
        let is_over = call.session.is_some_and(|key| self.session(key).is_none());
        if is_over || call.is_overdue() || call.is_close() {
            None
        } else if call.is_turn() {
            Some(UnderWay::Turn)
        } else if call.opening().is_some() {
            Some(UnderWay::Open)
        } else {
            (call.asker != Asker::Nobody).then_some(UnderWay::Request)
        }
    }

    /// Whether anything would be lost if the bridge ended now, beside sessions in which nothing
    /// goes on.
    pub fn has_work_under_way(&self) -> bool {
        !self.questions.is_empty()
            || !self.fanouts.is_empty()
            || self.calls.values().any(|call| self.under_way(call).is_some())
    }

    /// Why a channel cannot be drained, as the end of a sentence; `None`: it can. Clients that wait
    /// for a handshake would be refused, and sessions that the books do not know would be lost.
    pub fn obstacle_to_drain(&self, channel: ChannelId) -> Option<&'static str> {
        let is_starting = self.channel(channel).is_some_and(Channel::is_starting);
        if is_starting {
            Some("its agent has not answered initialize yet")
        } else {
            self.is_passthrough(channel)
                .then_some("its client speaks another protocol version, and may have sessions")
        }
    }

    /// The calls on a channel that belong to no live session and are not answered, the oldest
    /// first: they keep the channel, whatever becomes of its sessions.
    pub fn calls_beside_sessions<'a>(
        &'a self,
        calls: &'a Ids<CallId>,
    ) -> impl Iterator<Item = CallId> {
        calls.iter().copied().filter(|id| {
            self.call(*id).is_some_and(|call| {
                let is_in_session = call.session.is_some_and(|key| self.session(key).is_some());
                !call.is_overdue() && !is_in_session
            })
        })
    }
}
