//! Updates of a session, for all attached clients.

use crate::bridge::effect::Effect;
use crate::bridge::id::SessionKey;
use crate::bridge::outgoing::translate::for_client;
use crate::bridge::step::Step;
use crate::wire::Frame;

/// The child session that an update of a sub-agent announces.
fn announced_child(frame: &Frame) -> Option<Box<str>> {
    let child = frame.child_session()?;
    (frame.update_kind()? == "subagent_update").then(|| child.into())
}

/// Sends a notification of a live session to all attached clients.
pub fn update(step: &mut Step<'_>, key: SessionKey, frame: Frame) {
    let now = step.now;
    if let Some(child) = announced_child(&frame) {
        step.books.add_child(key, &child);
    }
    let Some(session) = step.books.session_in_passing(key) else { return step.books.absent(key) };
    session.last_seen = now;
    session.seq += 1;
    // No client is attached.
    let Some((last, others)) = session.clients().split_last() else { return };
    let frame = for_client(session, frame);
    for client in others {
        step.outgoing.push(Effect::ToClient { client: *client, frame: frame.clone() });
    }
    step.outgoing.push(Effect::ToClient { client: *last, frame });
}
