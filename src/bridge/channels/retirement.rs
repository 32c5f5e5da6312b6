//! Why a channel is taken out of service although its process is well: facts that
//! are looked at when the step that brought them ends.

use crate::bridge::books::Books;
use crate::bridge::books::channel::{Channel, State};
use crate::bridge::notice::StopReason;

/// Why a channel in service must take no more sessions, if it must not.
pub fn reason(books: &Books, row: &Channel) -> Option<StopReason> {
    if row.state != State::Ready {
        None
    } else if !row.overdue.is_empty() {
        Some(StopReason::OpenUnanswered)
    } else if row.tombstones.has_unanswered() {
        Some(StopReason::CloseUnanswered)
    } else {
        // An agent that cannot close sessions keeps them: it is replaced in time.
        let max_husks = books.agent(row.agent).config.max_husks;
        let is_full = max_husks > 0 && row.tombstones.husks() >= max_husks;
        is_full.then_some(StopReason::Husks)
    }
}
