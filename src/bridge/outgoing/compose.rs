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
use crate::wire::json::written;
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

/// A `session/update` of this kind, with one member more, whose value is JSON text.
pub fn update(session_id: &str, kind: &str, (member, value): (&str, &[u8])) -> Option<Frame> {
    let (session_id, kind, member) = (written(&session_id), written(&kind), written(&member));
    let params: [&[u8]; 9] = [
        b"\"method\":\"session/update\",\"params\":{\"sessionId\":",
        &session_id,
        b",\"update\":{\"sessionUpdate\":",
        &kind,
        b",",
        &member,
        b":",
        value,
        b"}}",
    ];
    Frame::parse(message(&params).to_bytes()).ok()
}

/// A remark of the bridge within a conversation, as a text of the agent: clients show nothing
/// else to the person. Empty lines keep it apart from the agent's own words.
pub fn remark(session_id: &str, text: &str) -> Option<Frame> {
    let content = written(&TextContent::of(&format!("\n\n(drawbridge: {text})\n\n")));
    update(session_id, "agent_message_chunk", ("content", &content))
}

/// A request under one of the bridge's own numbers.
pub fn request(number: u64, method: &str, params: &impl Serialize) -> OutgoingFrame {
    let token = Token::number(number);
    let (method, params) = (written(&method), written(params));
    message(&[b"\"id\":", token.as_bytes(), b",\"method\":", &method, b",\"params\":", &params])
}

/// The withdrawal of a request that was sent under this number.
pub fn cancel_request(number: u64) -> OutgoingFrame {
    notification(Method::CancelRequest.name(), &CancelRequestParams { request_id: number })
}

fn message(parts: &[&[u8]]) -> OutgoingFrame {
    let mut text = b"{\"jsonrpc\":\"2.0\",".to_vec();
    for part in parts {
        text.extend_from_slice(part);
    }
    text.push(b'}');
    OutgoingFrame::ready(Bytes::from(text))
}
