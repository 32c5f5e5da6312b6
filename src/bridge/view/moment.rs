//! The books, as they are at one moment.

use crate::bridge::books::Books;
use crate::bridge::time::Moment;

/// The books, as they are at one moment.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    pub(super) books: &'a Books,
    pub(super) now: Moment,
}

impl<'a> View<'a> {
    /// These books at this moment.
    pub fn of(books: &'a Books, now: Moment) -> View<'a> {
        View { books, now }
    }

    /// The time from an earlier moment until now (ms).
    pub(super) fn since(self, earlier: Moment) -> u64 {
        self.now.since(earlier)
    }

    /// The time from now until a later moment (ms).
    pub(super) fn until(self, later: Moment) -> u64 {
        later.since(self.now)
    }
}
