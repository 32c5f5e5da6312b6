//! The few messages that the bridge writes itself.

use bytes::Bytes;

use crate::bridge::refusal::Refusal;
use crate::wire::json::quoted;
use crate::wire::{Frame, OutgoingFrame, Token};

/// A successful answer.
pub fn success(token: &Token, result: &[u8]) -> OutgoingFrame {
    message(&[b"\"id\":", token.as_bytes(), b",\"result\":", result])
}

/// A refusal.
pub fn failure(token: &Token, refusal: &Refusal) -> OutgoingFrame {
    let error = refusal.to_json();
    message(&[b"\"id\":", token.as_bytes(), b",\"error\":", error.as_bytes()])
}

/// A refusal in place of the answer that a peer did not give: what waits for that
/// answer takes this one.
pub fn missing_answer(token: &Token, refusal: &Refusal) -> Option<Frame> {
    Frame::parse(failure(token, refusal).to_bytes()).ok()
}

/// A notification.
pub fn notification(method: &str, params: &str) -> OutgoingFrame {
    message(&[b"\"method\":", quoted(method).as_bytes(), b",\"params\":", params.as_bytes()])
}

/// A request.
pub fn request(number: u64, method: &str, params: &str) -> OutgoingFrame {
    message(&[
        b"\"id\":",
        Token::number(number).as_bytes(),
        b",\"method\":",
        quoted(method).as_bytes(),
        b",\"params\":",
        params.as_bytes(),
    ])
}

/// `{"sessionId": …}`.
pub fn session_params(id: &str) -> String {
    format!("{{\"sessionId\":{}}}", quoted(id))
}

/// Withdraws a request under this id.
pub fn cancel_request(number: u64) -> OutgoingFrame {
    notification("$/cancel_request", &format!("{{\"requestId\":{number}}}"))
}

fn message(parts: &[&[u8]]) -> OutgoingFrame {
    let mut text = b"{\"jsonrpc\":\"2.0\",".to_vec();
    for part in parts {
        text.extend_from_slice(part);
    }
    text.push(b'}');
    OutgoingFrame::ready(Bytes::from(text))
}
