//! Parking: a session that ended by nobody's wish is kept, if it can be brought back, and the
//! clients that had it are dormant in it.

use crate::bridge::books::call::{Asker, Purpose, Stage};
use crate::bridge::books::parked::{Parked, Revival};
use crate::bridge::books::session::Session;
use crate::bridge::effect::Effect;
use crate::bridge::id::{AgentId, CallId, ClientId, Lane, SessionKey};
use crate::bridge::notice::Notice;
use crate::bridge::outgoing::answer::{self, CANCELLED_TURN};
use crate::bridge::outgoing::compose;
use crate::bridge::reason::{EndReason, LossReason};
use crate::bridge::recipe::Keepsake;
use crate::bridge::refusal::Refusal;
#[cfg(feature = "seeded-bugs")]
use crate::bridge::seeded;
use crate::bridge::step::Step;
use crate::wire::{Frame, Method};

/// Parks a session that has just been removed. Others give way for it at the limits of the table.
pub fn begin(step: &mut Step<'_>, session: Session, reason: EndReason) {
    let clients = session.clients().to_vec();
    #[cfg(feature = "seeded-bugs")]
    let clients = match seeded::is(seeded::Bug::ForgetDormantClients) {
        true => Vec::new(),
        false => clients,
    };
    let Some(recipe) = session.recipe else { return step.books.absent(session.key) };
    step.books.park(Parked {
        key: session.key,
        agent: session.agent,
        id: session.id,
        agent_id: session.agent_id,
        cwd: session.cwd,
        clients,
        watchers: session.watchers,
        recipe,
        reason: LossReason::Ended(reason),
        since: step.now,
        seq: session.seq,
        revival: Revival::None,
        is_alone: false,
    });
    keep_limits(step);
}

/// Parks a session that a client had in an earlier bridge.
pub fn adopted(step: &mut Step<'_>, client: ClientId, agent: AgentId, kept: &Keepsake) {
    let key = step.books.next_session_key();
    let (id, agent_id) = (kept.id.clone(), kept.agent_id.clone());
    step.publish(Notice::SessionAdopted { session: key, id: id.to_string(), client });
    step.books.park(Parked {
        key,
        agent,
        id,
        agent_id,
        cwd: (*kept.cwd).into(),
        clients: vec![client],
        watchers: Vec::new(),
        recipe: Box::new(kept.recipe()),
        reason: LossReason::DaemonLost,
        since: step.now,
        seq: 0,
        revival: Revival::None,
        is_alone: false,
    });
}

/// Makes rows give way until the table is within its limits.
pub fn keep_limits(step: &mut Step<'_>) {
    while let Some(key) = step.books.parked_sessions().next_to_give_way(step.books.limits.parked) {
        let Some(row) = step.books.parked(key) else { return step.books.absent(key) };
        let (id, clients) = (row.id.to_string(), row.clients.len());
        step.publish(Notice::ParkedGaveWay { session: key, id, clients });
        step.outgoing.counters.parked_sessions += 1;
        forget(step, key);
    }
}

/// Forgets a parked session: it cannot be brought back any more. Its clients learn why it is not
/// live when they name it.
pub fn forget(step: &mut Step<'_>, key: SessionKey) {
    let Some(row) = step.books.parked(key) else { return step.books.absent(key) };
    let refusal = Refusal::SessionEnded { id: row.id.to_string(), reason: row.reason };
    refuse_waiting(step, key, |_| Answer::Refused(refusal.clone()));
    let Some(row) = step.books.unpark(key) else { return };
    for client in &row.clients {
        let client = *client;
        if let Some(client) = step.books.client_mut(client) {
            client.ended.remember(&row.id, None, row.reason);
        }
        step.effect(Effect::Forget { client, lane: Lane::Bridge, session: row.id.clone() });
    }
}

/// The answer to a request that has waited in vain.
pub enum Answer<'a> {
    /// A refusal of the bridge.
    Refused(Refusal),
    /// The agent's answer to the attempt.
    OfAgent(&'a Frame),
}

/// Answers every request that waits for a parked session.
pub fn refuse_waiting<'a>(
    step: &mut Step<'_>,
    key: SessionKey,
    with: impl Fn(ClientId) -> Answer<'a>,
) {
    let Some(row) = step.books.parked(key) else { return step.books.absent(key) };
    let (clients, id) = (row.clients.clone(), row.id.clone());
    refuse_waiting_of(step, &clients, &id, with);
}

/// Answers every request of these clients that waits for a session with this id.
pub fn refuse_waiting_of<'a>(
    step: &mut Step<'_>,
    clients: &[ClientId],
    id: &str,
    with: impl Fn(ClientId) -> Answer<'a>,
) {
    for client in clients {
        for call in step.books.waiting_for(*client, id) {
            match with(*client) {
                Answer::Refused(refusal) => drop(answer::fail(step, call, &refusal)),
                Answer::OfAgent(frame) => {
                    let Some(call) = step.books.take_call(call) else { continue };
                    answer::give(step, &call.asker, Lane::Bridge, |token| {
                        frame.with_id(token.clone())
                    });
                }
            }
        }
    }
}

/// Ends the requests of a client that wait for a session, because it leaves that.
pub fn end_waiting(step: &mut Step<'_>, client: ClientId, id: &str) {
    for id in step.books.waiting_for(client, id) {
        let held = step.books.call(id).map(|call| &call.stage);
        let is_prompt =
            matches!(held, Some(Stage::Held(frame)) if frame.method == Method::SessionPrompt);
        match is_prompt {
            true => answer::succeed(step, id, CANCELLED_TURN),
            false => answer::fail(step, id, &Refusal::SessionClosing),
        };
    }
}

/// Handles the `session/close` of a client that is dormant in a session: it has the session no
/// more. After the last one the session is forgotten; no agent is needed for that.
pub fn closed_by_client(step: &mut Step<'_>, client: ClientId, key: SessionKey, frame: &Frame) {
    left(step, client, key, EndReason::ClientClose);
    let lane = Lane::Bridge;
    step.send_to_client(client, lane, compose::success(&frame.id(), b"{}"));
}

/// Takes a client out of a parked session on its own wish. After the last one the session is
/// forgotten.
pub fn left(step: &mut Step<'_>, client: ClientId, key: SessionKey, reason: EndReason) {
    let Some(row) = step.books.parked(key) else { return step.books.absent(key) };
    let id = row.id.clone();
    end_waiting(step, client, &id);
    let is_last = step.books.parked(key).is_some_and(|row| row.clients == [client]);
    gone(step, client, key);
    if let Some(row) = step.books.client_mut(client) {
        row.ended.remember(&id, None, LossReason::Ended(reason));
    }
    step.effect(Effect::Forget { client, lane: Lane::Bridge, session: id });
    if is_last {
        step.books.unpark(key);
    }
}

/// Takes a client out of a parked session that stays parked. If it is being brought back for this
/// client, that goes on for another one that waits, or not at all.
pub fn gone(step: &mut Step<'_>, client: ClientId, key: SessionKey) {
    let Some(row) = step.books.parked(key) else { return step.books.absent(key) };
    let call = match row.revival {
        Revival::Opening(call) => Some(call),
        Revival::None | Revival::Failed(_) => None,
    };
    let other = step.books.other_that_waits(key, client);
    step.books.leave_parked(client, key);
    let its = call.filter(|call| is_for(step, *call, client));
    match (its, other) {
        (Some(call), Some(other)) => step.books.hand_over_revival(call, other),
        (Some(call), None) => step.books.end_revival(call),
        (None, _) => {}
    }
}

fn is_for(step: &Step<'_>, call: CallId, client: ClientId) -> bool {
    let call = step.books.call(call);
    call.is_some_and(|call| {
        matches!(call.purpose, Purpose::Open(_)) && call.asker == Asker::Revival(client)
    })
}

/// Forgets a parked session that a client has deleted or archived, or a person has closed.
pub fn removed(step: &mut Step<'_>, key: SessionKey, reason: EndReason) {
    let Some(row) = step.books.parked(key) else { return step.books.absent(key) };
    for client in row.clients.clone() {
        left(step, client, key, reason);
    }
    // Nobody may have been dormant in it.
    if step.books.parked(key).is_some() {
        step.books.unpark(key);
    }
}

/// Forgets the parked sessions whose record an agent has given up, because it gives their id to a
/// new conversation.
pub fn supplanted(step: &mut Step<'_>, agent: AgentId, agent_id: &str) {
    let known = step.books.parked_sessions().known_as(agent, agent_id);
    let stale = known.filter(|row| row.recipe.has_record).map(|row| row.key);
    for key in stale.collect::<Vec<_>>() {
        forget(step, key);
    }
}
