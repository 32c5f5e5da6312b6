//! The future of a session and of a channel if nothing happens.

use crate::api::Fate;
use crate::bridge::books::channel::{Channel, ChannelState, Rung};
use crate::bridge::books::deadlines::Due;
use crate::bridge::books::duties::Duty;
use crate::bridge::books::parked::{Parked, Revival};
use crate::bridge::books::session::{Audience, Background, Session};
use crate::bridge::books::tenure::Leaving;
use crate::bridge::config::IdlePolicy;
use crate::bridge::id::{ChannelId, SessionKey};
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
    if row.restoring.is_some() {
        return waits("its settings to be what they were", None);
    }
    if row.is_busy() {
        return busy(view, row, duty);
    }
    if books.leaving() == Leaving::WhenIdle {
        return waits("the end of the work of other sessions, and then of the bridge", None);
    }
    let closes = duty.filter(|(_, duty)| *duty == Duty::Close).map(|(at, _)| at);
    let reaped = books.reap_deadline(row);
    let ends = |at: Moment, cause: &str| Fate::Ends { in_ms: view.until(at), cause: cause.into() };
    match (closes, reaped, row.background) {
        (Some(at), reaped, background)
            if background != Background::Unknown || reaped.is_none_or(|reaped| at <= reaped) =>
        {
            ends(at, "its client is gone (--lost-client-timeout-ms)")
        }
        (_, _, Background::Asked { .. }) => waits("a look at its processes", None),
        (_, Some(_), Background::Working { .. }) => waits("the end of its background work", None),
        (_, Some(at), _) if row.clients().is_empty() => {
            ends(at, "it is idle (--session-idle-timeout-ms)")
        }
        (_, Some(at), _) => ends(at, "it is idle (--attached-idle-timeout-ms)"),
        _ if row.clients().is_empty() => stays("sessions are not closed for being idle"),
        _ => match books.agent(row.agent).config.idle_policy {
            IdlePolicy::Detached => stays("a client is attached"),
            IdlePolicy::Restorable if !books.is_safe_to_end(row) => {
                stays("a client is attached, and it is not known that its agent can restore it")
            }
            IdlePolicy::Restorable | IdlePolicy::All => {
                stays("sessions with a client are not closed for being idle")
            }
        },
    }
}

/// The fate of a parked session.
pub fn of_parked(view: View<'_>, row: &Parked) -> Fate {
    match row.revival {
        Revival::Opening(call) => {
            let limit = view.books.deadline(Due::Call(call)).map(|at| view.until(at));
            waits("the agent, which brings it back", limit)
        }
        Revival::None | Revival::Failed(_) if row.clients.is_empty() => {
            stays("a client may load it again")
        }
        Revival::None | Revival::Failed(_) => stays("the next message in it brings it back"),
    }
}

/// The fate of a session in which a request is open: the request ends, and at its limit the bridge
/// ends it.
fn busy(view: View<'_>, row: &Session, duty: Option<(Moment, Duty)>) -> Fate {
    let books = view.books;
    let (event, own) = if let Some(id) = row.questions.iter().next()
        && let Some(question) = books.question(*id)
    {
        let method = question.frame.method_name();
        let event = match question.asked.first() {
            Some(client) => format!("the answer of {client} to {method}"),
            None => format!("a client that answers {method}"),
        };
        (event, books.deadline(Due::Question(*id)))
    } else {
        let call = row.calls.iter().find_map(|id| Some((*id, books.call(*id)?)));
        let event = match call {
            Some((_, call)) if row.in_turn_since().is_none() => {
                format!("the agent's answer to {}", call.purpose.method())
            }
            _ => "the end of its turn".to_owned(),
        };
        (event, call.and_then(|(id, _)| books.deadline(Due::Call(id))))
    };
    // The turn of a session that nobody watches is cancelled; before that it is looked for the
    // editor, after which it may be cancelled at once.
    let unwatched = match (duty, &row.audience) {
        (Some((_, Duty::LookForEditor(_))), Audience::Absent(absence)) => {
            absence.since.plus(books.limits.lost_turn_timeout)
        }
        (duty, _) => duty.map(|(at, _)| at),
    };
    let limit = own.into_iter().chain(unwatched).min();
    waits(event, limit.map(|at| view.until(at)))
}

/// The fate of a channel.
pub fn of_channel(view: View<'_>, id: ChannelId, row: &Channel) -> Fate {
    let until = |at: Option<Moment>| at.map(|at| view.until(at));
    let own = until(view.books.deadline(Due::Channel(id)));
    match &row.state {
        ChannelState::Spawned => stays("it was started ahead (--preheat)"),
        ChannelState::Starting { .. } => {
            waits("the agent's answer to initialize", until(view.books.handshake_end(row)))
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
            waits(next, own)
        }
        ChannelState::Ready if row.clock.idle_since().is_some() => match own {
            Some(in_ms) => {
                let cause = "it has no work (--channel-idle-timeout-ms)".to_owned();
                Fate::Ends { in_ms, cause }
            }
            None => stays("it is kept without work"),
        },
        ChannelState::Ready if view.books.is_passthrough(id) => {
            stays("its client speaks another protocol version, and may have sessions")
        }
        ChannelState::Ready if view.books.is_leased(row) => {
            stays("the agent may hold something for a client")
        }
        ChannelState::Ready => {
            with_work(view, row, view.books.agent(row.agent).config.channel_idle_timeout)
        }
        // It stops with its last session.
        ChannelState::Draining { .. } => with_work(view, row, Limit::After(0)),
    }
}

/// The fate of a channel with work, which stops this time after its last work.
fn with_work(view: View<'_>, row: &Channel, idle_limit: Limit) -> Fate {
    let books = view.books;
    let mut calls = books.calls_beside_sessions(&row.calls);
    if let Some((id, call)) = calls.find_map(|id| Some((id, books.call(id)?))) {
        let method = if call.is_close() { "session/close" } else { call.purpose.method() };
        let limit = books.deadline(Due::Call(id)).map(|at| view.until(at));
        return waits(format!("the agent's answer to {method}"), limit);
    }
    let mut last: Option<(u64, SessionKey, String)> = None;
    let mut waiting = None;
    for session in row.sessions.iter().filter_map(|key| books.session(*key)) {
        let key = session.key;
        match of_session(view, session) {
            Fate::Stays { because } => return stays(format!("{because} ({key})")),
            Fate::Waits { event, at_most_ms } => {
                waiting = waiting.or(Some((key, event, at_most_ms)));
            }
            Fate::Ends { in_ms, cause } => {
                if last.as_ref().is_none_or(|(before, ..)| *before < in_ms) {
                    last = Some((in_ms, key, cause));
                }
            }
        }
    }
    match (waiting, last, idle_limit) {
        (Some((key, event, at_most_ms)), ..) => waits(format!("{event} in {key}"), at_most_ms),
        (None, None, _) => waits("the end of its work", None),
        (None, Some(_), Limit::Never) => stays("it is kept without work"),
        (None, Some((in_ms, key, cause)), Limit::After(millis)) => {
            let cause = format!("{key}, its last session, ends: {cause}");
            Fate::Ends { in_ms: in_ms.saturating_add(millis), cause }
        }
    }
}
