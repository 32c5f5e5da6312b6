//! `_drawbridge/heartbeat`: a client says that it still uses its sessions.

use crate::bridge::books::parked::Parked;
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
    let parked = parked_states(step, client, frame);
    let keys = match step.books.meant_sessions(client, frame) {
        Ok(keys) => keys,
        Err(_) if !parked.is_empty() => Vec::new(),
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
        sessions.extend(parked);
        let result = json::written(&HeartbeatResult { sessions });
        step.send_to_client(client, Lane::Bridge, compose::success(&frame.id(), &result));
    }
}

/// The states of the parked sessions that a heartbeat of a client means. It brings none of them
/// back.
fn parked_states(step: &Step<'_>, client: ClientId, frame: &Frame) -> Vec<SessionState> {
    let named = frame.session();
    let dormant = step.books.client(client).into_iter().flat_map(|row| &row.dormant);
    let rows = dormant.filter_map(|key| step.books.parked(*key));
    let meant = rows.filter(|row| named.as_deref().is_none_or(|id| *id == *row.id));
    let state = |row: &Parked| SessionState {
        session_id: row.id.clone(),
        state: "parked",
        idle_ms: step.now.since(row.since),
    };
    meant.map(state).collect()
}
