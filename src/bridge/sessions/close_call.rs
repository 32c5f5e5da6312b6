//! The agent's part of a close: it is asked to close the session, and what it says decides what it
//! still holds of it. Until then calls that were open in the session wait in its tombstone.

use crate::bridge::books::call::{Asker, Call, Purpose};
use crate::bridge::books::channel::Channel;
use crate::bridge::books::tombstones::{Heard, Hold, Tombstone};
use crate::bridge::id::{CallId, ChannelId, SessionKey};
use crate::bridge::notice::Notice;
use crate::bridge::outgoing::answer::CANCELLED_TURN;
use crate::bridge::outgoing::messages::SessionParams;
use crate::bridge::outgoing::{answer, compose, translate};
use crate::bridge::refusal::Refusal;
use crate::bridge::sessions::survey;
use crate::bridge::step::Step;
use crate::wire::{Frame, FrameKind, Method, Token};

/// The asker of a close, and its `session/close`.
pub type Closer = (Asker, Frame);

/// Asks the agent to close a session that has a tombstone.
pub fn ask_to_close(
    step: &mut Step<'_>,
    channel: ChannelId,
    key: SessionKey,
    agent_id: &str,
    closer: Option<Closer>,
) {
    let heard = tell_agent(step, channel, key, agent_id, closer);
    let Some(row) = step.books.channel_mut(channel) else { return step.books.absent(channel) };
    let can_close = row.capabilities.close;
    if row.tombstones.get(agent_id).is_some_and(|row| row.key() == key) {
        row.tombstones.heard(agent_id, heard, can_close);
    }
    count_husk(step, channel, agent_id);
}

/// Asks for a survey of a channel if a session there has become a husk: processes that were
/// born in its turns may still run, and count.
fn count_husk(step: &mut Step<'_>, channel: ChannelId, agent_id: &str) {
    let row = step.books.channel(channel);
    let tombstone = row.and_then(|row| row.tombstones.get(agent_id));
    if tombstone.is_some_and(|row| row.hold() == Hold::Husk && row.husk.has_turns()) {
        survey::ask(step, channel);
    }
}

/// Sends `session/close`, as the client wrote it if one did. An agent that cannot close
/// is not asked: the bridge waits until the calls in the tombstone are answered.
fn tell_agent(
    step: &mut Step<'_>,
    channel: ChannelId,
    key: SessionKey,
    agent_id: &str,
    closer: Option<Closer>,
) -> Heard {
    let now = step.now;
    let Some(row) = step.books.channel(channel) else {
        step.books.absent(channel);
        return Heard::Answered;
    };
    let (agent, can_close) = (row.agent, row.capabilities.close);
    let has_pending = row.tombstones.get(agent_id).is_some_and(|tomb| !tomb.calls().is_empty());
    let (asker, frame) = match closer {
        Some((asker, frame)) => (asker, Some(frame)),
        None => (Asker::Nobody, None),
    };
    if !can_close && !has_pending {
        answer::give(step, &asker, channel, |token| compose::success(token, b"{}"));
        return Heard::CannotClose;
    }
    let (purpose, stage) = (Purpose::Close(agent_id.into()), step.books.sent_now(channel, now));
    let client = asker.client();
    let close = Call::on_channel((agent, channel), asker, purpose, stage, now).of_session(key);
    let id = step.books.add_call(close);
    if can_close {
        let outgoing = match frame {
            Some(frame) => {
                let number = Some(Token::number(id.0));
                translate::for_agent(step.books, channel, client, &frame, number, Some(agent_id))
            }
            None => {
                let params = SessionParams { session_id: agent_id };
                compose::request(id.0, Method::SessionClose.name(), &params)
            }
        };
        step.send_to_channel(channel, outgoing);
    }
    Heard::Asked(id)
}

/// Handles the agent's answer to `session/close`. A failure ends the close, too.
pub fn answered(
    step: &mut Step<'_>,
    channel: ChannelId,
    id: CallId,
    agent_id: &str,
    frame: &Frame,
) {
    if frame.kind == FrameKind::Failure {
        let code = frame.error_code().unwrap_or_default();
        step.publish(Notice::CloseRefused { channel, id: agent_id.to_owned(), code });
    }
    conclude(step, channel, id, agent_id, Heard::Answered, Some(frame));
}

/// Ends a `session/close` that the agent did not answer in time. If the agent could not
/// work meanwhile, it is asked again later.
pub fn timed_out(step: &mut Step<'_>, channel: ChannelId, id: CallId, agent_id: &str) {
    let is_excused = !step.books.is_ending() && step.books.is_excused(id, step.now);
    conclude(step, channel, id, agent_id, Heard::TimedOut { is_excused }, None);
}

/// Ends a close: answers the calls that wait in the tombstone, then the asker of the
/// close. If this is not the close that the tombstone waits for, only the latter.
fn conclude(
    step: &mut Step<'_>,
    channel: ChannelId,
    id: CallId,
    agent_id: &str,
    heard: Heard,
    answer: Option<&Frame>,
) {
    let is_current = step.books.channel(channel).is_some_and(|row| {
        row.tombstones.get(agent_id).is_some_and(|tomb| tomb.hold() == Hold::Closing(id))
    });
    if is_current {
        flush_tombstone(step, channel, agent_id, matches!(heard, Heard::TimedOut { .. }));
    }
    let Some(close) = step.books.take_call(id) else { return step.books.absent(id) };
    if answer.is_some() {
        step.outgoing.measures.close.observe(step.now.since(close.asked_at));
    }
    if let (Heard::TimedOut { .. }, Some(row)) = (heard, step.books.channel_in_passing(channel)) {
        // The agent may answer all the same.
        row.forsake(id);
    }
    answer::give(step, &close.asker, channel, |token| match answer {
        Some(frame) if frame.kind == FrameKind::Success => frame.with_id(token.clone()),
        _ => compose::success(token, b"{}"),
    });
    if !is_current {
        return;
    }
    let Some(row) = step.books.channel_mut(channel) else { return step.books.absent(channel) };
    let can_close = row.capabilities.close;
    if row.tombstones.heard(agent_id, heard, can_close) == Some(Hold::Unanswered) {
        step.publish(Notice::CloseUnanswered { channel, id: agent_id.to_owned() });
    }
    count_husk(step, channel, agent_id);
}

/// Ends the close at an agent that cannot close, if no call waits in the tombstone of the
/// session that had this key.
pub fn conclude_if_quiet(step: &mut Step<'_>, channel: ChannelId, key: SessionKey) {
    // The channel may have exited or begun to stop in this step: then its closes are over.
    let is_meant = |row: &&Channel| row.is_open() && !row.capabilities.close;
    let Some(row) = step.books.channel(channel).filter(is_meant) else { return };
    // The tombstone may have given way to younger ones.
    let Some(tombstone) = row.tombstones.of(key) else { return };
    if let (Hold::Closing(id), true) = (tombstone.hold(), tombstone.calls().is_empty()) {
        let agent_id = tombstone.agent_id.clone();
        conclude(step, channel, id, &agent_id, Heard::Quiet, None);
    }
}

/// Answers the calls that wait in a tombstone: prompts as cancelled, others with a
/// refusal. `timed_out`: the close has timed out; in a shutdown all calls are then refused.
pub fn flush_tombstone(step: &mut Step<'_>, channel: ChannelId, agent_id: &str, timed_out: bool) {
    let Some(row) = step.books.channel_in_passing(channel) else {
        return step.books.absent(channel);
    };
    for id in row.tombstones.take_calls(agent_id) {
        let is_prompt = step.books.call(id).is_some_and(Call::is_turn);
        if timed_out && step.books.is_ending() {
            answer::fail(step, id, &Refusal::ShuttingDown);
        } else if is_prompt {
            answer::succeed(step, id, CANCELLED_TURN);
        } else {
            answer::fail(step, id, &Refusal::SessionClosing);
        }
    }
}

/// Sends the closes again that the agent did not answer because it could not work.
pub fn resend_blocked_closes(step: &mut Step<'_>, channel: ChannelId) {
    let Some(row) = step.books.channel(channel) else { return step.books.absent(channel) };
    let unanswered: Vec<Box<str>> = row.tombstones.closes_to_resend().map(Into::into).collect();
    for agent_id in unanswered {
        resend_close(step, channel, &agent_id);
    }
}

/// Sends a close once more that was not answered.
pub fn resend_close(step: &mut Step<'_>, channel: ChannelId, agent_id: &str) {
    // While an overdue restore of the session may still be answered, that answer
    // decides; and an agent that cannot close is not asked.
    let is_restoring = step.books.calls_on(channel).into_iter().any(|id| {
        let opening = step.books.call(id).and_then(|call| call.opening());
        opening.is_some_and(|opening| opening.restores() == Some(agent_id))
    });
    let can_tell = |row: &&Channel| row.is_open() && row.capabilities.close && !is_restoring;
    let Some(row) = step.books.channel(channel).filter(can_tell) else { return };
    let Some(key) = row.tombstones.get(agent_id).map(Tombstone::key) else {
        return step.books.absent(channel);
    };
    ask_to_close(step, channel, key, agent_id, None);
}
