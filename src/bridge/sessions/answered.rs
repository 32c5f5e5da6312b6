//! An agent answered a request in a session.

use crate::bridge::books::channel::{Hold, Tombstone};
use crate::bridge::id::{CallId, ChannelId, SessionKey};
use crate::bridge::outgoing::answer;
use crate::bridge::sessions::{close, turn};
use crate::bridge::step::Step;
use crate::wire::Frame;

pub fn prompt(step: &mut Step<'_>, channel: ChannelId, id: CallId, frame: &Frame) {
    if let Some(key) = in_session(step, channel, id, frame) {
        turn::ended(step, key);
    }
}

/// Forwards the answer to a request in a session; gives back the session if
/// it is live.
pub fn in_session(
    step: &mut Step<'_>,
    channel: ChannelId,
    id: CallId,
    frame: &Frame,
) -> Option<SessionKey> {
    let key = step.books.calls.get(&id).and_then(|call| call.session);
    answer::forward(step, id, frame);
    let key = key?;
    if step.books.sessions.contains_key(&key) {
        return Some(key);
    }
    // The session is closed: its tombstone may have waited for just this.
    let agent_id = step.books.channel(channel).and_then(|row| {
        let is_its = |tomb: &Tombstone| tomb.key == key && matches!(tomb.hold, Hold::Closing(_));
        row.tombstones.iter().find(|(_, tomb)| is_its(tomb)).map(|(id, _)| id.clone())
    });
    if let Some(agent_id) = agent_id {
        close::conclude_if_quiet(step, channel, &agent_id);
    }
    None
}
