//! When something may be due: an ordered index over rows.
//!
//! Nobody starts or cancels a timer. Rows hold facts, limits come from the
//! configuration, and a deadline is a function of both. The index holds a
//! *lower bound* of it: a touch moves only the fact in the row, and the bound is
//! corrected when it comes up. So a tick costs what is due, not what exists.

use std::collections::BTreeSet;

use crate::bridge::books::table::Table;
use crate::bridge::id::{CallId, ChannelId, PoolId, QuestionId, SessionKey};
use crate::bridge::time::Moment;

/// A row that may become due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Due {
    /// The handshake, the idle time or a rung of a channel.
    Channel(ChannelId),
    /// The budget of a call.
    Call(CallId),
    /// The limit of a question.
    Question(QuestionId),
    /// The idle time of a session.
    Session(SessionKey),
    /// The silence of a channel that is waited for.
    Silence(ChannelId),
    /// Calls that wait for a pause between the starts of a pool to end.
    Start(PoolId),
    /// The bound of the shutdown.
    Shutdown,
}

/// The index.
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

    /// The row is gone.
    pub fn forget(&mut self, due: Due) {
        if let Some(bound) = self.bounds.swap_remove(&due) {
            self.order.remove(&(bound, due));
        }
    }

    /// The first bound.
    pub fn first(&self) -> Option<Moment> {
        self.order.first().map(|(at, _)| *at)
    }

    /// Takes out the first row whose bound is reached.
    pub fn pop(&mut self, now: Moment) -> Option<Due> {
        let (_, due) = *self.order.first().filter(|(at, _)| *at <= now)?;
        self.forget(due);
        Some(due)
    }

    /// The bound of a row.
    pub fn bound(&self, due: Due) -> Option<Moment> {
        self.bounds.get(&due).copied()
    }
}
