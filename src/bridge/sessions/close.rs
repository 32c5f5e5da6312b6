//! The close order: delete → tombstone → publish → notify the agent.
//!
//! One function, one step, for every cause of a close. After its first part the
//! session is not found any more, so it cannot be closed twice. Clients are told
//! before the agent is: what the agent still writes about the cancelled turn meets
//! a tombstone and is dropped on purpose.
//!
//! **Hazard:** with a wait between telling the agent and deleting, several callers
//! close the same session, and a client that comes back meanwhile loses its
//! conversation.

use crate::bridge::books::call::{Asker, Call, Purpose};
use crate::bridge::books::channel::Channel;
use crate::bridge::books::id_set::Ids;
use crate::bridge::books::session::Session;
use crate::bridge::books::tombstones::{Heard, Hold, Tombstone};
use crate::bridge::id::{CallId, ChannelId, ClientId, SessionKey};
use crate::bridge::notice::Notice;
use crate::bridge::outgoing::answer::CANCELLED_TURN;
use crate::bridge::outgoing::messages::SessionParams;
use crate::bridge::outgoing::{answer, compose, passing_ids, send, translate};
use crate::bridge::reason::EndReason;
use crate::bridge::refusal::Refusal;
#[cfg(feature = "seeded-bugs")]
use crate::bridge::seeded;
use crate::bridge::sessions::{attach, cancel, publish, question_end, survey};
use crate::bridge::step::Step;
use crate::wire::{Frame, FrameKind, Method, Token};

/// The asker of a close, and its `session/close`.
pub type Closer = (Asker, Frame);

/// How a session is ended.
pub enum Ending<'a> {
    /// In order; no client waits for the answer.
    InOrder,
    /// In order, because a client asked for it.
    AskedBy(Closer),
    /// Because a person wants it: requests in the session are refused with this at once, and the
    /// agent is told.
    Overruled(&'a Refusal),
    /// With its channel: requests in the session are refused with this at once.
    Failed(&'a Refusal),
}

/// Ends a session: the four parts, in their order, in this one step. Calls in it that
/// were sent wait in the tombstone for the agent's own answer, unless its channel has
/// failed.
pub fn end_session(step: &mut Step<'_>, key: SessionKey, reason: EndReason, ending: Ending<'_>) {
    let tells_agent = !matches!(ending, Ending::Failed(_));
    let (closer, failure) = match ending {
        Ending::InOrder => (None, None),
        Ending::AskedBy(closer) => (Some(closer), None),
        Ending::Overruled(refusal) | Ending::Failed(refusal) => (None, Some(refusal)),
    };
    #[cfg(feature = "seeded-bugs")]
    if seeded::is(seeded::Bug::DeleteAfterNotify)
        && let Some(session) = step.books.session(key).cloned()
    {
        publish::end(step, &session, reason, failure);
    }

    // 1. Delete: from here on the session is not found, and a second close does nothing.
    let Some(mut session) = step.books.remove_session(key) else { return };

    // 2. Tombstone: calls that were sent move into it, questions are withdrawn now.
    for question in std::mem::take(&mut session.questions) {
        question_end::withdraw(step, question);
    }
    let queued: Vec<CallId> = session.queue.drain(..).collect();
    let pending: Ids<CallId> =
        session.calls.iter().copied().filter(|id| !queued.contains(id)).collect();
    let turns = turns_of(step, &session, &pending);
    bury(step, &session, reason, pending.clone());

    // 3. Publish: the attached clients are told, then requests that cannot wait are answered.
    for prompt in &turns {
        publish::turn_ended(step, key, prompt, None);
    }
    publish::end(step, &session, reason, failure);
    for id in queued {
        match failure {
            Some(refusal) => answer::fail(step, id, refusal),
            None => answer::succeed(step, id, CANCELLED_TURN),
        };
    }
    for id in &pending {
        #[cfg(feature = "seeded-bugs")]
        if seeded::is(seeded::Bug::AnswerTwice)
            && let Some(call) = step.books.call(*id).cloned()
        {
            answer::give(step, &call.asker, session.channel, |token| {
                compose::success(token, CANCELLED_TURN)
            });
        }
        let purpose = step.books.call(*id).map(|call| &call.purpose);
        // A load answered after the end would tell the client that the session is open.
        let is_reload = matches!(purpose, Some(Purpose::Reload { .. }));
        match failure {
            Some(refusal) => drop(answer::fail(step, *id, refusal)),
            None if is_reload => drop(answer::fail(step, *id, &Refusal::SessionClosing)),
            None => {}
        }
    }

    // 4. Notify the agent, if its channel takes requests.
    let is_open = step.books.channel(session.channel).is_some_and(|row| row.is_open());
    if is_open && tells_agent {
        notify_agent(step, &session, !turns.is_empty(), closer);
    } else if let Some((asker, _)) = closer {
        answer::give(step, &asker, session.channel, |token| compose::success(token, b"{}"));
    }
}

fn bury(step: &mut Step<'_>, session: &Session, reason: EndReason, calls: Ids<CallId>) {
    let now = step.now;
    let agent_id = &session.agent_id;
    let channel = step.books.tombstone_channel(session);
    flush_tombstone(step, channel, agent_id, false);
    let Some(row) = step.books.channel_mut(channel) else { return step.books.absent(channel) };
    // Until the agent is asked, the close counts as unanswered, so that the id is fenced.
    let (key, hold) = (session.key, Hold::Unanswered);
    let mut tombstone = Tombstone::new(key, &session.id, agent_id.clone(), hold, calls, now);
    (tombstone.reason, tombstone.husk) = (Some(reason), session.husk_cost(now));
    tombstone.cwd = session.cwd.clone();
    step.outgoing.counters.tombstones += row.tombstones.bury(tombstone) as u64;
    // Its passing ids are not closed one by one.
    for child in &session.children {
        #[cfg(feature = "seeded-bugs")]
        if seeded::is(seeded::Bug::KeepChildren) {
            continue;
        }
        passing_ids::end(step, *child, Hold::Nothing, Some(reason));
    }
}

/// The turns among these calls that are of the session itself, and not of a sub-agent.
fn turns_of(step: &Step<'_>, session: &Session, pending: &Ids<CallId>) -> Vec<Call> {
    let is_its = |call: &&Call| {
        let is_of_other = matches!(&call.purpose, Purpose::PassedOn { id, .. }
            if *id != session.agent_id);
        call.is_turn() && !is_of_other
    };
    let calls = pending.iter().filter_map(|id| step.books.call(*id));
    calls.filter(is_its).cloned().collect()
}

fn notify_agent(step: &mut Step<'_>, session: &Session, in_turn: bool, closer: Option<Closer>) {
    let (channel, agent_id) = (session.channel, &session.agent_id);
    if in_turn {
        send::cancel_turn(step, channel, agent_id);
    }
    ask_to_close(step, channel, session.key, agent_id, closer);
    conclude_if_quiet(step, channel, session.key);
}

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

/// Handles a client's `session/close`: ends the session, or, while other clients are
/// attached, only detaches this one.
pub fn by_client(step: &mut Step<'_>, client: ClientId, frame: &Frame) {
    let Some(id) = frame.session() else {
        let refusal = Refusal::MissingField { field: "sessionId" };
        return answer::refuse(step, client, frame, &refusal);
    };
    let key = match step.books.attached_session(client, &id) {
        Ok(key) => key,
        // The session has ended, or this client has left it: the close has nothing to do.
        Err(Refusal::SessionEnded { .. }) => {
            let done = compose::success(&frame.id(), b"{}");
            let lane = step.books.lane_of_answer(client, frame);
            return step.send_to_client(client, lane, done);
        }
        Err(refusal) => return answer::refuse(step, client, frame, &refusal),
    };
    let Some(session) = step.books.session(key) else { return step.books.absent(key) };
    if session.clients().len() > 1 {
        let channel = session.channel;
        cancel::own(step, client, key);
        attach::leave(step, client, key);
        // A load that takes longer than the close may wait for.
        for load in step.books.reloads_of(client, &id) {
            answer::fail(step, load, &Refusal::SessionClosing);
        }
        return step.send_to_client(client, channel, compose::success(&frame.id(), b"{}"));
    }
    let closer = (Asker::Client(client, frame.id()), frame.detached());
    end_session(step, key, EndReason::ClientClose, Ending::AskedBy(closer));
}
