//! Channels, and what keeps them.

use crate::api::{ChannelState, ChannelStatus, Explanation, Keep, Rung};
use crate::bridge::books::call::{Call, Purpose};
use crate::bridge::books::channel::{self, Channel, Login};
use crate::bridge::books::when_due::Indulgence;
use crate::bridge::id::{ChannelId, ClientId};
use crate::bridge::time::Limit;
use crate::bridge::view::moment::View;
use crate::bridge::view::{fate, requests, sessions};

/// The status of a channel.
pub fn status(view: View<'_>, id: ChannelId, row: &Channel) -> ChannelStatus {
    let books = view.books;
    let sessions: Vec<_> = row.sessions.iter().filter_map(|key| books.session(*key)).collect();
    let mut clients: Vec<ClientId> =
        sessions.iter().flat_map(|session| session.clients()).copied().collect();
    clients.sort_unstable();
    clients.dedup();
    let is_sent = |call: &&Call| call.is_sent();
    ChannelStatus {
        id: id.to_string(),
        agent: books.agent_name_on(id),
        pool: row.pool.map(|pool| pool.to_string()),
        state: state(view, row),
        age_ms: view.since(row.clock.born),
        directory: row.shared_cwd.as_deref().map(str::to_owned),
        sessions: sessions.len(),
        opening: opens(view, row).count(),
        in_turn: sessions.iter().filter(|row| row.in_turn_since().is_some()).count(),
        questions: row.questions.len(),
        requests: calls(view, row).filter(is_sent).count(),
        husks: row.tombstones.husks(),
        clients: clients.iter().map(ToString::to_string).collect(),
        silent_ms: row.clock.silent_for(view.now),
        is_deaf: row.unread.is_some(),
        is_paused: row.paused,
        wants_login: row.login == Login::Wanted,
        outdated: row.outdated.as_ref().map(ToString::to_string),
        queued_bytes: 0,
        tree: None,
        fate: fate::of_channel(view, id, row),
    }
}

fn state(view: View<'_>, row: &Channel) -> ChannelState {
    match &row.state {
        channel::ChannelState::Spawned => ChannelState::Spawned,
        channel::ChannelState::Starting { since, .. } => {
            ChannelState::Starting { for_ms: view.since(*since) }
        }
        channel::ChannelState::Ready => {
            ChannelState::Ready { idle_ms: row.clock.idle_since().map(|at| view.since(at)) }
        }
        channel::ChannelState::Draining { reason, .. } => {
            ChannelState::Draining { reason: reason.to_string() }
        }
        channel::ChannelState::Stopping { reason, rung, since, .. } => ChannelState::Stopping {
            reason: reason.to_string(),
            rung: match rung {
                channel::Rung::ClosingStdin => Rung::ClosingStdin,
                channel::Rung::Terminated => Rung::Terminated,
                channel::Rung::Killed => Rung::Killed,
                channel::Rung::Stuck => Rung::Stuck,
            },
            for_ms: view.since(*since),
        },
    }
}

/// A channel, and all that keeps it, with at most `limit` sessions and `limit` requests.
pub fn explanation(view: View<'_>, id: ChannelId, row: &Channel, limit: usize) -> Explanation {
    let live = row.sessions.iter().filter_map(|key| view.books.session(*key));
    let live = live.map(|session| sessions::live(view, session));
    let opening = view.books.calls_on(id).into_iter().filter_map(|call| {
        let row = view.books.call(call)?;
        sessions::opening(view, call, row)
    });
    Explanation {
        channel: status(view, id, row),
        keeps: keeps(view, id, row),
        sessions: live.chain(opening).take(limit).collect(),
        requests: requests::of_channel(view, id, limit),
        processes: Vec::new(),
    }
}

/// The reasons why a channel is not stopped.
fn keeps(view: View<'_>, id: ChannelId, row: &Channel) -> Vec<Keep> {
    if row.is_stopping() {
        return Vec::new();
    }
    let closes = calls(view, row).filter(|call| matches!(call.purpose, Purpose::Close(_))).count();
    let opens = opens(view, row).count();
    let all = calls(view, row).filter(|call| !call.is_overdue() && call.session.is_none()).count();
    let counted = [
        (row.sessions.len(), Keep::Sessions { count: row.sessions.len() }),
        (opens, Keep::Opens { count: opens }),
        (closes, Keep::Closes { count: closes }),
    ];
    let mut keeps: Vec<Keep> =
        counted.into_iter().filter(|(count, _)| *count > 0).map(|(_, keep)| keep).collect();
    let requests = all.saturating_sub(opens);
    if requests > 0 {
        keeps.push(Keep::Requests { count: requests });
    }
    // A lease does not keep a draining channel.
    if row.state == channel::ChannelState::Ready {
        keeps.extend(leases(view, row));
    }
    keeps.extend(indulgences(view, id, row));
    keeps
}

fn leases(view: View<'_>, row: &Channel) -> Vec<Keep> {
    let clients: Vec<String> = row.leases.iter().map(ToString::to_string).collect();
    let count = view.books.passing_ids_of_clients(row).count();
    let leases = (!clients.is_empty()).then_some(Keep::Leases { clients });
    let passing = (count > 0).then_some(Keep::PassingIds { count });
    leases.into_iter().chain(passing).collect()
}

fn indulgences(view: View<'_>, id: ChannelId, row: &Channel) -> Option<Keep> {
    let is_ready = row.state == channel::ChannelState::Ready;
    if view.books.is_passthrough(id) {
        return Some(Keep::Passthrough);
    }
    if row.state == channel::ChannelState::Spawned {
        return Some(Keep::Preheat);
    }
    // What has work needs no indulgence.
    if !is_ready || row.clock.idle_since().is_none() {
        return None;
    }
    match (view.books.indulgence(row), view.books.idle_limit(row)) {
        (Some(Indulgence::Preheat), _) => Some(Keep::Preheat),
        (_, Limit::Never) => Some(Keep::NoIdleTimeout),
        (Some(Indulgence::FirstUse), _) => Some(Keep::FirstUse),
        (Some(Indulgence::Login), _) => Some(Keep::Login),
        (None, Limit::After(_)) => None,
    }
}

fn calls<'a>(view: View<'a>, row: &'a Channel) -> impl Iterator<Item = &'a Call> {
    row.calls.iter().filter_map(move |id| view.books.call(*id))
}

fn opens<'a>(view: View<'a>, row: &'a Channel) -> impl Iterator<Item = &'a Call> {
    calls(view, row).filter(|call| call.opening().is_some() && !call.is_overdue())
}
