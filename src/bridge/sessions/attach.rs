//! Attachment: a client joins a live session, or leaves it.

use bytes::Bytes;

use crate::bridge::books::absence::Absence;
use crate::bridge::books::call::Purpose;
use crate::bridge::books::session_names::Name;
use crate::bridge::books::transcript::Transcript;
use crate::bridge::effect::Effect;
use crate::bridge::id::{CallId, ClientId, SessionKey};
use crate::bridge::outgoing::{answer, compose, send};
use crate::bridge::reason::{EndReason, LossReason};
use crate::bridge::refusal::Refusal;
use crate::bridge::sessions::{park, question, question_end};
use crate::bridge::settings::Told;
use crate::bridge::step::Step;
use crate::wire::{Frame, FrameKind, Method};

/// Sends a load or resume of a live session to the session's own channel, and attaches
/// the client. While the session is busy the request is refused.
pub fn reload(step: &mut Step<'_>, client: ClientId, key: SessionKey, frame: &Frame) {
    let Some(session) = step.books.session(key) else { return step.books.absent(key) };
    if session.is_busy() {
        let refusal = Refusal::SessionBusy { id: session.id.to_string() };
        return answer::refuse(step, client, frame, &refusal);
    }
    let attached = !session.clients().contains(&client);
    join(step, client, key);
    let loads = frame.method == Method::SessionLoad;
    let transcript = step.books.session(key).and_then(|row| row.transcript.as_ref());
    let opened_with = transcript.map(|row| row.opened_with).unwrap_or_default();
    let id = send::named(step, client, Name::Session(key), Purpose::Reload { attached }, frame);
    if let (Some(id), true) = (id, loads) {
        step.books.begin_replay(id, Transcript::new(true, opened_with));
    }
}

/// Handles the agent's answer to a load or resume of a live session. If the request had
/// `attached` the client, a failure detaches it again.
pub fn reloaded(step: &mut Step<'_>, id: CallId, frame: &Frame, attached: bool) {
    let now = step.now;
    let key = step.books.call(id).and_then(|call| call.session);
    let replay = step.books.take_replay(id);
    let client = answer::forward(step, id, frame).and_then(|call| call.client());
    let Some(key) = key else { return step.books.absent(id) };
    if let (Some(replay), FrameKind::Success) = (replay, frame.kind) {
        let result = Bytes::copy_from_slice(&frame.body_bytes());
        step.books.adopt_replay(key, *replay, result);
    }
    if let Some(session) = step.books.session_mut(key) {
        session.last_seen = now;
        if let (Some(recipe), FrameKind::Success) = (&mut session.recipe, frame.kind) {
            recipe.settings.tell_all(&Told::in_result(&frame.body_bytes()));
        }
    }
    // The client may have left the session meanwhile.
    let client = client.filter(|client| step.books.is_attached(*client, key));
    match (client, frame.kind) {
        (Some(client), FrameKind::Success) => join(step, client, key),
        (Some(client), _) if attached => detach_after_failure(step, client, key),
        _ => {}
    }
}

/// Refuses a load or resume of a live session that has timed out. If the request had
/// `attached` the client, that ends, too.
pub fn reload_timed_out(step: &mut Step<'_>, id: CallId, attached: bool) {
    let now = step.now;
    let agent = step.books.agent_name_of(id);
    let Some(call) = answer::fail(step, id, &Refusal::OpenTimeout { agent }) else {
        return step.books.absent(id);
    };
    let Some(key) = call.session else { return step.books.absent(id) };
    if let Some(session) = step.books.session_mut(key) {
        session.last_seen = now;
    }
    if let (Some(client), true) = (call.client(), attached) {
        detach_after_failure(step, client, key);
    }
}

/// Detaches the clients whose load or resume had attached them and is not answered, because the
/// session ends: they are refused, and must not have it when it is brought back.
pub fn end_joins(step: &mut Step<'_>, key: SessionKey) {
    // It may have ended already.
    let Some(session) = step.books.session(key) else { return };
    let joins = session.calls.iter().filter_map(|id| step.books.call(*id)).filter_map(|call| {
        let is_join = matches!(call.purpose, Purpose::Reload { attached: true });
        call.client().filter(|_| is_join)
    });
    for client in joins.collect::<Vec<_>>() {
        detach_after_failure(step, client, key);
    }
}

/// Detaches a client that a failed load or resume had attached.
fn detach_after_failure(step: &mut Step<'_>, client: ClientId, key: SessionKey) {
    step.books.detach(client, key, Absence::lost(step.now, None));
    question_end::take_from_client(step, client, Some(key));
}

/// Handles a client's `_drawbridge/detach`: it leaves one session, or all.
pub fn detach(step: &mut Step<'_>, client: ClientId, frame: &Frame) {
    let keys = match step.books.meant_sessions(client, frame) {
        Ok(keys) => keys,
        Err(refusal) => return answer::refuse(step, client, frame, &refusal),
    };
    for key in keys {
        leave(step, client, key);
    }
    if frame.session().is_none() {
        let dormant = step.books.client(client).map(|row| row.dormant.clone());
        for key in dormant.unwrap_or_default() {
            park::left(step, client, key, EndReason::LastClientDetached);
        }
    }
    let lane = step.books.lane_of_answer(client, frame);
    if frame.session().is_none() {
        // Nothing about any of the sessions comes after it.
        step.effect(Effect::Fence { client, lane });
    }
    step.send_to_client(client, lane, compose::success(&frame.id(), b"{}"));
}

/// Detaches a client that leaves a session on purpose. After the last client, the open
/// questions of the session are withdrawn.
pub fn leave(step: &mut Step<'_>, client: ClientId, key: SessionKey) {
    let named = step.books.session(key).map(|session| (session.id.clone(), session.channel));
    step.books.detach(client, key, Absence::left(step.now));
    question_end::take_from_client(step, client, Some(key));
    let open = step.books.session(key).filter(|row| row.was_left());
    for question in open.map(|row| row.questions.clone()).unwrap_or_default() {
        question_end::withdraw(step, question);
    }
    let others = step.books.session(key).is_some_and(|row| !row.clients().is_empty());
    let reason =
        if others { LossReason::Left } else { LossReason::Ended(EndReason::LastClientDetached) };
    if let (Some(row), Some((id, channel))) = (step.books.client_mut(client), named) {
        row.ended.remember(&id, Some(channel), reason);
    }
}

/// Attaches a client, and asks it what it may answer.
fn join(step: &mut Step<'_>, client: ClientId, key: SessionKey) {
    step.books.attach_watcher(client, key);
    question::ask_newcomer(step, client, key);
}
