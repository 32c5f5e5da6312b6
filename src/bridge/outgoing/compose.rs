//! Messages that the bridge writes itself: the envelope around a params, a result or an
//! error.
//!
//! The envelope is put together from bytes, since a peer chose the id in it: `1`, `1.0`
//! and thirty digits go back as they came, and so does a kept result of an agent. The
//! params, results and errors of the bridge are structures of [`messages`].
//!
//! [`messages`]: super::messages

use bytes::Bytes;
use serde::Serialize;

use crate::bridge::outgoing::messages::{CancelRequestParams, ErrorObject, TextContent};
use crate::bridge::refusal::Refusal;
use crate::bridge::update::UpdateKind;
use crate::wire::json::{quoted, written};
use crate::wire::{Frame, Method, OutgoingFrame, Token};

/// A successful answer with this result, as JSON text.
pub fn success(token: &Token, result: &[u8]) -> OutgoingFrame {
    message(&[b"\"id\":", token.as_bytes(), b",\"result\":", result])
}

/// The answer that refuses a request.
pub fn failure(token: &Token, refusal: &Refusal) -> OutgoingFrame {
    let error = written(&ErrorObject::from(refusal));
    message(&[b"\"id\":", token.as_bytes(), b",\"error\":", &error])
}

/// A refusal in place of an answer that a peer did not give, for the call that waits for
/// that answer.
pub fn missing_answer(token: &Token, refusal: &Refusal) -> Option<Frame> {
    Frame::parse(failure(token, refusal).to_bytes()).ok()
}

/// A notification.
pub fn notification(method: &str, params: &impl Serialize) -> OutgoingFrame {
    message(&[b"\"method\":", &written(&method), b",\"params\":", &written(params)])
}

/// A `session/update` that the bridge writes.
pub struct OwnUpdate {
    /// Its kind.
    pub kind: UpdateKind,
    /// The message.
    pub bytes: Bytes,
}

impl OwnUpdate {
    /// The message, read, for clients that are shown it.
    pub fn frame(&self) -> Option<Frame> {
        Frame::parse(self.bytes.clone()).ok()
    }
}

/// A `session/update` of this kind, with one member more, whose value is JSON text.
pub fn update(session_id: &str, kind: &str, (member, value): (&str, &[u8])) -> OwnUpdate {
    let session_id = quoted(session_id);
    let parts: [&[u8]; 9] = [
        b"\"method\":\"session/update\",\"params\":{\"sessionId\":",
        session_id.as_bytes(),
        b",\"update\":{\"sessionUpdate\":\"",
        kind.as_bytes(),
        b"\",\"",
        member.as_bytes(),
        b"\":",
        value,
        b"}}",
    ];
    OwnUpdate { kind: UpdateKind::named(kind), bytes: text(&parts) }
}

/// A remark of the bridge within a conversation, as a text of the agent: clients show nothing
/// else to the person. Empty lines keep it apart from the agent's own words.
pub fn remark(session_id: &str, text: &str) -> OwnUpdate {
    let content = written(&TextContent::of(&format!("\n\n(drawbridge: {text})\n\n")));
    update(session_id, "agent_message_chunk", ("content", &content))
}

/// A request under one of the bridge's own numbers.
pub fn request(number: u64, method: &str, params: &impl Serialize) -> OutgoingFrame {
    let token = Token::number(number);
    let (method, params) = (written(&method), written(params));
    message(&[b"\"id\":", token.as_bytes(), b",\"method\":", &method, b",\"params\":", &params])
}

/// A request with these params, as JSON text, that is sent later under a number of the bridge;
/// `None`: the params are no JSON.
pub fn held_request(token: &Token, method: &str, params: &[u8]) -> Option<Frame> {
    let method = written(&method);
    Frame::parse(text(&[
        b"\"id\":",
        token.as_bytes(),
        b",\"method\":",
        &method,
        b",\"params\":",
        params,
    ]))
    .ok()
}

/// The withdrawal of a request that was sent under this number.
pub fn cancel_request(number: u64) -> OutgoingFrame {
    notification(Method::CancelRequest.name(), &CancelRequestParams { request_id: number })
}

fn message(parts: &[&[u8]]) -> OutgoingFrame {
    OutgoingFrame::ready(text(parts))
}

fn text(parts: &[&[u8]]) -> Bytes {
    const BEGINNING: &[u8] = b"{\"jsonrpc\":\"2.0\",";
    let length = parts.iter().map(|part| part.len()).sum::<usize>();
    let mut text = Vec::with_capacity(BEGINNING.len() + length + 1);
    text.extend_from_slice(BEGINNING);
    parts.iter().for_each(|part| text.extend_from_slice(part));
    text.push(b'}');
    Bytes::from(text)
}
