//! The addressee of a message of an agent: one function for all kinds of messages.
//!
//! The id that a message names decides. If it names nothing, or nothing that the books know, it
//! goes where it would have gone without a bridge, as far as that is certain: to the one
//! client that it can be for. A guess among several clients would show the login or the tool
//! call of one to another.

use std::collections::BTreeSet;

use crate::bridge::books::Books;
use crate::bridge::books::call::{Asker, Call, Opening, Purpose, Stage};
use crate::bridge::books::session::Session;
use crate::bridge::books::session_names::Name;
use crate::bridge::id::{CallId, ChannelId, ClientId};
#[cfg(feature = "seeded-bugs")]
use crate::bridge::seeded;
use crate::wire::{Frame, FrameKind, Method, Token};

/// The addressee of a message of an agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Addressee {
    /// The live session or passing id that the message names.
    Named(Name),
    /// The client of this open: the message names the session that the open restores, or
    /// one that it may bring.
    Opening(CallId),
    /// The client of this request, which the message names.
    Request(CallId),
    /// This client.
    Client(ClientId),
    /// All clients of the channel: a notification that names no session.
    Everyone,
    /// No client: the message names a session that was closed.
    Closed,
    /// No client: several may be meant, or there is none.
    Nobody,
}

impl Books {
    /// The addressee of a request or notification of a channel's agent.
    pub fn addressee(&self, channel: ChannelId, frame: &Frame) -> Addressee {
        let Some(row) = self.channel(channel) else { return Addressee::Nobody };
        if let Some(id) = frame.session() {
            if let Some(name) = row.names.get(&id) {
                return self.named(channel, name, &id, frame.kind);
            }
            let is_buried = row.tombstones.contains(&id);
            if let Some(open) = self.open_for(channel, &id, is_buried, frame.kind) {
                return Addressee::Opening(open);
            }
            // In a shutdown every session is closed, also one that the books never knew.
            if is_buried || self.is_ending() {
                return Addressee::Closed;
            }
        }
        if let Some(handle) = row.handles.named_in(frame) {
            return Addressee::Client(handle.client);
        }
        if let Some(call) = self.request_named(channel, frame) {
            return Addressee::Request(call);
        }
        match self.only_client(channel) {
            Some(client) => Addressee::Client(client),
            None if frame.kind == FrameKind::Notification && frame.session().is_none() => {
                Addressee::Everyone
            }
            None => Addressee::Nobody,
        }
    }

    /// The addressee of a frame that names something known. A passing id may be one that an
    /// open which is under way restores. And the agent is not known to hold anything under one
    /// that only a client has named: then an open of another client may bring that id, since an
    /// agent that counts its sessions soon gives it again.
    fn named(&self, channel: ChannelId, name: Name, id: &str, kind: FrameKind) -> Addressee {
        let Name::Passing(key) = name else { return Addressee::Named(name) };
        if self.is_ending() {
            return Addressee::Closed;
        }
        let Some(open) = self.open_in_flight(channel, Some(id)) else {
            return Addressee::Named(name);
        };
        let restores = self.call(open).and_then(Call::opening).and_then(Opening::restores);
        if restores.is_some() {
            return Addressee::Opening(open);
        }
        let opener = self.only_opener(channel);
        let is_its = opener.is_some_and(|opener| self.clients_of_passing(key).contains(&opener));
        match kind {
            _ if is_its || self.is_held(key) => Addressee::Named(name),
            FrameKind::Notification => Addressee::Opening(open),
            _ => Addressee::Nobody,
        }
    }

    /// The open that a frame under an unknown session id belongs to: the restore of `id`,
    /// otherwise one that makes a new session. For a request, that must be known to be of
    /// one client, since a request cannot be held until the answer tells.
    fn open_for(
        &self,
        channel: ChannelId,
        id: &str,
        is_buried: bool,
        kind: FrameKind,
    ) -> Option<CallId> {
        let open = self.open_in_flight(channel, Some(id))?;
        let restores = |call: &Call| call.opening().and_then(Opening::restores).is_some();
        if self.call(open).is_some_and(restores) {
            return Some(open);
        }
        #[cfg(feature = "seeded-bugs")]
        if seeded::is(seeded::Bug::SpeakOverTombstone) {
            return Some(open);
        }
        let certain = kind == FrameKind::Notification || self.only_opener(channel).is_some();
        (!is_buried && certain).then_some(open)
    }

    /// The one client that has opens of new sessions in flight on a channel.
    fn only_opener(&self, channel: ChannelId) -> Option<ClientId> {
        let calls = self.channel(channel)?.calls.iter().filter_map(|id| self.calls.get(id));
        let mut opens = calls.filter(|call| {
            call.is_sent() && call.opening().is_some_and(|open| open.restores().is_none())
        });
        let first = opens.next()?.client();
        first.filter(|_| opens.all(|open| open.client() == first))
    }

    /// The pending request of a client that an elicitation belongs to.
    pub fn request_named(&self, channel: ChannelId, frame: &Frame) -> Option<CallId> {
        if frame.method != Method::ElicitationCreate {
            return None;
        }
        let id = CallId(frame.request()?.0.as_number()?);
        self.asker_on(channel, id).map(|_| id)
    }

    /// The client that a pending request to an agent is made for, with the id that it gave the
    /// request, if the request is its own; `None`: there is no such request, or no client waits
    /// for it.
    pub fn asker_on(&self, channel: ChannelId, id: CallId) -> Option<(ClientId, Option<&Token>)> {
        let call = self.calls.get(&id).filter(|call| call.channel == Some(channel))?;
        let asker = match call.purpose {
            Purpose::Part(fanout) => &self.fanouts.get(&fanout)?.asker,
            Purpose::RepeatedLogin { open } => &self.calls.get(&open)?.asker,
            _ => &call.asker,
        };
        match asker {
            Asker::Client(client, token) => Some((*client, Some(token))),
            Asker::Revival(client) => Some((*client, None)),
            Asker::Nobody => None,
        }
    }

    /// The connected client that a call on a channel was made for, also if it was refused
    /// meanwhile.
    fn maker(&self, channel: ChannelId, id: CallId) -> Option<ClientId> {
        let client = match self.calls.get(&id)?.stage {
            Stage::Overdue { client } => client?,
            _ => self.asker_on(channel, id)?.0,
        };
        self.clients.contains_key(&client).then_some(client)
    }

    /// Whether the bridge has given a request id to an agent, and no client waits for that
    /// request.
    pub fn is_past_request(&self, channel: ChannelId, number: u64) -> bool {
        (1..=self.numbers.calls.last()).contains(&number)
            && self.asker_on(channel, CallId(number)).is_none()
    }

    /// The one client that a message of a channel's agent can be for: the only one with a
    /// session on, or a request at, the channel; of several, the only one whose prompt or
    /// open runs there now; without any, the only client of the pool. While an open runs
    /// there whose client is gone, nobody: the message may belong to that.
    pub fn only_client(&self, channel: ChannelId) -> Option<ClientId> {
        let row = self.channel(channel)?;
        let calls = || {
            let calls = row.calls.iter().filter_map(|id| Some((*id, self.calls.get(id)?)));
            calls.map(|(id, call)| (call, self.maker(channel, id)))
        };
        if calls().any(|(call, maker)| call.opening().is_some() && maker.is_none()) {
            return None;
        }
        let sessions = row.sessions.iter().filter_map(|key| self.sessions.get(key));
        let passing = row.passing.iter().flat_map(|key| self.clients_of_passing(*key));
        let mut there: BTreeSet<ClientId> = sessions.flat_map(Session::clients).copied().collect();
        there.extend(calls().filter_map(|(_, maker)| maker));
        there.extend(row.leases.iter().copied().chain(passing));
        #[cfg(feature = "seeded-bugs")]
        if seeded::is(seeded::Bug::GuessAmongClients) {
            return there.first().copied();
        }
        match there.len() {
            0 => only(&self.clients_of(channel).into_iter().collect()),
            1 => there.first().copied(),
            _ => {
                let runs = |call: &Call| {
                    let works = call.is_turn() || matches!(call.purpose, Purpose::Reload { .. });
                    (call.is_sent() && works) || (!call.is_unsent() && call.opening().is_some())
                };
                let running = calls().filter(|(call, _)| runs(call));
                only(&running.filter_map(|(_, maker)| maker).collect())
            }
        }
    }
}

/// The one client of a set; `None`: there are several, or none.
fn only(clients: &BTreeSet<ClientId>) -> Option<ClientId> {
    clients.first().copied().filter(|_| clients.len() == 1)
}
