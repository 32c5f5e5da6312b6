//! Requests that wait on a channel until it is ready for them.

use crate::bridge::books::call::{Asker, Call, Purpose};
use crate::bridge::books::pool::Treatment;
use crate::bridge::id::{CallId, ChannelId};
use crate::bridge::notice::Notice;
use crate::bridge::outgoing::send;
use crate::bridge::step::Step;

/// Sends a call, or answers an `initialize`, if its channel is ready for it; otherwise
/// the call stays held.
pub fn send_when_ready(step: &mut Step<'_>, id: CallId) {
    let Some(call) = step.books.call(id) else { return step.books.absent(id) };
    let Some(channel) = call.channel else { return step.books.absent(id) };
    let Some(row) = step.books.channel(channel) else { return step.books.absent(channel) };
    if call.purpose == Purpose::Initialize {
        if row.is_open() {
            answer_from_memory(step, id);
        }
    } else if row.is_open() && !step.books.is_being_set_up(row) {
        send::held(step, id);
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
        row.initialized = true;
        row.served_by = call.channel;
    }
    step.send_to_client(client, answer.with_id(token));
    if is_passthrough {
        step.publish(Notice::ClientPassthrough { client, version });
    }
}
