//! Messages to agents: calls that were held, requests in a session, notifications.

use crate::bridge::books::call::{Asker, Call, OpenKind, Purpose, RepeatLogin, Stage};
use crate::bridge::books::channel::MAX_UNREAD;
use crate::bridge::books::handles::HandleKind;
use crate::bridge::books::passing::Owner;
use crate::bridge::books::session_names::Name;
use crate::bridge::effect::Effect;
use crate::bridge::id::{CallId, ChannelId, ClientId};
use crate::bridge::outgoing::messages::SessionParams;
use crate::bridge::outgoing::translate::{for_agent, servers_of};
use crate::bridge::outgoing::{compose, dropped, secrets};
use crate::bridge::reason::DropReason;
use crate::bridge::step::Step;
use crate::wire::{Frame, Method, OutgoingFrame, Token, json};

/// Makes a client's request about a live session or a passing id a call, and sends it.
pub fn named(
    step: &mut Step<'_>,
    client: ClientId,
    name: Name,
    purpose: Purpose,
    frame: &Frame,
) -> Option<CallId> {
    let (now, asker) = (step.now, Asker::Client(client, frame.id()));
    let (agent, channel, session) = match name {
        Name::Session(key) => {
            let session = step.books.session(key)?;
            (session.agent, session.channel, Some(key))
        }
        Name::Passing(key) => {
            let row = step.books.passing(key)?;
            let parent = match row.owner {
                Owner::Session(parent) => Some(parent),
                Owner::Client(_) => None,
            };
            (row.agent, row.channel, parent)
        }
    };
    if let Some(row) = step.books.client_mut(client) {
        row.served_by = Some(channel);
    }
    // Nearly always clients know it by the agent's own id.
    let differs = |id: &&str| frame.session().is_some_and(|named| named != *id);
    let agent_id: Option<Box<str>> = step.books.agent_id(name).filter(differs).map(Into::into);
    let stage = step.books.sent_now(channel, now);
    let call = Call::on_channel((agent, channel), asker, purpose, stage, now);
    let call = match session {
        Some(key) => call.of_session(key),
        None => call,
    };
    let id = step.books.add_call(call);
    to_agent(step, channel, Some(client), frame, id, agent_id.as_deref());
    Some(id)
}

/// Sends a client's request to a channel's agent under the number of a call.
fn to_agent(
    step: &mut Step<'_>,
    channel: ChannelId,
    client: Option<ClientId>,
    frame: &Frame,
    id: CallId,
    agent_id: Option<&str>,
) {
    if frame.method.may_hold_secrets() {
        secrets::conceal(step, channel, frame);
    }
    if let (Some(kind), Some(client)) = (OpenKind::of(frame.method), client) {
        if matches!(kind, OpenKind::Load | OpenKind::Resume) {
            // Messages about the session on another channel come first. The other ways to open
            // one bring an id that is new.
            step.effect(Effect::Fence { client, lane: channel.into() });
        }
        if let Some(row) = step.books.channel_in_passing(channel) {
            for server in servers_of(frame) {
                if let Some(server) = json::text(frame.bytes(), server) {
                    row.handles.bind_of_client(HandleKind::Server, client, &server);
                }
            }
        }
    }
    let number = Some(Token::number(id.0));
    let outgoing = for_agent(step.books, channel, client, frame, number, agent_id);
    step.send_to_channel(channel, outgoing);
}

/// Sends a request of the bridge to a channel's agent under the number of a call.
pub fn under_number(step: &mut Step<'_>, channel: ChannelId, frame: &Frame, id: CallId) {
    to_agent(step, channel, None, frame, id, None);
}

/// Sends `session/cancel` for a turn of a session that the bridge ends.
pub fn cancel_turn(step: &mut Step<'_>, channel: ChannelId, agent_id: &str) {
    let params = SessionParams { session_id: agent_id };
    step.send_to_channel(channel, compose::notification(Method::SessionCancel.name(), &params));
}

/// Sends an agent a client's notification, in the form that the agent gets. If the agent does
/// not read, at most `MAX_UNREAD` bytes are sent; further notifications are dropped.
pub fn pass_notification(
    step: &mut Step<'_>,
    channel: ChannelId,
    (client, frame): (ClientId, &Frame),
    outgoing: OutgoingFrame,
) {
    let row = step.books.channel_in_passing(channel);
    if let Some(unread) = row.and_then(|row| row.unread.as_mut()) {
        if *unread + outgoing.len() > MAX_UNREAD {
            return dropped::of_client(step, client, frame, DropReason::NotReading);
        }
        *unread += outgoing.len();
    }
    step.send_to_channel(channel, outgoing);
}

/// Sends a call that was held.
pub fn held(step: &mut Step<'_>, id: CallId) {
    let now = step.now;
    let Some(channel) = step.books.call(id).and_then(|call| call.channel) else {
        return step.books.absent(id);
    };
    let stage = step.books.sent_now(channel, now);
    let Some(call) = step.books.call_mut(id) else { return step.books.absent(id) };
    let Stage::Held(frame) = std::mem::replace(&mut call.stage, stage) else { return };
    let client = call.client();
    if let Purpose::Open(opening) = &mut call.purpose {
        match &opening.login {
            RepeatLogin::Unsent => opening.login = RepeatLogin::Possible(frame.clone()),
            RepeatLogin::Repeated { sent, .. } => call.stage = Stage::Sent(*sent),
            RepeatLogin::Possible(_) => {}
        }
    }
    // The frame must name its session by the agent's own id.
    let agent_id = match (&call.purpose, call.session) {
        (Purpose::Open(opening), _) => opening.agent_id.clone(),
        (Purpose::Stored { id, .. } | Purpose::PassedOn { id, .. }, _) => Some(id.clone()),
        (_, Some(key)) => step.books.session(key).map(|session| session.agent_id.clone()),
        (_, None) => None,
    };
    to_agent(step, channel, client, &frame, id, agent_id.as_deref());
}
