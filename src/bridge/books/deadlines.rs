//! When something may be due: an ordered index over rows.
//!
//! There are no timers to start or cancel. Rows hold facts, limits come from the
//! configuration, and a deadline is a function of both. The index holds a
//! *lower bound* of the deadline: the use of a session moves only the fact in its row,
//! and the bound is corrected when it comes up. So a tick costs what is due, not what
//! exists.

use std::collections::BTreeSet;

use crate::bridge::books::table::Table;
use crate::bridge::id::{CallId, ChannelId, ClientId, PoolId, QuestionId, SessionKey};
use crate::bridge::time::Moment;

/// One thing that may become due: a row, a pause between starts, or the shutdown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Due {
    /// The timeout of a channel's handshake, its idle timeout, or the grace of its rung.
    Channel(ChannelId),
    /// The timeout of a call.
    Call(CallId),
    /// The timeout of a question.
    Question(QuestionId),
    /// The idle timeout of a session.
    Session(SessionKey),
    /// The interval of silence after which a channel whose agent is waited for is surveyed.
    Silence(ChannelId),
    /// The end of a pause between starts, while calls of the pool's clients wait for it.
    Start(PoolId),
    /// The timeout of a client that is silent since its parent process has ended.
    Orphan(ClientId),
    /// The grace of a slow client.
    Slow(ClientId),
    /// The next look at the memory that the agents take.
    Memory,
    /// The end of the bridge's tenure: nobody uses it.
    Tenure,
    /// The bound of the shutdown.
    Shutdown,
}

/// The index: the bound of each watched row.
#[derive(Clone, Debug, Default)]
pub struct Deadlines {
    order: BTreeSet<(Moment, Due)>,
    bounds: Table<Due, Moment>,
}

impl Deadlines {
    /// Makes sure that `due` comes up at `at` or before.
    pub fn watch(&mut self, due: Due, at: Moment) {
        match self.bounds.get_mut(&due) {
            Some(bound) if *bound <= at => {}
            Some(bound) => {
                self.order.remove(&(*bound, due));
                *bound = at;
                self.order.insert((at, due));
            }
            None => {
                self.bounds.insert(due, at);
                self.order.insert((at, due));
            }
        }
    }

    /// Takes a row out of the index, because it is gone or its deadline is another one.
    pub fn forget(&mut self, due: Due) {
        if let Some(bound) = self.bounds.swap_remove(&due) {
            self.order.remove(&(bound, due));
        }
    }

    /// The earliest bound; `None`: the index is empty.
    pub fn first(&self) -> Option<Moment> {
        self.order.first().map(|(at, _)| *at)
    }

    /// The row with the earliest bound, if that bound is reached.
    pub fn reached(&self, now: Moment) -> Option<Due> {
        self.order.first().filter(|(at, _)| *at <= now).map(|(_, due)| *due)
    }

    /// Moves the bound of a row that is in the index to `at`, because it was too early.
    pub fn postpone(&mut self, due: Due, at: Moment) {
        if let Some(bound) = self.bounds.get_mut(&due) {
            self.order.remove(&(*bound, due));
            *bound = at;
            self.order.insert((at, due));
        }
    }

    /// The bound of a row; `None`: it is not in the index.
    pub fn bound(&self, due: Due) -> Option<Moment> {
        self.bounds.get(&due).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Due = Due::Call(CallId(1));
    const B: Due = Due::Session(SessionKey(1));
    const C: Due = Due::Shutdown;

    fn at(millis: u64) -> Moment {
        Moment::from_millis(millis)
    }

    fn watched(rows: &[(Due, u64)]) -> Deadlines {
        let mut deadlines = Deadlines::default();
        for (due, millis) in rows {
            deadlines.watch(*due, at(*millis));
        }
        deadlines
    }

    /// The rows that come up until `until` (ms), in order.
    fn popped(mut deadlines: Deadlines, until: u64) -> Vec<Due> {
        let mut popped = Vec::new();
        while let Some(due) = deadlines.reached(at(until)) {
            deadlines.forget(due);
            popped.push(due);
        }
        popped
    }

    #[test]
    fn a_bound_is_moved_earlier_and_never_later() {
        let mut deadlines = watched(&[(A, 50), (A, 70)]);
        assert_eq!(deadlines.bound(A), Some(at(50)));
        deadlines.watch(A, at(30));
        assert_eq!(deadlines.bound(A), Some(at(30)));
        assert_eq!(deadlines.first(), Some(at(30)));
        assert_eq!(popped(deadlines, 100), [A], "it comes up once");
    }

    #[test]
    fn rows_come_up_in_the_order_of_their_bounds_and_not_before() {
        let rows = [(A, 30), (B, 10), (C, 20)];
        assert_eq!(popped(watched(&rows), 9), []);
        assert_eq!(popped(watched(&rows), 10), [B]);
        assert_eq!(popped(watched(&rows), 29), [B, C]);
        assert_eq!(popped(watched(&rows), 30), [B, C, A]);
    }

    #[test]
    fn rows_of_one_moment_come_up_in_the_order_of_their_ids() {
        let (first, second) = (Due::Call(CallId(3)), Due::Call(CallId(20)));
        let rows = [(C, 5), (second, 5), (B, 5), (first, 5)];
        assert_eq!(popped(watched(&rows), 5), [first, second, B, C]);
    }

    #[test]
    fn a_bound_that_was_too_early_is_postponed() {
        let mut deadlines = watched(&[(A, 10), (B, 20)]);
        deadlines.postpone(A, at(90));
        deadlines.postpone(C, at(90));
        assert_eq!((deadlines.bound(A), deadlines.bound(C)), (Some(at(90)), None));
        assert_eq!(popped(deadlines, 100), [B, A]);
    }

    #[test]
    fn a_row_that_is_gone_does_not_come_up() {
        let mut deadlines = watched(&[(A, 10), (B, 20)]);
        deadlines.forget(A);
        deadlines.forget(C);
        assert_eq!(deadlines.bound(A), None);
        assert_eq!(deadlines.first(), Some(at(20)));
        assert_eq!(popped(deadlines, 100), [B]);
    }

    #[test]
    fn the_silence_of_a_channel_is_a_row_of_its_own() {
        let (channel, silence) = (Due::Channel(ChannelId(1)), Due::Silence(ChannelId(1)));
        let mut deadlines = watched(&[(channel, 10), (silence, 20)]);
        deadlines.forget(channel);
        assert_eq!(popped(deadlines, 100), [silence]);
    }
}
