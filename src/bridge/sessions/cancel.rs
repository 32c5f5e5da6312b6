//! Cancelling: the running turn, and the prompts that wait behind it.

use crate::bridge::id::{CallId, ClientId, SessionKey};
use crate::bridge::outgoing::answer::CANCELLED_TURN;
use crate::bridge::outgoing::messages::SessionParams;
use crate::bridge::outgoing::{answer, compose, send, translate};
use crate::bridge::step::Step;
use crate::wire::{Frame, Method};

/// Handles a client's `session/cancel`: it ends the running turn, and the queued
/// prompts of that client alone.
pub fn by_client(step: &mut Step<'_>, client: ClientId, key: SessionKey, frame: &Frame) {
    let now = step.now;
    let Some(session) = step.books.session_mut(key) else { return step.books.absent(key) };
    let channel = session.channel;
    let questions: Vec<_> = session.questions.iter().copied().collect();
    let queued: Vec<CallId> = session.queue.iter().copied().collect();
    let outgoing = translate::for_agent(step.books, key, frame);
    send::pass_notification(step, channel, outgoing);
    own_queued(step, client, queued);
    for id in questions {
        if let Some(question) = step.books.question_mut(id) {
            question.cancelled_at.get_or_insert(now);
        }
    }
}

/// Answers the queued prompts of this client as cancelled.
fn own_queued(step: &mut Step<'_>, client: ClientId, queued: Vec<CallId>) {
    for id in queued {
        let is_own = step.books.call(id).is_some_and(|call| call.client() == Some(client));
        if is_own {
            answer::succeed(step, id, CANCELLED_TURN);
        }
    }
}

/// Cancels the turn and the queued prompts of a client that leaves a session in which
/// other clients stay.
pub fn own(step: &mut Step<'_>, client: ClientId, key: SessionKey) {
    let Some(session) = step.books.session(key) else { return step.books.absent(key) };
    if !step.books.running_prompts(key).any(|call| call.client() == Some(client)) {
        let queued = session.queue.iter().copied().collect();
        return own_queued(step, client, queued);
    }
    let params = SessionParams { session_id: &session.id };
    let notification = compose::notification(Method::SessionCancel.name(), &params);
    if let Ok(frame) = Frame::parse(notification.to_bytes()) {
        by_client(step, client, key, &frame);
    }
}
