//! Messages to agents: calls that were held, requests in a session, notifications.

use crate::bridge::books::call::{Asker, Call, Purpose, Stage};
use crate::bridge::books::channel::MAX_UNREAD;
use crate::bridge::id::{CallId, ChannelId, ClientId, SessionKey};
use crate::bridge::outgoing::messages::SessionParams;
use crate::bridge::outgoing::translate::{renamed, to_agent};
use crate::bridge::outgoing::{compose, secrets};
use crate::bridge::step::Step;
use crate::wire::{Frame, Method, OutgoingFrame, Token};

/// Makes a client's request in a live session a call, and sends it.
pub fn in_session(
    step: &mut Step<'_>,
    client: ClientId,
    key: SessionKey,
    purpose: Purpose,
    frame: &Frame,
) {
    let (now, asker) = (step.now, Asker::Client(client, frame.id()));
    let Some(session) = step.books.session(key) else { return step.books.absent(key) };
    let channel = session.channel;
    let agent_id: Option<Box<str>> = renamed(session, frame).map(Into::into);
    let call = Call::in_session(session, asker, purpose, Stage::Sent(now), now);
    let id = step.books.add_call(call);
    if frame.method.may_hold_secrets() {
        secrets::conceal(step, channel, frame);
    }
    let outgoing = to_agent(frame, Some(Token::number(id.0)), agent_id.as_deref());
    step.send_to_channel(channel, outgoing);
}

/// Sends `session/cancel` for a turn of a session that the bridge ends.
pub fn cancel_turn(step: &mut Step<'_>, channel: ChannelId, agent_id: &str) {
    let params = SessionParams { session_id: agent_id };
    step.send_to_channel(channel, compose::notification(Method::SessionCancel.name(), &params));
}

/// Sends an agent a client's notification. If the agent does not read, at most
/// `MAX_UNREAD` bytes are sent; further notifications are dropped and counted.
pub fn pass_notification(step: &mut Step<'_>, channel: ChannelId, frame: OutgoingFrame) {
    let row = step.books.channel_in_passing(channel);
    if let Some(unread) = row.and_then(|row| row.unread.as_mut()) {
        if *unread + frame.len() > MAX_UNREAD {
            step.outgoing.counters.unrouted += 1;
            return;
        }
        *unread += frame.len();
    }
    step.send_to_channel(channel, frame);
}

/// Sends a call that was held.
pub fn held(step: &mut Step<'_>, id: CallId) {
    let now = step.now;
    let Some(call) = step.books.call_mut(id) else { return step.books.absent(id) };
    let Some(channel) = call.channel else { return step.books.absent(id) };
    let Stage::Held(frame) = std::mem::replace(&mut call.stage, Stage::Sent(now)) else {
        return;
    };
    // The frame must name its session by the agent's own id.
    let agent_id = match (call.opening(), call.session) {
        (Some(opening), _) => opening.agent_id.clone(),
        (None, Some(key)) => {
            let session = step.books.session(key);
            session.and_then(|session| renamed(session, &frame)).map(Into::into)
        }
        (None, None) => match &call.purpose {
            Purpose::Stored { id, .. } => Some(id.clone()),
            _ => None,
        },
    };
    if frame.method.may_hold_secrets() {
        secrets::conceal(step, channel, &frame);
    }
    let outgoing = to_agent(&frame, Some(Token::number(id.0)), agent_id.as_deref());
    step.send_to_channel(channel, outgoing);
}
