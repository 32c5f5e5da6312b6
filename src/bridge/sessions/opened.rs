//! The outcome of an open: the agent's answer, or that it is given up.
//!
//! The session is registered before the answer is forwarded. Early frames of a new session are
//! held and follow the answer (some editors hang on an update for a session they do not know).

use bytes::Bytes;

use crate::bridge::books::call::{Asker, Call, OpenKind, Opening, RepeatLogin};
use crate::bridge::books::channel::Login;
use crate::bridge::books::id_set::Ids;
use crate::bridge::books::parked::{Failure, Parked};
use crate::bridge::books::session::Session;
use crate::bridge::books::session_names::Name;
use crate::bridge::books::tombstones::{Heard, Hold, Tombstone};
use crate::bridge::books::transcript::Transcript;
use crate::bridge::config::Restore;
use crate::bridge::id::{AgentId, CallId, ChannelId, ClientId, SessionKey};
use crate::bridge::notice::Notice;
use crate::bridge::outgoing::translate::with_edits;
use crate::bridge::outgoing::{answer, compose, deliver, passing_ids};
use crate::bridge::recipe::Recipe;
use crate::bridge::refusal::Refusal;
use crate::bridge::sessions::{
    close_call, experience, park, question, question_end, repeated_login, revive,
};
use crate::bridge::settings::Told;
use crate::bridge::step::Step;
use crate::wire::json::quoted;
use crate::wire::{Frame, FrameKind, splice};

/// Handles the agent's answer to an open: the session is registered, or closed again if
/// no client waits for it.
pub fn answered(step: &mut Step<'_>, channel: ChannelId, id: CallId, frame: &Frame) {
    let wants_login = frame.kind == FrameKind::Failure && frame.error_code() == Some(-32000);
    if wants_login && repeated_login::begin(step, channel, id, frame) {
        return;
    }
    let replay = step.books.take_replay(id);
    let Some(call) = step.books.take_call(id) else { return step.books.absent(id) };
    let Some(opening) = call.opening() else { return step.books.absent(id) };
    if frame.kind == FrameKind::Failure {
        end_children(step, opening);
        if !wants_login {
            experience::of_refusal(step, channel, &call, opening);
        }
        if let Some(key) = opening.revives {
            let refusal = Box::new(frame.detached());
            step.books.revival_failed(key, Failure::Refused(refusal));
        }
        if let Some(row) = step.books.channel_mut(channel) {
            if wants_login {
                row.login = Login::Wanted;
            }
            // A new session of that id will be another conversation.
            opening.restores().and_then(|restored| row.expected.remove(restored));
            // A restore refused after its timeout: the agent does not hold the conversation.
            let late = opening.restores().filter(|_| call.is_overdue());
            if let Some(restored) = late {
                let can_close = row.capabilities.close;
                row.tombstones.heard(restored, Heard::RestoreRefused, can_close);
            }
        }
        let named = opening.public_id.clone().filter(|_| opening.public_id != opening.agent_id);
        let frame = match &opening.login {
            RepeatLogin::Repeated { refusal, .. } if wants_login => refusal,
            _ => frame,
        };
        return answer::give(step, &call.asker, channel, |token| {
            let place = frame.find(&["data", "sessionId"]);
            let edit = place.zip(named).map(|(place, id)| (place, Bytes::from(quoted(&id))));
            with_edits(frame, Some(token.clone()), edit.into_iter().collect())
        });
    }
    let agent_id: Option<Box<str>> = match opening.restores() {
        Some(id) => Some(id.into()),
        None => frame.find_text(&["sessionId"]).map(Into::into),
    };
    let live = |id: &str| match step.books.channel(channel)?.names.get(id)? {
        Name::Session(key) => step.books.session(key),
        Name::Passing(_) => None,
    };
    let is_its =
        |row: &Session| call.client().is_some_and(|client| row.clients().contains(&client));
    let is_same = agent_id.as_deref().and_then(live).is_some_and(is_its);
    if opening.restores().is_none() && opening.revives.is_none() && is_same {
        // An agent with a single session gives its client the same one again.
        return answer::pass(step, &call, frame);
    }
    let Some(agent_id) = agent_id.filter(|id| live(id).is_none()) else {
        let refusal = if frame.body_bytes().as_ref() == b"null" {
            Refusal::AnswerUnreadable { fault: "names no session" }
        } else {
            let what = "its answer names no session, or one that is open already".to_owned();
            Refusal::ProtocolBroken { agent: step.books.agent_name_on(channel), what }
        };
        if let Some(key) = opening.revives {
            step.books.revival_failed(key, Failure::GivenUp(Box::new(refusal.clone())));
        }
        return answer::give(step, &call.asker, channel, |token| compose::failure(token, &refusal));
    };
    match call.client().filter(|client| step.books.client(*client).is_some()) {
        Some(client) => {
            let parked = opening.revives.and_then(|key| step.books.unpark(key));
            let recipe = recipe(step, opening, &call.asker, parked.as_ref(), frame);
            let place = (call.agent, channel);
            let key = register(step, place, client, (&agent_id, opening), recipe);
            let is_revival = matches!(call.asker, Asker::Revival(_));
            if !is_revival {
                step.books.attach(client, key);
                step.books.adopt_calls(key, client);
            }
            begin_transcript(step, key, replay, opening, frame);
            forward_opened(step, key, &call, frame);
            after_opened(step, key, &agent_id, opening);
            let opened = (opening, frame.body_bytes());
            match parked {
                Some(row) if is_revival => revive::opened(step, key, row, opened),
                parked => revive::joined(step, client, key, parked, opened),
            }
            if opening.restores().is_none() && opening.revives.is_some() {
                revive::remember_pair(step, key);
            }
            experience::of_success(step, channel, opening);
        }
        // No client waits for the session any more: it must not live on unseen.
        None => {
            let id = step.books.public_id(call.agent, channel, opening, &agent_id);
            if let Some(Name::Passing(passing)) = name_on(step, channel, &agent_id) {
                step.books.remove_passing(passing);
            }
            close_unseen(step, channel, id, &agent_id);
        }
    }
}

/// The recipe of a session that was opened; `None`: sessions of its agent are not brought back.
fn recipe(
    step: &Step<'_>,
    opening: &Opening,
    asker: &Asker,
    parked: Option<&Parked>,
    frame: &Frame,
) -> Option<Box<Recipe>> {
    if let (Asker::Revival(_), Some(row)) = (asker, parked) {
        return Some(row.recipe.clone());
    }
    let config = step.books.client(asker.client()?).map(|row| &step.books.agent(row.agent).config);
    if config.is_none_or(|config| config.restore == Restore::None) {
        return None;
    }
    let mut recipe = Recipe::new(opening.params.clone(), opening.kind != OpenKind::New);
    recipe.settings = opening.replayed.settings.clone();
    recipe.settings.tell_all(&Told::in_result(&frame.body_bytes()));
    Some(Box::new(recipe)).filter(|recipe| recipe.is_kept())
}

/// Ends the sub-agents that the replay of a session has announced which is not restored.
fn end_children(step: &mut Step<'_>, opening: &Opening) {
    for child in &opening.children {
        if step.books.passing(*child).is_some() {
            passing_ids::end(step, *child, Hold::Nothing, None);
        }
    }
}

/// The meaning of an id for an agent.
fn name_on(step: &Step<'_>, channel: ChannelId, agent_id: &str) -> Option<Name> {
    step.books.channel(channel)?.names.get(agent_id)
}

fn register(
    step: &mut Step<'_>,
    (agent, channel): (AgentId, ChannelId),
    client: ClientId,
    (agent_id, opening): (&str, &Opening),
    recipe: Option<Box<Recipe>>,
) -> SessionKey {
    let now = step.now;
    let revived = opening.public_id.clone().filter(|_| opening.revives.is_some());
    let named = name_on(step, channel, agent_id);
    let public = match (revived, named) {
        (Some(public), named) => {
            if let Some(Name::Passing(passing)) = named {
                step.books.remove_passing(passing);
            }
            public
        }
        // Its client knows it under a passing id already, unless it restores it under another.
        (None, Some(Name::Passing(passing))) => {
            let is_its = step.books.clients_of_passing(passing).contains(&client);
            let other = step.books.public_id(agent, channel, opening, agent_id);
            let row = step.books.remove_passing(passing).filter(|_| is_its);
            // Another conversation may have come to be known by that id, or be on its way.
            let is_free = |id: &str| {
                let is_expected = step.books.is_expected(agent, id)
                    && step.books.expected_id(channel, agent_id).as_deref() != Some(id);
                !step.books.agent(agent).aliases.is_known(id) && !is_expected
            };
            let named = row.map(|row| row.public_id).filter(|id| is_free(id));
            let restored = opening.restores().and(opening.public_id.clone());
            restored.or(named).unwrap_or(other)
        }
        (None, _) => step.books.public_id(agent, channel, opening, agent_id),
    };
    if opening.restores().is_none() {
        park::supplanted(step, agent, agent_id);
    }
    // Calls that wait in a tombstone of that id are answered: the id is live again.
    close_call::flush_tombstone(step, channel, agent_id, false);
    if let Some(row) = step.books.channel_mut(channel) {
        row.tombstones.remove(agent_id);
        row.expected.remove(agent_id);
        row.opened += 1;
    }
    let key = step.books.next_session_key();
    let (place, agent_id) = ((agent, channel), agent_id.into());
    let cwd = step.books.directory(channel, &opening.cwd);
    let mut session = Session::new(key, place, (public, agent_id), cwd, now);
    (session.servers, session.recipe) = (opening.servers, recipe);
    session.loaded_at = (opening.kind == OpenKind::Load).then_some(now);
    step.books.add_session(session);
    key
}

/// Begins the transcript of a session that was opened, with the history that the agent has
/// replayed.
fn begin_transcript(
    step: &mut Step<'_>,
    key: SessionKey,
    replay: Option<Box<Transcript>>,
    opening: &Opening,
    frame: &Frame,
) {
    if !step.books.keeps_transcripts() {
        return;
    }
    let is_complete = opening.kind == OpenKind::New;
    let new = || Box::new(Transcript::new(is_complete, opening.opened_with));
    let mut transcript = replay.unwrap_or_else(new);
    transcript.set_opened(Bytes::copy_from_slice(&frame.body_bytes()));
    step.books.set_transcript(key, transcript);
}

fn forward_opened(step: &mut Step<'_>, key: SessionKey, call: &Call, frame: &Frame) {
    let Some(session) = step.books.session(key) else { return step.books.absent(key) };
    let (id, channel) = (session.id.to_string(), session.channel);
    let Some(opening) = call.opening() else { return step.books.absent(key) };
    if let Asker::Client(client, token) = &call.asker {
        let place = frame.find(&["sessionId"]);
        let outgoing = match place.filter(|_| session.is_aliased()) {
            // The client has asked for a restore, whose result names no session.
            _ if opening.revives.is_some() => {
                let result =
                    frame.body().map(|body| splice::without(frame.bytes(), body, "sessionId"));
                compose::success(token, &result.unwrap_or_default())
            }
            Some(place) => {
                let edit = (place, Bytes::from(quoted(&id)));
                with_edits(frame, Some(token.clone()), vec![edit])
            }
            None => frame.with_id(token.clone()),
        };
        step.send_to_client(*client, channel, outgoing);
    }
    let how = match call.asker {
        Asker::Revival(_) => "brought back",
        Asker::Client(..) | Asker::Nobody => opening.kind.participle(),
    };
    step.outgoing.measures.open.observe(step.now.since(call.asked_at));
    step.publish(Notice::SessionOpened { session: key, id, channel, how });
}

/// Delivers the early frames of a session that was opened, and makes the questions that
/// named it belong to it.
fn after_opened(step: &mut Step<'_>, key: SessionKey, agent_id: &str, opening: &Opening) {
    let Some(channel) = step.books.session(key).map(|row| row.channel) else {
        return step.books.absent(key);
    };
    let Some(row) = step.books.channel_mut(channel) else { return step.books.absent(channel) };
    let mut early = row.early.take(agent_id);
    if opening.restores().is_some() {
        // These frames were held for a new session and are older than the replay.
        step.outgoing.counters.early_frames += early.len() as u64;
        early.clear();
    }
    for child in &opening.children {
        step.books.adopt_passing(*child, key);
    }
    question::adopt(step, channel, agent_id);
    for frame in early {
        deliver::update(step, key, &frame);
    }
}

/// Closes, at its agent, a session that no client waits for and that has no row.
fn close_unseen(step: &mut Step<'_>, channel: ChannelId, id: Box<str>, agent_id: &str) {
    step.publish(Notice::LateOpenClosed { channel, id: agent_id.to_owned() });
    close_call::flush_tombstone(step, channel, agent_id, false);
    let key = step.books.next_session_key();
    bury_unseen(step, channel, key, (id, agent_id));
    close_call::ask_to_close(step, channel, key, agent_id, None);
}

/// Makes the tombstone of a session that has no row, and drops its early frames.
fn bury_unseen(
    step: &mut Step<'_>,
    channel: ChannelId,
    key: SessionKey,
    (id, agent_id): (Box<str>, &str),
) {
    let (now, hold) = (step.now, Hold::Unanswered);
    let Some(row) = step.books.channel_mut(channel) else { return step.books.absent(channel) };
    step.outgoing.counters.early_frames += row.early.take(agent_id).len() as u64;
    let tombstone = Tombstone::new(key, &id, agent_id.into(), hold, Ids::default(), now);
    step.outgoing.counters.tombstones += row.tombstones.bury(tombstone) as u64;
}

/// Refuses an open that its client does not want any more. If it was sent, its answer is
/// waited for, and the session that it brings is closed.
pub fn given_up(step: &mut Step<'_>, id: CallId, refusal: &Refusal) {
    if !step.books.call(id).is_some_and(Call::is_sent) {
        answer::fail(step, id, refusal);
        return;
    }
    let call = step.books.call(id);
    let (method, channel) = call.map_or(("", None), |call| (call.purpose.method(), call.channel));
    let asker = step.books.disown_call(id);
    // Questions within it end with it.
    let call = step.books.call(id);
    let place = call.and_then(|call| Some((call.channel?, call.opening()?.restores()?.into())));
    if let Some((channel, agent_id)) = place {
        let agent_id: Box<str> = agent_id;
        for question in step.books.questions_opening(channel, &agent_id) {
            question_end::withdraw(step, question);
        }
    }
    answer::refuse_call(step, &asker, channel, method, refusal);
}

/// Refuses a restore whose answer cannot be read. It is not known whether it succeeded: the
/// session that the agent may hold is closed.
pub fn unreadable(step: &mut Step<'_>, channel: ChannelId, id: CallId, refusal: &Refusal) {
    let Some(call) = answer::fail(step, id, refusal) else { return step.books.absent(id) };
    let Some(opening) = call.opening() else { return step.books.absent(id) };
    let Some((agent_id, public)) = opening.restored_ids() else { return step.books.absent(id) };
    end_children(step, opening);
    if let Some(Name::Passing(passing)) = name_on(step, channel, agent_id) {
        step.books.remove_passing(passing);
    }
    close_unseen(step, channel, public.into(), agent_id);
}

/// Refuses an open that has timed out. The agent may still answer: a session that
/// it opens then is closed again.
pub fn timed_out(step: &mut Step<'_>, id: CallId, refusal: &Refusal) {
    let opening = step.books.call(id).and_then(Call::opening);
    let revives = opening.and_then(|opening| opening.revives);
    let asker = step.books.disown_call(id);
    if let Some(key) = revives {
        step.books.revival_failed(key, Failure::GivenUp(Box::new(refusal.clone())));
    }
    let Some(call) = step.books.mark_overdue(id, asker.client()) else {
        return step.books.absent(id);
    };
    let channel = call.channel;
    let restored: Option<(Box<str>, Box<str>)> = call
        .opening()
        .and_then(|opening| Some((opening.public_id.clone()?, opening.restores()?.into())));
    let method = call.purpose.method();
    answer::refuse_call(step, &asker, channel, method, refusal);
    if let Some(channel) = channel {
        if let Some((public, agent_id)) = restored {
            // The agent may hold the conversation by now: it is fenced.
            close_call::flush_tombstone(step, channel, &agent_id, false);
            let key = step.books.next_session_key();
            bury_unseen(step, channel, key, (public, &agent_id));
        }
        step.publish(Notice::OpenUnanswered { channel });
    }
}
