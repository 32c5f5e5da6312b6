//! Settings of a session that a client changes: the mode, the model, an option. The other clients
//! are told, and those that come later find them so.

use bytes::Bytes;

use crate::bridge::books::call::{Purpose, Setting};
use crate::bridge::id::{CallId, ClientId, SessionKey};
use crate::bridge::outgoing::{answer, compose, deliver};
use crate::bridge::step::Step;
use crate::bridge::update::StateKind;
use crate::wire::{Frame, FrameKind, Method};

/// The purpose of a request in a live session that may change a setting.
pub fn purpose(frame: &Frame) -> Purpose {
    let value = |member| {
        let place = frame.find(&[member]);
        place.map(|place| Bytes::copy_from_slice(place.of(frame.bytes())))
    };
    let setting = match frame.method {
        Method::SessionSetMode => value("modeId").map(Setting::Mode),
        Method::SessionSetConfigOption => Some(Setting::Options),
        Method::Other if frame.method_name() == "session/set_model" => {
            value("modelId").map(Setting::Model)
        }
        _ => None,
    };
    setting.map_or(Purpose::InSession, Purpose::Setting)
}

/// Handles the agent's answer to such a request.
pub fn answered(step: &mut Step<'_>, id: CallId, frame: &Frame, setting: &Setting) {
    let now = step.now;
    let Some(call) = answer::forward(step, id, frame) else { return step.books.absent(id) };
    let Some(key) = call.session else { return };
    // The session may have ended meanwhile.
    let Some(session) = step.books.session_mut(key) else { return };
    (session.last_seen, session.heard_at) = (now, now);
    if frame.kind == FrameKind::Success {
        changed(step, key, call.client(), setting, frame);
    }
}

/// Tells the other clients of a change, unless the agent has told it itself.
fn changed(
    step: &mut Step<'_>,
    key: SessionKey,
    client: Option<ClientId>,
    setting: &Setting,
    answer: &Frame,
) {
    let Some(session) = step.books.session(key) else { return step.books.absent(key) };
    let has_others = session.clients().iter().any(|other| Some(*other) != client);
    if !(has_others || session.transcript.is_some()) {
        return;
    }
    let text = answer.bytes();
    let (kind, name, member, value) = match setting {
        Setting::Mode(mode) => {
            (StateKind::Mode, "current_mode_update", "currentModeId", mode.clone())
        }
        Setting::Options => {
            let Some(options) = answer.find(&["configOptions"]) else { return };
            let options = Bytes::copy_from_slice(options.of(text));
            (StateKind::Options, "config_option_update", "configOptions", options)
        }
        Setting::Model(model) => {
            let model = model.clone();
            return step.books.change_transcript(key, |row| row.model = model);
        }
    };
    let known = session.transcript.as_ref().and_then(|row| row.state_value(kind, member));
    if known.is_some_and(|known| known == value) {
        return;
    }
    let agent_id = session.agent_id.clone();
    let update = compose::update(&agent_id, name, (member, &value));
    deliver::own_update(step, key, &update, client);
}
