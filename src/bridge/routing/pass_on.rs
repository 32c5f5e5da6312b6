//! Requests that pass on to an agent because the bridge has no reason of its own to refuse
//! them: about passing ids, and about ids that the books do not know.

use crate::bridge::books::call::{Call, PassedOn, Purpose};
use crate::bridge::books::passing::{Owner, PassingState};
use crate::bridge::books::session_names::Name;
use crate::bridge::channels::backpressure;
use crate::bridge::id::{CallId, ChannelId, ClientId, PassingKey};
use crate::bridge::outgoing::{answer, compose, deliver, dropped, passing_ids, send, translate};
use crate::bridge::reason::{DropReason, EndReason};
use crate::bridge::refusal::Refusal;
use crate::bridge::sessions::close::{self, Ending};
use crate::bridge::sessions::close_call;
use crate::bridge::step::Step;
use crate::wire::{Frame, FrameKind, Method};

/// The kind of a request about a passing or an unknown id.
fn kind(frame: &Frame) -> PassedOn {
    match frame.method {
        Method::SessionPrompt => PassedOn::Prompt,
        Method::SessionClose => PassedOn::End(EndReason::ClientClose),
        Method::SessionDelete => PassedOn::End(EndReason::Deleted),
        Method::NesClose => PassedOn::EndSuggestions,
        _ => PassedOn::Other,
    }
}

/// Sends a request about a passing id to the channel that has the id.
pub fn about_passing_id(step: &mut Step<'_>, client: ClientId, key: PassingKey, frame: &Frame) {
    let Some(row) = step.books.passing(key) else { return step.books.absent(key) };
    let (channel, id, owner) = (row.channel, row.agent_id.clone(), row.owner);
    if step.books.does_not_read(channel) {
        return backpressure::refuse(step, client, frame);
    }
    let can_close = step.books.channel(channel).is_some_and(|row| row.capabilities.close);
    if frame.method == Method::SessionClose && !can_close {
        let refusal = Refusal::UnknownSession { id: frame.session().unwrap_or_default().into() };
        return answer::refuse(step, client, frame, &refusal);
    }
    if let Owner::Session(parent) = owner {
        step.books.mark_seen(parent, step.now);
    }
    let purpose = Purpose::PassedOn { id, home: Some(channel), kind: kind(frame) };
    if is_ready(step, channel) {
        send::named(step, client, Name::Passing(key), purpose, frame);
        return;
    }
    let id = step.books.wait_for_channel(client, purpose, frame, step.now);
    let Some(id) = id else { return step.books.absent(client) };
    step.books.move_call(id, Some(channel));
}

/// Whether a channel may be sent requests now; if not, they are held until it may.
fn is_ready(step: &Step<'_>, channel: ChannelId) -> bool {
    let row = step.books.channel(channel);
    row.is_some_and(|row| row.is_open() && !step.books.is_being_set_up(row))
}

/// Makes a request about an id that the books do not know, or about a session that is not
/// open any more, wait for a channel: the one that had the id last, else the one that last
/// served the client.
pub fn about_unknown_id(step: &mut Step<'_>, client: ClientId, frame: &Frame) {
    let Some(named) = frame.session() else { return step.books.absent(client) };
    let pool = step.books.client(client).and_then(|row| step.books.pool(row.pool?));
    let can_close = pool.is_some_and(|pool| pool.capabilities.close);
    if frame.method == Method::SessionClose && !can_close {
        let refusal = Refusal::UnknownSession { id: named.into() };
        return answer::refuse(step, client, frame, &refusal);
    }
    let (id, home) = step.books.stored(client, &named);
    let purpose = Purpose::PassedOn { id, home, kind: kind(frame) };
    step.books.wait_for_channel(client, purpose, frame, step.now);
}

/// Passes a notification about such an id on; without a channel it is dropped, since a
/// notification starts no agent.
pub fn notification(step: &mut Step<'_>, client: ClientId, frame: &Frame) {
    let Some(named) = frame.session() else { return step.books.absent(client) };
    let (id, home) = step.books.stored(client, &named);
    let row = step.books.client(client);
    let last = row.and_then(|row| row.served_by);
    let is_open = |id: &ChannelId| step.books.channel(*id).is_some_and(|row| row.is_open());
    let Some(channel) = [home, last].into_iter().flatten().find(is_open) else {
        return dropped::of_client(step, client, frame, DropReason::NoReceiver);
    };
    if step.books.means_another(channel, &id, &named) {
        return dropped::of_client(step, client, frame, DropReason::OfOthers);
    }
    let outgoing = translate::for_agent(step.books, channel, Some(client), frame, None, Some(&id));
    send::pass_notification(step, channel, (client, frame), outgoing);
}

/// Handles the answer to a request in a session, or to one that was passed on.
pub fn answered(step: &mut Step<'_>, channel: ChannelId, id: CallId, frame: &Frame) {
    let now = step.now;
    let Some(call) = step.books.take_call(id) else { return step.books.absent(id) };
    if let Some(session) = call.session.and_then(|key| step.books.session_mut(key)) {
        (session.last_seen, session.heard_at) = (now, now);
    }
    let succeeded = frame.kind == FrameKind::Success;
    if let Purpose::PassedOn { id, kind, .. } = &call.purpose {
        ended(step, channel, &call, id, (*kind, succeeded));
    }
    let is_plain = !matches!(&call.purpose, Purpose::WithoutSession { unknown: false });
    let client = call.client().filter(|_| succeeded && is_plain);
    let key = client.and_then(|client| made(step, channel, client, frame));
    answer::pass(step, &call, frame);
    if let Some(key) = key {
        deliver::early(step, key);
    }
}

/// Ends a prompt or a close under a passing id that the agent did not answer in time: to the
/// client the close is done, and the turn is cancelled.
pub fn timed_out(step: &mut Step<'_>, channel: ChannelId, id: CallId) {
    let Some(call) = step.books.call(id) else { return step.books.absent(id) };
    let Purpose::PassedOn { id: agent_id, .. } = &call.purpose else { return };
    let (agent_id, is_close) = (agent_id.clone(), call.is_close());
    if let Some(key) = call.session {
        step.books.mark_seen(key, step.now);
    }
    if let Some(row) = step.books.channel_in_passing(channel) {
        row.forsake(id);
    }
    if !is_close {
        let agent = step.books.agent_name_of(id);
        answer::fail(step, id, &Refusal::PromptTimeout { agent });
        return send::cancel_turn(step, channel, &agent_id);
    }
    let Some(call) = step.books.take_call(id) else { return step.books.absent(id) };
    ended(step, channel, &call, &agent_id, (PassedOn::End(EndReason::ClientClose), true));
    answer::give(step, &call.asker, channel, |token| compose::success(token, b"{}"));
}

/// Notes what a request that was passed on has come to, at what its id means now.
fn ended(
    step: &mut Step<'_>,
    channel: ChannelId,
    call: &Call,
    agent_id: &str,
    (kind, succeeded): (PassedOn, bool),
) {
    match step.books.channel(channel).and_then(|row| row.names.get(agent_id)) {
        Some(Name::Passing(key)) if succeeded => judged(step, channel, key, kind),
        // The agent knows nothing by an id of which it has never spoken.
        Some(Name::Passing(_)) => passing_ids::end_unknown(step, channel, agent_id, true),
        // The id named no session yet when the request was sent; the agent has opened
        // one of that id for this client first, and has now ended it.
        Some(Name::Session(key)) => {
            if let (PassedOn::End(reason), true) = (kind, succeeded)
                && call.client().is_some_and(|client| step.books.is_attached(client, key))
            {
                close::end_session(step, key, reason, Ending::InOrder);
            }
        }
        None => {}
    }
}

/// Notes what the success of a request about a passing id says of that id.
fn judged(step: &mut Step<'_>, channel: ChannelId, key: PassingKey, kind: PassedOn) {
    match step.books.passing_mut(key) {
        Some(row) if kind.ends() => row.state = PassingState::Ended,
        Some(row) if row.state == PassingState::Named => step.books.hold_passing(key),
        Some(_) => {}
        None => step.books.absent(key),
    }
    // An ended id may have been all that kept the channel.
    step.books.touch_channel(channel);
}

/// Binds the session id that the answer to an extension request has brought; `None`: it brings
/// none, or one that is known.
fn made(
    step: &mut Step<'_>,
    channel: ChannelId,
    client: ClientId,
    frame: &Frame,
) -> Option<PassingKey> {
    let id = frame.find_text(&["sessionId"])?;
    if let Some(name) = step.books.channel(channel)?.names.get(&id) {
        let Name::Passing(key) = name else { return None };
        if step.books.clients_of_passing(key).contains(&client) {
            step.books.hold_passing(key);
            if step.books.is_held(key) {
                return None;
            }
        }
        // It was another client's, or made up by one that means something else by it.
        step.books.remove_passing(key);
    }
    // The agent uses the id of a closed session again: that one will not speak any more.
    if step.books.channel(channel)?.tombstones.contains(&id) {
        close_call::flush_tombstone(step, channel, &id, false);
    }
    let owner = Owner::Client(client);
    let key = passing_ids::add(step, channel, (&id, None), owner, PassingState::Held)?;
    if let Some(row) = step.books.channel_mut(channel) {
        row.tombstones.remove(&id);
    }
    Some(key)
}
