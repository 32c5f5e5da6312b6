//! Cancelling: the running turn, and the prompts that wait behind it.

use crate::bridge::id::{CallId, ClientId, PassingKey, QuestionId, SessionKey};
use crate::bridge::outgoing::answer::CANCELLED_TURN;
use crate::bridge::outgoing::messages::SessionParams;
use crate::bridge::outgoing::{answer, compose, send, translate};
use crate::bridge::sessions::question_end;
use crate::bridge::step::Step;
use crate::wire::{Frame, Method};

/// Handles a client's `session/cancel`: it ends the running turn, and the queued
/// prompts of that client alone.
pub fn by_client(step: &mut Step<'_>, client: ClientId, key: SessionKey, frame: &Frame) {
    let Some(session) = step.books.session_mut(key) else { return step.books.absent(key) };
    let channel = session.channel;
    let agent_id = session.agent_id.clone();
    let questions: Vec<_> = session.questions.iter().copied().collect();
    let queued: Vec<CallId> = session.queue.iter().copied().collect();
    let outgoing =
        translate::for_agent(step.books, channel, Some(client), frame, None, Some(&agent_id));
    send::pass_notification(step, channel, (client, frame), outgoing);
    own_queued(step, client, queued);
    questions_of_turn(step, client, questions, None);
}

/// Handles a client's `session/cancel` of a passing id: nothing of its parent is touched.
pub fn of_passing_id(step: &mut Step<'_>, client: ClientId, key: PassingKey) {
    let Some(row) = step.books.passing(key) else { return step.books.absent(key) };
    let (channel, agent_id) = (row.channel, row.agent_id.clone());
    let Some(row) = step.books.channel(channel) else { return step.books.absent(channel) };
    let questions = row.questions.iter().copied().collect();
    questions_of_turn(step, client, questions, Some(&agent_id));
}

/// Notes that a client has cancelled the turn of these questions, or of those among them
/// that name `agent_id`. The client is expected to settle permissions and elicitations
/// itself; everything else it answers as it would without the cancel.
fn questions_of_turn(
    step: &mut Step<'_>,
    client: ClientId,
    questions: Vec<QuestionId>,
    agent_id: Option<&str>,
) {
    let now = step.now;
    for id in questions {
        let is_meant = step.books.question(id).is_some_and(|question| {
            let is_named = agent_id.is_none() || question.frame.session().as_deref() == agent_id;
            let method = question.method;
            is_named && matches!(method, Method::RequestPermission | Method::ElicitationCreate)
        });
        if let Some(question) = step.books.question_mut(id).filter(|_| is_meant) {
            question.cancelled.get_or_insert((now, client));
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

/// Cancels the turn of a session, the prompts of all clients that wait behind it, and what its
/// agent asks: nobody watches it, or a person wants it.
pub fn whole_turn(step: &mut Step<'_>, key: SessionKey) {
    let Some(session) = step.books.session(key) else { return step.books.absent(key) };
    let (channel, agent_id) = (session.channel, session.agent_id.clone());
    let queued: Vec<CallId> = session.queue.iter().copied().collect();
    let questions = session.questions.clone();
    if step.books.running_prompts(key).next().is_some() {
        send::cancel_turn(step, channel, &agent_id);
    }
    for id in queued {
        answer::succeed(step, id, CANCELLED_TURN);
    }
    for id in questions {
        question_end::withdraw(step, id);
    }
}
