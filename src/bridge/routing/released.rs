//! Frames of clients that were held are handled when what they waited for is over.

use crate::bridge::books::call::{Asker, Stage};
use crate::bridge::id::{CallId, ClientId};
use crate::bridge::routing::from_client;
use crate::bridge::step::Step;

/// Handles the first frame that a client has sent behind its `initialize`, which is over.
/// The next one comes when what follows from this one is settled, so that they reach the
/// agent in their order.
pub fn behind_initialize(step: &mut Step<'_>, client: ClientId) {
    if let Some(frame) = step.books.next_held(client) {
        from_client::frame(step, client, Ok(frame));
    }
}

/// Handles the requests that waited for an open, or behind one of these, and do not any more.
pub fn behind_opens(step: &mut Step<'_>) {
    let waiting: Vec<CallId> = step.books.calls_behind_opens().iter().copied().collect();
    for id in waiting {
        let Some(call) = step.books.call(id) else { continue };
        let (Asker::Client(client, _), Stage::Held(frame)) = (&call.asker, &call.stage) else {
            step.books.take_call(id);
            continue;
        };
        let client = *client;
        if step.books.is_behind_held(client, frame, Some(id))
            || step.books.is_behind_open(client, frame)
        {
            continue;
        }
        let frame = (**frame).clone();
        step.books.take_call(id);
        from_client::request(step, client, &frame);
    }
}
