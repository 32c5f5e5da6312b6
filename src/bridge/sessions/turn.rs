//! Turns: prompts, and the queue behind a running one.

use crate::bridge::books::call::{Asker, Call, Purpose, Stage};
use crate::bridge::books::session_names::Name;
use crate::bridge::config::PromptQueue;
use crate::bridge::id::{CallId, ClientId, SessionKey};
use crate::bridge::notice::Notice;
use crate::bridge::outgoing::{answer, send};
use crate::bridge::refusal::Refusal;
use crate::bridge::sessions::{echo, publish, question};
use crate::bridge::step::Step;
use crate::wire::{Frame, FrameKind};

/// Sends a client's `session/prompt`, or queues it behind a running turn.
pub fn prompt(step: &mut Step<'_>, client: ClientId, key: SessionKey, frame: &Frame) {
    let now = step.now;
    let Some(session) = step.books.session(key) else { return step.books.absent(key) };
    let prompt_queue = step.books.agent(session.agent).config.prompt_queue;
    let waits = step.books.running_in(session).any(|call| match prompt_queue {
        PromptQueue::Others => call.client() != Some(client),
        PromptQueue::All => true,
    });
    // The history that the agent replays for one client must not be mixed with a turn.
    let waits = waits || step.books.replay_in(session).is_some_and(|_| session.clients().len() > 1);
    if !waits && session.queue.is_empty() {
        began(step, key, Some(client), frame);
        send::named(step, client, Name::Session(key), Purpose::Prompt, frame);
        return;
    }
    takes_part(step, key, client);
    let Some(session) = step.books.session(key) else { return step.books.absent(key) };
    let limit = step.books.limits.max_queued_prompts;
    if session.queue.len() >= limit {
        return answer::refuse(step, client, frame, &Refusal::PromptQueueFull { limit });
    }
    let asker = Asker::Client(client, frame.id());
    let call = Call::in_session(session, asker, Purpose::Prompt, Stage::held(frame), now);
    let id = step.books.add_call(call);
    if let Some(session) = step.books.session_mut(key) {
        session.queue.push_back(id);
    }
}

fn began(step: &mut Step<'_>, key: SessionKey, client: Option<ClientId>, frame: &Frame) {
    let now = step.now;
    let Some(session) = step.books.session_mut(key) else { return step.books.absent(key) };
    session.last_seen = now;
    session.turn_began(now);
    let is_private = session.is_private();
    if step.outgoing.is_followed {
        step.publish(Notice::TurnBegan { session: key, client });
    }
    if is_private {
        return;
    }
    if let Some(client) = client {
        takes_part(step, key, client);
    }
    // The prompt itself is not among those that run yet.
    if step.books.running_prompts(key).next().is_none() {
        step.books.change_transcript(key, |row| row.ring.begin_turn());
        echo::turn(step, key, client, "running", None);
    }
    echo::prompt(step, key, client, frame);
}

/// Notes that a client takes part in a session, and does not merely watch: it is asked what
/// nobody else can answer.
fn takes_part(step: &mut Step<'_>, key: SessionKey, client: ClientId) {
    let Some(session) = step.books.session_in_passing(key) else { return step.books.absent(key) };
    if session.watchers.contains(&client) {
        session.watchers.retain(|other| *other != client);
        question::ask_newcomer(step, client, key);
    }
}

/// Forwards the agent's answer to a prompt, and ends the turn.
pub fn answered(step: &mut Step<'_>, id: CallId, frame: &Frame) {
    let Some(call) = answer::forward(step, id, frame) else { return step.books.absent(id) };
    if let Some(key) = call.session {
        ended(step, key, &call, Some(frame));
    }
}

/// Ends a turn whose prompt was answered or has timed out. If no other prompt runs, the
/// next queued one is sent.
fn ended(step: &mut Step<'_>, key: SessionKey, prompt: &Call, answer: Option<&Frame>) {
    let now = step.now;
    // The session may be closed, with the prompt in its tombstone.
    let Some(session) = step.books.session_mut(key) else { return };
    (session.last_seen, session.heard_at) = (now, now);
    session.turn_ended(now);
    let is_success = answer.is_some_and(|answer| answer.kind == FrameKind::Success);
    let is_first = match &mut session.recipe {
        Some(recipe) => is_success && !std::mem::replace(&mut recipe.has_record, true),
        None => false,
    };
    let is_private = session.is_private() && session.queue.is_empty();
    publish::turn_ended(step, key, prompt, answer.map(|frame| frame.kind));
    if is_first {
        step.books.keep_anew(key);
    }
    if is_private {
        return;
    }
    if step.books.running_prompts(key).next().is_none() {
        echo::turn(step, key, prompt.client(), "idle", answer);
        next_queued(step, key);
    }
}

/// Sends the next prompt that waits in a session. To be called when it waits for nothing.
pub fn next_queued(step: &mut Step<'_>, key: SessionKey) {
    let next = step.books.session_mut(key).and_then(|session| session.queue.pop_front());
    if let Some(next) = next {
        let call = step.books.call(next);
        let client = call.and_then(Call::client);
        if let Some(Stage::Held(frame)) = call.map(|call| call.stage.clone()) {
            began(step, key, client, &frame);
        }
        send::held(step, next);
    }
}

/// Refuses a prompt that has timed out, and cancels its turn.
pub fn timed_out(step: &mut Step<'_>, id: CallId) {
    let agent = step.books.agent_name_of(id);
    let Some(call) = answer::fail(step, id, &Refusal::PromptTimeout { agent }) else {
        return step.books.absent(id);
    };
    let Some(key) = call.session else { return step.books.absent(id) };
    if let Some(session) = step.books.session(key) {
        let (channel, agent_id) = (session.channel, session.agent_id.clone());
        send::cancel_turn(step, channel, &agent_id);
    }
    ended(step, key, &call, None);
}
