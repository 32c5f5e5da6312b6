//! Opening sessions: new, load, resume, fork.
//!
//! What the agent asks meanwhile is passed on at once, because it may wait for that before it
//! answers the open.

use std::hash::BuildHasher;

use foldhash::fast::FixedState;

use crate::bridge::books::call::{Asker, OpenKind, Opening, Purpose, RepeatLogin, Stage};
use crate::bridge::books::transcript::Transcript;
use crate::bridge::id::{CallId, ClientId};
use crate::bridge::outgoing::answer;
use crate::bridge::outgoing::translate::param;
use crate::bridge::refusal::Refusal;
use crate::bridge::sessions::join;
use crate::bridge::step::Step;
use crate::wire::{Frame, Span, json};

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
            (Some(step.books.source(client, &id)), Some(id.into()))
        }
        (OpenKind::Load | OpenKind::Resume, Some(id)) => {
            if let Some(key) = step.books.live(client, &id, &cwd)
                && !join::is_moved(step, client, key)
            {
                return join::restore(step, client, key, (kind, opened_with(frame)), frame);
            }
            (Some(step.books.source(client, &id)), Some(id.into()))
        }
    };
    let (servers, login) = (servers_of_agent(frame), RepeatLogin::Unsent);
    let (children, opened_with) = (Vec::new(), opened_with(frame));
    let opening = Opening { kind, agent_id, public_id, cwd, servers, opened_with, login, children };
    let call = step.books.wait_for_channel(client, Purpose::Open(opening), frame, now);
    if let (Some(call), OpenKind::Load | OpenKind::Resume) = (call, kind) {
        let is_complete = kind == OpenKind::Load;
        step.books.begin_replay(call, Transcript::new(is_complete, opened_with));
    }
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
