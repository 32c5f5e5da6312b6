//! Requests about a stored conversation, live or not: delete, archive, status and
//! the like.

use crate::bridge::books::call::Purpose;
use crate::bridge::books::session::Session;
use crate::bridge::books::session_names::Name;
use crate::bridge::books::whose::Meaning;
use crate::bridge::id::{CallId, ClientId};
use crate::bridge::outgoing::{answer, send};
use crate::bridge::reason::EndReason;
use crate::bridge::refusal::Refusal;
use crate::bridge::routing::pass_on;
#[cfg(feature = "seeded-bugs")]
use crate::bridge::seeded;
use crate::bridge::sessions::close::{self, Ending};
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
        Meaning::Ended(_) | Meaning::Unknown | Meaning::Opening(_) => {
            let (id, home) = step.books.stored(client, &id);
            step.books.wait_for_channel(client, Purpose::Stored { id, home }, frame, now);
            return;
        }
    };
    let is_removal = matches!(frame.method, Method::SessionDelete | Method::SessionArchive);
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
        let (id, home) = step.books.stored(client, &id);
        step.books.wait_for_channel(client, Purpose::Stored { id, home }, frame, now);
        return;
    }
    let purpose = match frame.method {
        _ if is_removal => Purpose::Removal,
        Method::SessionStatus => Purpose::Stored { id: id.into(), home: None },
        _ => Purpose::InSession,
    };
    send::named(step, client, Name::Session(key), purpose, frame);
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
