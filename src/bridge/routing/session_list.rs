//! `session/list`: the stored conversations, a page at a time, as the agent lists them.

use bytes::Bytes;

use crate::bridge::books::aliases;
use crate::bridge::books::call::{Asker, Purpose};
use crate::bridge::books::channel::Channel;
use crate::bridge::channels::waiting;
use crate::bridge::id::{CallId, ChannelId, ClientId};
use crate::bridge::outgoing::answer;
use crate::bridge::outgoing::translate::edited;
use crate::bridge::refusal::Refusal;
use crate::bridge::step::Step;
use crate::wire::json::quoted;
use crate::wire::{Frame, FrameKind, json};

/// Handles a client's `session/list`. A request with a cursor goes to the channel that
/// gave the cursor, and is refused if that is gone.
pub fn by_client(step: &mut Step<'_>, client: ClientId, frame: &Frame) {
    let now = step.now;
    let Some(cursor) = frame.find_text(&["cursor"]) else {
        step.books.wait_for_channel(client, Purpose::List, frame, now);
        return;
    };
    let home = step.books.home_of_cursor(&cursor);
    if home.is_some_and(|id| !step.books.channel(id).is_some_and(Channel::is_open)) {
        return answer::refuse(step, client, frame, &Refusal::StaleCursor);
    }
    let id = step.books.wait_for_channel(client, Purpose::List, frame, now);
    // A cursor that the bridge does not know is for the agent to judge.
    if let (Some(id), Some(channel)) = (id, home) {
        step.books.move_call(id, Some(channel));
        waiting::send_when_ready(step, id);
    }
}

/// Handles an agent's answer, which is one page. Only the ids of sessions that clients know
/// by another one are exchanged.
pub fn answered(step: &mut Step<'_>, channel: ChannelId, id: CallId, frame: &Frame) {
    let Some(call) = step.books.take_call(id) else { return step.books.absent(id) };
    // The client may be gone.
    let Asker::Client(client, token) = &call.asker else { return };
    if let Some(cursor) = frame.find_text(&["nextCursor"]) {
        step.outgoing.counters.cursors += step.books.remember_cursor(&cursor, channel);
    }
    let text = frame.bytes();
    let list = frame.find(&["sessions"]).filter(|_| frame.kind == FrameKind::Success);
    let mut edits = Vec::new();
    for entry in list.map(|list| json::elements(text, list)).unwrap_or_default() {
        let Some(at) = json::find(text, entry, &["sessionId"]) else { continue };
        let Some(agent_id) = json::text(text, at) else { continue };
        let known = step.books.alias(channel, &agent_id);
        let pairs = step.books.agent_of_channel(channel).map(|agent| &agent.pairs);
        let cwd = json::find(text, entry, &["cwd"]).and_then(|cwd| json::text(text, cwd));
        let public = match known.or_else(|| pairs?.known_as(&agent_id, &cwd.unwrap_or_default())) {
            Some(known) => known.into(),
            // An id of the agent's own may look like an alias.
            None => aliases::free(&agent_id, |_| false),
        };
        if *public != *agent_id {
            edits.push((at, Bytes::from(quoted(&public))));
        }
    }
    step.send_to_client(*client, channel, edited(frame, Some(token.clone()), edits));
}
