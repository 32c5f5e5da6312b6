//! Opening sessions: new, load, resume, fork.
//!
//! What the agent asks meanwhile is passed on at once, because it may wait for that before it
//! answers the open.

use std::hash::BuildHasher;

use bytes::Bytes;
use foldhash::fast::FixedState;

use crate::bridge::books::call::{Asker, OpenKind, Opening, Purpose, Stage};
use crate::bridge::books::parked::Revival;
use crate::bridge::books::transcript::Transcript;
use crate::bridge::id::{CallId, ClientId};
use crate::bridge::outgoing::translate::param;
use crate::bridge::outgoing::{answer, compose};
use crate::bridge::refusal::Refusal;
use crate::bridge::sessions::join;
use crate::bridge::step::Step;
use crate::wire::{Frame, Method, Span, json, splice};

/// Handles a client's open: the call waits for a channel, or, for a load or resume of a
/// live session, goes to that session.
pub fn by_client(step: &mut Step<'_>, client: ClientId, kind: OpenKind, frame: &Frame) {
    let now = step.now;
    let named = frame.session();
    let cwd = param(frame, "cwd").filter(|cwd| !cwd.is_empty());
    let cwd = cwd.unwrap_or_else(|| step.books.client_cwd(client).into());
    let (agent_id, public_id) = match (kind, named) {
        (OpenKind::New, _) => (None, None),
        (_, None) => {
            let refusal = Refusal::MissingField { field: "sessionId" };
            return answer::refuse(step, client, frame, &refusal);
        }
        (OpenKind::Fork, Some(id)) => {
            if let Some(key) = step.books.live_anywhere(client, &id) {
                step.books.mark_seen(key, now);
            }
            (Some(step.books.source(client, &id, &cwd)), Some(id.into()))
        }
        (OpenKind::Load | OpenKind::Resume, Some(id)) => {
            if let Some(key) = step.books.live(client, &id, &cwd)
                && !join::is_moved(step, client, key)
            {
                return join::restore(step, client, key, (kind, opened_with(frame)), frame);
            }
            if is_opened_anew(step, client, (&id, &cwd), frame) {
                return;
            }
            (Some(step.books.source(client, &id, &cwd)), Some(id.into()))
        }
    };
    let opening = opening(kind, (agent_id, public_id), cwd, frame);
    let opened_with = opening.opened_with;
    let call = step.books.wait_for_channel(client, Purpose::Open(opening), frame, now);
    if let (Some(call), OpenKind::Load | OpenKind::Resume) = (call, kind) {
        let is_complete = kind == OpenKind::Load;
        step.books.begin_replay(call, Transcript::new(is_complete, opened_with));
    }
}

/// The opening that a request asks for, with the ids by which its agent and its client know the
/// conversation.
pub fn opening(
    kind: OpenKind,
    ids: (Option<Box<str>>, Option<Box<str>>),
    cwd: Box<str>,
    frame: &Frame,
) -> Opening {
    let params = frame.body().map(|place| place.of(frame.bytes())).unwrap_or_default();
    let params = Bytes::copy_from_slice(params);
    let (servers, opened_with) = (servers_of_agent(frame), opened_with(frame));
    Opening { servers, opened_with, params, ..Opening::of(kind, ids, cwd) }
}

/// Handles a client's load or resume of a parked session that was never prompted, of which the
/// agent has no record: it is opened anew behind its id. Says whether it is one.
fn is_opened_anew(
    step: &mut Step<'_>,
    client: ClientId,
    (id, cwd): (&str, &str),
    frame: &Frame,
) -> bool {
    let parked = step.books.parked_conversation(client, id, cwd);
    let Some(row) = parked.and_then(|key| step.books.parked(key)) else { return false };
    if row.recipe.has_record || row.revival != Revival::None {
        return false;
    }
    let (key, public_id) = (row.key, row.id.clone());
    let params = frame.body().map(|place| splice::without(frame.bytes(), place, "sessionId"));
    let method = Method::SessionNew.name();
    let params = params.unwrap_or_default();
    let Some(frame) = compose::held_request(&frame.id(), method, &params) else { return false };
    let ids = (None, Some(public_id));
    let opening = Opening { revives: Some(key), ..opening(OpenKind::New, ids, cwd.into(), &frame) };
    let call = step.books.wait_for_channel(client, Purpose::Open(opening), &frame, step.now);
    if let Some(call) = call {
        step.books.revival_began(key, call);
    }
    true
}

/// Handles a load or resume that waited as if it came now: another call has restored the
/// conversation meanwhile.
pub fn again(step: &mut Step<'_>, id: CallId) {
    let Some(call) = step.books.take_call(id) else { return step.books.absent(id) };
    let kind = call.opening().map(|opening| opening.kind);
    if let (Asker::Client(client, _), Stage::Held(frame), Some(kind)) =
        (call.asker, call.stage, kind)
    {
        by_client(step, client, kind, &frame);
    }
}

/// A hash of each part of an open that tells what the session works with, by its name.
fn opened_with(frame: &Frame) -> [(&'static str, u64); 2] {
    ["mcpServers", "additionalDirectories"].map(|name| {
        let value = frame.find(&[name]).map(|place| place.of(frame.bytes()));
        // An empty list is the same as none.
        let value = value.filter(|value| *value != b"[]" && *value != b"null");
        (name, FixedState::with_seed(0).hash_one(value))
    })
}

/// The number of MCP servers in an open that the agent starts as processes.
fn servers_of_agent(frame: &Frame) -> usize {
    let text = frame.bytes();
    let servers = frame.find(&["mcpServers"]).map(|place| json::elements(text, place));
    let is_process = |server: &&Span| {
        let kind = json::find(text, **server, &["type"]);
        kind.is_none_or(|kind| json::is(text, kind, "stdio"))
    };
    servers.unwrap_or_default().iter().filter(is_process).count()
}
