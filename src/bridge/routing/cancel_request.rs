//! A client withdraws a request of its own.

use crate::bridge::books::call::{Asker, Purpose};
use crate::bridge::books::channel::Channel;
use crate::bridge::id::ClientId;
use crate::bridge::outgoing::translate::with_request_id;
use crate::bridge::outgoing::{answer, dropped, send};
use crate::bridge::reason::DropReason;
use crate::bridge::refusal::Refusal;
use crate::bridge::step::Step;
use crate::wire::Frame;

/// Handles a client's `$/cancel_request`: refuses the call if it is not sent yet;
/// otherwise passes the withdrawal on to each agent that has the request.
pub fn by_client(step: &mut Step<'_>, client: ClientId, frame: &Frame) {
    // The notification names no request.
    let Some((token, _)) = frame.request() else { return };
    let held = step.books.client_mut(client).is_some_and(|row| row.held.withdraw(&token));
    if held {
        return answer::refuse_line(step, client, &token, &Refusal::Cancelled);
    }
    let asker = Asker::Client(client, token);
    let open = step.books.client(client).map(|row| row.calls.clone());
    let found = open.into_iter().flatten().find_map(|id| {
        let call = step.books.call(id)?;
        // An agent that cannot close is never sent a close. Such a call counts as sent
        // while it waits in its tombstone: there is no request at the agent to withdraw.
        let is_told = |row: &Channel| {
            row.is_open() && (row.capabilities.close || !matches!(call.purpose, Purpose::Close(_)))
        };
        let channel =
            call.channel.filter(|channel| step.books.channel(*channel).is_some_and(is_told));
        (call.asker == asker).then(|| (id, call.is_unsent(), channel))
    });
    match found {
        Some((id, true, _)) => {
            answer::fail(step, id, &Refusal::Cancelled);
        }
        Some((id, false, Some(channel))) => {
            let outgoing = with_request_id(frame, id.0);
            send::pass_notification(step, channel, (client, frame), outgoing);
        }
        _ => cancel_parts(step, client, &asker, frame),
    }
}

fn cancel_parts(step: &mut Step<'_>, client: ClientId, asker: &Asker, frame: &Frame) {
    let parts = step.books.open_parts(asker);
    if parts.is_empty() {
        dropped::of_client(step, client, frame, DropReason::UnknownRequest);
    }
    for id in parts {
        let Some(channel) = step.books.call(id).and_then(|call| call.channel) else {
            continue;
        };
        send::pass_notification(step, channel, (client, frame), with_request_id(frame, id.0));
    }
}
