//! Exchanges the request ids and session ids of messages that pass through. Nothing else
//! of a message is touched.
//!
//! Session ids pass verbatim except where two conversations have the same one: then
//! clients know the later one by an alias, which is exchanged for the agent's id in every
//! place where a session id occurs.

use bytes::Bytes;

use crate::bridge::books::Books;
use crate::bridge::books::call::Call;
use crate::bridge::books::session::Session;
use crate::bridge::id::{ChannelId, SessionKey};
use crate::wire::json::quoted;
use crate::wire::{Frame, OutgoingFrame, Span, Token, json, splice};

/// A notification of a client for the agent of a session.
pub fn for_agent(books: &Books, key: SessionKey, frame: &Frame) -> OutgoingFrame {
    let session = books.session(key);
    to_agent(frame, None, session.and_then(|session| renamed(session, frame)))
}

/// The answer of an agent as the asker gets it: with the asker's own id, and with the
/// session's alias if it has one.
pub fn for_asker(books: &Books, call: &Call, frame: &Frame, token: &Token) -> OutgoingFrame {
    let Some(alias) = call.session.and_then(|key| alias(books, key, call.channel)) else {
        return frame.with_id(token.clone());
    };
    let paths: [&[&str]; 2] = [&["sessionId"], &["data", "sessionId"]];
    let places = paths.iter().filter_map(|path| frame.find(path));
    let edits = places.map(|place| (place, Bytes::from(quoted(alias)))).collect();
    with_edits(frame, Some(token.clone()), edits)
}

/// The alias of a session that has one, also after its end.
fn alias(books: &Books, key: SessionKey, channel: Option<ChannelId>) -> Option<&str> {
    if let Some(session) = books.session(key) {
        return session.is_aliased().then_some(&*session.id);
    }
    books.channel(channel?)?.tombstones.of(key)?.alias()
}

/// The agent's id of the session that a client's frame names. `None`: the id needs no
/// change; so it is for the session of a sub-agent, too, which has no alias.
pub fn renamed<'a>(session: &'a Session, frame: &Frame) -> Option<&'a str> {
    let names_it = || frame.session().is_some_and(|named| *named == *session.id);
    (session.is_aliased() && names_it()).then_some(&*session.agent_id)
}

/// A notification of an agent's session as its clients get it.
pub fn for_client(session: &Session, frame: Frame) -> OutgoingFrame {
    match alias_in(session, &frame) {
        Some(edit) => with_edits(&frame, None, vec![edit]),
        None => frame.into_whole(),
    }
}

/// A request of an agent's session as its clients get it.
pub fn question_for_client(session: &Session, frame: &Frame, id: Token) -> OutgoingFrame {
    match alias_in(session, frame) {
        Some(edit) => with_edits(frame, Some(id), vec![edit]),
        None => frame.with_id(id),
    }
}

/// Where an agent's frame names the session, and the alias to put there. `None`: the
/// session has no alias, or the frame does not name it.
fn alias_in(session: &Session, frame: &Frame) -> Option<(Span, Bytes)> {
    let names_it = || frame.session().is_some_and(|named| *named == *session.agent_id);
    let place = frame.session_place().filter(|_| session.is_aliased() && names_it())?;
    Some((place, Bytes::from(quoted(&session.id))))
}

/// A frame of a client as the agent gets it: with the request id `id` and the session id
/// `agent_id`. `None` leaves an id as it is.
pub fn to_agent(frame: &Frame, id: Option<Token>, agent_id: Option<&str>) -> OutgoingFrame {
    let differs = |agent_id: &&str| frame.session().is_some_and(|named| named != *agent_id);
    match (agent_id.filter(differs), frame.session_place(), id) {
        (Some(agent_id), Some(place), id) => {
            with_edits(frame, id, vec![(place, Bytes::from(quoted(agent_id)))])
        }
        (_, _, Some(token)) => frame.with_id(token),
        (_, _, None) => frame.whole(),
    }
}

/// A frame with another request id, and with other bytes at the places in `edits`.
pub fn with_edits(
    frame: &Frame,
    id: Option<Token>,
    mut edits: Vec<(Span, Bytes)>,
) -> OutgoingFrame {
    if let (Some(token), Some(place)) = (id, frame.id_place()) {
        edits.push((place, Bytes::copy_from_slice(token.as_bytes())));
    }
    OutgoingFrame::ready(splice::replace(frame.bytes(), edits))
}

/// A `$/cancel_request` for the other wire: `request` is put in place of its
/// `params.requestId`.
pub fn with_request_id(frame: &Frame, id: Option<Token>, request: &[u8]) -> OutgoingFrame {
    let edits = frame.request().map(|(_, place)| (place, Bytes::copy_from_slice(request)));
    with_edits(frame, id, edits.into_iter().collect())
}

/// The string member `key` of a frame's params, decoded.
pub fn param(frame: &Frame, key: &str) -> Option<Box<str>> {
    frame.find_text(&[key]).map(Into::into)
}

/// Whether the value at `place` is there and not `null` or `false`.
pub fn is_offered(text: &[u8], place: Option<Span>) -> bool {
    place.is_some_and(|place| !matches!(place.of(text), b"null" | b"false"))
}

/// The member at `path` of a JSON text.
pub fn member(text: &[u8], path: &[&str]) -> Option<Span> {
    json::find(text, json::whole(text)?, path)
}
