//! Answers to askers: a result, a refusal, or the answer of the agent.

use crate::bridge::books::call::{Asker, Call, Purpose};
use crate::bridge::books::parked::Failure;
use crate::bridge::id::{CallId, ClientId, Lane};
use crate::bridge::outgoing::{compose, dropped, passing_ids, translate};
use crate::bridge::refusal::Refusal;
use crate::bridge::step::Step;
use crate::wire::{Frame, OutgoingFrame, Token};

/// The result of a turn that the bridge ended.
pub const CANCELLED_TURN: &[u8] = br#"{"stopReason":"cancelled"}"#;

/// Ends a call with the agent's answer.
pub fn forward(step: &mut Step<'_>, id: CallId, frame: &Frame) -> Option<Call> {
    let call = step.books.take_call(id)?;
    pass(step, &call, frame);
    Some(call)
}

/// Sends the asker of a call, which is over, the agent's answer.
pub fn pass(step: &mut Step<'_>, call: &Call, frame: &Frame) {
    if let (Asker::Client(client, token), Some(channel)) = (&call.asker, call.channel) {
        let token = Some(token.clone());
        let outgoing = translate::for_client(step.books, channel, *client, frame, token);
        step.send_to_client(*client, channel, outgoing);
    }
}

/// Answers a request of a client that never became a call.
pub fn refuse(step: &mut Step<'_>, client: ClientId, frame: &Frame, refusal: &Refusal) {
    dropped::refused(step, &client, &frame.method_name(), &frame.id(), refusal);
    let lane = step.books.lane_of_answer(client, frame);
    step.send_to_client(client, lane, compose::failure(&frame.id(), refusal));
}

/// Answers a line of a client that is no whole request.
pub fn refuse_line(step: &mut Step<'_>, client: ClientId, token: &Token, refusal: &Refusal) {
    dropped::refused(step, &client, "a line", token, refusal);
    step.send_to_client(client, Lane::Bridge, compose::failure(token, refusal));
}

/// Sends an asker, in this lane, the answer that `answer` makes from the asker's own id.
/// Nothing is sent if the asker is no client, or gone.
pub fn give(
    step: &mut Step<'_>,
    asker: &Asker,
    lane: impl Into<Lane>,
    answer: impl FnOnce(&Token) -> OutgoingFrame,
) {
    if let Asker::Client(client, token) = asker {
        step.send_to_client(*client, lane, answer(token));
    }
}

/// Answers the asker of a call, which is over or has lost its asker, with a refusal.
pub fn refuse_call(
    step: &mut Step<'_>,
    asker: &Asker,
    lane: impl Into<Lane>,
    method: &str,
    refusal: &Refusal,
) {
    if let Asker::Client(client, token) = asker {
        dropped::refused(step, client, method, token, refusal);
    }
    give(step, asker, lane, |token| compose::failure(token, refusal));
}

/// Ends a call with a result of the bridge's own.
pub fn succeed(step: &mut Step<'_>, id: CallId, result: &[u8]) -> Option<Call> {
    let call = step.books.take_call(id)?;
    give(step, &call.asker, call.channel, |token| compose::success(token, result));
    Some(call)
}

/// Ends a call with a refusal. If the call is a part of a fan-out, the refusal counts as
/// the answer of its channel.
pub fn fail(step: &mut Step<'_>, id: CallId, refusal: &Refusal) -> Option<Call> {
    let call = step.books.take_call(id)?;
    if call.is_sent()
        && let Some(row) = call.channel.and_then(|id| step.books.channel_in_passing(id))
    {
        row.forsake(id);
    }
    if let (Purpose::PassedOn { id, .. }, Some(channel)) = (&call.purpose, call.channel) {
        passing_ids::end_unknown(step, channel, id, call.is_sent());
    }
    if let Purpose::Part(fanout) = call.purpose
        && let Some(failure) = compose::missing_answer(&Token::number(id.0), refusal)
    {
        step.books.part_answered(fanout, &failure);
    }
    if let (Purpose::Initialize, Some(client)) = (&call.purpose, call.client()) {
        step.books.introduction_failed(client, refusal);
    }
    if let Some(key) = call.opening().and_then(|opening| opening.revives) {
        step.books.revival_failed(key, Failure::GivenUp(Box::new(refusal.clone())));
    }
    refuse_call(step, &call.asker, call.channel, call.purpose.method(), refusal);
    Some(call)
}
