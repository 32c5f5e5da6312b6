//! Settings of a session that a client changes: the mode, the model, an option. The other clients
//! are told, those that come later find them so, and a session that is brought back gets them again.

use bytes::Bytes;

use crate::bridge::books::call::Purpose;
use crate::bridge::id::{CallId, ClientId, SessionKey};
use crate::bridge::outgoing::{answer, compose, deliver};
use crate::bridge::settings::{Setting, Told};
use crate::bridge::step::Step;
use crate::bridge::update::StateKind;
use crate::wire::json::quoted;
use crate::wire::{Frame, FrameKind};

/// The purpose of a request in a live session that may change a setting.
pub fn purpose(frame: &Frame) -> Purpose {
    match Setting::of(frame) {
        Some(_) => Purpose::Setting(Box::new(frame.detached())),
        None => Purpose::InSession,
    }
}

/// Handles the agent's answer to such a request.
pub fn answered(step: &mut Step<'_>, id: CallId, frame: &Frame, request: &Frame) {
    let now = step.now;
    let Some(call) = answer::forward(step, id, frame) else { return step.books.absent(id) };
    let Some(key) = call.session else { return };
    // The session may have ended meanwhile.
    let Some(session) = step.books.session_mut(key) else { return };
    (session.last_seen, session.heard_at) = (now, now);
    let Some(setting) = Setting::of(request).filter(|_| frame.kind == FrameKind::Success) else {
        return;
    };
    if let Some(recipe) = &mut session.recipe {
        recipe.settings.set(setting.clone());
        recipe.settings.tell_all(&Told::in_result(&frame.body_bytes()));
    }
    step.books.keep_anew(key);
    changed(step, key, call.client(), setting, frame);
}

/// Tells the other clients of a change, unless the agent has told it itself.
fn changed(
    step: &mut Step<'_>,
    key: SessionKey,
    client: Option<ClientId>,
    setting: Setting,
    answer: &Frame,
) {
    let Some(session) = step.books.session(key) else { return step.books.absent(key) };
    let has_others = session.clients().iter().any(|other| Some(*other) != client);
    if !(has_others || session.transcript.is_some()) {
        return;
    }
    let (kind, name, member, value) = match setting {
        Setting::Mode(mode) => {
            (StateKind::Mode, "current_mode_update", "currentModeId", quoted(&mode).into())
        }
        Setting::Option { .. } => {
            let Some(options) = Told::in_result(&answer.body_bytes()).options() else { return };
            (StateKind::Options, "config_option_update", "configOptions", options)
        }
        Setting::Model(model) => {
            let model = Bytes::from(quoted(&model));
            return step.books.change_transcript(key, |row| row.model = model);
        }
        Setting::Other { .. } => return,
    };
    let known = session.transcript.as_ref().and_then(|row| row.state_value(kind, member));
    if known.is_some_and(|known| *known == *value) {
        return;
    }
    let agent_id = session.agent_id.clone();
    let update = compose::update(&agent_id, name, (member, &value));
    deliver::own_update(step, key, &update, client);
}
