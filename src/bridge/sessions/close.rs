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
use crate::bridge::books::id_set::Ids;
use crate::bridge::books::session::Session;
use crate::bridge::books::tombstones::{Hold, Tombstone};
use crate::bridge::id::{CallId, ClientId, SessionKey};
use crate::bridge::outgoing::answer::CANCELLED_TURN;
use crate::bridge::outgoing::{answer, compose, passing_ids, send};
use crate::bridge::reason::EndReason;
use crate::bridge::refusal::Refusal;
#[cfg(feature = "seeded-bugs")]
use crate::bridge::seeded;
use crate::bridge::sessions::close_call::{self, Closer};
use crate::bridge::sessions::{attach, cancel, park, publish, question_end};
use crate::bridge::step::Step;
use crate::wire::Frame;

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
        publish::end(step, &session, reason, failure, false);
    }

    attach::end_joins(step, key);
    let parks = step.books.session(key).is_some_and(|row| step.books.may_be_parked(row, reason));

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

    if parks {
        park::begin(step, session.clone(), reason);
    } else {
        step.books.forget_attachments(&session);
    }

    // 3. Publish: the attached clients are told, then requests that cannot wait are answered.
    for prompt in &turns {
        publish::turn_ended(step, key, prompt, None);
    }
    let restorable = parks || step.books.is_left_to_another(&session, reason);
    publish::end(step, &session, reason, failure, restorable);
    for id in queued {
        match failure {
            Some(refusal) => answer::fail(step, id, &refusal.of_lost_turn(parks)),
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
        let is_turn = matches!(purpose, Some(Purpose::Prompt));
        match failure {
            Some(refusal) if is_turn => drop(answer::fail(step, *id, &refusal.of_lost_turn(parks))),
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
    close_call::flush_tombstone(step, channel, agent_id, false);
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
    close_call::ask_to_close(step, channel, session.key, agent_id, closer);
    close_call::conclude_if_quiet(step, channel, session.key);
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
