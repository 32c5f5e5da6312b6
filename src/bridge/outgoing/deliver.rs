//! Notifications of agents, for clients.

use crate::bridge::books::passing::Owner;
use crate::bridge::books::session_names::Name;
use crate::bridge::effect::Effect;
use crate::bridge::id::{ChannelId, ClientId, Lane, PassingKey, SessionKey};
use crate::bridge::outgoing::passing_ids;
use crate::bridge::outgoing::translate;
use crate::bridge::step::Step;
use crate::wire::Frame;

/// The child session that an update of a sub-agent announces.
pub fn announced_child(frame: &Frame) -> Option<Box<str>> {
    let child = frame.child_session()?;
    (frame.update_kind()? == "subagent_update").then(|| child.into())
}

/// Sends a notification about a live session or a passing id to its clients.
pub fn named(step: &mut Step<'_>, name: Name, frame: Frame) {
    match name {
        Name::Session(key) => update(step, key, frame),
        Name::Passing(key) => under_passing_id(step, key, frame),
    }
}

/// Sends a notification of a live session, or about one of its passing ids, to all attached
/// clients.
pub fn update(step: &mut Step<'_>, key: SessionKey, frame: Frame) {
    let child = announced_child(&frame).and_then(|child| {
        let channel = step.books.session(key)?.channel;
        passing_ids::announced(step, channel, Owner::Session(key), &child)
    });
    to_attached(step, key, frame);
    if let Some(child) = child {
        early(step, child);
    }
}

/// Delivers the early frames of a passing id, which the agent has made known.
pub fn early(step: &mut Step<'_>, key: PassingKey) {
    let Some(row) = step.books.passing(key) else { return step.books.absent(key) };
    let (channel, id) = (row.channel, row.agent_id.clone());
    let Some(row) = step.books.channel_mut(channel) else { return step.books.absent(channel) };
    for frame in row.early.take(&id) {
        under_passing_id(step, key, frame);
    }
}

fn to_attached(step: &mut Step<'_>, key: SessionKey, frame: Frame) {
    let now = step.now;
    let Some(session) = step.books.session(key) else { return step.books.absent(key) };
    let channel = session.channel;
    if !session.calls.is_empty() {
        step.books.renew_reloads(key, now);
    }
    let exchanges_ids = step.books.exchanges_ids(channel);
    let Some(session) = step.books.session_in_passing(key) else { return step.books.absent(key) };
    session.last_seen = now;
    session.heard_at = now;
    session.seq += 1;
    if exchanges_ids {
        for client in session.clients().to_vec() {
            to_client(step, channel, client, &frame);
        }
        return;
    }
    // Without a client attached the notification goes nowhere.
    let lane = Lane::Channel(channel);
    let Some((last, others)) = session.clients().split_last() else { return };
    let frame = frame.into_whole();
    for client in others {
        step.outgoing.push(Effect::ToClient { client: *client, lane, frame: frame.clone() });
    }
    step.outgoing.push(Effect::ToClient { client: *last, lane, frame });
}

fn under_passing_id(step: &mut Step<'_>, key: PassingKey, frame: Frame) {
    let Some(row) = step.books.hear_passing(key) else { return step.books.absent(key) };
    let (channel, owner) = (row.channel, row.owner);
    match owner {
        Owner::Session(parent) => update(step, parent, frame),
        Owner::Client(client) => {
            let child = announced_child(&frame);
            let child = child.and_then(|id| passing_ids::announced(step, channel, owner, &id));
            to_client(step, channel, client, &frame);
            if let Some(child) = child {
                early(step, child);
            }
        }
    }
}

/// Sends a notification of a channel's agent to one client.
pub fn to_client(step: &mut Step<'_>, channel: ChannelId, client: ClientId, frame: &Frame) {
    let outgoing = translate::for_client(step.books, channel, client, frame, None);
    step.send_to_client(client, channel, outgoing);
}
