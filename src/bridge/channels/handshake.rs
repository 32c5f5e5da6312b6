//! The handshake: `initialize`, to each channel of a pool and to each client.
//!
//! The params of the client that makes a pool are kept. A channel that is started for
//! an `initialize` gets that one as the client wrote it; every other channel gets the
//! kept params from the bridge. The answer is kept, too: all clients of the pool get
//! it, and the answers of further channels are checked against it. In protocol v1 two
//! members of it are changed: sessions can be closed, and `_meta` names the bridge.

use bytes::Bytes;

use crate::bridge::books::call::{Call, Purpose};
use crate::bridge::books::channel::{Capabilities, ChannelState};
use crate::bridge::books::client::{Introduction, Listening, Offers, Program};
use crate::bridge::books::pool::{Access, Pool, Treatment};
use crate::bridge::books::question::Question;
use crate::bridge::channels::{set_up_replay, stop, waiting};
use crate::bridge::effect::Effect;
use crate::bridge::id::{CallId, ChannelId, ClientId, PoolId};
use crate::bridge::notice::Notice;
use crate::bridge::outgoing::messages::BridgeMeta;
use crate::bridge::outgoing::translate::{is_offered, member};
use crate::bridge::outgoing::{answer, compose};
use crate::bridge::reason::StopReason;
use crate::bridge::refusal::Refusal;
use crate::bridge::restore;
use crate::bridge::sessions::question_end;
use crate::bridge::step::Step;
use crate::wire::{Frame, FrameKind, json, splice};

/// Handles a client's `initialize`: the client joins its pool, and the call waits for a
/// channel.
pub fn by_client(step: &mut Step<'_>, client: ClientId, frame: &Frame) {
    let now = step.now;
    let Some(row) = step.books.client_mut(client) else { return step.books.absent(client) };
    if !row.sessions.is_empty() || !row.calls.is_empty() || !row.fanouts.is_empty() {
        return answer::refuse(step, client, frame, &Refusal::Reinitialize);
    }
    row.offers = Offers::of(frame);
    row.listening = Listening::of(frame);
    row.program = Program::of(frame);
    row.wants_events = asks_for_events(frame);
    row.introduction = row.introduction.again();
    let before = step.books.join_pool(client, frame);
    stop::end_passthrough(step, before);
    step.books.wait_for_channel(client, Purpose::Initialize, frame, now);
}

/// Handles an agent's answer to `initialize`: its channel is ready, or is stopped.
pub fn answered(step: &mut Step<'_>, channel: ChannelId, id: CallId, frame: &Frame) {
    let now = step.now;
    let Some(pool) = step.books.channel(channel).and_then(|row| row.pool) else {
        return step.books.absent(channel);
    };
    let version = frame.find(&["protocolVersion"]).map(|place| place.of(frame.bytes()));
    let Some(version) = version.filter(|_| frame.kind == FrameKind::Success) else {
        waiting::give_back(step, channel);
        if let Some(call) = step.books.take_call(id) {
            if let Some(row) = call.client().and_then(|client| step.books.client_mut(client)) {
                row.introduction = Introduction::Heard;
            }
            let what = "its answer to initialize names no protocolVersion".to_owned();
            let refusal =
                Refusal::ProtocolBroken { agent: step.books.agent_name_on(channel), what };
            answer::give(step, &call.asker, channel, |token| match frame.kind {
                FrameKind::Failure => frame.with_id(token.clone()),
                _ => compose::failure(token, &refusal),
            });
        }
        return stop::begin(step, channel, StopReason::HandshakeRefused);
    };
    let result = frame.body_bytes();
    let (capabilities, agent_version) = (capabilities(&result), agent_version(frame));
    let mut younger = step.books.channels().iter().filter(|(id, _)| **id > channel);
    let has_younger = younger.any(|(_, row)| row.pool == Some(pool) && row.is_open());
    let Some(known) = step.books.pool_mut(pool) else { return step.books.absent(pool) };
    let is_first = known.answer.is_none();
    if !is_first && *known.version != *version {
        return stop::begin(step, channel, StopReason::VersionChanged);
    }
    let is_v1 = version == b"1";
    if is_first || !has_younger {
        // The agent may have been updated: clients that come from now on get the newest answer,
        // and never that of an older process which was slow to start.
        known.answer = Some(if is_v1 { advertise(frame) } else { frame.detached() });
    }
    if is_first {
        known.version = version.into();
        known.capabilities = capabilities;
        known.agent_version = agent_version.clone();
        known.treatment = if is_v1 { Treatment::Sessions } else { Treatment::Passthrough };
        if !is_v1 {
            keep_private(step, pool, channel, id);
        }
    } else if !has_younger {
        let before = std::mem::replace(&mut known.capabilities, capabilities);
        known.agent_version = agent_version.clone();
        if before != capabilities {
            let (before, after) = (before.names(), capabilities.names());
            step.publish(Notice::CapabilitiesChanged { channel, before, after });
        }
    }
    let Some(row) = step.books.channel_mut(channel) else { return step.books.absent(channel) };
    row.capabilities = capabilities;
    row.agent_version = agent_version.clone();
    let agent = row.agent;
    if let ChannelState::Starting { since, .. } = row.state {
        step.outgoing.measures.handshake.observe(now.since(since));
    }
    let after_ms = now.since(row.clock.born);
    step.books.set_state(channel, ChannelState::Ready);
    step.publish(Notice::ChannelReady { channel, after_ms });
    // Its start may have changed them: an update by its launcher.
    step.effect(Effect::NoteFiles(channel));
    step.effect(Effect::Recall { agent, version: agent_version });
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

/// Makes a pool serve one client only, because its protocol version is not 1: other
/// clients that waited for the same handshake get a pool, and so a process, of their own.
fn keep_private(step: &mut Step<'_>, pool: PoolId, channel: ChannelId, first: CallId) {
    let Some(row) = step.books.pool_mut(pool) else { return step.books.absent(pool) };
    row.access = Access::Private;
    let initialize = row.initialize.clone();
    for id in step.books.calls_on(channel) {
        let Some(call) = step.books.call(id) else {
            step.books.absent(id);
            continue;
        };
        // The call that was answered and the bridge's own calls stay.
        let Some(client) = call.client().filter(|_| id != first) else { continue };
        let Some(row) = step.books.client(client) else { continue };
        let own = step.books.add_pool(Pool::new(row, Access::Private, &initialize));
        step.books.move_client(client, own);
        step.books.move_call(id, None);
    }
    // Messages that the agent wrote before its answer may have reached other clients.
    let owner = step.books.call(first).and_then(Call::client);
    let Some(row) = step.books.channel(channel) else { return step.books.absent(channel) };
    let (questions, passing) = (row.questions.clone(), row.passing.clone());
    for id in questions {
        let is_foreign = |row: &Question| row.asked.iter().any(|client| Some(*client) != owner);
        if step.books.question(id).is_some_and(is_foreign) {
            question_end::withdraw(step, id);
        }
    }
    for key in passing {
        step.books.remove_passing(key);
    }
}

/// The capabilities that an agent's answer to `initialize` offers.
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
        status: session("status"),
    }
}

/// The name and version that an agent gives itself; empty: it gives none.
fn agent_version(answer: &Frame) -> Box<str> {
    let text = |member| answer.find_text(&["agentInfo", member]).unwrap_or_default();
    restore::version_of(&text("name"), &text("version"))
}

/// The agent's answer as clients get it: it offers `close`, and names the bridge.
fn advertise(answer: &Frame) -> Frame {
    let result = answer.body_bytes();
    let result = &*result;
    const CLOSE: [&str; 3] = ["agentCapabilities", "sessionCapabilities", "close"];
    let has_close = member(result, &CLOSE).is_some_and(|place| place.of(result).starts_with(b"{"));
    let result =
        if has_close { Bytes::copy_from_slice(result) } else { splice::set(result, &CLOSE, b"{}") };
    let meta = json::written(&BridgeMeta { version: env!("CARGO_PKG_VERSION") });
    let result = splice::set(&result, &["_meta", "drawbridge"], &meta);
    let edits = answer.body().map(|place| (place, result));
    let advertised = splice::replace(answer.bytes(), edits.into_iter().collect());
    // With another result it is still a message.
    Frame::parse(advertised).unwrap_or_else(|_| answer.detached())
}

/// Whether an `initialize` has `clientCapabilities._meta.drawbridge.events: true`.
fn asks_for_events(initialize: &Frame) -> bool {
    let path = ["clientCapabilities", "_meta", "drawbridge", "events"];
    initialize
        .body()
        .and_then(|body| json::find(initialize.bytes(), body, &path))
        .is_some_and(|place| place.of(initialize.bytes()) == b"true")
}
