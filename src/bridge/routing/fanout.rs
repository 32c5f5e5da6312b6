//! Requests about the agent as a whole: to every channel, or to the right one.
//!
//! Logins, providers, and the list of stored conversations.

use std::collections::BTreeSet;

use bytes::Bytes;

use crate::wire::json::quoted;
use crate::wire::{Frame, Kind, Method, Span, Token, json, splice};

use crate::bridge::Bridge;
use crate::bridge::books::call::{Asker, Call, Fanout, Purpose, Stage};
use crate::bridge::books::channel::Login;
use crate::bridge::books::registry::ids_of;
use crate::bridge::id::{CallId, ChannelId, ClientId, FanoutId, PoolId};
use crate::bridge::outgoing::compose;
use crate::bridge::outgoing::translate::with_edits;
use crate::bridge::refusal::Refusal;
use crate::bridge::time::Moment;

/// Cursors remembered with the channel that gave them.
const MAX_CURSORS: usize = 256;

fn is_array(text: &[u8], place: Span) -> bool {
    place.of(text).starts_with(b"[")
}

impl Bridge {
    /// A request that every channel of the client's pool must hear: it succeeds
    /// if all of them say so.
    pub(in crate::bridge) fn fan_out(&mut self, client: ClientId, frame: &Frame, now: Moment) {
        let pool = self.registry.clients.get(&client).and_then(|row| row.pool);
        let channels: Vec<ChannelId> = self.open_channels(pool).collect();
        if channels.iter().any(|id| self.is_clogged(*id)) {
            let agent = self.agent_name();
            return self.refuse(client, &frame.id(), &Refusal::AgentNotReading { agent });
        }
        let (Some(pool), false) = (pool, channels.is_empty()) else {
            // None runs: one is started for it, and the others will hear it at their start.
            self.loose_call(client, Purpose::Shared(Box::new(frame.detached())), frame, now);
            return;
        };
        let fanout = FanoutId(self.registry.numbers.fanouts.next());
        let asker = Asker::Client(client, frame.id());
        let request = frame.detached();
        let told = channels.clone();
        if let Some(row) = self.registry.clients.get_mut(&client) {
            row.fanouts.insert(fanout);
        }
        self.registry.fanouts.insert(fanout, Fanout { asker, pool, request, told, answer: None });
        for channel in channels {
            let id = self.registry.add_call(Call {
                asker: Asker::Nobody,
                purpose: Purpose::Part(fanout),
                channel: Some(channel),
                session: None,
                asked_at: now,
                stage: Stage::Sent(now),
            });
            self.send_to_channel(channel, frame.with_id(Token::number(id.0)));
        }
    }

    /// One of the channels answered; its call is over.
    pub(in crate::bridge) fn part_answered(&mut self, id: FanoutId, frame: &Frame, now: Moment) {
        let Some(fanout) = self.registry.fanouts.get_mut(&id) else { return };
        let is_worse = frame.kind == Kind::Failure
            && fanout.answer.as_ref().is_none_or(|answer| answer.kind == Kind::Success);
        if is_worse || fanout.answer.is_none() {
            fanout.answer = Some(frame.detached());
        }
        let is_open = self.registry.calls.values().any(|call| call.purpose == Purpose::Part(id));
        if is_open {
            return;
        }
        let Some(fanout) = self.registry.fanouts.remove(&id) else { return };
        if let Asker::Client(client, _) = &fanout.asker
            && let Some(row) = self.registry.clients.get_mut(client)
        {
            row.fanouts.remove(&id);
        }
        let Some(answer) = fanout.answer else { return };
        self.answer(&fanout.asker, |token| answer.with_id(token.clone()));
        if answer.kind == Kind::Success {
            self.agreed(fanout.pool, &fanout.request, &fanout.told, now);
        }
    }

    /// The parts of a client's request that channels have not answered.
    pub(in crate::bridge) fn open_parts(&self, asker: &Asker) -> Vec<CallId> {
        let mut fanouts = self.registry.fanouts.iter();
        let Some((id, _)) = fanouts.find(|(_, fanout)| fanout.asker == *asker) else {
            return Vec::new();
        };
        let is_part = |call: &Call| call.purpose == Purpose::Part(*id);
        let mut parts = ids_of(&self.registry.calls);
        parts.retain(|id| self.registry.calls.get(id).is_some_and(is_part));
        parts
    }

    /// Every channel that was told said yes: further ones hear the same at their
    /// start, those that became ready meanwhile hear it now.
    pub(in crate::bridge) fn agreed(
        &mut self,
        pool: PoolId,
        request: &Frame,
        told: &[ChannelId],
        now: Moment,
    ) {
        match request.method {
            Method::ProvidersSet | Method::ProvidersDisable => {
                self.remember_for_rehearsal(pool, request);
                let others: Vec<ChannelId> =
                    self.open_channels(Some(pool)).filter(|id| !told.contains(id)).collect();
                for channel in others {
                    self.rehearse(channel, vec![request.detached()], now);
                }
            }
            Method::Logout | Method::AuthLogout => self.forget_logins(pool),
            _ => {}
        }
    }

    fn forget_logins(&mut self, pool: PoolId) {
        if let Some(pool) = self.registry.pools.get_mut(&pool) {
            let is_login =
                |frame: &Frame| matches!(frame.method, Method::Authenticate | Method::AuthLogin);
            pool.rehearsal.retain(|frame| !is_login(frame));
        }
        for (id, row) in self.registry.channels.iter_mut().filter(|(_, row)| row.pool == Some(pool))
        {
            row.login = Login::Unknown;
            // A fresh login may have kept it beyond its idle time.
            self.registry.touched_channels.insert(*id);
        }
    }

    /// One of the channels will not answer any more.
    pub(in crate::bridge) fn part_failed(&mut self, id: FanoutId, refusal: &Refusal, now: Moment) {
        if let Some(frame) = compose::missing_answer(&Token::number(0), refusal) {
            self.part_answered(id, &frame, now);
        }
    }

    /// A login was answered.
    pub(in crate::bridge) fn logged_in(
        &mut self,
        channel: ChannelId,
        again: Option<Box<Frame>>,
        frame: &Frame,
        now: Moment,
    ) {
        if frame.kind == Kind::Failure {
            return;
        }
        let Some(row) = self.registry.channel_mut(channel) else { return };
        row.login = Login::Done { at: now };
        let pool = row.pool;
        // One with `_meta` carries its credentials; another one may open a
        // browser and is not repeated.
        if let (Some(pool), Some(frame)) = (pool, again) {
            self.remember_for_rehearsal(pool, &frame);
        }
    }

    /// A client's `session/list`. A cursor goes back to the channel that gave it.
    pub(in crate::bridge) fn client_list(
        &mut self,
        client: ClientId,
        purpose: Purpose,
        frame: &Frame,
        now: Moment,
    ) {
        let Some(cursor) = frame.find_text(&["cursor"]) else {
            self.loose_call(client, purpose, frame, now);
            return;
        };
        let is_open = |id: &ChannelId| self.registry.channel(*id).is_some_and(|row| row.is_open());
        let Some(channel) = self.registry.cursors.get(&*cursor).copied().filter(is_open) else {
            return self.refuse(client, &frame.id(), &Refusal::StaleCursor);
        };
        let id = self.loose_call(client, purpose, frame, now);
        self.registry.move_call(id, Some(channel));
        self.send_when_ready(id, now);
    }

    /// A page of stored conversations: live sessions that the agent does not
    /// list yet are added to the first one, aliases take the place of ids.
    pub(in crate::bridge) fn list_answered(
        &mut self,
        channel: ChannelId,
        id: CallId,
        first: bool,
        cwd: Option<&str>,
        frame: &Frame,
    ) {
        let Some(call) = self.registry.take_call(id) else { return };
        let Asker::Client(client, token) = &call.asker else { return };
        if let Some(cursor) = frame.find_text(&["nextCursor"]) {
            if self.registry.cursors.len() >= MAX_CURSORS {
                self.registry.cursors.pop_first();
                self.counters.cursors += 1;
            }
            self.registry.cursors.insert(cursor.into(), channel);
        }
        let text = frame.bytes();
        // Some spell an empty list `null`; what else is no list passes as it is.
        let place = frame.find(&["sessions"]).filter(|place| {
            frame.kind == Kind::Success && (is_array(text, *place) || place.of(text) == b"null")
        });
        let Some(place) = place else {
            return self.send_to_client(*client, frame.with_id(token.clone()));
        };
        let mut edits = Vec::new();
        let mut listed: BTreeSet<Box<str>> = BTreeSet::new();
        for entry in json::elements(text, place) {
            let Some(at) = json::find(text, entry, &["sessionId"]) else { continue };
            let Some(agent_id) = json::text(text, at) else { continue };
            let row = self.registry.channel(channel);
            let key = row.and_then(|row| row.names.get(&agent_id));
            let session = key.and_then(|key| self.registry.sessions.get(&key));
            if let Some(session) = session.filter(|session| session.is_aliased()) {
                edits.push((at, Bytes::from(quoted(&session.id))));
            }
            listed.insert(session.map_or_else(|| agent_id.into(), |session| session.id.clone()));
        }
        let mut outgoing = with_edits(frame, None, edits).to_bytes();
        if first {
            let unlisted = self.live_sessions_but(&listed, channel, cwd);
            let list = json::whole(&outgoing)
                .and_then(|whole| json::find(&outgoing, whole, &["result", "sessions"]));
            if let Some(list) = list.filter(|_| !unlisted.is_empty()) {
                let entries = unlisted.join(",");
                outgoing = if is_array(&outgoing, list) {
                    splice::push(&outgoing, list, &entries)
                } else {
                    splice::replace(&outgoing, vec![(list, format!("[{entries}]").into())])
                };
            }
        }
        // What we have written is JSON; should it not be, the agent's own page is.
        let page = Frame::parse(outgoing);
        self.send_to_client(*client, page.as_ref().unwrap_or(frame).with_id(token.clone()));
    }

    /// Entries of `session/list` for the live sessions of a channel's pool that
    /// its agent has not `listed`, the oldest first.
    fn live_sessions_but(
        &self,
        listed: &BTreeSet<Box<str>>,
        channel: ChannelId,
        cwd: Option<&str>,
    ) -> Vec<String> {
        let pool_of = |id| self.registry.channel(id).and_then(|row| row.pool);
        let pool = pool_of(channel);
        let keys = ids_of(&self.registry.sessions);
        keys.iter()
            .filter_map(|key| self.registry.sessions.get(key))
            .filter(|session| pool_of(session.channel) == pool)
            .filter(|session| cwd.is_none_or(|cwd| *cwd == *session.cwd))
            .filter(|session| !listed.contains(&session.id))
            .map(|session| {
                let (id, cwd) = (quoted(&session.id), quoted(&session.cwd));
                format!("{{\"sessionId\":{id},\"cwd\":{cwd}}}")
            })
            .collect()
    }
}
