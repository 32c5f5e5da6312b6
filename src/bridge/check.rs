//! The rules that never break, as code. The tests run this after every event.

mod conversations;

use std::collections::BTreeSet;

use crate::bridge::books::Books;
use crate::bridge::books::call::{Opening, Purpose};
use crate::bridge::books::channel::Channel;
use crate::bridge::books::client::MAX_PENDING;
use crate::bridge::books::deadlines::Due;
use crate::bridge::books::early_frames::MAX_EARLY_SESSIONS;
use crate::bridge::books::passing::{MAX_PASSING, Owner, PassingState};
use crate::bridge::books::phase::Phase;
use crate::bridge::books::session_names::Name;
use crate::bridge::books::tombstones::MAX_TOMBSTONES;
use crate::bridge::id::{CallId, PassingKey, QuestionId, SessionKey};

/// Checks all rules; the error says which rule is broken, and where.
pub fn all(books: &Books) -> Result<(), String> {
    owner(books)?;
    stopping(books)?;
    calls(books)?;
    questions(books)?;
    wake_up(books)?;
    conversations::fence(books)?;
    conversations::parked(books)?;
    bounds(books)?;
    end(books)
}

/// I1: a live session's channel exists and lists it; a channel lists only its own.
fn owner(books: &Books) -> Result<(), String> {
    for (key, session) in books.sessions() {
        let Some(row) = books.channel(session.channel) else {
            return Err(format!("I1: {key} lives on {}, which is gone", session.channel));
        };
        if !row.sessions.contains(key)
            || row.names.get(&session.agent_id) != Some(Name::Session(*key))
        {
            return Err(format!("I1: {key} is not listed by its {}", session.channel));
        }
        if !books.agent(session.agent).aliases.means(&session.id, Name::Session(*key)) {
            return Err(format!("I1: {key} is not found by its id {}", session.id));
        }
        for client in session.clients() {
            let row = books.client(*client);
            if !row.is_some_and(|row| row.sessions.contains(key)) {
                return Err(format!("I1: {client} does not know that it is attached to {key}"));
            }
        }
    }
    for (id, row) in books.channels() {
        let owner = |key: &SessionKey| books.session(*key).map(|row| row.channel);
        if let Some(key) = row.sessions.iter().find(|key| owner(key) != Some(*id)) {
            return Err(format!("I1: {id} lists {key}, which is not its own"));
        }
        let is_own = |agent_id: &str, name: Name| match name {
            Name::Session(key) => row.sessions.contains(&key),
            Name::Passing(key) => {
                let passing = books.passing(key).filter(|row| row.channel == *id);
                row.passing.contains(&key) && passing.is_some_and(|row| *row.agent_id == *agent_id)
            }
        };
        if !row.names.are_all(is_own) {
            return Err(format!("I1: {id} knows an id of a session that is not its own"));
        }
        if row.passing.iter().any(|key| books.passing(*key).is_none()) {
            return Err(format!("I1: {id} lists a passing id that is gone"));
        }
    }
    passing(books)?;
    for (id, row) in books.clients() {
        for key in &row.sessions {
            let session = books.session(*key);
            if !session.is_some_and(|session| session.clients().contains(id)) {
                return Err(format!("I1: {id} believes that it is attached to {key}"));
            }
        }
    }
    Ok(())
}

/// I1, for passing ids: each lives on a channel that knows it, belongs to a session of that
/// channel or to a client, and clients find it by its public id.
fn passing(books: &Books) -> Result<(), String> {
    for (key, row) in books.all_passing() {
        let name = Some(Name::Passing(*key));
        let channel = books.channel(row.channel);
        if channel.and_then(|channel| channel.names.get(&row.agent_id)) != name {
            return Err(format!("I1: {key} is not listed by its {}", row.channel));
        }
        // A session elsewhere may have the public id of one that nothing is held under.
        let is_found = books.agent(row.agent).aliases.means(&row.public_id, Name::Passing(*key));
        if !is_found && row.state == PassingState::Held {
            return Err(format!("I1: {key} is not found by its id {}", row.public_id));
        }
        let is_owned = match row.owner {
            Owner::Session(parent) => books.session(parent).is_some_and(|session| {
                session.channel == row.channel && session.children.contains(key)
            }),
            Owner::Client(client) => books.client(client).is_some(),
        };
        if !is_owned {
            return Err(format!("I1: {key} belongs to {:?}, which does not have it", row.owner));
        }
    }
    let lost = |key: &&PassingKey| books.passing(**key).is_none();
    let mut children = books.sessions().values().flat_map(|session| &session.children);
    match children.find(lost) {
        Some(key) => Err(format!("I1: a session lists {key}, which is gone")),
        None => Ok(()),
    }
}

/// I3: a stopping channel has no sessions, no calls and no questions.
fn stopping(books: &Books) -> Result<(), String> {
    for (id, row) in books.channels().iter().filter(|(_, row)| row.is_stopping()) {
        if !row.sessions.is_empty() || !row.calls.is_empty() || !row.questions.is_empty() {
            return Err(format!(
                "I3: {id} is stopping with {} sessions, {} calls, {} questions",
                row.sessions.len(),
                row.calls.len(),
                row.questions.len()
            ));
        }
    }
    Ok(())
}

/// I4 and I8, for calls: every call is listed by the client, channel, session and
/// tombstone that it concerns, and by no others, so that it is answered when any of them
/// ends.
fn calls(books: &Books) -> Result<(), String> {
    let fail = |id: &CallId, what: &str| Err(format!("I4: {id} {what}"));
    for (id, call) in books.calls() {
        if let Some(client) = call.client() {
            let row = books.client(client);
            if !row.is_some_and(|row| row.calls.contains(id)) {
                return fail(id, "is not known to the client that asked");
            }
        }
        match call.channel {
            Some(channel) => {
                let row = books.channel(channel);
                if !row.is_some_and(|row| row.calls.contains(id)) {
                    return fail(id, "is not known to its channel");
                }
            }
            None if !books.unplaced().contains(id) => {
                return fail(id, "has no channel and does not wait for one");
            }
            None => {}
        }
        if let (Some(key), false) = (call.session, matches!(call.purpose, Purpose::Close(_))) {
            let live = books.session(key);
            let is_kept = match live {
                Some(session) => {
                    session.calls.contains(id) && call.channel == Some(session.channel)
                }
                None => call.channel.and_then(|id| books.channel(id)).is_some_and(|row| {
                    row.tombstones.of(key).is_some_and(|tomb| tomb.calls().contains(id))
                }),
            };
            if !is_kept {
                return fail(id, "is in no session and in no tombstone");
            }
        }
        let its = call.client().and_then(|client| books.client(client));
        let is_oldest = its.is_none_or(|row| row.calls.iter().next() == Some(id));
        if call.purpose == Purpose::Initialize && !is_oldest {
            return fail(id, "is an initialize behind another request of its client");
        }
        let aliases = &books.agent(call.agent).aliases;
        let is_unlisted = |source| !aliases.restores(source).any(|other| other == *id);
        if call.opening().and_then(Opening::restores).is_some_and(is_unlisted) {
            return fail(id, "restores a conversation and is not among those that do");
        }
        let waits_for_turn = call
            .session
            .is_some_and(|key| books.session(key).is_some_and(|row| row.queue.contains(id)));
        if call.purpose == Purpose::Prompt && call.is_unsent() && !waits_for_turn {
            return fail(id, "is a prompt that is held and not queued");
        }
    }
    let is_call = |id| books.call(id).is_some();
    if !books.agents().iter().all(|agent| agent.aliases.are_all(is_call)) {
        return Err("I4: a call restores a conversation and is in no table".to_owned());
    }
    for session in books.sessions().values() {
        if let Some(id) = session.calls.iter().find(|id| !books.calls().contains_key(*id)) {
            return fail(id, "is in a session and in no table");
        }
        if books.is_next_due(session) {
            return Err(format!("I4: {} has prompts that wait for nothing", session.key));
        }
    }
    for (channel, row) in books.channels() {
        for id in &row.calls {
            if books.call(*id).map(|call| call.channel) != Some(Some(*channel)) {
                return fail(id, "is on a channel that is not its own");
            }
        }
    }
    Ok(())
}

/// I4, for questions; and I9: no question is open in a session that is closed.
fn questions(books: &Books) -> Result<(), String> {
    let fail = |id: &QuestionId, what: &str| Err(format!("I4: {id} {what}"));
    for (id, question) in books.questions() {
        if !books.channel(question.channel).is_some_and(|row| row.questions.contains(id)) {
            return fail(id, "is not known to the channel that asked");
        }
        if let Some(key) = question.session {
            let session = books.session(key);
            if !session.is_some_and(|session| session.questions.contains(id)) {
                return Err(format!("I9: {id} is open in {key}, which is closed"));
            }
        }
        for client in &question.asked {
            let row = books.client(*client);
            if !row.is_some_and(|row| row.questions.contains(id)) {
                return fail(id, "is not known to a client that was asked");
            }
        }
    }
    for (client, row) in books.clients() {
        for id in &row.questions {
            let question = books.question(*id);
            if !question.is_some_and(|question| question.asked.contains(client)) {
                return fail(id, "is shown by a client that was not asked");
            }
        }
    }
    Ok(())
}

/// I6: no bound is later than the deadline that the facts imply.
fn wake_up(books: &Books) -> Result<(), String> {
    let channels = books.channels().keys().map(|id| Due::Channel(*id));
    let silent = books.channels().keys().map(|id| Due::Silence(*id));
    let calls = books.calls().keys().map(|id| Due::Call(*id));
    let questions = books.questions().keys().map(|id| Due::Question(*id));
    let sessions = books.sessions().keys().map(|key| Due::Session(*key));
    let rows = channels.chain(silent).chain(calls).chain(questions).chain(sessions);
    let slow = books.clients().keys().map(|id| Due::Slow(*id));
    for due in rows.chain(slow).chain([Due::Memory, Due::Tenure, Due::Shutdown]) {
        let (Some(at), bound) = (books.deadline(due), books.bound(due)) else {
            continue;
        };
        if bound.is_none_or(|bound| bound > at) {
            return Err(format!("I6: {due:?} is due at {at:?}, its bound is {bound:?}"));
        }
    }
    Ok(())
}

/// I10: what is kept is bounded in number and bytes.
fn bounds(books: &Books) -> Result<(), String> {
    for (id, row) in books.channels() {
        if !row.early.is_sound() {
            return Err(format!("I10: {id} holds too many early frames"));
        }
        if !row.tombstones.is_sound() {
            return Err(format!("I10: {id} has tombstones that its indexes do not know"));
        }
        let waiting = row.tombstones.iter().filter(|tomb| !tomb.calls().is_empty()).count();
        if row.tombstones.len() > MAX_TOMBSTONES.max(waiting + 1) {
            return Err(format!("I10: {id} has too many tombstones"));
        }
        if row.passing.len() > MAX_PASSING || row.expected.len() > MAX_EARLY_SESSIONS {
            return Err(format!("I10: {id} has too many passing ids"));
        }
        if !row.handles.is_sound() {
            return Err(format!("I10: {id} has too many handles"));
        }
        if row.questions.len() > MAX_PENDING {
            return Err(format!("I10: {id} asks too many questions"));
        }
    }
    if !books.transcripts_are_sound() {
        return Err("I10: the transcripts are too large, or their sum is wrong".to_owned());
    }
    if let Some((id, _)) = books.clients().iter().find(|(_, row)| !row.held.is_sound()) {
        return Err(format!("I10: {id} has sent too much behind its initialize"));
    }
    // A close is never refused, so it does not count: there is at most one for each
    // session.
    let counts = |id: &&CallId| {
        let purpose = books.call(**id).map(|call| &call.purpose);
        !matches!(purpose, Some(Purpose::Close(_)))
    };
    let over = books.clients().iter().find(|(id, row)| {
        row.calls.iter().filter(counts).count() > MAX_PENDING || books.lets_too_much_wait(**id)
    });
    let limit = books.limits.max_sessions;
    let opening = books.calls().values().filter(|call| call.takes_place());
    if limit > 0 && books.sessions().len() + opening.count() > limit {
        return Err("I10: there are more sessions than --max-sessions".to_owned());
    }
    match over {
        Some((id, _)) => Err(format!("I10: {id} has too many requests open")),
        None => Ok(()),
    }
}

/// I7: after the shutdown nothing is left but channels whose process would not die.
fn end(books: &Books) -> Result<(), String> {
    if books.phase() != Phase::Over {
        return Ok(());
    }
    let left: BTreeSet<&str> = [
        ("sessions", books.sessions().is_empty()),
        ("calls", books.calls().is_empty()),
        ("fanouts", books.fanouts().is_empty()),
        ("questions", books.questions().is_empty()),
        ("channels", books.channels().values().all(Channel::is_stuck)),
    ]
    .into_iter()
    .filter(|(_, is_gone)| !is_gone)
    .map(|(name, _)| name)
    .collect();
    if left.is_empty() { Ok(()) } else { Err(format!("I7: it is over, but there are {left:?}")) }
}
