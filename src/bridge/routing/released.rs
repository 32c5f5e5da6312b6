//! Frames of clients that were held are handled when what they waited for is over.

use crate::bridge::books::call::{Asker, Behind, Purpose, Stage};
use crate::bridge::books::client::Client;
use crate::bridge::books::whose::Meaning;
use crate::bridge::effect::Effect;
use crate::bridge::event::ShutdownCause;
use crate::bridge::id::{CallId, ClientId};
use crate::bridge::outgoing::answer::{self, CANCELLED_TURN};
use crate::bridge::refusal::Refusal;
use crate::bridge::routing::{from_client, parked};
#[cfg(feature = "seeded-bugs")]
use crate::bridge::seeded;
use crate::bridge::sessions::{opened, revive};
use crate::bridge::step::Step;
use crate::wire::{FrameKind, Method};

/// Handles the first frame that a client has sent behind its `initialize`, which is over.
/// The next one comes when what follows from this one is settled, so that they reach the
/// agent in their order.
pub fn behind_initialize(step: &mut Step<'_>, client: ClientId) {
    let failure = step.books.client(client).and_then(Client::failure).cloned();
    if let Some(refusal) = failure.filter(|_| !step.books.is_ending()) {
        return without_agent(step, client, &refusal);
    }
    if let Some(frame) = step.books.next_held(client) {
        from_client::frame(step, client, Ok(frame));
    }
}

/// Answers what a client has sent behind an `initialize` for which there is no agent with the
/// same refusal. The client may end now: it will get nothing else.
fn without_agent(step: &mut Step<'_>, client: ClientId, refusal: &Refusal) {
    let held = step.books.client_mut(client).map(|row| row.held.take());
    for frame in held.unwrap_or_default() {
        if frame.kind == FrameKind::Request {
            answer::refuse(step, client, &frame, refusal);
        }
    }
    let cause = match refusal {
        Refusal::HandshakeTimeout { .. } => ShutdownCause::InitializeTimedOut,
        _ => ShutdownCause::InitializeFailed,
    };
    step.effect(Effect::NoAgent { client, sentence: refusal.message(), cause });
}

/// Handles the requests that waited for an open, or behind one of these, and do not any more.
pub fn behind_opens(step: &mut Step<'_>) {
    let waiting: Vec<CallId> = step.books.calls_behind_opens().collect();
    for id in waiting {
        let Some(call) = step.books.call(id) else { continue };
        let (Asker::Client(client, _), Stage::Held(frame)) = (&call.asker, &call.stage) else {
            step.books.take_call(id);
            continue;
        };
        let client = *client;
        let Purpose::BehindOpen(behind) = call.purpose else { continue };
        let named = step.books.meaning_in(client, frame);
        if step.books.is_behind_held(client, frame, Some(id))
            || step.books.is_behind_open(client, named, frame)
            || step.books.is_behind_turn(behind, named, frame)
        {
            continue;
        }
        // Its session is parked again: it keeps its place before those that came later.
        if let (Behind::Revival, Some(Meaning::Parked(key))) = (behind, named)
            && parked::is_for_live(frame)
        {
            revive::begin(step, client, key);
            continue;
        }
        let frame = (**frame).clone();
        step.books.take_call(id);
        #[cfg(feature = "seeded-bugs")]
        if seeded::is(seeded::Bug::LoseWaitingRequest) && behind == Behind::Revival {
            continue;
        }
        from_client::request(step, client, named, &frame);
    }
}

/// Handles a close that has waited for its whole timeout: what it waited for is given up. A
/// session that the agent opens all the same is closed again.
pub fn close_is_due(step: &mut Step<'_>, id: CallId) {
    let Some(call) = step.books.call(id) else { return step.books.absent(id) };
    let (Asker::Client(client, _), Stage::Held(frame)) = (&call.asker, &call.stage) else {
        return step.books.absent(id);
    };
    let (client, frame) = (*client, (**frame).clone());
    let Some(named) = frame.session() else { return step.books.absent(id) };
    for open in step.books.opens_of(client, &named) {
        opened::given_up(step, open, &Refusal::SessionClosing);
    }
    // Earlier requests about the session, which is not opened now.
    let waiting: Vec<CallId> = step.books.calls_behind_opens().collect();
    for earlier in waiting.into_iter().take_while(|earlier| *earlier < id) {
        let its = step.books.call(earlier).filter(|call| call.client() == Some(client));
        let Some(Stage::Held(held)) = its.map(|call| &call.stage) else { continue };
        if held.session().as_ref() != Some(&named) {
            continue;
        }
        match held.method {
            Method::SessionPrompt => answer::succeed(step, earlier, CANCELLED_TURN),
            _ => answer::fail(step, earlier, &Refusal::SessionClosing),
        };
    }
    let named = step.books.meaning(client, &named);
    if matches!(named, Meaning::Session(_)) && step.books.take_call(id).is_some() {
        return from_client::request(step, client, Some(named), &frame);
    }
    answer::succeed(step, id, b"{}");
}
