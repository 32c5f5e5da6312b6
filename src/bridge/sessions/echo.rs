//! The view that the other clients of a session have of a turn: its prompt, as the user's message,
//! and its beginning and its end.
//!
//! In protocol version 1 an agent does not repeat the prompt. Of one that does, that is learned,
//! and its own words count.

use crate::bridge::id::{ClientId, SessionKey};
use crate::bridge::outgoing::messages::TurnParams;
use crate::bridge::outgoing::{compose, deliver};
use crate::bridge::sessions::publish;
use crate::bridge::step::Step;
use crate::wire::{Frame, json};

/// Shows the prompt of a client to the others that are attached, and keeps it for those that
/// come later.
pub fn prompt(step: &mut Step<'_>, key: SessionKey, client: Option<ClientId>, prompt: &Frame) {
    let Some(session) = step.books.session(key) else { return step.books.absent(key) };
    if step.books.channel(session.channel).is_some_and(|row| row.echoes) {
        return;
    }
    let agent_id = session.agent_id.clone();
    let text = prompt.bytes();
    let blocks = prompt.find(&["prompt"]).map(|blocks| json::elements(text, blocks));
    for block in blocks.unwrap_or_default() {
        let content = ("content", block.of(text));
        let update = compose::update(&agent_id, "user_message_chunk", content);
        deliver::own_update(step, key, &update, client);
    }
}

/// Tells the other clients of a session that want it that a turn has begun or ended. `stop`: the
/// agent's answer to the prompt.
pub fn turn(
    step: &mut Step<'_>,
    key: SessionKey,
    client: Option<ClientId>,
    state: &'static str,
    stop: Option<&Frame>,
) {
    let Some(session) = step.books.session(key) else { return step.books.absent(key) };
    if session.clients().iter().all(|other| Some(*other) == client) {
        return;
    }
    let (channel, clients) = (session.channel, session.clients().to_vec());
    let stop_reason = stop.and_then(|frame| frame.find_text(&["stopReason"]));
    let params = TurnParams { session_id: &session.id, state, stop_reason: stop_reason.as_deref() };
    let notification = compose::notification("_drawbridge/turn", &params);
    for other in clients.into_iter().filter(|other| Some(*other) != client) {
        if publish::is_told(step.books, other) {
            step.send_to_client(other, channel, notification.clone());
        }
    }
}
