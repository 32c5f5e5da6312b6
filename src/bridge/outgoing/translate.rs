//! Exchanges the request ids, session ids and handles of messages that pass through.
//! Nothing else of a message is touched.
//!
//! Ids pass verbatim except where two things have the same one: then clients know the
//! later session, and an agent the later handle, by an alias, which is exchanged in every
//! place where such an id occurs.

use bytes::Bytes;

use crate::bridge::books::Books;
use crate::bridge::books::handles::HandleKind;
use crate::bridge::id::{ChannelId, ClientId};
use crate::wire::json::quoted;
use crate::wire::{Frame, FrameKind, OutgoingFrame, Span, Token, json, splice};

/// A change of a message: a place in it, and the bytes to put there.
pub type Edit = (Span, Bytes);

/// A message of a channel's agent as a client gets it, with the request id `id`; `None`
/// leaves that as it is.
pub fn for_client(
    books: &Books,
    channel: ChannelId,
    client: ClientId,
    frame: &Frame,
    id: Option<Token>,
) -> OutgoingFrame {
    edited(frame, id, client_edits(books, channel, client, frame))
}

/// Where a message of a channel's agent holds ids that a client knows by other ones.
pub fn client_edits(
    books: &Books,
    channel: ChannelId,
    client: ClientId,
    frame: &Frame,
) -> Vec<Edit> {
    let mut edits = public_ids(books, channel, frame);
    edits.extend(client_handles(books, channel, client, frame));
    edits
}

/// Where a message of a channel's agent holds session ids that clients know by aliases.
fn public_ids(books: &Books, channel: ChannelId, frame: &Frame) -> Vec<Edit> {
    if !books.has_aliases(channel) {
        return Vec::new();
    }
    let places = match frame.kind {
        FrameKind::Request | FrameKind::Notification => {
            [frame.session_place(), frame.child_session_place()]
        }
        FrameKind::Success => [frame.find(&["sessionId"]), None],
        FrameKind::Failure => [frame.find(&["data", "sessionId"]), None],
    };
    let edit = |place: Span| {
        let id = json::text(frame.bytes(), place)?;
        Some((place, Bytes::from(quoted(books.alias(channel, &id)?))))
    };
    places.into_iter().flatten().filter_map(edit).collect()
}

/// Where a message of a channel's agent holds handles that the client knows by other ids.
fn client_handles(books: &Books, channel: ChannelId, client: ClientId, frame: &Frame) -> Vec<Edit> {
    let Some(handles) = books.channel(channel).map(|row| &row.handles) else { return Vec::new() };
    if !handles.has_aliases() {
        return Vec::new();
    }
    let text = frame.bytes();
    let edit = |(place, kind): (Span, HandleKind)| {
        let handle = handles.of_agent(kind, &json::text(text, place)?)?;
        (handle.client == client).then(|| (place, Bytes::from(quoted(&handle.for_client))))
    };
    let members = HandleKind::MEMBERS;
    let members = members.iter().filter_map(|(member, kind)| Some((frame.find(&[member])?, *kind)));
    // A tool call shows the output of a terminal.
    let shown = frame.find(&["update", "content"]).map(|place| json::elements(text, place));
    let terminals = shown.into_iter().flatten().filter_map(|element| {
        Some((json::find(text, element, &["terminalId"])?, HandleKind::Terminal))
    });
    members.chain(terminals).filter_map(edit).collect()
}

/// A message of a client as a channel's agent gets it: with the request id `id`, where
/// `None` leaves that as it is, with the session id `agent_id` if it names a session, and
/// with the agent's handles.
pub fn for_agent(
    books: &Books,
    channel: ChannelId,
    client: Option<ClientId>,
    frame: &Frame,
    id: Option<Token>,
    agent_id: Option<&str>,
) -> OutgoingFrame {
    let differs = |agent_id: &&str| frame.session().is_some_and(|named| named != *agent_id);
    let named = frame.session_place().zip(agent_id.filter(differs));
    let mut edits: Vec<Edit> = Vec::new();
    edits.extend(named.map(|(place, agent_id)| (place, Bytes::from(quoted(agent_id)))));
    edits.extend(client.into_iter().flat_map(|it| agent_handles(books, channel, it, frame)));
    edited(frame, id, edits)
}

/// Where a message of a client holds handles that the agent knows by other ids.
fn agent_handles(books: &Books, channel: ChannelId, client: ClientId, frame: &Frame) -> Vec<Edit> {
    let Some(handles) = books.channel(channel).map(|row| &row.handles) else { return Vec::new() };
    if !handles.has_aliases() {
        return Vec::new();
    }
    let edit = |(place, kind): (Span, HandleKind)| {
        let id = json::text(frame.bytes(), place)?;
        let for_agent = handles.of_client(kind, client, &id)?;
        (*for_agent != *id).then(|| (place, Bytes::from(quoted(for_agent))))
    };
    let members = HandleKind::MEMBERS;
    let members = members.iter().filter_map(|(member, kind)| Some((frame.find(&[member])?, *kind)));
    let servers = servers_of(frame).into_iter().map(|place| (place, HandleKind::Server));
    members.chain(servers).filter_map(edit).collect()
}

/// The ids of the MCP servers in an open that the client itself serves.
pub fn servers_of(frame: &Frame) -> Vec<Span> {
    let text = frame.bytes();
    let servers = frame.find(&["mcpServers"]).map(|place| json::elements(text, place));
    let is_served = |server: &Span| {
        json::find(text, *server, &["type"]).is_some_and(|kind| json::is(text, kind, "acp"))
    };
    let ids = |server: Span| {
        ["id", "serverId", "acpId"].map(|member| json::find(text, server, &[member]))
    };
    servers.unwrap_or_default().into_iter().filter(is_served).flat_map(ids).flatten().collect()
}

/// A message with another request id and with `edits`; `None` leaves the id as it is.
pub fn edited(frame: &Frame, id: Option<Token>, edits: Vec<Edit>) -> OutgoingFrame {
    match (edits.is_empty(), id) {
        (true, Some(token)) => frame.with_id(token),
        (true, None) => frame.whole(),
        (false, id) => with_edits(frame, id, edits),
    }
}

/// A frame with another request id, and with other bytes at the places in `edits`.
pub fn with_edits(frame: &Frame, id: Option<Token>, mut edits: Vec<Edit>) -> OutgoingFrame {
    if let (Some(token), Some(place)) = (id, frame.id_place()) {
        edits.push((place, Bytes::copy_from_slice(token.as_bytes())));
    }
    OutgoingFrame::ready(splice::replace(frame.bytes(), edits))
}

/// Where a frame names a request, and the id to put there.
pub fn request_id(frame: &Frame, id: &Token) -> Option<Edit> {
    let (_, place) = frame.request()?;
    Some((place, Bytes::copy_from_slice(id.as_bytes())))
}

/// A `$/cancel_request` for the other wire: `request` is put in place of its
/// `params.requestId`.
pub fn with_request_id(frame: &Frame, request: u64) -> OutgoingFrame {
    let edit = request_id(frame, &Token::number(request));
    with_edits(frame, None, edit.into_iter().collect())
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
