//! What becomes of a session and of a channel if nothing happens.

use crate::api::Fate;
use crate::bridge::books::call::Call;
use crate::bridge::books::channel::{Channel, ChannelState, Rung};
use crate::bridge::books::deadlines::Due;
use crate::bridge::books::duties::Duty;
use crate::bridge::books::session::{Audience, Session};
use crate::bridge::config::IdlePolicy;
use crate::bridge::id::ChannelId;
use crate::bridge::time::{Limit, Moment};
use crate::bridge::view::moment::View;

fn waits(event: impl Into<String>, at_most_ms: Option<u64>) -> Fate {
    Fate::Waits { event: event.into(), at_most_ms }
}

fn stays(because: impl Into<String>) -> Fate {
    Fate::Stays { because: because.into() }
}

/// The fate of a live session.
pub fn of_session(view: View<'_>, row: &Session) -> Fate {
    let books = view.books;
    let duty = books.duty(row);
    if row.is_busy() {
        // The turn of a session that nobody watches is cancelled.
        let limit = match (duty, &row.audience) {
            (Some((_, Duty::LookForEditor(_))), Audience::Absent(absence)) => {
                absence.since.plus(books.limits.lost_turn_timeout)
            }
            (duty, _) => duty.map(|(at, _)| at),
        };
        return waits(what_is_open(view, row), limit.map(|at| view.until(at)));
    }
    let closes = duty.filter(|(_, duty)| *duty == Duty::Close).map(|(at, _)| at);
    let reaped = books.reap_deadline(row);
    let ends = |at: Moment, cause: &str| Fate::Ends { in_ms: view.until(at), cause: cause.into() };
    match (closes, reaped) {
        (Some(at), reaped) if reaped.is_none_or(|reaped| at <= reaped) => {
            ends(at, "its client is gone (--lost-client-timeout-ms)")
        }
        (_, Some(at)) if row.clients().is_empty() => {
            ends(at, "it is idle (--session-idle-timeout-ms)")
        }
        (_, Some(at)) => ends(at, "it is idle (--attached-idle-timeout-ms)"),
        _ if row.clients().is_empty() => stays("sessions are not closed for being idle"),
        _ => match books.agent(row.agent).config.idle_policy {
            IdlePolicy::Detached => stays("a client is attached"),
            IdlePolicy::All => stays("sessions with a client are not closed for being idle"),
        },
    }
}

/// The request that is open in a session, as a noun.
fn what_is_open(view: View<'_>, row: &Session) -> String {
    if let Some(question) = row.questions.iter().find_map(|id| view.books.question(*id)) {
        let method = question.frame.method_name().into_owned();
        return match question.asked.first() {
            Some(client) => format!("the answer of {client} to {method}"),
            None => format!("a client that answers {method}"),
        };
    }
    if row.in_turn_since().is_some() {
        return "the end of its turn".to_owned();
    }
    let call = row.calls.iter().find_map(|id| view.books.call(*id));
    let method = call.map_or("a request", |call| call.purpose.method());
    format!("the agent's answer to {method}")
}

/// The fate of a channel.
pub fn of_channel(view: View<'_>, id: ChannelId, row: &Channel) -> Fate {
    let at_most_ms = view.books.deadline(Due::Channel(id)).map(|at| view.until(at));
    match &row.state {
        ChannelState::Spawned => stays("it was started ahead (--preheat)"),
        ChannelState::Starting { since, .. } => {
            let limit = view.books.agent(row.agent).config.initialize_timeout;
            let at_most_ms = since.plus(limit).map(|at| view.until(at));
            waits("the agent's answer to initialize", at_most_ms)
        }
        ChannelState::Stopping { rung: Rung::Stuck, .. } => {
            stays("its processes do not end after SIGKILL")
        }
        ChannelState::Stopping { rung, .. } => {
            let next = match rung {
                Rung::ClosingStdin => "its exit, or SIGTERM",
                Rung::Terminated => "its exit, or SIGKILL",
                Rung::Killed | Rung::Stuck => "its exit",
            };
            waits(next, at_most_ms)
        }
        ChannelState::Ready if row.clock.idle_since().is_some() => match at_most_ms {
            Some(in_ms) => {
                let cause = "it has no work (--channel-idle-timeout-ms)".to_owned();
                Fate::Ends { in_ms, cause }
            }
            None => stays("it is kept without work"),
        },
        ChannelState::Ready => with_work(view, row, view.books.idle_limit(row)),
        // It stops with its last session.
        ChannelState::Draining { .. } => with_work(view, row, Limit::After(0)),
    }
}

/// The fate of a channel with work, which stops this time after its last work.
fn with_work(view: View<'_>, row: &Channel, idle_limit: Limit) -> Fate {
    let books = view.books;
    let is_other = |call: &&Call| !call.is_overdue() && call.session.is_none();
    let mut calls = row.calls.iter().filter_map(|id| books.call(*id)).filter(is_other);
    if let Some(call) = calls.next() {
        return waits(format!("the agent's answer to {}", call.purpose.method()), None);
    }
    let mut last: Option<(u64, String)> = None;
    let mut waiting = None;
    for session in row.sessions.iter().filter_map(|key| books.session(*key)) {
        let key = session.key;
        match of_session(view, session) {
            Fate::Stays { because } => return stays(format!("{because} ({key})")),
            Fate::Waits { event, .. } => waiting = waiting.or(Some((key, event))),
            Fate::Ends { in_ms, cause } => {
                if last.as_ref().is_none_or(|(before, _)| *before < in_ms) {
                    last = Some((in_ms, format!("{key}, its last session, ends: {cause}")));
                }
            }
        }
    }
    if let Some((key, event)) = waiting {
        return waits(format!("{event} in {key}"), None);
    }
    match (last, idle_limit) {
        (None, _) if !row.leases.is_empty() || !row.passing.is_empty() => {
            stays("the agent may hold something for a client")
        }
        (None, _) => waits("the end of its work", None),
        (Some(_), Limit::Never) => stays("it is kept without work"),
        (Some((in_ms, cause)), Limit::After(millis)) => {
            Fate::Ends { in_ms: in_ms.saturating_add(millis), cause }
        }
    }
}
