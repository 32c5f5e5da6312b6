//! Retirement: a channel in service takes no more sessions if its agent left an open or
//! a close unanswered, or holds too many husks. These facts are checked at the end of
//! the step, and earlier where a call might go to such a channel. A wanted login and
//! refused settings are handled in `placement` and `set_up_replay`.

use crate::bridge::books::Books;
use crate::bridge::books::channel::{Channel, ChannelState, Succession};
use crate::bridge::channels::{start, stop};
use crate::bridge::id::ChannelId;
use crate::bridge::notice::Notice;
use crate::bridge::reason::StopReason;
use crate::bridge::step::Step;

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
