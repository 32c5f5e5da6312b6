//! Retirement: a channel in service takes no more sessions if its agent left an open or
//! a close unanswered, or holds too many husks. These facts are checked at the end of
//! the step, and earlier where a call might go to such a channel. A wanted login and
//! refused settings are handled in `placement` and `set_up_replay`.

use crate::bridge::books::Books;
use crate::bridge::books::channel::{Channel, ChannelState};
use crate::bridge::channels::stop;
use crate::bridge::id::ChannelId;
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
        // An agent that cannot close sessions keeps all of them: it is replaced before they
        // are too many.
        let max_husks = books.agent(row.agent).config.max_husks;
        let is_full = max_husks > 0 && row.tombstones.husks() >= max_husks;
        is_full.then_some(StopReason::Husks)
    }
}
