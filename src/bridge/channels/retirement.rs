//! Retirement: a channel in service takes no more sessions if its agent left an open or
//! a close unanswered, or holds too many husks. These facts are checked at the end of
//! the step, and earlier where a call might go to such a channel. A wanted login and the age
//! of a channel matter to the next session alone, and are looked at before it is placed; so are
//! the agent's files and handles, by the runtime. Refused settings are handled in
//! `set_up_replay`.

use crate::bridge::books::Books;
use crate::bridge::books::channel::{Channel, ChannelState, Login, Succession};
use crate::bridge::channels::{start, stop};
use crate::bridge::event::Outdated;
use crate::bridge::id::{ChannelId, ClientId, PoolId};
use crate::bridge::notice::Notice;
use crate::bridge::reason::StopReason;
use crate::bridge::step::Step;
use crate::bridge::time::{Limit, Moment};

/// Retires a channel that must take no more sessions; says whether it did.
pub fn retire(step: &mut Step<'_>, channel: ChannelId) -> bool {
    let Some(row) = step.books.channel(channel) else {
        step.books.absent(channel);
        return false;
    };
    let Some(reason) = reason(step.books, row) else { return false };
    stop::drain(step, channel, reason);
    true
}

fn reason(books: &Books, row: &Channel) -> Option<StopReason> {
    if row.state != ChannelState::Ready {
        None
    } else if !row.overdue.is_empty() {
        Some(StopReason::OpenUnanswered)
    } else if row.tombstones.has_unanswered() {
        Some(StopReason::CloseUnanswered)
    } else {
        let is_succeeded = matches!(row.succession, Succession::By(successor)
        if books.channel(successor).is_some_and(|row| {
            row.state == ChannelState::Ready && !books.is_being_set_up(row)
        }));
        is_succeeded.then_some(StopReason::Husks)
    }
}

/// Retires the channels of a pool that must not get the session that is placed next.
pub fn before_placing(step: &mut Step<'_>, pool: PoolId) {
    let (now, books) = (step.now, &step.books);
    let of_pool = books.channels().iter().filter(|(_, row)| row.pool == Some(pool));
    let found: Vec<(ChannelId, StopReason)> = of_pool
        .filter_map(|(id, row)| Some((*id, reason_before_placing(books, row, now)?)))
        .collect();
    for (channel, reason) in found {
        stop::drain(step, channel, reason);
    }
}

fn reason_before_placing(books: &Books, row: &Channel, now: Moment) -> Option<StopReason> {
    if row.state != ChannelState::Ready {
        return None;
    }
    if row.login == Login::Wanted {
        // The login may have been made outside the bridge, and a new process sees it.
        return Some(StopReason::LoginElsewhere);
    }
    match books.agent(row.agent).config.channel_max_age {
        Limit::After(millis) if now.since(row.clock.born) >= millis => {
            Some(StopReason::TooOld(millis))
        }
        _ => None,
    }
}

/// Handles the news that a process which is started now for this client would have something
/// that the running one of a channel has not.
pub fn outdated(step: &mut Step<'_>, channel: ChannelId, client: ClientId, what: Outdated) {
    let Some(row) = step.books.channel(channel) else { return };
    let pool = row.pool;
    // Its sessions are no rows of the books, and cannot go on beside those of a successor.
    if step.books.is_passthrough(channel) {
        return;
    }
    let reason = match what {
        Outdated::Updated { file } => StopReason::AgentUpdated { file },
        // Clients of other pools bring their handles to other processes.
        Outdated::DeadHandle { .. }
            if step.books.client(client).is_none_or(|row| row.pool != pool) =>
        {
            return;
        }
        Outdated::DeadHandle { name } => StopReason::DeadHandle { name },
    };
    stop::drain(step, channel, reason);
}

/// Whether an agent that cannot close sessions holds so many that it is to be replaced. It
/// is not if it has no live session: then its idleness ends it.
fn holds_too_many(books: &Books, row: &Channel) -> bool {
    let max_husks = books.agent(row.agent).config.max_husks;
    let weigh = || row.tombstones.husk_rows().map(|husk| husk.husk.weight()).sum::<usize>();
    max_husks > 0
        && row.state == ChannelState::Ready
        && !row.sessions.is_empty()
        && weigh() >= max_husks
}

/// Starts a successor for a channel that holds too many husks. The channel stays in service
/// until the successor is ready; if that fails, or there is no room, it is kept.
pub fn succeed(step: &mut Step<'_>, channel: ChannelId) {
    let Some(row) = step.books.channel(channel) else { return step.books.absent(channel) };
    let has_ended = matches!(row.succession, Succession::By(successor)
        if step.books.channel(successor).is_none_or(Channel::is_stopping));
    let (pool, key) = (row.pool, row.shared_cwd.clone());
    if has_ended {
        return keep(step, channel);
    }
    if row.succession != Succession::None || !holds_too_many(step.books, row) {
        return;
    }
    let Some(pool) = pool else { return step.books.absent(channel) };
    match start::successor(step, pool, key) {
        Some(successor) => {
            if let Some(row) = step.books.channel_mut(channel) {
                row.succession = Succession::By(successor);
            }
        }
        None => keep(step, channel),
    }
}

fn keep(step: &mut Step<'_>, channel: ChannelId) {
    if let Some(row) = step.books.channel_in_passing(channel) {
        row.succession = Succession::Failed;
    }
    step.publish(Notice::SuccessorFailed { channel });
}
