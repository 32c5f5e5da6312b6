//! Turns: prompts, the queue behind a running one, and cancelling.

use crate::bridge::books::call::{Asker, Call, Purpose, Stage};
use crate::bridge::books::deadlines::Due;
use crate::bridge::config::PromptQueue;
use crate::bridge::id::{CallId, ClientId, SessionKey};
use crate::bridge::outgoing::answer::CANCELLED_TURN;
use crate::bridge::outgoing::{answer, compose, send, translate};
use crate::bridge::refusal::Refusal;
use crate::bridge::step::Step;
use crate::wire::{Frame, Method};

/// A client's `session/prompt`.
pub fn prompt(step: &mut Step<'_>, client: ClientId, key: SessionKey, frame: &Frame) {
    let now = step.now;
    let Some(session) = step.books.sessions.get(&key) else { return };
    let waits =
        step.books.running_in(session).any(|call| match step.books.the_agent().prompt_queue {
            PromptQueue::Others => call.client() != Some(client),
            PromptQueue::All => true,
        });
    if !waits && session.queue.is_empty() {
        began(step, key);
        return send::in_session(step, client, key, Purpose::Prompt, frame);
    }
    let channel = session.channel;
    let limit = step.books.limits.max_queued_prompts;
    if session.queue.len() >= limit {
        return answer::refuse(step, client, &frame.id(), &Refusal::PromptQueueFull { limit });
    }
    let id = step.books.add_call(Call {
        asker: Asker::Client(client, frame.id()),
        purpose: Purpose::Prompt,
        channel: Some(channel),
        session: Some(key),
        asked_at: now,
        stage: Stage::held(frame),
    });
    if let Some(session) = step.books.session_mut(key) {
        session.queue.push_back(id);
    }
}

fn began(step: &mut Step<'_>, key: SessionKey) {
    let now = step.now;
    if let Some(session) = step.books.session_mut(key) {
        session.last_seen = now;
        session.turn_began(now);
    }
}

/// A prompt was answered, or given up: the next one may run.
pub fn ended(step: &mut Step<'_>, key: SessionKey) {
    let now = step.now;
    let Some(session) = step.books.session_mut(key) else { return };
    session.last_seen = now;
    session.turn_ended(now);
    if session.queue.is_empty() || step.books.running_prompts(key).next().is_some() {
        return;
    }
    let next = step.books.session_mut(key).and_then(|session| session.queue.pop_front());
    if let Some(next) = next {
        began(step, key);
        send::call(step, next);
    }
}

/// A client's `session/cancel`: it ends the running turn, and the queued
/// prompts of that client alone.
pub fn cancel(step: &mut Step<'_>, client: ClientId, key: SessionKey, frame: &Frame) {
    let now = step.now;
    let Some(session) = step.books.session_mut(key) else { return };
    let channel = session.channel;
    let questions: Vec<_> = session.questions.iter().copied().collect();
    let queued: Vec<CallId> = session.queue.iter().copied().collect();
    let outgoing = translate::for_agent(step.books, key, frame);
    send::pass_notification(step, channel, outgoing);
    cancel_queued(step, client, queued);
    for id in questions {
        if let Some(question) = step.books.questions.get_mut(&id) {
            question.cancelled_at.get_or_insert(now);
        }
        step.books.watch(Due::Question(id));
    }
}

/// Of the prompts that wait, those of this client wait no more.
fn cancel_queued(step: &mut Step<'_>, client: ClientId, queued: Vec<CallId>) {
    for id in queued {
        let is_own = step.books.calls.get(&id).is_some_and(|call| call.client() == Some(client));
        if is_own {
            answer::succeed(step, id, CANCELLED_TURN);
        }
    }
}

/// A client leaves a session that others stay in: its own turn ends.
pub fn cancel_own(step: &mut Step<'_>, client: ClientId, key: SessionKey) {
    let Some(session) = step.books.sessions.get(&key) else { return };
    if !step.books.running_prompts(key).any(|call| call.client() == Some(client)) {
        let queued = session.queue.iter().copied().collect();
        return cancel_queued(step, client, queued);
    }
    let params = compose::session_params(&session.id);
    let notification = compose::notification(Method::SessionCancel.name(), &params);
    if let Ok(frame) = Frame::parse(notification.to_bytes()) {
        cancel(step, client, key, &frame);
    }
}

/// A prompt's budget is over: the turn is cancelled and the asker told.
pub fn timed_out(step: &mut Step<'_>, id: CallId) {
    let agent = step.books.agent_name();
    let Some(call) = answer::fail(step, id, &Refusal::PromptTimeout { agent }) else { return };
    let Some(key) = call.session else { return };
    if let Some(session) = step.books.sessions.get(&key) {
        let (channel, agent_id) = (session.channel, session.agent_id.clone());
        send::cancel_turn(step, channel, &agent_id);
    }
    ended(step, key);
}
