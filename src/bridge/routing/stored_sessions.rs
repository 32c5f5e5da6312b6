//! Requests about a stored conversation, live or not: delete, archive, status and
//! the like.

use crate::bridge::books::call::Purpose;
use crate::bridge::id::ClientId;
use crate::bridge::outgoing::{answer, send};
use crate::bridge::reason::EndReason;
use crate::bridge::refusal::Refusal;
use crate::bridge::sessions::close::{self, Ending};
use crate::bridge::step::Step;
use crate::wire::{Frame, Method};

/// Handles a client's request about a stored conversation. If the session is live, a
/// delete or archive ends it first.
pub fn by_client(step: &mut Step<'_>, client: ClientId, frame: &Frame) {
    let now = step.now;
    let Some(id) = frame.session() else {
        let refusal = Refusal::MissingField { field: "sessionId" };
        return answer::refuse(step, client, &frame.id(), &refusal);
    };
    let live = step.books.live(client, &id);
    let ends_it = matches!(frame.method, Method::SessionDelete | Method::SessionArchive);
    if let Some(key) = live.filter(|_| ends_it) {
        close::end_session(step, key, EndReason::Deleted, Ending::InOrder);
    }
    match live.filter(|_| !ends_it) {
        Some(key) => {
            // A request for the status is no use of the session.
            if frame.method != Method::SessionStatus {
                step.books.mark_seen(key, now);
            }
            let stored = step.books.without_prefix(client, &id);
            let purpose = Purpose::Stored { id: stored, home: None };
            send::in_session(step, client, key, purpose, frame);
        }
        None => {
            let (home, stored) = match step.books.last_home(client, &id) {
                Some((home, stored)) => (Some(home), stored),
                None => (None, step.books.without_prefix(client, &id)),
            };
            let purpose = Purpose::Stored { id: stored, home };
            step.books.wait_for_channel(client, purpose, frame, now);
        }
    }
}
