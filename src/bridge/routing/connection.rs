//! A client's connection is over.

use crate::bridge::books::absence::Absence;
use crate::bridge::books::call::Call;
use crate::bridge::books::tombstones::Hold;
use crate::bridge::channels::stop;
use crate::bridge::effect::Effect;
use crate::bridge::id::{ChannelId, ClientId, SessionKey};
use crate::bridge::notice::Notice;
use crate::bridge::outgoing::messages::DroppedParams;
use crate::bridge::outgoing::{compose, passing_ids};
use crate::bridge::reason::{EndReason, LossReason};
use crate::bridge::recipe::Keepsake;
use crate::bridge::refusal::Refusal;
#[cfg(feature = "seeded-bugs")]
use crate::bridge::seeded;
use crate::bridge::sessions::{park, publish, question_end};
use crate::bridge::step::Step;
use crate::wire::OutgoingFrame;

/// Removes a client whose connection is over. A quit cannot be told from a crash, so its
/// sessions stay live: their prompts go on, and questions that only this client was asked
/// go to other clients or wait.
pub fn gone(step: &mut Step<'_>, client: ClientId) {
    // The end of a connection may be reported twice.
    let Some(row) = step.books.client(client) else { return };
    let (calls, pool) = (row.calls.clone(), row.pool);
    let sessions: Vec<SessionKey> = row.sessions.iter().copied().collect();
    let dormant: Vec<SessionKey> = row.dormant.iter().copied().collect();
    for key in dormant {
        park::gone(step, client, key);
    }
    step.books.disown_fanouts(client);
    for id in calls {
        // One that brings a session back may go on for another client.
        let is_its = |call: &Call| call.client() == Some(client);
        if !step.books.call(id).is_some_and(is_its) {
            continue;
        }
        if step.books.call(id).is_some_and(Call::waits_for_channel) {
            step.books.take_call(id);
        } else {
            step.books.disown_call(id);
        }
    }
    let mut left = 0;
    for key in sessions {
        let lost = Absence::lost(step.now, Some(client));
        step.books.detach(client, key, lost);
        left += usize::from(step.books.session(key).is_some_and(|row| row.clients().is_empty()));
    }
    question_end::take_from_client(step, client, None);
    let channels: Vec<ChannelId> = step
        .books
        .channels()
        .iter()
        .filter(|(_, row)| row.leases.contains(&client) || row.pool == pool)
        .map(|(id, _)| *id)
        .collect();
    for key in step.books.passing_of_client(client) {
        passing_ids::end(step, key, Hold::Nothing, Some(EndReason::LastClientDetached));
    }
    step.books.remove_client(client);
    for channel in channels {
        if let Some(row) = step.books.channel_mut(channel) {
            row.leases.remove(&client);
        }
    }
    step.publish(Notice::ClientGone { client, sessions: left });
    stop::end_passthrough(step, pool);
}

/// Handles that a client has been slow for its grace.
pub fn slow(step: &mut Step<'_>, client: ClientId) {
    if step.books.holds_up_others(client) {
        return end_slow(step, client);
    }
    step.books.forbear(client, step.now);
}

/// Handles that the outbox of a client has reached its limit.
pub fn full(step: &mut Step<'_>, client: ClientId) {
    step.books.set_full(client, step.now);
    if step.books.holds_up_others(client) {
        end_slow(step, client);
    }
}

/// Ends the connection of a client that does not read. The reason reaches it ahead of all that
/// waits: in the answers to its requests, and in a notification if it asked for those.
fn end_slow(step: &mut Step<'_>, client: ClientId) {
    let refusal = Refusal::ClientTooSlow;
    let tokens = step.books.unanswered_by(client).into_iter();
    let mut last: Vec<OutgoingFrame> = Vec::new();
    if publish::is_told(step.books, client) {
        let params = DroppedParams { reason: refusal.kind(), details: refusal.message() };
        last.push(compose::notification("_drawbridge/client_dropped", &params));
    }
    last.extend(tokens.map(|token| compose::failure(&token, &refusal)));
    step.publish(Notice::ClientDropped { client });
    gone(step, client);
    step.effect(Effect::DropClient { client, last });
}

/// Takes the sessions over that a client had in an earlier bridge, which is gone: they are parked, and
/// this client is dormant in them.
pub fn adopted(step: &mut Step<'_>, client: ClientId, sessions: &[String]) {
    for text in sessions {
        let Some(kept) = Keepsake::read(text) else {
            // It cannot be brought back: the text is its id alone.
            if let Some(row) = step.books.client_mut(client) {
                row.ended.remember(text, None, LossReason::DaemonLost);
            }
            continue;
        };
        adopt(step, client, &kept);
    }
    park::keep_limits(step);
}

/// Parks a session that a client had in an earlier bridge. One that is here already stays as it is:
/// the client is dormant in it too, if it is the same.
fn adopt(step: &mut Step<'_>, client: ClientId, kept: &Keepsake) {
    // The client may be gone.
    let Some(agent) = step.books.client(client).map(|row| row.agent) else { return };
    if let Some(key) = step.books.parked_conversation(client, &kept.id, &kept.cwd) {
        #[cfg(feature = "seeded-bugs")]
        if seeded::is(seeded::Bug::AdoptTwice) {
            return park::adopted(step, client, agent, kept);
        }
        let is_same = step.books.parked(key).is_some_and(|row| {
            *row.agent_id == *kept.agent_id && row.recipe.params == kept.recipe().params
        });
        if is_same {
            return step.books.join_parked(client, key);
        }
        return refuse_adoption(step, client, &kept.id);
    }
    if step.books.live(client, &kept.id, &kept.cwd).is_some() {
        return refuse_adoption(step, client, &kept.id);
    }
    park::adopted(step, client, agent, kept);
}

fn refuse_adoption(step: &mut Step<'_>, client: ClientId, id: &str) {
    step.publish(Notice::AdoptionRefused { client, id: id.to_owned() });
    if let Some(row) = step.books.client_mut(client) {
        row.ended.remember(id, None, LossReason::DaemonLost);
    }
}

/// Handles the news that the parent process of a client has ended.
pub fn parent_gone(step: &mut Step<'_>, client: ClientId) {
    let now = step.now;
    step.books.set_parent(client, |parent| parent.after_end(now));
}
