//! Pressure: peers that do not take what is written for them.
//!
//! A slow client pauses the agents that feed it. A client is never paused for an
//! agent: what is for an agent that does not read is refused or, past a bound,
//! thrown away and counted.

use crate::wire::{Frame, Outgoing};

use crate::bridge::Bridge;
use crate::bridge::books::channel::{Channel, MAX_UNREAD};
use crate::bridge::books::client::Client;
use crate::bridge::books::session::Session;
use crate::bridge::id::{ChannelId, ClientId, SessionKey};
use crate::bridge::notice::Notice;
use crate::bridge::refusal::Refusal;

impl Bridge {
    /// A client's outbox went over its mark, or under it.
    pub(in crate::bridge) fn client_saturated(&mut self, client: ClientId, over: bool) {
        if let Some(row) = self.registry.clients.get_mut(&client) {
            row.saturated = over;
        }
        self.registry.touched_channels.extend(self.registry.channels.keys().copied());
    }

    /// An agent's outbox went over its mark, or under it.
    pub(in crate::bridge) fn channel_saturated(&mut self, channel: ChannelId, over: bool) {
        let Some(row) = self.registry.channel_mut(channel) else { return };
        row.unread = over.then_some(0);
        if over {
            self.publish(Notice::AgentNotReading { channel });
        }
    }

    /// Whether a channel's agent has something for a client that is slow to take it.
    pub(in crate::bridge) fn feeds_slow_client(&self, row: &Channel) -> bool {
        if row.is_stopping() || !self.registry.clients.values().any(|client| client.saturated) {
            return false;
        }
        let is_slow =
            |id: ClientId| self.registry.clients.get(&id).is_some_and(|row| row.saturated);
        let sessions = row.sessions.iter().filter_map(|key| self.registry.sessions.get(key));
        let listeners = sessions.flat_map(Session::clients).copied();
        let askers = row.calls.iter().filter_map(|id| self.registry.calls.get(id)?.client());
        // Without a session an agent speaks to all of its pool.
        let in_pool = |client: &Client| client.saturated && client.pool == row.pool;
        listeners.chain(askers).any(is_slow)
            || (row.sessions.is_empty() && self.registry.clients.values().any(in_pool))
    }

    /// Requests about a session whose agent does not read are refused. Those without a session are looked at when they are placed.
    pub(in crate::bridge) fn refuse_if_clogged(&mut self, client: ClientId, frame: &Frame) -> bool {
        let named = frame.session().and_then(|id| self.registry.public.get(&*id).copied());
        named.is_some_and(|key| self.refuse_if_clogged_in(client, key, frame))
    }

    pub(in crate::bridge) fn refuse_if_clogged_in(
        &mut self,
        client: ClientId,
        key: SessionKey,
        frame: &Frame,
    ) -> bool {
        let session = self.registry.sessions.get(&key);
        let is_clogged = session.is_some_and(|session| self.is_clogged(session.channel));
        if is_clogged {
            let agent = self.agent_name();
            self.refuse(client, &frame.id(), &Refusal::AgentNotReading { agent });
        }
        is_clogged
    }

    /// Whether the outbox of a channel is full, because its agent does not read.
    pub(in crate::bridge) fn is_clogged(&self, channel: ChannelId) -> bool {
        self.registry.channel(channel).is_some_and(|row| row.unread.is_some())
    }

    /// Sends an agent a client's notification, unless it has left too many unread.
    pub(in crate::bridge) fn pass_notification(&mut self, channel: ChannelId, frame: Outgoing) {
        let row = self.registry.channels.get_mut(&channel);
        if let Some(unread) = row.and_then(|row| row.unread.as_mut()) {
            if *unread + frame.len() > MAX_UNREAD {
                self.counters.unrouted += 1;
                return;
            }
            *unread += frame.len();
        }
        self.send_to_channel(channel, frame);
    }
}
