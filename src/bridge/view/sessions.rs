//! Sessions, and those that are being opened.

use crate::api::{Fate, QuestionStatus, SessionState, SessionStatus};
use crate::bridge::books::Books;
use crate::bridge::books::call::{Call, OpenKind};
use crate::bridge::books::deadlines::Due;
use crate::bridge::books::session::{Background, Session};
use crate::bridge::id::{CallId, QuestionId};
use crate::bridge::view::fate;
use crate::bridge::view::moment::View;

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
    if !row.questions.is_empty() {
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
    calls.filter(|call| call.opening().is_some() && !call.is_overdue()).count()
}

/// The status of a session that is being opened; `None`: this call opens none, or nobody waits for
/// it any more.
pub fn opening(view: View<'_>, id: CallId, call: &Call) -> Option<SessionStatus> {
    let opening = call.opening().filter(|_| !call.is_overdue())?;
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
