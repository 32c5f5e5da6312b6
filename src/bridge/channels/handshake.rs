//! `initialize`: the first one is the client's, the others are the bridge's.
//!
//! The client's own params go to the first channel of its pool verbatim and are
//! kept; every further channel gets the same, and its answer is checked against what
//! the pool keeps. The answer goes to the client as the agent wrote it, but for two
//! members: the bridge can always close a session, and it says that it is there.

use bytes::Bytes;

use crate::bridge::books::call::{Asker, Call, Purpose, Stage};
use crate::bridge::books::channel::{Capabilities, ChannelState};
use crate::bridge::books::client::Offers;
use crate::bridge::books::pool::{Access, Carry, Pool};
use crate::bridge::channels::{set_up_replay, stop, waiting};
use crate::bridge::id::{CallId, ChannelId, ClientId, PoolId};
use crate::bridge::notice::{Notice, StopReason};
use crate::bridge::outgoing::translate::{is_offered, member};
use crate::bridge::outgoing::{answer, compose, send};
use crate::bridge::refusal::Refusal;
use crate::bridge::step::Step;
use crate::wire::{Frame, FrameKind, json, splice};

/// What the bridge adds to the answer's `_meta`.
const OUR_META: &str = concat!("{\"version\":\"", env!("CARGO_PKG_VERSION"), "\"}");

/// A client's `initialize`.
pub fn by_client(step: &mut Step<'_>, client: ClientId, frame: &Frame) {
    let now = step.now;
    let Some(row) = step.books.client_mut(client) else { return step.books.absent(client) };
    if !row.sessions.is_empty() || !row.calls.is_empty() || !row.fanouts.is_empty() {
        return answer::refuse(step, client, &frame.id(), &Refusal::Reinitialize);
    }
    row.offers = Offers::of(frame);
    row.wants_events = asks_for_events(frame);
    row.initialized = false;
    let agent = row.agent;
    let pool = step.books.pool_of(agent, Pool::identity(frame), frame);
    let before = step.books.client_mut(client).and_then(|row| row.pool.replace(pool));
    stop::end_carried(step, before);
    step.books.wait_for_channel(client, Purpose::Initialize, frame, now);
}

/// Sends `initialize` to a process: a client's own, or the kept one.
pub fn begin(step: &mut Step<'_>, channel: ChannelId, pool: PoolId, call: Option<CallId>) {
    let now = step.now;
    let Some(row) = step.books.pool(pool) else { return step.books.absent(pool) };
    let (agent, kept) = (row.agent, row.initialize.clone());
    step.books.set_state(channel, ChannelState::Starting { since: now, slow: false });
    if let Some(row) = step.books.channel_mut(channel) {
        row.pool = Some(pool);
    }
    let id = match call {
        Some(id) => {
            step.books.move_call(id, Some(channel));
            id
        }
        None => {
            let stage = Stage::Held(Box::new(kept));
            let (asker, purpose) = (Asker::Nobody, Purpose::Initialize);
            let call = Call::on_channel((agent, channel), asker, purpose, stage, now);
            step.books.add_call(call)
        }
    };
    send::held(step, id);
}

/// An agent answered `initialize`.
pub fn answered(step: &mut Step<'_>, channel: ChannelId, id: CallId, frame: &Frame) {
    let now = step.now;
    let Some(pool) = step.books.channel(channel).and_then(|row| row.pool) else {
        return step.books.absent(channel);
    };
    let version = frame.find(&["protocolVersion"]).map(|place| place.of(frame.bytes()));
    let Some(version) = version.filter(|_| frame.kind == FrameKind::Success) else {
        if let Some(call) = step.books.take_call(id) {
            let what = "its answer to initialize names no protocolVersion".to_owned();
            let refusal =
                Refusal::ProtocolBroken { agent: step.books.agent_name_on(channel), what };
            answer::give(step, &call.asker, |token| match frame.kind {
                FrameKind::Failure => frame.with_id(token.clone()),
                _ => compose::failure(token, &refusal),
            });
        }
        return stop::begin(step, channel, StopReason::HandshakeRefused);
    };
    let result = frame.body_bytes();
    let capabilities = capabilities(&result);
    let Some(known) = step.books.pool_mut(pool) else { return step.books.absent(pool) };
    if known.answer.is_none() {
        let is_v1 = version == b"1";
        known.version = version.into();
        known.capabilities = capabilities;
        known.carry = if is_v1 { Carry::Sessions } else { Carry::Transparent };
        known.answer = Some(if is_v1 { advertise(&result) } else { result });
        if !is_v1 {
            keep_private(step, pool, channel, id);
        }
    } else if *known.version != *version {
        return stop::begin(step, channel, StopReason::VersionChanged);
    } else if known.capabilities != capabilities {
        known.answer = Some(advertise(&result));
        let before = std::mem::replace(&mut known.capabilities, capabilities).names();
        let after = capabilities.names();
        step.publish(Notice::CapabilitiesChanged { channel, before, after });
    }
    let Some(row) = step.books.channel_mut(channel) else { return step.books.absent(channel) };
    row.capabilities = capabilities;
    let after_ms = now.since(row.clock.born);
    step.books.set_state(channel, ChannelState::Ready);
    step.publish(Notice::ChannelReady { channel, after_ms });
    waiting::answer_from_memory(step, id);
    if step.books.is_ending() {
        // Other clients may wait for the same handshake.
        waiting::send_all(step, channel);
        return stop::drain(step, channel, StopReason::Shutdown);
    }
    let kept = step.books.pool(pool).map(|row| row.set_up.clone());
    set_up_replay::begin(step, channel, kept.unwrap_or_default());
    waiting::send_all(step, channel);
}

/// A pool whose version is not ours serves one client only: others that
/// waited for the same handshake get a pool, and so a process, of their own.
fn keep_private(step: &mut Step<'_>, pool: PoolId, channel: ChannelId, first: CallId) {
    let Some(row) = step.books.pool_mut(pool) else { return step.books.absent(pool) };
    row.access = Access::Private;
    let own = Pool::new(row.agent, row.identity.clone(), Access::Private, &row.initialize);
    for id in step.books.calls_on(channel) {
        let Some(call) = step.books.call(id) else {
            step.books.absent(id);
            continue;
        };
        // The first one and those of the bridge itself stay.
        let Some(client) = call.client().filter(|_| id != first) else { continue };
        let own = step.books.add_pool(own.clone());
        if let Some(client) = step.books.client_mut(client) {
            client.pool = Some(own);
        }
        step.books.move_call(id, None);
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
