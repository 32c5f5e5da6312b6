//! What happens to each message of a client.

use crate::wire::{Frame, Kind, Malformed, Method, Token, json};

use crate::bridge::Bridge;
use crate::bridge::books::call::{Asker, Call, Purpose, Stage};
use crate::bridge::books::channel::Channel;
use crate::bridge::books::client::Carry;
use crate::bridge::id::{CallId, ChannelId, ClientId, QuestionId, SessionKey};
use crate::bridge::notice::{EndReason, Notice};
use crate::bridge::outgoing::compose;
use crate::bridge::outgoing::translate::{self, with_request_id};
use crate::bridge::refusal::Refusal;
use crate::bridge::sessions::open::open_kind;
use crate::bridge::time::Moment;

impl Bridge {
    /// A line of a client.
    pub(in crate::bridge) fn client_frame(
        &mut self,
        client: ClientId,
        frame: Result<Frame, Malformed>,
        now: Moment,
    ) {
        if !self.registry.clients.contains_key(&client) {
            return;
        }
        let frame = match frame {
            Ok(frame) => frame,
            Err(malformed) => return self.bad_line(client, malformed, now),
        };
        let carried = self.carried_channel(client);
        match frame.kind {
            Kind::Success | Kind::Failure => self.client_answer(client, &frame, now),
            Kind::Notification if frame.method == Method::CancelRequest => {
                self.client_cancels_request(client, &frame);
            }
            Kind::Request if self.is_ending() => {
                self.refuse(client, &frame.id(), &Refusal::ShuttingDown);
            }
            Kind::Request if frame.method == Method::Initialize => {
                self.client_initialize(client, &frame, now);
            }
            _ if !self.registry.clients.get(&client).is_some_and(|row| row.initialized) => {
                if frame.kind == Kind::Request {
                    self.refuse(client, &frame.id(), &Refusal::BeforeInitialize);
                }
            }
            Kind::Request
                if self.is_at_pending_cap(client) && frame.method != Method::SessionClose =>
            {
                self.refuse(client, &frame.id(), &Refusal::TooManyRequests);
            }
            _ if carried.is_some() => self.carry_to_agent(client, carried, &frame, now),
            Kind::Request => self.client_request(client, &frame, now),
            Kind::Notification => self.client_notification(client, &frame, now),
        }
    }

    fn client_request(&mut self, client: ClientId, frame: &Frame, now: Moment) {
        if let Some(kind) = open_kind(frame.method) {
            if !self.refuse_if_clogged(client, frame) {
                self.client_open(client, kind, frame, now);
            }
            return;
        }
        match frame.method {
            Method::SessionClose => self.client_close(client, frame, now),
            Method::SessionPrompt => {
                if let Some(key) = self.named_session(client, frame) {
                    self.client_prompt(client, key, frame, now);
                }
            }
            Method::SessionDelete
            | Method::SessionArchive
            | Method::SessionUnarchive
            | Method::SessionStatus
            | Method::SessionSetTitle => {
                if !self.refuse_if_clogged(client, frame) {
                    self.client_stored(client, frame, now);
                }
            }
            Method::SessionSetMode | Method::SessionSetConfigOption => {
                if let Some(key) = self.named_session(client, frame) {
                    self.touch(key, now);
                    self.session_call(client, key, Purpose::Session, frame, now);
                }
            }
            Method::SessionList => {
                let purpose = Purpose::List {
                    first: frame.find_text(&["cursor"]).is_none(),
                    cwd: translate::param(frame, "cwd"),
                };
                self.client_list(client, purpose, frame, now);
            }
            Method::Authenticate | Method::AuthLogin => {
                let again = frame.find(&["_meta"]).is_some().then(|| Box::new(frame.detached()));
                self.loose_call(client, Purpose::Login(again), frame, now);
            }
            Method::Logout
            | Method::AuthLogout
            | Method::ProvidersList
            | Method::ProvidersSet
            | Method::ProvidersDisable => self.fan_out(client, frame, now),
            Method::AuthStatus => {
                self.loose_call(client, Purpose::Connection { unknown: false }, frame, now);
            }
            Method::BridgeDetach => self.client_detach(client, frame, now),
            Method::BridgeHeartbeat => {
                if let Some(beat) = self.heartbeat(client, frame, now) {
                    self.send_to_client(client, compose::success(&frame.id(), beat.as_bytes()));
                }
            }
            _ if frame.method_name().starts_with("_drawbridge/") => {
                let method = frame.method_name().into_owned();
                self.refuse(client, &frame.id(), &Refusal::NoRoute { method });
            }
            _ if frame.session().is_some() => {
                if let Some(key) = self.named_session(client, frame) {
                    self.touch(key, now);
                    self.session_call(client, key, Purpose::Session, frame, now);
                }
            }
            _ => {
                self.loose_call(client, Purpose::Connection { unknown: true }, frame, now);
            }
        }
    }

    fn client_notification(&mut self, client: ClientId, frame: &Frame, now: Moment) {
        if frame.method == Method::BridgeHeartbeat {
            self.heartbeat(client, frame, now);
            return;
        }
        match frame.session() {
            Some(id) => {
                let Ok(key) = self.attached_session(client, &id) else {
                    self.counters.unrouted += 1;
                    return;
                };
                self.touch(key, now);
                if frame.method == Method::SessionCancel {
                    return self.client_cancel(client, key, frame, now);
                }
                let Some(channel) = self.registry.sessions.get(&key).map(|row| row.channel) else {
                    return;
                };
                let outgoing = self.for_agent(key, frame);
                self.pass_notification(channel, outgoing);
            }
            None => {
                let pool = self.registry.clients.get(&client).and_then(|row| row.pool);
                let channels: Vec<ChannelId> = self.open_channels(pool).collect();
                if channels.is_empty() {
                    self.counters.unrouted += 1;
                }
                for channel in channels {
                    self.pass_notification(channel, frame.whole());
                }
            }
        }
    }

    /// The channels of a pool that may be sent requests.
    pub(in crate::bridge) fn open_channels(
        &self,
        pool: Option<crate::bridge::id::PoolId>,
    ) -> impl Iterator<Item = ChannelId> {
        let channels = self.registry.channels.iter();
        channels
            .filter(move |(_, row)| pool.is_some() && row.pool == pool && row.is_open())
            .map(|(id, _)| *id)
    }

    /// The session that an id means for this client: one that it is attached to.
    pub(in crate::bridge) fn attached_session(
        &self,
        client: ClientId,
        id: &str,
    ) -> Result<SessionKey, Refusal> {
        let key = self.registry.public.get(id).copied();
        let session = key.and_then(|key| self.registry.sessions.get(&key));
        if let Some(session) = session.filter(|row| row.clients().contains(&client)) {
            return Ok(session.key);
        }
        let ended = self.registry.clients.get(&client).and_then(|row| row.ended.reason(id));
        Err(match ended {
            Some(reason) => Refusal::SessionEnded { id: id.to_owned(), reason },
            None => Refusal::UnknownSession { id: id.to_owned() },
        })
    }

    /// The session that a request for its agent names; if there is none for this
    /// client, or its agent does not read, the request is refused.
    fn named_session(&mut self, client: ClientId, frame: &Frame) -> Option<SessionKey> {
        let named = match frame.session() {
            Some(id) => self.attached_session(client, &id),
            None => Err(Refusal::MissingField { field: "sessionId" }),
        };
        match named {
            Ok(key) => (!self.refuse_if_clogged_in(client, key, frame)).then_some(key),
            Err(refusal) => {
                self.refuse(client, &frame.id(), &refusal);
                None
            }
        }
    }

    fn touch(&mut self, key: SessionKey, now: Moment) {
        if let Some(session) = self.registry.sessions.get_mut(&key) {
            session.last_seen = now;
        }
    }

    /// A request without a session.
    pub(in crate::bridge) fn loose_call(
        &mut self,
        client: ClientId,
        purpose: Purpose,
        frame: &Frame,
        now: Moment,
    ) -> CallId {
        self.registry.add_call(Call {
            asker: Asker::Client(client, frame.id()),
            purpose,
            channel: None,
            session: None,
            asked_at: now,
            stage: Stage::held(frame),
        })
    }

    /// Delete, archive and the like: about a stored conversation, live or not.
    fn client_stored(&mut self, client: ClientId, frame: &Frame, now: Moment) {
        let Some(id) = frame.session() else {
            let refusal = Refusal::MissingField { field: "sessionId" };
            return self.refuse(client, &frame.id(), &refusal);
        };
        let live = self.registry.public.get(&*id).copied();
        let ends_it = matches!(frame.method, Method::SessionDelete | Method::SessionArchive);
        if let Some(key) = live.filter(|_| ends_it) {
            self.end_session(key, EndReason::Deleted, None, None, now);
        }
        match live.filter(|_| !ends_it) {
            Some(key) => {
                // Who only asks how it is does not use it.
                if frame.method != Method::SessionStatus {
                    self.touch(key, now);
                }
                let stored = self.without_prefix(&id);
                let purpose = Purpose::Stored { id: stored, home: None };
                self.session_call(client, key, purpose, frame, now);
            }
            None => {
                let (home, stored) = match self.last_home(&id) {
                    Some((home, stored)) => (Some(home), stored),
                    None => (None, self.without_prefix(&id)),
                };
                self.loose_call(client, Purpose::Stored { id: stored, home }, frame, now);
            }
        }
    }

    /// The channel that had a closed session last, and the agent's id of it.
    fn last_home(&self, public: &str) -> Option<(ChannelId, Box<str>)> {
        self.registry.channels.iter().rev().find_map(|(channel, row)| {
            let (id, _) = row.tombstones.iter().find(|(_, tomb)| *tomb.id == *public)?;
            Some((*channel, id.clone()))
        })
    }

    /// `_drawbridge/heartbeat`: moves last-seen, of one session or of all of
    /// this client; says how they are.
    fn heartbeat(&mut self, client: ClientId, frame: &Frame, now: Moment) -> Option<String> {
        let keys: Vec<SessionKey> = match frame.session() {
            Some(id) => match self.attached_session(client, &id) {
                Ok(key) => vec![key],
                Err(refusal) => {
                    if frame.kind == Kind::Request {
                        self.refuse(client, &frame.id(), &refusal);
                    }
                    return None;
                }
            },
            None => {
                let row = self.registry.clients.get(&client)?;
                row.sessions.iter().copied().collect()
            }
        };
        let mut sessions = Vec::new();
        for key in keys {
            let Some(session) = self.registry.sessions.get_mut(&key) else { continue };
            let idle_ms = now.since(session.last_seen);
            session.last_seen = now;
            let state = match session.background {
                _ if session.is_busy() => "busy",
                crate::bridge::books::session::Background::Working { .. } => "unknown",
                _ => "idle",
            };
            let id = json::quoted(&session.id);
            sessions
                .push(format!("{{\"sessionId\":{id},\"state\":\"{state}\",\"idleMs\":{idle_ms}}}"));
        }
        Some(format!("{{\"sessions\":[{}]}}", sessions.join(",")))
    }

    /// A client withdraws a request of its own.
    fn client_cancels_request(&mut self, client: ClientId, frame: &Frame) {
        let Some((token, _)) = frame.request() else { return };
        let asker = Asker::Client(client, token);
        let open = self.registry.clients.get(&client).map(|row| row.calls.clone());
        let found = open.into_iter().flatten().find_map(|id| {
            let call = self.registry.calls.get(&id)?;
            // An agent that cannot close never heard of the close that waits for its turn.
            let is_told = |row: &Channel| {
                row.is_open()
                    && (row.capabilities.close || !matches!(call.purpose, Purpose::Close(_)))
            };
            let channel =
                call.channel.filter(|channel| self.registry.channel(*channel).is_some_and(is_told));
            (call.asker == asker).then(|| (id, call.is_unsent(), channel))
        });
        match found {
            Some((id, true, _)) => {
                self.refuse_call(id, &Refusal::Cancelled);
            }
            Some((id, false, Some(channel))) => {
                let number = Token::number(id.0);
                self.send_to_channel(channel, with_request_id(frame, None, number.as_bytes()));
            }
            _ => self.cancel_parts(&asker, frame),
        }
    }

    fn cancel_parts(&mut self, asker: &Asker, frame: &Frame) {
        let parts = self.open_parts(asker);
        if parts.is_empty() {
            self.counters.unrouted += 1;
        }
        for id in parts {
            let Some(channel) = self.registry.calls.get(&id).and_then(|call| call.channel) else {
                continue;
            };
            let number = Token::number(id.0);
            self.send_to_channel(channel, with_request_id(frame, None, number.as_bytes()));
        }
    }

    fn bad_line(&mut self, client: ClientId, malformed: Malformed, now: Moment) {
        let null = Token::new(b"null");
        match malformed {
            Malformed::NotJson { .. } => self.refuse(client, &null, &Refusal::NotJson),
            Malformed::Batch => self.refuse(client, &null, &Refusal::Batch),
            Malformed::NotMessage { id } => {
                self.refuse(client, &id.unwrap_or(null), &Refusal::NotMessage);
            }
            Malformed::TooLong { length, glimpse } => {
                self.counters.overlong_lines += 1;
                self.publish(Notice::OverlongLine { from: client.to_string(), length });
                match glimpse.id {
                    Some(id) if glimpse.has_method => {
                        self.refuse(client, &id, &Refusal::TooLong { length });
                    }
                    // An answer that the agent waits for: it gets an error in its place.
                    Some(id) => self.fail_question(client, &id, length, now),
                    None => {}
                }
            }
        }
    }

    fn fail_question(&mut self, client: ClientId, id: &Token, length: u64, now: Moment) {
        if let Some(frame) = compose::missing_answer(id, &Refusal::AnswerTooLong { length })
            && frame
                .number()
                .is_some_and(|id| self.registry.questions.contains_key(&QuestionId(id)))
        {
            self.client_answer(client, &frame, now);
        }
    }

    /// The channel of a client whose frames are carried without books.
    fn carried_channel(&self, client: ClientId) -> Option<crate::bridge::id::PoolId> {
        let pool = self.registry.clients.get(&client)?.pool?;
        let carry = self.registry.pools.get(&pool)?.carry;
        (carry == Carry::Transparent).then_some(pool)
    }
}
