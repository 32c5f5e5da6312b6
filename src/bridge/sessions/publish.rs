//! The end of a session is published: its clients are told, and the log. The end of a turn is
//! measured, and those who follow are told.

use crate::bridge::books::Books;
use crate::bridge::books::call::Call;
use crate::bridge::books::session::Session;
use crate::bridge::config::ExtensionEvents;
use crate::bridge::id::{ClientId, SessionKey};
use crate::bridge::notice::Notice;
use crate::bridge::outgoing::compose;
use crate::bridge::outgoing::messages::{ExitFields, SessionEndedParams};
use crate::bridge::reason::{EndReason, LossReason};
use crate::bridge::refusal::Refusal;
use crate::bridge::step::Step;
use crate::wire::FrameKind;

/// Tells the attached clients that want it, and the log, that a session has ended. `failure`:
/// what its channel failed with, if it did. `restorable`: whether it is parked.
pub fn end(
    step: &mut Step<'_>,
    session: &Session,
    reason: EndReason,
    failure: Option<&Refusal>,
    restorable: bool,
) {
    let method =
        if reason.is_death() { "_drawbridge/session_died" } else { "_drawbridge/session_closed" };
    let exit = match failure {
        Some(Refusal::AgentExited { status, .. }) => status.into(),
        _ => ExitFields::default(),
    };
    let params = SessionEndedParams {
        session_id: &session.id,
        reason: reason.word(),
        exit,
        restorable,
        seq: session.seq,
    };
    for client in session.clients() {
        let Some(row) = step.books.client_mut(*client) else {
            step.books.absent(*client);
            continue;
        };
        if !restorable {
            row.ended.remember(&session.id, Some(session.channel), LossReason::Ended(reason));
        }
        if is_told(step.books, *client) {
            step.send_to_client(*client, session.channel, compose::notification(method, &params));
        }
    }
    step.outgoing.measures.closed(reason);
    let idle_ms = step.now.since(session.last_seen);
    let (session, id, channel) = (session.key, session.id.to_string(), session.channel);
    step.publish(Notice::SessionEnded { session, id, channel, reason, idle_ms, restorable });
}

/// Measures the end of a turn, and tells it to those who follow. `how`: the kind of the agent's
/// answer to its prompt; `None`: there is none.
pub fn turn_ended(step: &mut Step<'_>, key: SessionKey, prompt: &Call, how: Option<FrameKind>) {
    let after_ms = prompt.sent_at().map_or(0, |sent| step.now.since(sent.at));
    if how.is_some() {
        step.outgoing.measures.turn.observe(after_ms);
    }
    if step.outgoing.is_followed {
        step.publish(Notice::TurnEnded { session: key, how, after_ms });
    }
}

/// Whether a client gets the bridge's own notifications.
pub fn is_told(books: &Books, client: ClientId) -> bool {
    match books.limits.extension_events {
        ExtensionEvents::Asked => books.client(client).is_some_and(|row| row.wants_events),
        ExtensionEvents::On => true,
        ExtensionEvents::Off => false,
    }
}
