//! The form in which each client that is attached to a session gets a notification in it.
//!
//! Where one client alone is attached, it gets what it would get without a bridge. Where there
//! are several, each gets what it can understand: an update that needs a capability goes to those
//! that offered it, a terminal of another client is shown as a text, and some editors get their
//! own turns alone.

use bytes::Bytes;

use crate::bridge::books::Books;
use crate::bridge::books::handles::HandleKind;
use crate::bridge::books::session::Session;
use crate::bridge::id::{ChannelId, ClientId, SessionKey};
use crate::bridge::outgoing::numbering;
use crate::bridge::outgoing::translate::{self, Edit};
use crate::bridge::quirks::Mirror;
use crate::bridge::step::Step;
use crate::bridge::update::{Part, UpdateKind};
use crate::wire::{Frame, Span, json};

/// The content in place of a terminal that another client has.
const FOREIGN_TERMINAL: &[u8] =
    br#"{"type":"content","content":{"type":"text","text":"(a terminal in another window)"}}"#;

/// When a client is shown a notification, and its sequence number; 0: it has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Showing {
    /// As it happens.
    Live {
        /// The number.
        seq: u64,
    },
    /// Later, because the client has just come.
    Replay {
        /// The number.
        seq: u64,
    },
}

/// Sends a notification of a session to one of its clients.
pub fn send(
    step: &mut Step<'_>,
    key: SessionKey,
    client: ClientId,
    frame: &Frame,
    showing: Showing,
) {
    let kind = UpdateKind::of(frame);
    let Some(session) = step.books.session(key) else { return step.books.absent(key) };
    let channel = session.channel;
    if !is_shown(step.books, session, client, kind, showing) {
        return;
    }
    let (Showing::Live { seq } | Showing::Replay { seq }) = showing;
    let outgoing =
        translate::edited(frame, None, edits(step.books, session, client, (kind, frame), seq));
    step.send_to_client(client, channel, outgoing);
}

/// The only client of a session, if it gets every notification as the agent wrote it: what nearly
/// every message passes.
pub fn plain_client(books: &Books, session: &Session) -> Option<ClientId> {
    let [client] = *session.clients() else { return None };
    let (row, channel) = (books.client(client)?, books.channel(session.channel)?);
    // Where others may have had the session before, a terminal or a turn may be theirs.
    let may_be_of_others = session.transcript.is_some()
        && !(row.listening.mirror == Mirror::Live && channel.handles.is_empty());
    let is_plain = row.pool == channel.pool && !row.listening.numbered && !may_be_of_others;
    let is_plain = is_plain && session.restoring.is_none() && !channel.exchanges_ids();
    (is_plain && books.replay_in(session).is_none()).then_some(client)
}

/// Whether an agent knows what a client offers: it is in the pool of the agent's channel.
fn is_own(books: &Books, channel: ChannelId, client: ClientId) -> bool {
    let own = books.client(client).and_then(|row| row.pool);
    own == books.channel(channel).and_then(|row| row.pool)
}

/// Whether a client is shown a notification.
fn is_shown(
    books: &Books,
    session: &Session,
    client: ClientId,
    kind: UpdateKind,
    showing: Showing,
) -> bool {
    let Some(row) = books.client(client) else { return true };
    let is_own = is_own(books, session.channel, client);
    let sees_all =
        row.listening.mirror == Mirror::Live || matches!(showing, Showing::Replay { .. });
    if is_own && sees_all {
        return true;
    }
    let gate = kind.gate().filter(|_| !is_own);
    if gate.is_some_and(|gate| !row.listening.passes(gate)) {
        return false;
    }
    sees_all
        || kind == UpdateKind::Unnamed
        || matches!(kind.part(), Part::State(_))
        || !is_turn_of_others(books, session, client)
}

/// Whether a turn runs in a session that another client has begun, and none of this one.
fn is_turn_of_others(books: &Books, session: &Session, client: ClientId) -> bool {
    let mut running = books.running_in(session).peekable();
    running.peek().is_some() && running.all(|call| call.client() != Some(client))
}

/// The changes of a notification for one client.
fn edits(
    books: &Books,
    session: &Session,
    client: ClientId,
    (kind, frame): (UpdateKind, &Frame),
    seq: u64,
) -> Vec<Edit> {
    let channel = session.channel;
    let mut edits = if books.exchanges_ids(channel) {
        translate::client_edits(books, channel, client, frame)
    } else {
        Vec::new()
    };
    if let UpdateKind::ToolCall { .. } = kind {
        edits.extend(foreign_terminals(books, session, client, frame));
    }
    if seq > 0 && books.client(client).is_some_and(|row| row.listening.numbered) {
        edits.extend(numbering::edits(frame, seq));
    }
    edits
}

/// Where a tool call shows a terminal that a client does not have.
fn foreign_terminals(
    books: &Books,
    session: &Session,
    client: ClientId,
    frame: &Frame,
) -> Vec<Edit> {
    let Some(row) = books.channel(session.channel) else { return Vec::new() };
    let text = frame.bytes();
    let content = frame.find(&["update", "content"]);
    let elements = content.map(|content| json::elements(text, content)).unwrap_or_default();
    let is_alone = session.clients() == [client];
    let is_foreign = |element: &Span| {
        let id = json::find(text, *element, &["terminalId"]).and_then(|id| json::text(text, id));
        id.is_some_and(|id| match row.handles.of_agent(HandleKind::Terminal, &id) {
            Some(handle) => handle.client != client,
            None => !is_alone,
        })
    };
    let foreign = elements.into_iter().filter(is_foreign);
    foreign.map(|element| (element, Bytes::from_static(FOREIGN_TERMINAL))).collect()
}
