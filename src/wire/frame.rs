//! One message: its bytes, and the few places in them that the bridge must know.
//!
//! A frame is read once, from front to back, without building anything. What
//! the bridge does not know stays as it came: unknown members, the spelling of
//! numbers, the order of keys, white space.
//!
//! - A request is told from a notification by the *presence* of `id`: `null` is
//!   an id too. `"result": null` is an answer.
//! - With the id `null` a method that is known only as a notification is one.
//! - A message with an id and without a method is an answer, also without a result. A method
//!   that is no string is none beside a result or an error.
//! - Strings may be escaped; they are compared decoded.
//! - Of a member that occurs twice, the last one counts.

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;

use super::acp::Method;
use super::outgoing_frame::OutgoingFrame;
use super::scanner::Scanner;
use super::span::Span;
use super::token::Token;
use super::walk::{Member, Places, Walk};
use super::{json, string};

/// How much of a line that is no message is shown to people (bytes).
const SHOWN: usize = 256;

/// The sort of message that a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameKind {
    /// Method and id: wants an answer.
    Request,
    /// Method without id.
    Notification,
    /// The answer to a request, with a result.
    Success,
    /// The answer to a request, with an error.
    Failure,
}

/// Why a line is no message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// Not UTF-8, or not JSON.
    NotJson {
        /// How the line begins, cut to 256 bytes.
        beginning: String,
        /// Whether the line is UTF-8.
        is_unicode: bool,
        /// The part of it that can be read all the same.
        glimpse: Glimpse,
    },
    /// An array: batches are not part of ACP.
    Batch,
    /// JSON, but neither a request, a notification nor an answer.
    NotMessage {
        /// The id, if it had a usable one.
        id: Option<Token>,
    },
    /// Longer than the frame limit.
    TooLong {
        /// How long, in bytes.
        length: u64,
        /// The id and the kind that the kept parts of the line show.
        glimpse: Glimpse,
    },
}

/// The readable part of a line that is no message, but begins like one: its beginning up to
/// the fault, and an id at its very end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Glimpse {
    /// A method or params, and this id: the line is a request.
    Request(Token),
    /// This id and no method: the line is an answer.
    Answer(Token),
    /// No id, or that of a notification, which is `null`.
    Nothing,
}

/// One message, read.
#[derive(Clone)]
pub struct Frame {
    bytes: Bytes,
    places: Places,
    /// Request, notification or answer.
    pub kind: FrameKind,
    /// The method; [`Method::Other`] for answers too.
    pub method: Method,
}

impl Frame {
    /// Reads one line.
    ///
    /// # Errors
    /// [`Malformed`] says what is wrong with a line that is no message.
    pub fn parse(bytes: Bytes) -> Result<Frame, Malformed> {
        let mut walk = Walk::default();
        let is_json = is_unicode(&bytes) && walk.over(&bytes).is_ok();
        Frame::walked(bytes, is_json.then_some(walk.places))
    }

    /// A frame from a line and the places that a walk over it has found; `None`: the line
    /// is no JSON.
    pub(super) fn walked(bytes: Bytes, places: Option<Places>) -> Result<Frame, Malformed> {
        let Some(places) = places else {
            let beginning = String::from_utf8_lossy(&bytes[..bytes.len().min(SHOWN)]);
            let (is_unicode, glimpse) = (is_unicode(&bytes), Frame::glimpse(&bytes, &bytes));
            return Err(Malformed::NotJson {
                beginning: beginning.into_owned(),
                is_unicode,
                glimpse,
            });
        };
        let id = places.of(Member::Id).filter(|id| is_id(id.of(&bytes)));
        let bad = || match Scanner::new(&bytes).peek() {
            Some(b'[') => Malformed::Batch,
            _ => Malformed::NotMessage { id: id.map(|id| Token::new(id.of(&bytes))) },
        };
        if places.of(Member::Id) != id {
            return Err(bad());
        }
        let error = places.of(Member::Error);
        let is_answer = id.is_some() && (places.of(Member::Result).is_some() || error.is_some());
        let method = match places.of(Member::Method) {
            None => None,
            Some(place) => match string::unescaped(place.of(&bytes)) {
                Some(name) => Some(Method::spelled(name)),
                None => match string::text(&bytes, place) {
                    Some(name) => Some(Method::named(&name)),
                    // A method that is no name makes an answer no request.
                    None if is_answer => None,
                    None => return Err(bad()),
                },
            },
        };
        let failed = error.is_some_and(|error| error.of(&bytes) != b"null");
        let is_null = |id: Span| id.of(&bytes) == b"null";
        let is_notification = |method: Method| {
            let name = places.of(Member::Method).and_then(|place| string::text(&bytes, place));
            method.is_only_notification(&name.unwrap_or_default())
        };
        let kind = match (method, id) {
            (Some(method), Some(id)) if is_null(id) && is_notification(method) => {
                FrameKind::Notification
            }
            (Some(_), Some(_)) => FrameKind::Request,
            (Some(_), None) => FrameKind::Notification,
            (None, Some(_)) if failed => FrameKind::Failure,
            (None, Some(_)) => FrameKind::Success,
            (None, None) => return Err(bad()),
        };
        Ok(Frame { places, kind, method: method.unwrap_or(Method::Other), bytes })
    }

    /// Reads the beginning and the end of a line that is no message.
    pub fn glimpse(beginning: &[u8], end: &[u8]) -> Glimpse {
        let mut walk = Walk::default();
        // The beginning breaks off somewhere: the members before that count.
        let _ = walk.over(beginning);
        let is_there =
            |member| walk.places.of(member).is_some() || walk.broken_member() == Some(member);
        // A number that breaks off may be a part of the id only.
        let is_whole = |id: &Span| {
            let rest = beginning[id.end()..].trim_ascii_start();
            matches!(rest.first(), Some(b',' | b'}'))
        };
        let id = walk.places.of(Member::Id).filter(is_whole).map(|id| id.of(beginning));
        let id = id.or_else(|| last_id(end));
        // A log line may end as a message does.
        let is_object = beginning.trim_ascii_start().starts_with(b"{");
        // Under an id that is not Unicode the answer would be no message either.
        let is_good = |id: &&[u8]| is_object && is_id(id) && is_unicode(id);
        let Some(id) = id.filter(is_good) else { return Glimpse::Nothing };
        let is_answer = is_there(Member::Result) || is_there(Member::Error);
        // The method may stand behind the fault.
        let may_be_request = || memchr::memmem::find(beginning, b"\"method\"").is_some();
        let is_request = is_there(Member::Method) || is_there(Member::Params);
        if !is_request && (is_answer || !may_be_request()) {
            return Glimpse::Answer(Token::new(id));
        }
        // With the id `null` it is a request only if its method is known, and is one.
        let method = walk.places.of(Member::Method);
        let method = method.and_then(|place| string::text(beginning, place));
        let is_notification =
            method.is_none_or(|name| Method::named(&name).is_only_notification(&name));
        match id == b"null" && is_notification {
            true => Glimpse::Nothing,
            false => Glimpse::Request(Token::new(id)),
        }
    }

    /// All its bytes, without a line end.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The id exactly as it is spelled; `null` if there is none.
    pub fn id(&self) -> Token {
        Token::new(self.places.of(Member::Id).map_or(b"null", |id| id.of(&self.bytes)))
    }

    /// The id as a number, which is how the bridge numbers its own requests; `None`: it
    /// is none. See [`Token::as_number`].
    pub fn number(&self) -> Option<u64> {
        self.id().as_number()
    }

    /// Whether this is an answer with neither result nor error.
    pub fn is_bare(&self) -> bool {
        self.kind == FrameKind::Success && self.places.of(Member::Result).is_none()
    }

    /// The same answer with the result `null`, if it has neither result nor error.
    #[must_use]
    pub fn with_result(self) -> Frame {
        if !self.is_bare() {
            return self;
        }
        let end = self.bytes.iter().rposition(|byte| *byte == b'}').unwrap_or(self.bytes.len());
        let (before, after) = self.bytes.split_at(end);
        let filled = [before, b",\"result\":null", after].concat();
        // An object with one more member is still a message.
        Frame::parse(filled.into()).unwrap_or(self)
    }

    /// The method's name, decoded; empty if there is none.
    pub fn method_name(&self) -> Cow<'_, str> {
        self.places
            .of(Member::Method)
            .and_then(|at| string::text(&self.bytes, at))
            .unwrap_or_default()
    }

    /// `params.sessionId`, decoded.
    pub fn session(&self) -> Option<Cow<'_, str>> {
        string::text(&self.bytes, self.places.of(Member::Session)?)
    }

    /// Where `params.sessionId` lies.
    pub fn session_place(&self) -> Option<Span> {
        self.places.of(Member::Session)
    }

    /// `params.requestId` exactly as it is spelled, and where it lies.
    pub fn request(&self) -> Option<(Token, Span)> {
        let place = self.places.of(Member::Request)?;
        Some((Token::new(place.of(&self.bytes)), place))
    }

    /// `params.update.sessionUpdate`, decoded.
    pub fn update_kind(&self) -> Option<Cow<'_, str>> {
        string::text(&self.bytes, self.places.of(Member::UpdateKind)?)
    }

    /// `params.update.sessionId`: the child session that a sub-agent update names.
    pub fn child_session(&self) -> Option<Cow<'_, str>> {
        string::text(&self.bytes, self.places.of(Member::ChildSession)?)
    }

    /// Where [`Frame::child_session`] lies.
    pub fn child_session_place(&self) -> Option<Span> {
        self.places.of(Member::ChildSession)
    }

    /// Where `params`, `result` or `error` lies, whichever there is.
    pub fn body(&self) -> Option<Span> {
        match self.kind {
            FrameKind::Request | FrameKind::Notification => self.places.of(Member::Params),
            FrameKind::Success => self.places.of(Member::Result),
            FrameKind::Failure => self.places.of(Member::Error),
        }
    }

    /// The raw bytes of [`Frame::body`]; empty if there is none.
    pub fn body_bytes(&self) -> Bytes {
        self.body().map_or_else(Bytes::new, |body| self.bytes.slice(body.start()..body.end()))
    }

    /// Where the value at `path` inside the body lies.
    pub fn find(&self, path: &[&str]) -> Option<Span> {
        json::find(&self.bytes, self.body()?, path)
    }

    /// The string at `path` inside the body, decoded.
    pub fn find_text(&self, path: &[&str]) -> Option<Cow<'_, str>> {
        string::text(&self.bytes, self.find(path)?)
    }

    /// The error code of a failure.
    pub fn error_code(&self) -> Option<i64> {
        let place = json::find(&self.bytes, self.places.of(Member::Error)?, &["code"])?;
        std::str::from_utf8(place.of(&self.bytes)).ok()?.parse().ok()
    }

    /// The same message in an allocation of its own, for what must wait: a
    /// small slice would keep the whole read buffer alive.
    #[must_use]
    pub fn detached(&self) -> Frame {
        Frame { bytes: Bytes::copy_from_slice(&self.bytes), ..*self }
    }

    /// The message to send on as it came.
    pub fn whole(&self) -> OutgoingFrame {
        OutgoingFrame::ready(self.bytes.clone())
    }

    /// The message to send on with another id.
    pub fn with_id(&self, token: Token) -> OutgoingFrame {
        match self.places.of(Member::Id) {
            Some(id) => OutgoingFrame::with(self.bytes.clone(), id, token),
            None => self.whole(),
        }
    }

    /// Where the id lies.
    pub fn id_place(&self) -> Option<Span> {
        self.places.of(Member::Id)
    }
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", String::from_utf8_lossy(&self.bytes))
    }
}

impl PartialEq for Frame {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

/// Whether the bytes are UTF-8. Most lines are ASCII, which is checked faster.
pub(super) fn is_unicode(bytes: &[u8]) -> bool {
    bytes.is_ascii() || std::str::from_utf8(bytes).is_ok()
}

/// Whether a value may be an id: a string, a number or `null`.
fn is_id(token: &[u8]) -> bool {
    matches!(token.first(), Some(b'"' | b'-' | b'0'..=b'9' | b'n'))
}

/// The id of a message whose last member it is: `…,"id":7}`. Behind it comes one brace
/// only, since with two it is the id of an inner object.
fn last_id(end: &[u8]) -> Option<&[u8]> {
    let end = end.trim_ascii_end().strip_suffix(b"}")?.trim_ascii_end();
    let colon = memchr::memrchr(b':', end)?;
    let before = end[..colon].trim_ascii_end().strip_suffix(b"\"id\"")?;
    let token = end[colon + 1..].trim_ascii();
    let whole = json::whole(token)? == Span::new(0, token.len());
    (before.trim_ascii_end().ends_with(b",") && whole).then_some(token)
}
