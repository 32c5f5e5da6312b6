//! Requests about a stored conversation, live or not: delete, archive, status and
//! the like.

use crate::bridge::books::call::Purpose;
use crate::bridge::books::session::Session;
use crate::bridge::books::session_names::Name;
use crate::bridge::books::whose::Meaning;
use crate::bridge::id::{CallId, ClientId, Lane, SessionKey};
use crate::bridge::outgoing::{answer, compose, send};
use crate::bridge::reason::EndReason;
use crate::bridge::refusal::Refusal;
use crate::bridge::routing::pass_on;
#[cfg(feature = "seeded-bugs")]
use crate::bridge::seeded;
use crate::bridge::sessions::close::{self, Ending};
use crate::bridge::sessions::park;
use crate::bridge::step::Step;
use crate::wire::{Frame, FrameKind, Method};

/// Handles a client's request about a stored conversation. What it asks of a live session is
/// for the agent to do or to refuse.
pub fn by_client(step: &mut Step<'_>, client: ClientId, frame: &Frame) {
    let now = step.now;
    let Some(id) = frame.session() else {
        let refusal = Refusal::MissingField { field: "sessionId" };
        return answer::refuse(step, client, frame, &refusal);
    };
    let key = match step.books.meaning(client, &id) {
        Meaning::Session(key) | Meaning::OfOthers(Name::Session(key), _) => key,
        Meaning::Passing(key) => return pass_on::about_passing_id(step, client, key, frame),
        Meaning::OfOthers(Name::Passing(_), _) => {
            let refusal = Refusal::UnknownSession { id: id.into() };
            return answer::refuse(step, client, frame, &refusal);
        }
        Meaning::Ended(_)
        | Meaning::Unknown
        | Meaning::Opening(_)
        | Meaning::Parked(_)
        | Meaning::ParkedOfOthers => return about_stored(step, client, &id, frame),
    };
    let is_removal = removes(frame);
    let has_others = |row: &Session| row.clients().iter().any(|other| *other != client);
    let Some(session) = step.books.session(key) else { return step.books.absent(key) };
    if is_removal && session.is_busy() && has_others(session) {
        let refusal = Refusal::SessionInUse { id: id.into() };
        return answer::refuse(step, client, frame, &refusal);
    }
    // A request for the status is no use of the session.
    if frame.method != Method::SessionStatus {
        step.books.mark_seen(key, now);
    }
    #[cfg(feature = "seeded-bugs")]
    if is_removal && seeded::is(seeded::Bug::DeleteBeforeAnswer) {
        close::end_session(step, key, EndReason::Deleted, Ending::InOrder);
        return about_stored(step, client, &id, frame);
    }
    let purpose = match frame.method {
        _ if is_removal => Purpose::Removal,
        Method::SessionStatus => Purpose::Stored { ends: None, id: id.into(), home: None },
        _ => Purpose::InSession,
    };
    send::named(step, client, Name::Session(key), purpose, frame);
}

/// Makes a request about a conversation that is not live wait for a channel. A request for the
/// status of a parked one starts no agent.
fn about_stored(step: &mut Step<'_>, client: ClientId, id: &str, frame: &Frame) {
    let cwd = step.books.client_cwd(client);
    let parked = step.books.parked_conversation(client, id, cwd);
    if parked.is_some() && frame.method == Method::SessionStatus && !has_channel(step, client) {
        let saved = compose::success(&frame.id(), br#"{"status":"saved"}"#);
        return step.send_to_client(client, Lane::Bridge, saved);
    }
    let (id, home) = step.books.stored(client, id);
    let ends = parked.filter(|_| removes(frame));
    let purpose = Purpose::Stored { ends, id, home };
    step.books.wait_for_channel(client, purpose, frame, step.now);
}

/// Whether an agent of a client's pool runs, or lacks the capability to tell a status.
fn has_channel(step: &Step<'_>, client: ClientId) -> bool {
    let pool = step.books.client(client).and_then(|row| row.pool);
    let tells = pool.and_then(|pool| step.books.pool(pool));
    step.books.open_channels(pool).next().is_some()
        || !tells.is_some_and(|pool| pool.capabilities.status)
}

/// Whether a request removes a conversation from those that its agent lists.
fn removes(frame: &Frame) -> bool {
    matches!(frame.method, Method::SessionDelete | Method::SessionArchive)
}

/// Handles the agent's answer to a request about a conversation that was not live: with the success
/// of its removal the parked one ends.
pub fn answered(step: &mut Step<'_>, id: CallId, ends: Option<SessionKey>, frame: &Frame) {
    answer::forward(step, id, frame);
    // It may have ended in another way meanwhile.
    let ends = ends.filter(|key| step.books.parked(*key).is_some());
    if let Some(key) = ends.filter(|_| frame.kind == FrameKind::Success) {
        park::removed(step, key, EndReason::Deleted);
    }
}

/// Handles the agent's answer to the delete or archive of a session that was live then: with
/// success the session ends.
pub fn removed(step: &mut Step<'_>, id: CallId, frame: &Frame) {
    let Some(call) = step.books.take_call(id) else { return step.books.absent(id) };
    let Some(key) = call.session else { return step.books.absent(id) };
    // The session may have ended meanwhile.
    if frame.kind == FrameKind::Success && step.books.session(key).is_some() {
        close::end_session(step, key, EndReason::Deleted, Ending::InOrder);
    }
    answer::pass(step, &call, frame);
}
