//! `initialize`: the first one is the client's, the others are the bridge's.
//!
//! The client's own params go to the first channel of its pool verbatim and are
//! kept; every further channel gets the same, and its answer is checked against
//! the first. The answer goes to the client as the agent wrote it, but for two
//! members: the bridge can always close a session, and it says that it is there.

use bytes::Bytes;

use crate::wire::{Frame, Kind, Token, json, splice};

use crate::bridge::Bridge;
use crate::bridge::books::call::{Asker, Call, Purpose, Stage};
use crate::bridge::books::channel::{Capabilities, State};
use crate::bridge::books::client::{Carry, Offers, Pool};
use crate::bridge::books::deadlines::Due;
use crate::bridge::id::{CallId, ChannelId, ClientId, PoolId};
use crate::bridge::notice::{Notice, StopReason};
use crate::bridge::outgoing::compose;
use crate::bridge::outgoing::translate::{is_offered, member};
use crate::bridge::refusal::Refusal;
use crate::bridge::time::Moment;

/// After this long without an answer to `initialize` a person is told (ms).
pub const SLOW_HANDSHAKE: u64 = 20_000;

/// What the bridge adds to the answer's `_meta`.
const OUR_META: &str = concat!("{\"version\":\"", env!("CARGO_PKG_VERSION"), "\"}");

impl Bridge {
    /// A client's `initialize`.
    pub(in crate::bridge) fn client_initialize(
        &mut self,
        client: ClientId,
        frame: &Frame,
        now: Moment,
    ) {
        let Some(row) = self.registry.clients.get_mut(&client) else { return };
        if !row.sessions.is_empty() || !row.calls.is_empty() || !row.fanouts.is_empty() {
            return self.refuse(client, &frame.id(), &Refusal::Reinitialize);
        }
        row.offers = Offers::of(frame);
        row.wants_events = asks_for_events(frame);
        row.initialized = false;
        let identity = Pool::identity(frame);
        let known = self.registry.pools.iter().find(|(_, pool)| pool.identity == identity);
        let pool = match known {
            Some((id, _)) => *id,
            None => self.add_pool(identity, frame),
        };
        let before = self.registry.clients.get_mut(&client).and_then(|row| row.pool.replace(pool));
        self.end_carried(before, now);
        self.registry.add_call(Call {
            asker: Asker::Client(client, frame.id()),
            purpose: Purpose::Initialize,
            channel: None,
            session: None,
            asked_at: now,
            stage: Stage::held(frame),
        });
    }

    fn add_pool(&mut self, identity: Box<[u8]>, frame: &Frame) -> PoolId {
        let pool = PoolId(self.registry.numbers.pools.next());
        self.registry.pools.insert(
            pool,
            Pool {
                identity,
                initialize: frame.detached(),
                answer: None,
                version: Box::default(),
                capabilities: Capabilities::default(),
                carry: Carry::Sessions,
                rehearsal: Vec::new(),
            },
        );
        pool
    }

    /// Sends `initialize` to a process: a client's own, or the kept one.
    pub(in crate::bridge) fn begin_handshake(
        &mut self,
        channel: ChannelId,
        pool: PoolId,
        call: Option<CallId>,
        now: Moment,
    ) {
        let Some(kept) = self.registry.pools.get(&pool).map(|pool| pool.initialize.clone()) else {
            return;
        };
        if let Some(row) = self.registry.channel_mut(channel) {
            row.pool = Some(pool);
            row.state = State::Starting { since: now, slow: false };
        }
        let id = match call {
            Some(id) => {
                self.registry.move_call(id, Some(channel));
                id
            }
            None => self.registry.add_call(Call {
                asker: Asker::Nobody,
                purpose: Purpose::Initialize,
                channel: Some(channel),
                session: None,
                asked_at: now,
                stage: Stage::Held(Box::new(kept)),
            }),
        };
        self.send(id, now);
        self.watch(Due::Channel(channel));
    }

    /// An agent answered `initialize`.
    pub(in crate::bridge) fn handshake_answered(
        &mut self,
        channel: ChannelId,
        id: CallId,
        frame: &Frame,
        now: Moment,
    ) {
        let Some(pool) = self.registry.channel(channel).and_then(|row| row.pool) else { return };
        let version = frame.find(&["protocolVersion"]).map(|place| place.of(frame.bytes()));
        let Some(version) = version.filter(|_| frame.kind == Kind::Success) else {
            if let Some(call) = self.registry.take_call(id) {
                let what = "its answer to initialize names no protocolVersion".to_owned();
                let refusal = Refusal::ProtocolBroken { agent: self.agent_name(), what };
                self.answer(&call.asker, |token| match frame.kind {
                    Kind::Failure => frame.with_id(token.clone()),
                    _ => compose::failure(token, &refusal),
                });
            }
            return self.stop(channel, StopReason::HandshakeRefused, now);
        };
        let result = frame.body_bytes();
        let capabilities = capabilities(&result);
        let Some(known) = self.registry.pools.get_mut(&pool) else { return };
        if known.answer.is_none() {
            let is_v1 = version == b"1";
            known.version = version.into();
            known.capabilities = capabilities;
            known.carry = if is_v1 { Carry::Sessions } else { Carry::Transparent };
            known.answer = Some(if is_v1 { advertise(&result) } else { result });
            if !is_v1 {
                self.keep_private(pool, channel, id);
            }
        } else if *known.version != *version {
            return self.stop(channel, StopReason::VersionChanged, now);
        } else if known.capabilities != capabilities {
            known.answer = Some(advertise(&result));
            let before = std::mem::replace(&mut known.capabilities, capabilities).names();
            let after = capabilities.names();
            self.publish(Notice::CapabilitiesChanged { channel, before, after });
        }
        let Some(row) = self.registry.channel_mut(channel) else { return };
        row.capabilities = capabilities;
        let after_ms = now.since(row.born);
        row.state = State::Ready;
        // The bound of the handshake would wake an idle bridge for nothing.
        self.registry.deadlines.forget(Due::Channel(channel));
        self.publish(Notice::ChannelReady { channel, after_ms });
        self.answer_from_memory(id);
        if self.is_ending() {
            return self.drain(channel, StopReason::Shutdown);
        }
        let kept = self.registry.pools.get(&pool).map(|row| row.rehearsal.clone());
        self.rehearse(channel, kept.unwrap_or_default(), now);
        self.send_held(channel, now);
    }

    /// Answers an `initialize` with what the pool's first channel said.
    pub(in crate::bridge) fn answer_from_memory(&mut self, id: CallId) {
        let Some(call) = self.registry.take_call(id) else { return };
        let Asker::Client(client, token) = call.asker else { return };
        let Some(row) = self.registry.clients.get_mut(&client) else { return };
        let pool = row.pool.and_then(|pool| self.registry.pools.get(&pool));
        let Some(pool) = pool else { return };
        let Some(answer) = pool.answer.clone() else { return };
        row.initialized = true;
        row.served_by = call.channel;
        let carried = pool.carry == Carry::Transparent;
        let version = String::from_utf8_lossy(&pool.version).into_owned();
        self.send_to_client(client, compose::success(&token, &answer));
        if carried {
            self.publish(Notice::CarriedTransparently { client, version });
        }
    }

    /// A pool whose version is not ours serves one client only: others that
    /// waited for the same handshake get a pool, and so a process, of their own.
    fn keep_private(&mut self, pool: PoolId, channel: ChannelId, first: CallId) {
        let Some(row) = self.registry.pools.get_mut(&pool) else { return };
        row.identity = format!("only for {pool}").into_bytes().into();
        let initialize = row.initialize.clone();
        for id in self.calls_on(channel) {
            let Some(call) = self.registry.calls.get(&id) else { continue };
            let Some(client) = call.client().filter(|_| id != first) else { continue };
            let own = self.add_pool(format!("only for {client}").into_bytes().into(), &initialize);
            if let Some(client) = self.registry.clients.get_mut(&client) {
                client.pool = Some(own);
            }
            self.registry.move_call(id, None);
        }
    }

    /// Tells a channel what the pool's clients told the others.
    pub(in crate::bridge) fn rehearse(
        &mut self,
        channel: ChannelId,
        frames: Vec<Frame>,
        now: Moment,
    ) {
        for frame in frames {
            let needed = frame.method_name().starts_with("providers/");
            let id = self.registry.add_call(Call {
                asker: Asker::Nobody,
                purpose: Purpose::Rehearse { needed },
                channel: Some(channel),
                session: None,
                asked_at: now,
                stage: Stage::Held(Box::new(frame)),
            });
            self.send(id, now);
        }
    }

    /// The answer to something rehearsed. If it was needed and refused, the
    /// sessions that wait for this channel are refused with the same words.
    pub(in crate::bridge) fn rehearsed(
        &mut self,
        channel: ChannelId,
        needed: bool,
        frame: &Frame,
        now: Moment,
    ) {
        if needed && frame.kind == Kind::Failure {
            for id in self.calls_on(channel) {
                let waits = self.registry.calls.get(&id).is_some_and(|call| {
                    call.opening().is_some() && matches!(call.stage, Stage::Held(_))
                });
                if waits && let Some(call) = self.registry.take_call(id) {
                    self.answer(&call.asker, |token| frame.with_id(token.clone()));
                }
            }
            self.drain(channel, StopReason::SettingsRefused);
        }
        self.send_held(channel, now);
    }

    /// What was rehearsed is not answered in time: that is a refusal.
    pub(in crate::bridge) fn rehearsal_timed_out(
        &mut self,
        channel: ChannelId,
        id: CallId,
        needed: bool,
        now: Moment,
    ) {
        self.registry.take_call(id);
        let refusal = Refusal::OpenTimeout { agent: self.agent_name() };
        if let Some(frame) = compose::missing_answer(&Token::number(id.0), &refusal) {
            self.rehearsed(channel, needed, &frame, now);
        }
    }

    /// Keeps a request for further channels; a later one of the same method and
    /// the same subject takes the place of the earlier.
    pub(in crate::bridge) fn remember_for_rehearsal(&mut self, pool: PoolId, frame: &Frame) {
        let subject = |frame: &Frame| {
            let id = ["id", "providerId", "methodId"].iter().find_map(|key| frame.find(&[key]));
            let id = id.map(|place| place.of(frame.bytes()).to_vec());
            (frame.method_name().into_owned(), id)
        };
        let Some(pool) = self.registry.pools.get_mut(&pool) else { return };
        pool.rehearsal.retain(|old| subject(old) != subject(frame));
        if pool.rehearsal.len() < crate::bridge::books::client::MAX_REHEARSAL {
            pool.rehearsal.push(frame.detached());
        } else {
            self.counters.rehearsals += 1;
        }
    }
}

/// What an agent's answer to `initialize` offers.
fn capabilities(result: &[u8]) -> Capabilities {
    let has = |path: &[&str]| is_offered(result, member(result, path));
    let session = |name: &str| has(&["agentCapabilities", "sessionCapabilities", name]);
    Capabilities {
        load: has(&["agentCapabilities", "loadSession"]),
        resume: session("resume"),
        fork: session("fork"),
        list: session("list"),
        close: session("close"),
        delete: session("delete"),
    }
}

/// The answer as clients get it.
fn advertise(result: &[u8]) -> Bytes {
    const CLOSE: [&str; 3] = ["agentCapabilities", "sessionCapabilities", "close"];
    let has_close = member(result, &CLOSE).is_some_and(|place| place.of(result).starts_with(b"{"));
    let result =
        if has_close { Bytes::copy_from_slice(result) } else { splice::set(result, &CLOSE, "{}") };
    splice::set(&result, &["_meta", "drawbridge"], OUR_META)
}

/// `clientCapabilities._meta.drawbridge.events: true`.
fn asks_for_events(initialize: &Frame) -> bool {
    let path = ["clientCapabilities", "_meta", "drawbridge", "events"];
    initialize
        .body()
        .and_then(|body| json::find(initialize.bytes(), body, &path))
        .is_some_and(|place| place.of(initialize.bytes()) == b"true")
}
