//! The few messages that the bridge writes itself.

use bytes::Bytes;

use crate::bridge::refusal::Refusal;
use crate::wire::json::quoted;
use crate::wire::{Frame, Outgoing, Token};

/// A successful answer.
pub fn success(token: &Token, result: &[u8]) -> Outgoing {
    message(&[b"\"id\":", token.as_bytes(), b",\"result\":", result])
}

/// A refusal.
pub fn failure(token: &Token, refusal: &Refusal) -> Outgoing {
    let error = refusal.to_json();
    message(&[b"\"id\":", token.as_bytes(), b",\"error\":", error.as_bytes()])
}

/// A refusal in place of the answer that a peer did not give: what waits for that
/// answer takes this one.
pub fn missing_answer(token: &Token, refusal: &Refusal) -> Option<Frame> {
    Frame::parse(failure(token, refusal).to_bytes()).ok()
}

/// A notification.
pub fn notification(method: &str, params: &str) -> Outgoing {
    message(&[b"\"method\":", quoted(method).as_bytes(), b",\"params\":", params.as_bytes()])
}

/// A request.
pub fn request(number: u64, method: &str, params: &str) -> Outgoing {
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
pub fn cancel_request(number: u64) -> Outgoing {
    notification("$/cancel_request", &format!("{{\"requestId\":{number}}}"))
}

fn message(parts: &[&[u8]]) -> Outgoing {
    let mut text = b"{\"jsonrpc\":\"2.0\",".to_vec();
    for part in parts {
        text.extend_from_slice(part);
    }
    text.push(b'}');
    Outgoing::ready(Bytes::from(text))
}
