//! Opening sessions: new, load, resume, fork.
//!
//! The answer registers the session before it is forwarded. What the agent says
//! about a session before that: notifications are held and follow the answer
//! (some editors hang on an update for a session they do not know), requests go
//! on at once, because the agent may wait for them before it answers.

use bytes::Bytes;

use crate::wire::json::quoted;
use crate::wire::{Frame, Kind, Method};

use crate::bridge::Bridge;
use crate::bridge::books::call::{Asker, Call, OpenKind, Opening, Purpose, Stage};
use crate::bridge::books::channel::{Hold, Login, Tombstone};
use crate::bridge::books::deadlines::Due;
use crate::bridge::books::session::{Audience, Session};
use crate::bridge::id::{CallId, ChannelId, ClientId, QuestionId, SessionKey};
use crate::bridge::notice::{Notice, StopReason};
use crate::bridge::outgoing::compose;
use crate::bridge::outgoing::translate::{param, with_edits};
use crate::bridge::refusal::Refusal;
use crate::bridge::time::Moment;

impl Bridge {
    /// A client wants to open a session.
    pub(in crate::bridge) fn client_open(
        &mut self,
        client: ClientId,
        kind: OpenKind,
        frame: &Frame,
        now: Moment,
    ) {
        let named = frame.session();
        let (source, public) = match (kind, named) {
            (OpenKind::New, _) => (None, None),
            (_, None) => {
                let refusal = Refusal::MissingField { field: "sessionId" };
                return self.refuse(client, &frame.id(), &refusal);
            }
            (OpenKind::Fork, Some(id)) => {
                let key = self.registry.public.get(&*id).copied();
                let live = key.and_then(|key| self.registry.sessions.get_mut(&key));
                let source = live.map(|session| {
                    session.last_seen = now;
                    session.agent_id.clone()
                });
                (Some(source.unwrap_or_else(|| self.without_prefix(&id))), Some(id.into()))
            }
            (OpenKind::Load | OpenKind::Resume, Some(id)) => {
                if let Some(key) = self.registry.public.get(&*id).copied() {
                    return self.reload(client, key, frame, now);
                }
                (Some(self.without_prefix(&id)), Some(id.into()))
            }
        };
        let cwd = param(frame, "cwd").unwrap_or_default();
        let opening = Opening { kind, source, public, cwd };
        self.registry.add_call(Call {
            asker: Asker::Client(client, frame.id()),
            purpose: Purpose::Open(opening),
            channel: None,
            session: None,
            asked_at: now,
            stage: Stage::held(frame),
        });
    }

    /// The stored id behind an id with our own prefix.
    pub(in crate::bridge) fn without_prefix(&self, id: &str) -> Box<str> {
        id.strip_prefix(&format!("{}:", self.config.agent.name)).unwrap_or(id).into()
    }

    /// A load or resume of a session that is live: it goes to its owner, and
    /// the client is attached. In the middle of a turn the agent is left alone.
    fn reload(&mut self, client: ClientId, key: SessionKey, frame: &Frame, now: Moment) {
        let Some(session) = self.registry.sessions.get(&key) else { return };
        if session.is_busy() {
            let refusal = Refusal::SessionBusy { id: session.id.to_string() };
            return self.refuse(client, &frame.id(), &refusal);
        }
        let attached = !session.clients().contains(&client);
        self.attach(client, key);
        self.session_call(client, key, Purpose::Reload { attached }, frame, now);
    }

    /// The agent answered a load or resume of a session that is live.
    pub(in crate::bridge) fn reloaded(
        &mut self,
        id: CallId,
        frame: &Frame,
        attached: bool,
        now: Moment,
    ) {
        let key = self.registry.calls.get(&id).and_then(|call| call.session);
        let client = self.forward_answer(id, frame);
        let Some(key) = key else { return };
        if let Some(session) = self.registry.session_mut(key) {
            session.last_seen = now;
        }
        match (client, frame.kind) {
            (Some(client), Kind::Success) => self.attach(client, key),
            (Some(client), _) if attached => self.unload(client, key, now),
            _ => {}
        }
    }

    /// The budget of a load or resume of a session that is live is over.
    pub(in crate::bridge) fn reload_timed_out(&mut self, id: CallId, attached: bool, now: Moment) {
        let agent = self.agent_name();
        let Some(call) = self.refuse_call(id, &Refusal::OpenTimeout { agent }) else { return };
        let Some(key) = call.session else { return };
        if let Some(session) = self.registry.session_mut(key) {
            session.last_seen = now;
        }
        if let (Some(client), true) = (call.client(), attached) {
            self.unload(client, key, now);
        }
    }

    /// A client that was attached for a load which failed is attached no more.
    fn unload(&mut self, client: ClientId, key: SessionKey, now: Moment) {
        self.unask(client, Some(key), now);
        self.registry.detach(client, key, Audience::Lost);
    }

    /// A load that waited for another of the same conversation.
    pub(in crate::bridge) fn reopen(&mut self, id: CallId, now: Moment) {
        let Some(call) = self.registry.take_call(id) else { return };
        let public = call.opening().and_then(|opening| opening.public.clone());
        let key = public.and_then(|id| self.registry.public.get(&id).copied());
        if let (Asker::Client(client, _), Stage::Held(frame), Some(key)) =
            (call.asker, call.stage, key)
        {
            self.reload(client, key, &frame, now);
        }
    }

    /// The agent answered an open.
    pub(in crate::bridge) fn open_answered(
        &mut self,
        channel: ChannelId,
        id: CallId,
        frame: &Frame,
        now: Moment,
    ) {
        let Some(call) = self.registry.take_call(id) else { return };
        let Some(opening) = call.opening() else { return };
        if frame.kind == Kind::Failure {
            if let Some(row) = self.registry.channel_mut(channel) {
                if frame.error_code() == Some(-32000) {
                    row.login = Login::Wanted;
                }
                // Refused late: it does not hold the conversation.
                let late = opening.restores().filter(|_| call.stage == Stage::Overdue);
                if let Some(tombstone) = late.and_then(|id| row.tombstones.get_mut(id))
                    && tombstone.hold == Hold::Unanswered
                {
                    tombstone.hold = Hold::Nothing;
                }
            }
            let named = opening.public.clone().filter(|_| opening.public != opening.source);
            return self.answer(&call.asker, |token| {
                let place = frame.find(&["data", "sessionId"]);
                let edit = place.zip(named).map(|(place, id)| (place, Bytes::from(quoted(&id))));
                with_edits(frame, Some(token.clone()), edit.into_iter().collect())
            });
        }
        let agent_id: Option<Box<str>> = match opening.restores() {
            Some(id) => Some(id.into()),
            None => frame.find_text(&["sessionId"]).map(Into::into),
        };
        let taken =
            |id: &str| self.registry.channel(channel).is_none_or(|row| row.names.contains(id));
        let Some(agent_id) = agent_id.filter(|id| !taken(id)) else {
            let what = "its answer names no session, or one that is open already".to_owned();
            let refusal = Refusal::ProtocolBroken { agent: self.agent_name(), what };
            return self.answer(&call.asker, |token| compose::failure(token, &refusal));
        };
        match call.client().filter(|client| self.registry.clients.contains_key(client)) {
            Some(client) => {
                let key = self.register(channel, client, &agent_id, opening, now);
                self.forward_opened(key, &call, frame);
                self.after_opened(key, &agent_id, opening, now);
            }
            // Nobody waits for it any more: it must not live on unseen.
            None => {
                let id = self.public_id(opening, &agent_id);
                self.close_unseen(channel, id, &agent_id, now);
            }
        }
    }

    fn register(
        &mut self,
        channel: ChannelId,
        client: ClientId,
        agent_id: &str,
        opening: &Opening,
        now: Moment,
    ) -> SessionKey {
        let public = self.public_id(opening, agent_id);
        // What a tombstone of that id still waits for is settled; the id lives again.
        self.flush_tombstone(channel, agent_id, false);
        if let Some(row) = self.registry.channel_mut(channel) {
            row.tombstones.remove(agent_id);
            row.used = true;
        }
        let key = SessionKey(self.registry.numbers.sessions.next());
        let (agent_id, cwd) = (agent_id.into(), opening.cwd.clone());
        self.registry.add_session(Session::new(key, channel, public, agent_id, cwd, now));
        self.registry.attach(client, key);
        key
    }

    fn forward_opened(&mut self, key: SessionKey, call: &Call, frame: &Frame) {
        let Asker::Client(client, token) = &call.asker else { return };
        let Some(session) = self.registry.sessions.get(&key) else { return };
        let (id, channel) = (session.id.to_string(), session.channel);
        let place = frame.find(&["sessionId"]).filter(|_| session.is_aliased());
        let edit = place.map(|place| (place, Bytes::from(quoted(&id))));
        let outgoing = match edit {
            Some(edit) => with_edits(frame, Some(token.clone()), vec![edit]),
            None => frame.with_id(token.clone()),
        };
        self.send_to_client(*client, outgoing);
        self.publish(Notice::SessionOpened { session: key, id, channel });
    }

    /// What came before the answer follows it.
    fn after_opened(&mut self, key: SessionKey, agent_id: &str, opening: &Opening, now: Moment) {
        let Some(channel) = self.registry.sessions.get(&key).map(|row| row.channel) else { return };
        let Some(row) = self.registry.channel_mut(channel) else { return };
        let mut early = row.early.take(agent_id);
        if opening.restores().is_some() {
            // They were held for a new session and are older than the replay.
            self.counters.early_frames += early.len() as u64;
            early.clear();
        }
        let asked: Vec<QuestionId> = row.questions.iter().copied().collect();
        for id in asked {
            let Some(question) = self.registry.questions.get_mut(&id) else { continue };
            if question.opening.as_deref() == Some(agent_id) {
                question.opening = None;
                question.session = Some(key);
                if let Some(session) = self.registry.session_mut(key) {
                    session.questions.insert(id);
                }
            }
        }
        for frame in early {
            self.deliver(key, frame, now);
        }
    }

    /// The id under which clients know, or would know, what was opened.
    fn public_id(&self, opening: &Opening, agent_id: &str) -> Box<str> {
        match (opening.restores(), &opening.public) {
            (Some(_), Some(id)) => id.clone(),
            _ => self.free_id(agent_id),
        }
    }

    /// The id under which clients will know a new conversation: the agent's own,
    /// unless that is another conversation's.
    fn free_id(&self, agent_id: &str) -> Box<str> {
        let is_buried =
            |id: &str| self.registry.channels.values().any(|row| row.tombstones.contains_key(id));
        // A stored conversation that is on its way has its name already.
        let is_restored = |id: &str| {
            let mut openings = self.registry.calls.values().filter_map(|call| call.opening());
            openings.any(|row| row.restores().is_some() && row.public.as_deref() == Some(id))
        };
        // A client that knew another conversation by it may still speak of that one.
        let is_remembered = |id: &str| {
            self.registry.clients.values().any(|client| client.ended.reason(id).is_some())
        };
        let is_live = |id: &str| {
            self.registry.public.contains_key(id) || is_restored(id) || is_remembered(id)
        };
        if !is_live(agent_id) && !is_buried(agent_id) {
            return agent_id.into();
        }
        let is_taken = |id: &str| {
            is_live(id)
                || self
                    .registry
                    .channels
                    .values()
                    .any(|row| row.tombstones.values().any(|tombstone| *tombstone.id == *id))
        };
        let alias = format!("{}:{agent_id}", self.config.agent.name);
        if !is_taken(&alias) {
            return alias.into();
        }
        let mut number = 2_u64;
        loop {
            let numbered = format!("{alias}~{number}");
            if !is_taken(&numbered) {
                return numbered.into();
            }
            number += 1;
        }
    }

    /// Closes a session at the agent that no client ever heard of.
    fn close_unseen(&mut self, channel: ChannelId, id: Box<str>, agent_id: &str, now: Moment) {
        self.publish(Notice::LateOpenClosed { channel, id: agent_id.to_owned() });
        self.flush_tombstone(channel, agent_id, false);
        let key = SessionKey(self.registry.numbers.sessions.next());
        let hold = self.tell_agent_to_close(channel, key, agent_id, None, now);
        self.bury_unseen(channel, key, (id, agent_id), hold, now);
        self.retire_if_full_of_husks(channel);
    }

    /// The tombstone of a session that no client ever heard of.
    fn bury_unseen(
        &mut self,
        channel: ChannelId,
        key: SessionKey,
        (id, agent_id): (Box<str>, &str),
        hold: Hold,
        now: Moment,
    ) {
        let Some(row) = self.registry.channel_mut(channel) else { return };
        let _ = row.early.take(agent_id);
        let tombstone = Tombstone { key, id, since: now, hold, calls: Default::default() };
        self.counters.tombstones += row.bury(agent_id.into(), tombstone) as u64;
    }

    /// An open's budget is over. The agent may still answer: a session that
    /// comes then is closed again.
    pub(in crate::bridge) fn open_timed_out(&mut self, id: CallId, refusal: &Refusal, now: Moment) {
        let asker = self.registry.disown_call(id);
        let Some(call) = self.registry.calls.get_mut(&id) else { return };
        call.stage = Stage::Overdue;
        let channel = call.channel;
        let restored: Option<(Box<str>, Box<str>)> = call
            .opening()
            .and_then(|opening| Some((opening.public.clone()?, opening.restores()?.into())));
        self.registry.deadlines.forget(Due::Call(id));
        self.counters.refused += 1;
        self.answer(&asker, |token| compose::failure(token, refusal));
        if let Some(channel) = channel {
            if let Some((public, agent_id)) = restored {
                // Nobody knows whether it holds the conversation by now: it is fenced.
                self.flush_tombstone(channel, &agent_id, false);
                let key = SessionKey(self.registry.numbers.sessions.next());
                self.bury_unseen(channel, key, (public, &agent_id), Hold::Unanswered, now);
            }
            self.publish(Notice::OpenUnanswered { channel });
            self.drain(channel, StopReason::OpenUnanswered);
        }
    }

    /// The open in flight on a channel that a frame for an unknown session
    /// belongs to: the restore of just that id, otherwise the oldest that will
    /// bring a new one.
    pub(in crate::bridge) fn open_in_flight(
        &self,
        channel: ChannelId,
        agent_id: Option<&str>,
    ) -> Option<CallId> {
        let row = self.registry.channel(channel)?;
        let mut fallback = None;
        for id in &row.calls {
            let Some(call) = self.registry.calls.get(id).filter(|call| call.is_sent()) else {
                continue;
            };
            match call.opening().map(Opening::restores) {
                Some(Some(restored)) if Some(restored) == agent_id => return Some(*id),
                Some(None) if fallback.is_none() => fallback = Some(*id),
                _ => {}
            }
        }
        fallback
    }

    /// A frame of a session whose open is in flight.
    pub(in crate::bridge) fn early_notification(
        &mut self,
        channel: ChannelId,
        agent_id: &str,
        frame: &Frame,
        now: Moment,
    ) {
        let Some(id) = self.open_in_flight(channel, Some(agent_id)) else {
            let is_late = self
                .registry
                .channel(channel)
                .is_some_and(|row| row.tombstones.contains_key(agent_id));
            if is_late {
                self.counters.late_frames += 1;
            } else {
                self.counters.unknown_session_frames += 1;
            }
            return;
        };
        let Some(call) = self.registry.calls.get_mut(&id) else { return };
        let restored = call.opening().filter(|opening| opening.restores().is_some()).cloned();
        match restored {
            // A replay precedes the answer; while it comes, the agent is at work.
            Some(opening) => {
                call.stage = Stage::Sent(now);
                let Some(client) = call.client() else { return };
                let differs =
                    opening.public.filter(|public| Some(public) != opening.source.as_ref());
                let outgoing = match (differs, frame.session_place()) {
                    (Some(public), Some(place)) => {
                        with_edits(frame, None, vec![(place, Bytes::from(quoted(&public)))])
                    }
                    _ => frame.whole(),
                };
                self.send_to_client(client, outgoing);
            }
            None => {
                let is_buried = self
                    .registry
                    .channel(channel)
                    .is_some_and(|row| row.tombstones.contains_key(agent_id));
                let Some(row) = self.registry.channels.get_mut(&channel) else { return };
                if is_buried {
                    self.counters.late_frames += 1;
                } else if !row.early.hold(agent_id, frame) {
                    self.counters.early_frames += 1;
                }
            }
        }
    }
}

/// How a method opens a session, if it does.
pub(in crate::bridge) fn open_kind(method: Method) -> Option<OpenKind> {
    match method {
        Method::SessionNew => Some(OpenKind::New),
        Method::SessionLoad => Some(OpenKind::Load),
        Method::SessionResume => Some(OpenKind::Resume),
        Method::SessionFork => Some(OpenKind::Fork),
        _ => None,
    }
}
