//! Frames of clients that are held until they can be handled: those behind an `initialize`
//! that is not answered yet, and requests about a conversation that is being restored.
//!
//! Without a bridge the agent reads them in their order. With one, their place may be known
//! only when what was sent before them is answered.

use crate::bridge::books::call::{Behind, Purpose, Stage};
use crate::bridge::id::{CallId, ClientId};
use crate::bridge::outgoing::answer::{self, CANCELLED_TURN};
use crate::bridge::outgoing::dropped;
use crate::bridge::reason::DropReason;
use crate::bridge::refusal::Refusal;
use crate::bridge::step::Step;
use crate::wire::{Frame, FrameKind, Method};

/// Holds a frame of a client whose `initialize` is not answered yet.
pub fn hold(step: &mut Step<'_>, client: ClientId, frame: &Frame) {
    let Some(row) = step.books.client_mut(client) else { return step.books.absent(client) };
    if row.held.hold(frame) {
        return;
    }
    match frame.kind {
        FrameKind::Request => {
            answer::refuse(step, client, frame, &Refusal::TooManyRequests);
        }
        _ => dropped::of_client(step, client, frame, DropReason::HeldTooMuch),
    }
}

/// Makes a request wait for an open of the session that it names, or behind a request that
/// does; `false`: too much waits already, and it is refused.
pub fn behind_open(step: &mut Step<'_>, client: ClientId, behind: Behind, frame: &Frame) -> bool {
    if !step.books.may_wait(client, frame) {
        answer::refuse(step, client, frame, &Refusal::TooManyRequests);
        return false;
    }
    step.books.wait_for_channel(client, Purpose::BehindOpen(behind), frame, step.now);
    true
}

/// Answers the prompts of a client that are held behind the restore of a conversation as
/// cancelled.
pub fn cancel_prompts(step: &mut Step<'_>, client: ClientId, named: &str) {
    let is_meant = |id: &CallId| {
        step.books.call(*id).is_some_and(|call| match &call.stage {
            Stage::Held(frame) => {
                call.client() == Some(client)
                    && frame.method == Method::SessionPrompt
                    && frame.session().as_deref() == Some(named)
            }
            _ => false,
        })
    };
    let prompts: Vec<CallId> = step.books.calls_behind_opens().filter(is_meant).collect();
    for id in prompts {
        answer::succeed(step, id, CANCELLED_TURN);
    }
}
