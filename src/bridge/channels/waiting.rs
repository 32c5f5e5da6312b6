//! Requests that wait on a channel until it is ready for them.

use crate::bridge::books::call::{Asker, Call, Purpose};
use crate::bridge::books::client::Introduction;
use crate::bridge::books::passing::{Owner, PassingState};
use crate::bridge::books::pool::Treatment;
use crate::bridge::books::tombstones::Buried;
use crate::bridge::id::{CallId, ChannelId};
use crate::bridge::notice::Notice;
use crate::bridge::outgoing::{passing_ids, send};
use crate::bridge::step::Step;

/// Sends a call, or answers an `initialize`, if its channel is ready for it; otherwise
/// the call stays held.
pub fn send_when_ready(step: &mut Step<'_>, id: CallId) {
    let channel = step.books.call(id).and_then(|call| call.channel);
    let Some(channel) = channel else { return step.books.absent(id) };
    // Now, and again when it is sent: who made it known before may be gone by then.
    bind_passing_id(step, id, channel);
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
/// something by it already.
fn bind_passing_id(step: &mut Step<'_>, id: CallId, channel: ChannelId) {
    let Some(call) = step.books.call(id) else { return step.books.absent(id) };
    let (Purpose::PassedOn { id: agent_id, .. }, Some(client)) = (&call.purpose, call.client())
    else {
        return;
    };
    let (agent_id, named) = (agent_id.clone(), call.held_session());
    let Some(row) = step.books.channel_mut(channel) else { return step.books.absent(channel) };
    if row.tombstones.get(&agent_id).is_some_and(|row| row.of == Buried::Lease) {
        // It goes on for this client.
        row.tombstones.remove(&agent_id);
    }
    let is_buried = row.tombstones.contains(&agent_id);
    // The id may have got another meaning while the request waited, and keeps it.
    let is_another = |named: &str| step.books.means_another(channel, &agent_id, named);
    if !is_buried && !named.as_deref().is_some_and(is_another) {
        let (ids, owner) = ((&*agent_id, named.as_deref()), Owner::Client(client));
        passing_ids::add(step, channel, ids, owner, PassingState::Named);
    }
}

/// Sends the calls that waited for this channel to become ready.
pub fn send_all(step: &mut Step<'_>, channel: ChannelId) {
    for id in step.books.calls_on(channel) {
        if step.books.call(id).is_some_and(Call::waits_for_channel) {
            send_when_ready(step, id);
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
