//! The duties towards a session that no client is attached to, fulfilled.

use crate::bridge::books::absence::{Departure, Editor};
use crate::bridge::books::duties::Duty;
use crate::bridge::books::session::Audience;
use crate::bridge::effect::Effect;
use crate::bridge::id::{ClientId, SessionKey};
use crate::bridge::notice::Notice;
use crate::bridge::reason::EndReason;
use crate::bridge::sessions::cancel;
use crate::bridge::sessions::close::{self, Ending};
use crate::bridge::step::Step;

/// Does what is due about a session without a client.
pub fn fulfil(step: &mut Step<'_>, key: SessionKey, duty: Duty) {
    match duty {
        Duty::LookForEditor(client) => look_for_editor(step, key, client),
        Duty::CancelTurn => cancel_turn(step, key),
        Duty::Close => close::end_session(step, key, EndReason::ClientLost, Ending::InOrder),
    }
}

fn look_for_editor(step: &mut Step<'_>, key: SessionKey, client: ClientId) {
    if let Some(session) = step.books.session_mut(key)
        && let Audience::Absent(absence) = &mut session.audience
        && let Departure::Lost { editor, .. } = &mut absence.departure
    {
        *editor = Editor::Asked;
        step.effect(Effect::LookForEditor(client));
    }
}

/// Cancels what the agent works on in a session that nobody watches. If that does not end it,
/// the session is closed.
fn cancel_turn(step: &mut Step<'_>, key: SessionKey) {
    let now = step.now;
    let Some(session) = step.books.session_mut(key) else { return step.books.absent(key) };
    let id = session.id.to_string();
    let Audience::Absent(absence) = &mut session.audience else { return };
    absence.cancelled_at = Some(now);
    let unwatched_ms = now.since(absence.since);
    step.publish(Notice::UnwatchedTurn { session: key, id, unwatched_ms });
    cancel::whole_turn(step, key);
}
