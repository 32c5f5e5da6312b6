//! The settings of a session that was restored are made what they were, one after the other. No
//! request of a client reaches the agent before that: it may have come back with more rights than
//! it had.

use crate::bridge::books::call::{Asker, Call, Purpose, Stage};
use crate::bridge::books::restoring::{LateReplay, Next};
use crate::bridge::id::{CallId, SessionKey};
use crate::bridge::notice::Notice;
use crate::bridge::outgoing::messages::SessionParams;
use crate::bridge::outgoing::{answer, compose, deliver, send};
use crate::bridge::reason::EndReason;
use crate::bridge::refusal::Refusal;
#[cfg(feature = "seeded-bugs")]
use crate::bridge::seeded;
use crate::bridge::sessions::close::{self, Ending};
use crate::bridge::sessions::park::{self, Answer};
use crate::bridge::sessions::{experience, publish};
use crate::bridge::settings::{Setting, Told};
use crate::bridge::step::Step;
use crate::wire::json::quoted;
use crate::wire::{Frame, FrameKind, Token, splice};

/// Makes the next setting of a restored session what it was; after the last one the session is as
/// it was, unless a replay may still come.
pub fn proceed(step: &mut Step<'_>, key: SessionKey) {
    let Some(session) = step.books.session_mut(key) else { return step.books.absent(key) };
    let Some(restoring) = &mut session.restoring else { return step.books.absent(key) };
    #[cfg(feature = "seeded-bugs")]
    if seeded::is(seeded::Bug::PromptBeforeModeConfirmed) {
        return finish(step, key);
    }
    match restoring.next() {
        Next::Set(setting) => ask(step, key, setting),
        Next::Contradiction(setting) => {
            let what = format!("keeps another value than {}", spelled(&setting));
            fail(step, key, (what, String::new()), Blame::Agent);
        }
        Next::Done if restoring.replay.is_some() => {}
        Next::Done => finish(step, key),
    }
}

/// A setting, for people.
fn spelled(setting: &Setting) -> String {
    match setting {
        Setting::Mode(mode) => format!("the mode `{mode}`"),
        Setting::Model(model) => format!("the model `{model}`"),
        Setting::Option { id, value } => format!("the option `{id}` {value}"),
        Setting::Other { method, .. } => format!("the last {method}"),
    }
}

/// Asks the agent to set a setting.
fn ask(step: &mut Step<'_>, key: SessionKey, setting: Setting) {
    let now = step.now;
    let Some(session) = step.books.session(key) else { return step.books.absent(key) };
    let channel = session.channel;
    let id = quoted(&session.agent_id);
    let member = |name: &str, value: &str| format!(r#"{{"sessionId":{id},"{name}":{value}}}"#);
    let (method, params) = match &setting {
        Setting::Mode(mode) => ("session/set_mode", member("modeId", &quoted(mode))),
        Setting::Model(model) => ("session/set_model", member("modelId", &quoted(model))),
        Setting::Option { id: option, value } => {
            let kind =
                if matches!(&**value, "true" | "false") { r#""type":"boolean","# } else { "" };
            let option = quoted(option);
            let params =
                format!(r#"{{"sessionId":{id},"configId":{option},{kind}"value":{value}}}"#);
            ("session/set_config_option", params)
        }
        Setting::Other { method, params, .. } => {
            let params = splice::set(params.as_bytes(), &["sessionId"], id.as_bytes());
            (&**method, String::from_utf8_lossy(&params).into_owned())
        }
    };
    let Some(frame) = compose::held_request(&Token::number(0), method, params.as_bytes()) else {
        let what = format!("cannot be asked for {}", spelled(&setting));
        return fail(step, key, (what, String::new()), Blame::Nobody);
    };
    let stage = step.books.sent_now(channel, now);
    let purpose = Purpose::Reapply(Box::new(setting));
    let call = Call::in_session(session, Asker::Nobody, purpose, Stage::held(&frame), now);
    let call = step.books.add_call(call);
    if let Some(row) = step.books.call_mut(call) {
        row.stage = stage;
    }
    send::under_number(step, channel, &frame, call);
}

/// Handles the agent's answer to such a request.
pub fn answered(step: &mut Step<'_>, id: CallId, setting: Setting, frame: &Frame) {
    let Some(call) = step.books.take_call(id) else { return step.books.absent(id) };
    let Some(key) = call.session else { return step.books.absent(id) };
    // The session may have ended meanwhile.
    let Some(session) = step.books.session_mut(key) else { return };
    let Some(restoring) = &mut session.restoring else { return step.books.absent(key) };
    if frame.kind == FrameKind::Failure {
        let words = frame.find_text(&["message"]).map(Into::into).unwrap_or_default();
        let what = format!("refused {}", spelled(&setting));
        return fail(step, key, (what, words), Blame::Agent);
    }
    restoring.accepted(setting);
    restoring.tell(&Told::in_result(&frame.body_bytes()));
    proceed(step, key);
}

/// Handles that the agent has not answered such a request in time.
pub fn timed_out(step: &mut Step<'_>, id: CallId, setting: &Setting) {
    let refusal = Refusal::Cancelled;
    let Some(call) = answer::fail(step, id, &refusal) else { return step.books.absent(id) };
    if let Some(key) = call.session.filter(|key| step.books.session(*key).is_some()) {
        let what = format!("did not say in time whether it set {}", spelled(setting));
        fail(step, key, (what, String::new()), Blame::Nobody);
    }
}

/// Handles that the replay of a restored session is over.
pub fn replay_is_over(step: &mut Step<'_>, key: SessionKey) {
    let Some(session) = step.books.session_mut(key) else { return step.books.absent(key) };
    let Some(restoring) = &mut session.restoring else { return step.books.absent(key) };
    let came = restoring.replay.take().is_some_and(LateReplay::came);
    let (channel, is_quiet) = (session.channel, session.calls.is_empty());
    experience::of_replay(step, channel, came);
    if is_quiet {
        proceed(step, key);
    }
}

/// Ends the revival: the session is as it was, and the requests that wait reach the agent.
fn finish(step: &mut Step<'_>, key: SessionKey) {
    let now = step.now;
    let Some(session) = step.books.session_mut(key) else { return step.books.absent(key) };
    let Some(restoring) = session.restoring.take() else { return step.books.absent(key) };
    (session.last_seen, session.heard_at) = (now, now);
    let (id, channel) = (session.id.clone(), session.channel);
    let agent_id = session.agent_id.clone();
    let clients = session.clients().to_vec();
    for setting in &restoring.dropped {
        let what = spelled(setting);
        step.publish(Notice::SettingDropped { session: key, id: id.to_string(), what });
        let Some(session) = step.books.session_mut(key) else { return step.books.absent(key) };
        let Some(recipe) = &mut session.recipe else { continue };
        recipe.settings.forget(setting);
        let Some(value) = restoring.value_of(setting) else { continue };
        recipe.settings.tell(value.clone());
        let update = match value {
            Setting::Mode(mode) => {
                let mode = quoted(mode);
                let value = ("currentModeId", mode.as_bytes());
                Some(compose::update(&agent_id, "current_mode_update", value))
            }
            Setting::Option { .. } => restoring.options.as_ref().map(|options| {
                compose::update(&agent_id, "config_option_update", ("configOptions", options))
            }),
            Setting::Model(_) | Setting::Other { .. } => None,
        };
        if let Some(update) = update {
            deliver::own_update(step, key, &update, None);
        }
    }
    step.outgoing.measures.restores += 1;
    let params = SessionParams { session_id: &id };
    for client in clients {
        if publish::is_told(step.books, client) {
            let told = compose::notification("_drawbridge/session_restored", &params);
            step.send_to_client(client, channel, told);
        }
    }
    step.publish(Notice::SessionRestored { session: key, id: id.into(), channel });
    step.books.touch_placement();
}

/// The one to blame for a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Blame {
    /// The agent: it is not believed any more to restore sessions.
    Agent,
    /// Nobody: another attempt may succeed.
    Nobody,
}

/// Gives a revival up: the session is closed at its agent and parked again, and the requests that
/// wait are refused. `what`: what the agent did, and its words.
fn fail(step: &mut Step<'_>, key: SessionKey, (what, words): (String, String), blame: Blame) {
    let Some(session) = step.books.session(key) else { return step.books.absent(key) };
    let (id, clients, channel) = (session.id.clone(), session.clients().to_vec(), session.channel);
    step.outgoing.measures.failed_restores += 1;
    let had_record = session.recipe.as_ref().is_some_and(|recipe| recipe.has_record);
    let agent = step.books.agent_name_on(channel);
    step.publish(Notice::RestoreFailed { session: key, id: id.to_string(), what: what.clone() });
    close::end_session(step, key, EndReason::RestoreFailed, Ending::InOrder);
    if blame == Blame::Agent && had_record {
        experience::of_other_settings(step, channel);
    }
    let refusal = Refusal::RestoreFailed { agent, id: id.to_string(), what, words };
    park::refuse_waiting_of(step, &clients, &id, |_| Answer::Refused(refusal.clone()));
}
