//! Revival: a parked session is brought back, because a client's request names it.
//!
//! The request waits. The agent restores the session by `session/resume`, or by `session/load`
//! whose replay nobody is shown; a session that was never prompted is opened anew behind the id
//! that its clients know. Then its settings are made what they were (`reapply`), and only then do
//! the requests that wait reach the agent.

use bytes::Bytes;

use crate::bridge::books::call::{Asker, Call, OpenKind, Opening, Purpose, Stage};
use crate::bridge::books::parked::{Failure, Parked, Revival};
use crate::bridge::books::restoring::{LateReplay, Restoring};
use crate::bridge::books::transcript::Transcript;
use crate::bridge::effect::Effect;
use crate::bridge::id::{ChannelId, ClientId, SessionKey};
use crate::bridge::outgoing::compose;
use crate::bridge::refusal::Refusal;
use crate::bridge::restore::{Pair, Replay, Way};
#[cfg(feature = "seeded-bugs")]
use crate::bridge::seeded;
use crate::bridge::sessions::park::{self, Answer};
use crate::bridge::sessions::{open, reapply};
use crate::bridge::step::Step;
use crate::wire::{Method, Token};

/// Begins to bring a parked session back for a client, unless that is under way.
pub fn begin(step: &mut Step<'_>, client: ClientId, key: SessionKey) {
    let Some(row) = step.books.parked(key) else { return step.books.absent(key) };
    let is_under_way = row.revival != Revival::None;
    #[cfg(feature = "seeded-bugs")]
    let is_under_way =
        is_under_way && !(seeded::is(seeded::Bug::RestoreTwice) && is_once(step, key));
    if is_under_way {
        return;
    }
    let Ok(way) = step.books.way_back(client, &row.recipe) else {
        let refusal = Refusal::SessionEnded { id: row.id.to_string(), reason: row.reason };
        return park::refuse_waiting(step, key, |_| Answer::Refused(refusal.clone()));
    };
    let (kind, method, params) = match way {
        Some(Way::Resume) => {
            let params = row.recipe.params_for(&row.agent_id);
            (OpenKind::Resume, Method::SessionResume, params)
        }
        Some(Way::Load) => {
            let params = row.recipe.params_for(&row.agent_id);
            (OpenKind::Load, Method::SessionLoad, params)
        }
        None => (OpenKind::New, Method::SessionNew, row.recipe.params_for_new()),
    };
    let Some(frame) = compose::held_request(&Token::number(0), method.name(), &params) else {
        return step.books.absent(key);
    };
    let ids = (way.map(|_| row.agent_id.clone()), Some(row.id.clone()));
    let opening = open::opening(kind, ids, (*row.cwd).into(), &frame);
    let opening = Opening { revives: Some(key), ..opening };
    let (agent, asker) = (row.agent, Asker::Revival(client));
    let opened_with = opening.opened_with;
    let id = step.books.add_call(Call {
        asker,
        purpose: Purpose::Open(opening),
        agent,
        channel: None,
        session: None,
        asked_at: step.now,
        stage: Stage::held(&frame),
    });
    step.books.revival_began(key, id);
    // A replay is kept for clients that come later, as that of a client's own load is.
    if way.is_some() {
        step.books.begin_replay(id, Transcript::new(kind == OpenKind::Load, opened_with));
    }
}

/// Whether a single call brings a parked session back.
#[cfg(feature = "seeded-bugs")]
fn is_once(step: &Step<'_>, key: SessionKey) -> bool {
    let openings = step.books.calls().values().filter_map(Call::opening);
    openings.filter(|opening| opening.revives == Some(key)).count() == 1
}

/// Handles that a parked session, whose row this is, is live again as `key`: its clients are
/// attached, and its settings are made what they were. `result`: the agent's.
pub fn opened(
    step: &mut Step<'_>,
    key: SessionKey,
    row: Parked,
    (opening, result): (&Opening, Bytes),
) {
    let Some(session) = step.books.session_mut(key) else { return step.books.absent(key) };
    let channel = session.channel;
    (session.watchers, session.seq) = (row.watchers, row.seq);
    let may_replay = opening.kind == OpenKind::Load && is_late(step, channel, opening);
    let replay = may_replay.then(|| LateReplay::new(step.now));
    attach(step, key, channel, &row.clients);
    restore_settings(step, key, (opening, result), replay);
}

/// Attaches the clients that were dormant in a session.
fn attach(step: &mut Step<'_>, key: SessionKey, channel: ChannelId, clients: &[ClientId]) {
    for client in clients {
        // Messages about it on another channel come first.
        step.effect(Effect::Fence { client: *client, lane: channel.into() });
        step.books.attach(*client, key);
    }
}

/// Begins to make the settings of a session what its recipe says.
fn restore_settings(
    step: &mut Step<'_>,
    key: SessionKey,
    (opening, result): (&Opening, Bytes),
    replay: Option<LateReplay>,
) {
    let Some(session) = step.books.session_mut(key) else { return step.books.absent(key) };
    let Some(recipe) = &session.recipe else { return step.books.absent(key) };
    let restoring = Restoring::new(recipe, result, replay);
    session.restoring = Some(Box::new(restoring.told_before(&opening.replayed.settings)));
    reapply::proceed(step, key);
}

/// Whether a part of the replay of a load may come after its answer: the agent is known for that, or
/// has replayed nothing, or nothing is known of it.
fn is_late(step: &Step<'_>, channel: ChannelId, opening: &Opening) -> bool {
    let Some(row) = step.books.channel(channel) else { return false };
    let record = step.books.agent(row.agent).trust.record(&row.agent_version);
    record.replay != Replay::BeforeAnswer || !opening.replayed.has_history
}

/// Lets the runtime remember that a session which had no record lives behind another id of its
/// agent, for the next bridge.
pub fn remember_pair(step: &mut Step<'_>, key: SessionKey) {
    let Some(session) = step.books.session(key).filter(|row| row.is_aliased()) else { return };
    let (agent, known_as, agent_id) = (session.agent, session.id.clone(), session.agent_id.clone());
    let pair = Pair { known_as, agent_id, cwd: (*session.cwd).into() };
    step.books.agent_mut(agent).pairs.add(pair.clone());
    step.effect(Effect::RememberPair { agent, pair });
}

/// Handles the failure of an attempt: a process that ended is tried once more with another one,
/// and otherwise the requests that wait are refused. The session stays parked.
pub fn failed(step: &mut Step<'_>, key: SessionKey, failure: Failure) {
    // It may have been left meanwhile.
    let Some(row) = step.books.parked(key) else { return };
    let (id, agent) = (row.id.to_string(), row.agent);
    step.outgoing.measures.failed_restores += 1;
    let name = step.books.agent(agent).config.name.clone();
    match failure {
        Failure::GivenUp(refusal) if refusal.is_of_end() => {
            let waiting = row.clients.iter().copied();
            let waiting = waiting.filter(|it| !step.books.waiting_for(*it, &id).is_empty());
            let waiting: Option<ClientId> = waiting.collect::<Vec<_>>().first().copied();
            let was_alone = step.books.set_alone(key);
            match waiting {
                Some(client) if !was_alone => begin(step, client, key),
                _ => park::refuse_waiting(step, key, |_| Answer::Refused((*refusal).clone())),
            }
        }
        Failure::GivenUp(refusal) => {
            park::refuse_waiting(step, key, |_| Answer::Refused((*refusal).clone()));
        }
        Failure::Refused(answer) if answer.error_code() == Some(-32000) => {
            // The agent wants a login: that is for a client to make.
            park::refuse_waiting(step, key, |_| Answer::OfAgent(&answer));
        }
        Failure::Refused(answer) => {
            let code = answer.error_code().unwrap_or_default();
            let what = format!("refused that (error {code})");
            let words = answer.find_text(&["message"]).map(Into::into).unwrap_or_default();
            let refusal = Refusal::RestoreFailed { agent: name, id, what, words };
            park::refuse_waiting(step, key, |_| Answer::Refused(refusal.clone()));
        }
    }
    #[cfg(feature = "seeded-bugs")]
    if seeded::is(seeded::Bug::LoseRecipeOnFailure) {
        step.books.unpark(key);
    }
}

/// Handles that a client's own open has opened a conversation that was parked, or may be: the other
/// clients that are dormant in it get it back, too, and while there are others its settings are made
/// what they were. `parked`: its row, if that is known.
pub fn joined(
    step: &mut Step<'_>,
    client: ClientId,
    key: SessionKey,
    parked: Option<Parked>,
    opened: (&Opening, Bytes),
) {
    let Some(session) = step.books.session(key) else { return step.books.absent(key) };
    let channel = session.channel;
    let named = step.books.parked_conversation(client, &session.id, &session.cwd);
    let Some(row) = parked.or_else(|| step.books.unpark(named?)) else { return };
    let others: Vec<ClientId> = row.clients.iter().copied().filter(|it| *it != client).collect();
    let Some(session) = step.books.session_mut(key) else { return step.books.absent(key) };
    session.seq = row.seq;
    if others.is_empty() {
        return;
    }
    session.watchers = row.watchers.into_iter().filter(|it| *it != client).collect();
    if let Some(recipe) = &mut session.recipe {
        recipe.settings = row.recipe.settings;
    }
    attach(step, key, channel, &others);
    restore_settings(step, key, opened, None);
}
