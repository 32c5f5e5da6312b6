//! Notifications of agents, for clients.

use bytes::Bytes;

use crate::bridge::books::call::Call;
use crate::bridge::books::passing::Owner;
use crate::bridge::books::session::Session;
use crate::bridge::books::session_names::Name;
use crate::bridge::effect::Effect;
use crate::bridge::id::{CallId, ChannelId, ClientId, PassingKey, SessionKey};
use crate::bridge::outgoing::compose::OwnUpdate;
use crate::bridge::outgoing::listeners::{self, Showing};
use crate::bridge::outgoing::{passing_ids, translate};
use crate::bridge::restore::{Record, Replay};
use crate::bridge::settings::Told;
use crate::bridge::step::Step;
use crate::bridge::update::{Part, StateKind, UpdateKind};
use crate::wire::{Frame, OutgoingFrame, Run};

/// How long after the answer to a load a part of its replay may come (ms).
const LATE_REPLAY: u64 = 3_000;

/// The child session that an update of a sub-agent announces.
pub fn announced_child(frame: &Frame) -> Option<Box<str>> {
    let child = frame.child_session()?;
    (UpdateKind::of(frame) == UpdateKind::SubAgent).then(|| child.into())
}

/// Sends a notification about a live session or a passing id to its clients.
pub fn named(step: &mut Step<'_>, name: Name, frame: &Frame) {
    match name {
        Name::Session(key) => update(step, key, frame),
        Name::Passing(key) => under_passing_id(step, key, frame),
    }
}

/// Sends a notification of a live session, or about one of its passing ids, to all attached
/// clients.
pub fn update(step: &mut Step<'_>, key: SessionKey, frame: &Frame) {
    let child = announced_child(frame).and_then(|child| {
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
        under_passing_id(step, key, &frame);
    }
}

/// Sends updates of a live session to its clients, if that is one client that gets them as they
/// are. Returns them if not.
pub fn run(step: &mut Step<'_>, key: SessionKey, run: Run) -> Option<Run> {
    let session = step.books.session(key);
    let only = session.and_then(|session| listeners::plain_client(step.books, session));
    let Some(client) = only.filter(|_| !tells_settings(run.first())) else { return Some(run) };
    as_they_are(step, key, client, run.first(), (run.count(), run.bytes()));
    None
}

fn to_attached(step: &mut Step<'_>, key: SessionKey, frame: &Frame) {
    if tells_settings(frame) {
        settings_told(step, key, frame);
    }
    let Some(session) = step.books.session(key) else { return step.books.absent(key) };
    match listeners::plain_client(step.books, session) {
        Some(client) => as_they_are(step, key, client, frame, (1, frame.bytes())),
        None => to_company(step, key, frame),
    }
}

/// Sends notifications of a live session, of the same kind as the first one, to its only client.
fn as_they_are(
    step: &mut Step<'_>,
    key: SessionKey,
    client: ClientId,
    first: &Frame,
    (count, lines): (usize, &Bytes),
) {
    let Some(session) = note_heard(step, key, first) else { return step.books.absent(key) };
    let channel = session.channel;
    if session.transcript.is_none() {
        session.seq += count as u64;
    } else {
        record(step, key, first, (count, lines));
    }
    step.send_to_client(client, channel, OutgoingFrame::several(lines.clone(), count));
}

/// Learns that an agent answers a load before the end of its replay.
fn learn_late_replay(step: &mut Step<'_>, key: SessionKey, frame: &Frame) {
    let Some(session) = step.books.session(key) else { return step.books.absent(key) };
    let (agent, channel) = (session.agent, session.channel);
    let version = step.books.channel(channel).map(|row| row.agent_version.clone());
    if UpdateKind::of(frame).part().is_replayed()
        && session.in_turn_since().is_none()
        && let Some(version) = version
        && step.books.agent_mut(agent).trust.note_replay(&version, Replay::AfterAnswer)
    {
        let record = Record { replay: Replay::AfterAnswer, ..Record::default() };
        step.effect(Effect::Experienced { version, record });
    }
}

/// Whether an update tells the mode or the options of its session.
fn tells_settings(frame: &Frame) -> bool {
    let kind = frame.update_kind();
    kind.is_some_and(|kind| kind == "current_mode_update" || kind == "config_option_update")
}

/// Notes the settings that an agent tells of a live session, for the time when it is brought back.
fn settings_told(step: &mut Step<'_>, key: SessionKey, frame: &Frame) {
    let Some(session) = step.books.session_in_passing(key) else { return step.books.absent(key) };
    let names_it = frame.session().is_some_and(|id| *id == *session.agent_id);
    if let (Some(recipe), None, true) = (&mut session.recipe, &session.restoring, names_it) {
        let before = recipe.settings.clone();
        recipe.settings.tell_all(&Told::in_update(frame));
        if recipe.settings != before {
            step.books.keep_anew(key);
        }
    }
}

/// Handles an update of a session whose settings are being made what they were: the history that the
/// agent may replay is not shown, nor what it tells of its settings meanwhile. `false`: it passes.
fn is_muted(step: &mut Step<'_>, key: SessionKey, frame: &Frame) -> bool {
    let now = step.now;
    let kind = UpdateKind::of(frame);
    let Some(session) = step.books.session_mut(key) else { return false };
    let Some(restoring) = &mut session.restoring else { return false };
    match kind.part() {
        Part::State(StateKind::Mode | StateKind::Options) => {
            restoring.tell(&Told::in_update(frame));
            true
        }
        Part::State(_) | Part::Moment => false,
        _ if kind == UpdateKind::Unnamed => false,
        Part::History | Part::Plan | Part::Other => {
            restoring.heard_replay(now);
            step.outgoing.counters.muted += 1;
            true
        }
    }
}

/// Notes that the agent of a live session has written about it.
fn note_heard<'a>(
    step: &'a mut Step<'_>,
    key: SessionKey,
    frame: &Frame,
) -> Option<&'a mut Session> {
    let now = step.now;
    let session = step.books.session(key)?;
    if !session.calls.is_empty() {
        step.books.renew_reloads(key, now);
    } else if session.loaded_at.is_some_and(|at| now.since(at) <= LATE_REPLAY) {
        learn_late_replay(step, key, frame);
    }
    let session = step.books.session_in_passing(key)?;
    (session.last_seen, session.heard_at) = (now, now);
    Some(session)
}

/// Sends a notification of a live session to each of several clients, or to one that wants more
/// than the agent's bytes, and keeps it for those that come later.
fn to_company(step: &mut Step<'_>, key: SessionKey, frame: &Frame) {
    if note_heard(step, key, frame).is_none() {
        return step.books.absent(key);
    }
    if is_muted(step, key, frame) {
        return;
    }
    let Some(session) = step.books.session(key) else { return step.books.absent(key) };
    if let Some(call) = step.books.replay_in(session) {
        return replayed(step, session.channel, call, frame);
    }
    let seq = record(step, key, frame, (1, frame.bytes()));
    let Some(session) = step.books.session(key) else { return step.books.absent(key) };
    // Without a client attached the notification goes nowhere.
    for client in session.clients().to_vec() {
        listeners::send(step, key, client, frame, Showing::Live { seq });
    }
}

/// Numbers notifications of an agent about a live session, of the same kind as the first one, and
/// keeps them for clients that come later. Returns the last number.
fn record(step: &mut Step<'_>, key: SessionKey, first: &Frame, lines: (usize, &[u8])) -> u64 {
    let kind = UpdateKind::of(first);
    if kind == UpdateKind::UserMessage
        && let (Some(session), Some(named)) = (step.books.session(key), first.session())
        && *named == *session.agent_id
    {
        learn_echo(step, key);
    }
    step.books.record(key, kind.part(), lines)
}

/// Sends a message of the history that the agent replays to the client that asked for it.
fn replayed(step: &mut Step<'_>, channel: ChannelId, call: CallId, frame: &Frame) {
    step.books.record_replayed(call, UpdateKind::of(frame).part(), frame.bytes());
    if let Some(client) = step.books.call(call).and_then(Call::client) {
        to_client(step, channel, client, frame);
    }
}

/// Learns that an agent repeats the prompts of its turns itself.
fn learn_echo(step: &mut Step<'_>, key: SessionKey) {
    let channel = step.books.session(key).map(|row| row.channel);
    if step.books.running_prompts(key).next().is_some()
        && let Some(row) = channel.and_then(|id| step.books.channel_in_passing(id))
    {
        row.echoes = true;
    }
}

/// Sends the clients of a session a notification that the bridge has written about it, under the
/// agent's id of the session, and keeps it for those that come later. `but`: a client that knows.
pub fn own_update(step: &mut Step<'_>, key: SessionKey, update: &OwnUpdate, but: Option<ClientId>) {
    let seq = step.books.record(key, update.kind.part(), (1, &update.bytes));
    let clients = step.books.session(key).map(|row| row.clients().to_vec()).unwrap_or_default();
    let mut others = clients.into_iter().filter(|client| Some(*client) != but).peekable();
    // Mostly there is nobody else, and nobody needs it read.
    if others.peek().is_none() {
        return;
    }
    let Some(frame) = update.frame() else { return };
    for client in others {
        listeners::send(step, key, client, &frame, Showing::Live { seq });
    }
}

fn under_passing_id(step: &mut Step<'_>, key: PassingKey, frame: &Frame) {
    let Some(row) = step.books.hear_passing(key) else { return step.books.absent(key) };
    let (channel, owner) = (row.channel, row.owner);
    match owner {
        Owner::Session(parent) => update(step, parent, frame),
        Owner::Client(client) => {
            let child = announced_child(frame);
            let child = child.and_then(|id| passing_ids::announced(step, channel, owner, &id));
            to_client(step, channel, client, frame);
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
