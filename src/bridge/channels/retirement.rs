//! Retirement: a channel in service takes no more sessions if its agent left an open or
//! a close unanswered, or holds too many husks. These facts are checked at the end of
//! the step, and earlier where a call might go to such a channel. A wanted login and the age
//! of a channel matter to the next session alone, and are looked at before it is placed; so are
//! the agent's files and handles, by the runtime. A channel that is outdated so is retired when
//! another one is ready. Refused settings are handled in `set_up_replay`.

use crate::bridge::books::Books;
use crate::bridge::books::channel::{Channel, ChannelState, Login, Succession};
use crate::bridge::channels::{start, stop};
use crate::bridge::event::Outdated;
use crate::bridge::id::{ChannelId, PoolId};
use crate::bridge::notice::Notice;
use crate::bridge::reason::StopReason;
use crate::bridge::step::Step;
use crate::bridge::time::Moment;

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
    } else if let Some(reason) = &row.outdated
        && books.has_successor(row)
        && !books.is_leased(row)
    {
        Some(reason.clone())
    } else {
        let is_succeeded = matches!(row.succession, Succession::By(successor)
        if books.channel(successor).is_some_and(|row| {
            row.state == ChannelState::Ready && !books.is_being_set_up(row)
        }));
        is_succeeded.then_some(StopReason::Husks)
    }
}

/// Retires the channels of a pool that refused an open for want of a login, and notes which are
/// too old for the session that is placed next.
pub fn before_placing(step: &mut Step<'_>, pool: PoolId) {
    let seeks = |row: &Channel| (row.login == Login::Wanted).then_some(());
    for (channel, ()) in ready(step.books, pool, seeks) {
        // The login may have been made outside the bridge, and a new process sees it.
        stop::drain(step, channel, StopReason::LoginElsewhere);
    }
    note_age(step, pool);
}

/// Notes which channels of a pool are too old for new sessions.
pub fn note_age(step: &mut Step<'_>, pool: PoolId) {
    let (now, books) = (step.now, &step.books);
    for (channel, millis) in ready(books, pool, |row| age_reached(books, row, now)) {
        outdate(step, channel, StopReason::TooOld(millis));
    }
}

/// The channels of a pool that are in service and of which something is found.
fn ready<T>(
    books: &Books,
    pool: PoolId,
    find: impl Fn(&Channel) -> Option<T>,
) -> Vec<(ChannelId, T)> {
    let is_its = |row: &Channel| row.pool == Some(pool) && row.state == ChannelState::Ready;
    let rows = books.channels().iter().filter(|(_, row)| is_its(row));
    rows.filter_map(|(id, row)| Some((*id, find(row)?))).collect()
}

/// The age from which a channel with a fetched package gets no new sessions (ms), if it has reached
/// it.
fn age_reached(books: &Books, row: &Channel, now: Moment) -> Option<u64> {
    let max = books.agent(row.agent).config.package_max_age.millis()?;
    (now.since(row.clock.born) >= max).then_some(max)
}

/// Notes that a channel is worn out: its sessions move on as soon as they can, and the next request
/// starts another process.
pub fn recycle(step: &mut Step<'_>, channel: ChannelId) {
    outdate(step, channel, StopReason::WornOut);
    step.books.touch_sessions_on(channel);
}

/// Handles the news that a process which is started now would have something that the running
/// one of a channel has not.
pub fn outdated(step: &mut Step<'_>, channel: ChannelId, what: Outdated) {
    let reason = match what {
        Outdated::Updated { file } => {
            let pool = step.books.channel(channel).and_then(|row| row.pool);
            if let Some(pool) = pool.and_then(|pool| step.books.pool_mut(pool)) {
                // These files have not been tried yet.
                pool.successor_failed = None;
            }
            StopReason::AgentUpdated { file }
        }
        Outdated::DeadHandle { name } => StopReason::DeadHandle { name },
    };
    outdate(step, channel, reason);
}

/// Notes that new sessions are to go to another channel. The old one stays in service until that
/// is ready: an agent that cannot be started takes nothing away.
fn outdate(step: &mut Step<'_>, channel: ChannelId, reason: StopReason) {
    // The sessions of a passthrough channel are no rows of the books, and cannot go on beside
    // those of a successor.
    let is_passthrough = step.books.is_passthrough(channel);
    let is_new = |row: &Channel| row.state == ChannelState::Ready && !row.is_outdated();
    // A row that is outdated already is not touched: a placement that waits asks again.
    if !is_passthrough
        && step.books.channel(channel).is_some_and(is_new)
        && let Some(row) = step.books.channel_mut(channel)
    {
        row.outdated = Some(reason);
    }
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
