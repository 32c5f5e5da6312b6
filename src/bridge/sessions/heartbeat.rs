//! `_drawbridge/heartbeat`: a client says that it still uses its sessions.

use crate::bridge::books::session::Background;
use crate::bridge::id::{ClientId, Lane};
use crate::bridge::outgoing::messages::{HeartbeatResult, SessionState};
use crate::bridge::outgoing::{answer, compose};
use crate::bridge::step::Step;
use crate::wire::{Frame, FrameKind, json};

/// Handles a heartbeat of a client, for one of its sessions or for all: they count as used
/// now. A request is answered with the state of each.
pub fn beat(step: &mut Step<'_>, client: ClientId, frame: &Frame) {
    let now = step.now;
    let is_request = frame.kind == FrameKind::Request;
    let keys = match step.books.meant_sessions(client, frame) {
        Ok(keys) => keys,
        Err(refusal) if is_request => {
            return answer::refuse(step, client, frame, &refusal);
        }
        // The heartbeat was a notification, which has no answer to put an error into.
        Err(_) => return,
    };
    let mut sessions = Vec::new();
    for key in keys {
        let Some(session) = step.books.session_in_passing(key) else {
            step.books.absent(key);
            continue;
        };
        let idle_ms = now.since(session.last_seen);
        session.last_seen = now;
        let state = match session.background {
            _ if session.is_busy() => "busy",
            Background::Working { .. } => "unknown",
            _ => "idle",
        };
        sessions.push(SessionState { session_id: session.id.clone(), state, idle_ms });
    }
    if is_request {
        let result = json::written(&HeartbeatResult { sessions });
        step.send_to_client(client, Lane::Bridge, compose::success(&frame.id(), &result));
    }
}
