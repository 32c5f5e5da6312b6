//! `session/list`: the stored conversations, a page at a time.

use std::collections::BTreeSet;

use bytes::Bytes;

use crate::bridge::books::Books;
use crate::bridge::books::call::{Asker, Purpose};
use crate::bridge::books::table::ids_of;
use crate::bridge::channels::waiting;
use crate::bridge::id::{CallId, ChannelId, ClientId};
use crate::bridge::outgoing::answer;
use crate::bridge::outgoing::messages::ListedSession;
use crate::bridge::outgoing::translate::{param, with_edits};
use crate::bridge::refusal::Refusal;
use crate::bridge::step::Step;
use crate::wire::json::quoted;
use crate::wire::{Frame, FrameKind, Span, json, splice};

fn is_array(text: &[u8], place: Span) -> bool {
    place.of(text).starts_with(b"[")
}

/// Handles a client's `session/list`. A request with a cursor goes to the channel that
/// gave the cursor.
pub fn by_client(step: &mut Step<'_>, client: ClientId, frame: &Frame) {
    let now = step.now;
    let cursor = frame.find_text(&["cursor"]);
    let purpose = Purpose::List { first: cursor.is_none(), cwd: param(frame, "cwd") };
    let Some(cursor) = cursor else {
        step.books.wait_for_channel(client, purpose, frame, now);
        return;
    };
    let is_open = |id: &ChannelId| step.books.channel(*id).is_some_and(|row| row.is_open());
    let Some(channel) = step.books.home_of_cursor(&cursor).filter(is_open) else {
        return answer::refuse(step, client, &frame.id(), &Refusal::StaleCursor);
    };
    let id = step.books.wait_for_channel(client, purpose, frame, now);
    let Some(id) = id else { return step.books.absent(client) };
    step.books.move_call(id, Some(channel));
    waiting::send_when_ready(step, id);
}

/// Handles an agent's answer, which is one page. Aliases take the place of agent ids, and
/// the live sessions that the agent does not list yet are added to the `first` page.
pub fn answered(
    step: &mut Step<'_>,
    channel: ChannelId,
    id: CallId,
    first: bool,
    cwd: Option<&str>,
    frame: &Frame,
) {
    let Some(call) = step.books.take_call(id) else { return step.books.absent(id) };
    // The client may be gone.
    let Asker::Client(client, token) = &call.asker else { return };
    if let Some(cursor) = frame.find_text(&["nextCursor"]) {
        step.outgoing.counters.cursors += step.books.remember_cursor(&cursor, channel);
    }
    let text = frame.bytes();
    // Some agents write an empty list as `null`. An answer without a list passes unchanged.
    let place = frame.find(&["sessions"]).filter(|place| {
        frame.kind == FrameKind::Success && (is_array(text, *place) || place.of(text) == b"null")
    });
    let Some(place) = place else {
        return step.send_to_client(*client, frame.with_id(token.clone()));
    };
    let mut edits = Vec::new();
    let mut listed: BTreeSet<Box<str>> = BTreeSet::new();
    for entry in json::elements(text, place) {
        let Some(at) = json::find(text, entry, &["sessionId"]) else { continue };
        let Some(agent_id) = json::text(text, at) else { continue };
        let row = step.books.channel(channel);
        let key = row.and_then(|row| row.names.get(&agent_id));
        let session = key.and_then(|key| step.books.session(key));
        if let Some(session) = session.filter(|session| session.is_aliased()) {
            edits.push((at, Bytes::from(quoted(&session.id))));
        }
        listed.insert(session.map_or_else(|| agent_id.into(), |session| session.id.clone()));
    }
    let mut outgoing = with_edits(frame, None, edits).to_bytes();
    if first {
        let unlisted = live_sessions_but(step.books, &listed, channel, cwd);
        let list = json::whole(&outgoing)
            .and_then(|whole| json::find(&outgoing, whole, &["result", "sessions"]));
        if let Some(list) = list.filter(|_| !unlisted.is_empty()) {
            let entries = unlisted.join(&b',');
            outgoing = if is_array(&outgoing, list) {
                splice::push(&outgoing, list, &entries)
            } else {
                splice::replace(&outgoing, vec![(list, [b"[", &*entries, b"]"].concat().into())])
            };
        }
    }
    // The edited page is JSON. Should it not be, the agent's own page is sent.
    let page = Frame::parse(outgoing);
    step.send_to_client(*client, page.as_ref().unwrap_or(frame).with_id(token.clone()));
}

/// Entries of `session/list` for the live sessions of a channel's pool that
/// its agent has not `listed`, the oldest first.
fn live_sessions_but(
    books: &Books,
    listed: &BTreeSet<Box<str>>,
    channel: ChannelId,
    cwd: Option<&str>,
) -> Vec<Vec<u8>> {
    let pool_of = |id| books.channel(id).and_then(|row| row.pool);
    let pool = pool_of(channel);
    let keys = ids_of(books.sessions());
    keys.iter()
        .filter_map(|key| books.session(*key))
        .filter(|session| pool_of(session.channel) == pool)
        .filter(|session| cwd.is_none_or(|cwd| *cwd == *session.cwd))
        .filter(|session| !listed.contains(&session.id))
        .map(|session| ListedSession { session_id: &session.id, cwd: &session.cwd })
        .map(|entry| json::written(&entry))
        .collect()
}
