//! Requests that wait on a channel until it is ready for them.

use crate::bridge::books::call::{Asker, Call, Purpose};
use crate::bridge::books::channel::{Channel, ChannelState};
use crate::bridge::books::client::Introduction;
use crate::bridge::books::passing::{Owner, PassingState};
use crate::bridge::books::pool::Treatment;
use crate::bridge::books::tombstones::Buried;
use crate::bridge::books::whose::Meaning;
use crate::bridge::id::{CallId, ChannelId};
use crate::bridge::notice::Notice;
use crate::bridge::outgoing::{answer, passing_ids, send};
use crate::bridge::refusal::Refusal;
use crate::bridge::step::Step;

/// Sends a call, or answers an `initialize`, if its channel is ready for it; otherwise
/// the call stays held.
pub fn send_when_ready(step: &mut Step<'_>, id: CallId) {
    let channel = step.books.call(id).and_then(|call| call.channel);
    let Some(channel) = channel else { return step.books.absent(id) };
    // Now, and again when it is sent: who made it known before may be gone by then.
    if let Some(named) = bind_passing_id(step, id, channel) {
        answer::fail(step, id, &Refusal::UnknownSession { id: named });
        return;
    }
    let Some(call) = step.books.call(id) else { return step.books.absent(id) };
    let Some(row) = step.books.channel(channel) else { return step.books.absent(channel) };
    if call.purpose == Purpose::Initialize {
        if row.is_open() {
            answer_from_memory(step, id);
        }
    } else if row.is_open() && !step.books.is_being_set_up(row) {
        send::held(step, id);
    }
}

/// Makes the id that a request names a passing id of its channel, unless the agent means
/// something by it already. Returns the id if it has come to mean something of another client
/// while the request waited.
fn bind_passing_id(step: &mut Step<'_>, id: CallId, channel: ChannelId) -> Option<String> {
    let call = step.books.call(id)?;
    let (Purpose::PassedOn { id: agent_id, .. }, Some(client)) = (&call.purpose, call.client())
    else {
        return None;
    };
    let (agent_id, named) = (agent_id.clone(), call.held_session());
    let row = step.books.channel_mut(channel)?;
    if row.tombstones.get(&agent_id).is_some_and(|row| row.of == Buried::Lease) {
        // It goes on for this client.
        row.tombstones.remove(&agent_id);
    }
    if row.tombstones.contains(&agent_id) {
        return None;
    }
    let is_another = |named: &String| step.books.means_another(channel, &agent_id, named);
    if let Some(named) = named.as_ref().filter(|named| is_another(named)) {
        let meaning = step.books.meaning(client, named);
        return matches!(meaning, Meaning::OfOthers(..)).then(|| named.clone());
    }
    let (ids, owner) = ((&*agent_id, named.as_deref()), Owner::Client(client));
    passing_ids::add(step, channel, ids, owner, PassingState::Named);
    None
}

/// Sends the calls that waited for this channel to become ready, and looks again at the channels
/// that it takes the place of.
pub fn send_all(step: &mut Step<'_>, channel: ChannelId) {
    step.books.touch_predecessors(channel);
    for id in step.books.calls_on(channel) {
        if step.books.call(id).is_some_and(Call::waits_for_channel) {
            send_when_ready(step, id);
        }
    }
}

/// Gives the requests that wait for a channel which will not serve them to the outdated channels
/// that it was to take the place of. No other is started for that for a while.
pub fn give_back(step: &mut Step<'_>, failed: ChannelId) {
    let Some(row) = step.books.channel(failed).filter(|_| !step.books.is_ending()) else { return };
    let (Some(pool), cwd) = (row.pool, &row.shared_cwd) else { return };
    let serves = |id: ChannelId, row: &Channel| {
        let is_outdated = row.is_outdated() && row.state == ChannelState::Ready;
        let has_place = cwd.is_none() || row.shared_cwd.is_none() || row.shared_cwd == *cwd;
        id != failed && row.pool == Some(pool) && is_outdated && has_place
    };
    let found = step.books.channels().iter().filter(|(id, row)| serves(**id, row));
    let predecessors: Vec<&Channel> = found.map(|(_, row)| row).collect();
    if predecessors.is_empty() {
        return;
    }
    let has_room = predecessors.iter().any(|row| step.books.can_take_session(row));
    let now = step.now;
    let Some(row) = step.books.pool_mut(pool) else { return step.books.absent(pool) };
    let is_first = row.may_try_successor(now);
    row.successor_failed = Some(now);
    for id in step.books.calls_on(failed) {
        let Some(call) = step.books.call(id) else { continue };
        let goes_back = match &call.purpose {
            Purpose::Initialize => {
                answer_from_memory(step, id);
                continue;
            }
            // These belong to this channel.
            Purpose::PassedOn { .. } | Purpose::Part(_) => false,
            // A restore may have no place there, and each try would start a process.
            Purpose::Open(opening) => has_room && (is_first || opening.restores().is_none()),
            _ => true,
        };
        if goes_back && call.waits_for_channel() && call.client().is_some() {
            step.books.move_call(id, None);
        }
    }
}

/// Answers an `initialize` with the answer that the pool keeps.
pub fn answer_from_memory(step: &mut Step<'_>, id: CallId) {
    let Some(call) = step.books.take_call(id) else { return step.books.absent(id) };
    // The bridge's own `initialize` to a further channel needs no answer.
    let Asker::Client(client, token) = call.asker else { return };
    let pool = step.books.client(client).and_then(|row| step.books.pool(row.pool?));
    let Some((answer, pool)) = pool.and_then(|pool| Some((pool.answer.clone()?, pool))) else {
        return step.books.absent(client);
    };
    let is_passthrough = pool.treatment == Treatment::Passthrough;
    let version = String::from_utf8_lossy(&pool.version).into_owned();
    if let Some(row) = step.books.client_mut(client) {
        row.introduction = Introduction::Done;
        row.served_by = call.channel;
    }
    step.send_to_client(client, call.channel, answer.with_id(token));
    if is_passthrough {
        step.publish(Notice::ClientPassthrough { client, version });
    }
}
