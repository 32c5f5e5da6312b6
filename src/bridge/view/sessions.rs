//! Sessions, and those that are being opened.

use crate::api::{Fate, QuestionStatus, SessionState, SessionStatus};
use crate::bridge::books::Books;
use crate::bridge::books::call::{Call, OpenKind};
use crate::bridge::books::deadlines::Due;
use crate::bridge::books::parked::{Parked, Revival};
use crate::bridge::books::session::{Background, Session};
use crate::bridge::config::IdlePolicy;
use crate::bridge::id::{AgentId, CallId, QuestionId, SessionKey};
use crate::bridge::view::fate;
use crate::bridge::view::moment::View;

/// The status of a live or parked session; `None`: it is neither.
pub fn of(view: View<'_>, key: SessionKey) -> Option<SessionStatus> {
    let live = view.books.session(key).map(|row| live(view, row));
    live.or_else(|| view.books.parked(key).map(|row| parked(view, row)))
}

/// The status of a parked session.
fn parked(view: View<'_>, row: &Parked) -> SessionStatus {
    let call = match row.revival {
        Revival::Opening(call) => view.books.call(call),
        Revival::None | Revival::Failed(_) => None,
    };
    SessionStatus {
        key: Some(row.key.to_string()),
        id: Some(row.id.to_string()),
        agent: view.books.agent(row.agent).config.name.clone(),
        channel: call.and_then(|call| call.channel).map(|channel| channel.to_string()),
        directory: row.cwd.to_string(),
        clients: row.clients.iter().map(ToString::to_string).collect(),
        state: state_of_parked(row),
        idle_ms: view.since(row.since),
        turn_ms: None,
        queued: row.clients.iter().map(|it| view.books.waiting_for(*it, &row.id).len()).sum(),
        questions: Vec::new(),
        fate: fate::of_parked(view, row),
    }
}

/// The state of a parked session.
pub fn state_of_parked(row: &Parked) -> SessionState {
    match row.revival {
        Revival::Opening(_) => SessionState::Restoring,
        Revival::None | Revival::Failed(_) => SessionState::Parked,
    }
}

/// The number of sessions of an agent that `--idle-policy restorable` would close now.
pub fn could_be_parked(view: View<'_>, agent: AgentId) -> usize {
    let config = &view.books.agent(agent).config;
    let limit = config.attached_idle_timeout.zero_is_never();
    let is_one = |row: &&Session| {
        let is_old = row.last_seen.plus(limit).is_some_and(|at| view.since(at) > 0);
        let is_meant = row.agent == agent && !row.clients().is_empty() && is_old;
        is_meant && !row.is_busy() && view.books.is_safe_to_end(row)
    };
    match config.idle_policy {
        IdlePolicy::Detached => view.books.sessions().values().filter(is_one).count(),
        IdlePolicy::Restorable | IdlePolicy::All => 0,
    }
}

/// The status of a live session.
pub fn live(view: View<'_>, row: &Session) -> SessionStatus {
    SessionStatus {
        key: Some(row.key.to_string()),
        id: Some(row.id.to_string()),
        agent: view.books.agent_name_on(row.channel),
        channel: Some(row.channel.to_string()),
        directory: row.cwd.to_string(),
        clients: row.clients().iter().map(ToString::to_string).collect(),
        state: state(row),
        idle_ms: view.since(row.last_seen),
        turn_ms: row.in_turn_since().map(|at| view.since(at)),
        queued: row.queue.len(),
        questions: row.questions.iter().filter_map(|id| question(view, *id)).collect(),
        fate: fate::of_session(view, row),
    }
}

/// The state of a live session.
pub fn state(row: &Session) -> SessionState {
    if row.restoring.is_some() {
        SessionState::Restoring
    } else if !row.questions.is_empty() {
        SessionState::Question
    } else if row.in_turn_since().is_some() {
        SessionState::Turn
    } else if !row.calls.is_empty() {
        SessionState::Request
    } else if let Background::Working { .. } = row.background {
        SessionState::Background
    } else {
        SessionState::Quiet
    }
}

fn question(view: View<'_>, id: QuestionId) -> Option<QuestionStatus> {
    let row = view.books.question(id)?;
    Some(QuestionStatus {
        method: row.frame.method_name().into_owned(),
        age_ms: view.since(row.asked_at),
        asked: row.asked.iter().map(ToString::to_string).collect(),
        ends_in_ms: view.books.deadline(Due::Question(id)).map(|at| view.until(at)),
    })
}

/// The number of sessions that are being opened.
pub fn count_opening(books: &Books) -> usize {
    let calls = books.calls().values();
    let is_one = |call: &&Call| {
        call.opening().is_some_and(|row| row.revives.is_none()) && !call.is_overdue()
    };
    calls.filter(is_one).count()
}

/// The status of a session that is being opened; `None`: this call opens none, or nobody waits for
/// it any more.
pub fn opening(view: View<'_>, id: CallId, call: &Call) -> Option<SessionStatus> {
    // One that brings a parked session back is listed as that.
    let opening = call.opening().filter(|row| !call.is_overdue() && row.revives.is_none())?;
    let source = opening.public_id.as_deref().filter(|_| opening.kind != OpenKind::Fork);
    let event = format!("the agent's answer to {}", call.purpose.method());
    let at_most_ms = view.books.deadline(Due::Call(id)).map(|at| view.until(at));
    Some(SessionStatus {
        key: None,
        id: source.map(str::to_owned),
        agent: view.books.agent_name_of(id),
        channel: call.channel.map(|channel| channel.to_string()),
        directory: opening.cwd.to_string(),
        clients: call.client().iter().map(ToString::to_string).collect(),
        state: SessionState::Opening,
        idle_ms: view.since(call.asked_at),
        turn_ms: None,
        queued: 0,
        questions: Vec::new(),
        fate: Fate::Waits { event, at_most_ms },
    })
}
