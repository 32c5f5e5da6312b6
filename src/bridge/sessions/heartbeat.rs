//! `_drawbridge/heartbeat`: moves last-seen, and says how sessions are.

use crate::bridge::books::session::Background;
use crate::bridge::id::{ClientId, SessionKey};
use crate::bridge::outgoing::answer;
use crate::bridge::step::Step;
use crate::wire::{Frame, Kind, json};

/// `_drawbridge/heartbeat`: moves last-seen, of one session or of all of
/// this client; says how they are.
pub fn beat(step: &mut Step<'_>, client: ClientId, frame: &Frame) -> Option<String> {
    let now = step.now;
    let keys: Vec<SessionKey> = match frame.session() {
        Some(id) => match step.books.attached_session(client, &id) {
            Ok(key) => vec![key],
            Err(refusal) => {
                if frame.kind == Kind::Request {
                    answer::refuse(step, client, &frame.id(), &refusal);
                }
                return None;
            }
        },
        None => {
            let row = step.books.client(client)?;
            row.sessions.iter().copied().collect()
        }
    };
    let mut sessions = Vec::new();
    for key in keys {
        let Some(session) = step.books.session_in_passing(key) else { continue };
        let idle_ms = now.since(session.last_seen);
        session.last_seen = now;
        let state = match session.background {
            _ if session.is_busy() => "busy",
            Background::Working { .. } => "unknown",
            _ => "idle",
        };
        let id = json::quoted(&session.id);
        sessions.push(format!("{{\"sessionId\":{id},\"state\":\"{state}\",\"idleMs\":{idle_ms}}}"));
    }
    Some(format!("{{\"sessions\":[{}]}}", sessions.join(",")))
}
