//! Passing ids come and go: made known by a frame of an agent or an announcement, ended with
//! their owner, their channel or the open that announced them, and buried.

use crate::bridge::books::channel::Said;
use crate::bridge::books::id_set::Ids;
use crate::bridge::books::passing::{Owner, PassingState};
use crate::bridge::books::session_names::Name;
use crate::bridge::books::tombstones::{Buried, Hold, Tombstone};
use crate::bridge::id::{ChannelId, ClientId, PassingKey};
use crate::bridge::notice::Notice;
use crate::bridge::reason::EndReason;
use crate::bridge::step::Step;

/// Handles the announcement of a sub-agent, in a session or under a passing id of `owner`.
/// `None`: it means something already, or meant a session that was closed, and keeps that
/// meaning. An agent with one client may give its sub-agents the same names again and again.
pub fn announced(
    step: &mut Step<'_>,
    channel: ChannelId,
    owner: Owner,
    id: &str,
) -> Option<PassingKey> {
    let has_one_client = step.books.clients_of(channel).len() == 1;
    let row = step.books.channel_mut(channel)?;
    match row.tombstones.get(id).map(|row| row.of) {
        Some(Buried::SubAgent | Buried::Lease) if has_one_client => row.tombstones.remove(id),
        Some(_) => return None,
        None => {}
    }
    add(step, channel, (id, None), owner, PassingState::Held)
}

/// Binds an unknown id in a frame of an agent to the client that the frame goes to.
pub fn bound(
    step: &mut Step<'_>,
    channel: ChannelId,
    client: ClientId,
    id: &str,
) -> Option<PassingKey> {
    let owner = step.books.owner_for(channel, client);
    add(step, channel, (id, None), owner, PassingState::Held)
}

/// Ends a passing id that a client has named in a request which has failed, if the agent is
/// not known to know anything by it, and no other request about it is with the agent. What
/// the agent should say under it all the same is for that client, if the agent was sent the
/// request.
pub fn end_unknown(step: &mut Step<'_>, channel: ChannelId, id: &str, was_sent: bool) {
    let name = step.books.channel(channel).and_then(|row| row.names.get(id));
    let Some(Name::Passing(key)) = name else { return };
    let is_asked_about = step.books.is_asked_about(channel, id);
    let Some(row) = step.books.passing_mut(key) else { return step.books.absent(key) };
    if row.state != PassingState::Named || is_asked_about {
        return;
    }
    if was_sent {
        row.state = PassingState::Ended;
    } else {
        end(step, key, Hold::Nothing, None);
    }
    // It may have been all that kept the channel.
    step.books.touch_channel(channel);
}

/// Ends a passing id. What the agent still says under it is for nobody; `held` is the hold
/// of its tombstone if the agent is known to hold something under it.
pub fn end(step: &mut Step<'_>, key: PassingKey, held: Hold, reason: Option<EndReason>) {
    let Some(row) = step.books.remove_passing(key) else { return step.books.absent(key) };
    let hold = match row.state {
        PassingState::Held => held,
        PassingState::Named | PassingState::Ended => Hold::Nothing,
    };
    let of = match row.owner {
        Owner::Session(_) => Buried::SubAgent,
        Owner::Client(_) => Buried::Lease,
    };
    // An id of which the agent has heard nothing leaves no trace.
    if row.state != PassingState::Named || step.books.is_asked_about(row.channel, &row.agent_id) {
        bury(step, row.channel, (&row.public_id, &row.agent_id), (of, hold), reason);
    }
}

/// Handles the announcement of a sub-agent in a session that was closed: what it says is for
/// nobody, either.
pub fn announced_too_late(step: &mut Step<'_>, channel: ChannelId, id: &str) {
    let row = step.books.channel(channel);
    if row.is_some_and(|row| !row.names.contains(id)) {
        bury(step, channel, (id, id), (Buried::SubAgent, Hold::Nothing), None);
    }
}

fn bury(
    step: &mut Step<'_>,
    channel: ChannelId,
    (public_id, agent_id): (&str, &str),
    (of, hold): (Buried, Hold),
    reason: Option<EndReason>,
) {
    let (key, now) = (step.books.next_session_key(), step.now);
    let mut tombstone = Tombstone::new(key, public_id, agent_id.into(), hold, Ids::default(), now);
    (tombstone.of, tombstone.reason) = (of, reason);
    if let Some(row) = step.books.channel_mut(channel)
        && !row.tombstones.contains(agent_id)
    {
        step.outgoing.counters.tombstones += row.tombstones.bury(tombstone) as u64;
    }
}

/// Adds a passing id. `None`: the agent means something else by it.
pub fn add(
    step: &mut Step<'_>,
    channel: ChannelId,
    ids: (&str, Option<&str>),
    owner: Owner,
    state: PassingState,
) -> Option<PassingKey> {
    let (key, thrown) = step.books.add_passing(channel, ids, owner, state)?;
    step.outgoing.counters.passing_ids += thrown;
    if thrown > 0 && step.books.say_once(channel, Said::PassingIds) {
        step.publish(Notice::PassingIdsOver { channel });
    }
    Some(key)
}
