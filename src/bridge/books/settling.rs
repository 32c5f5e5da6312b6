//! The rows left to settle in a step, and the moments at which rows come up: how other
//! rooms use [`touched_rows`](super::touched_rows) and [`deadlines`](super::deadlines).

use crate::bridge::books::Books;
use crate::bridge::books::deadlines::Due;
use crate::bridge::id::{ChannelId, FanoutId, SessionKey};
use crate::bridge::time::Moment;

impl Books {
    /// The next session to settle.
    pub fn next_touched_session(&mut self) -> Option<SessionKey> {
        self.touched.sessions.pop_first()
    }

    /// The next channel to settle.
    pub fn next_touched_channel(&mut self) -> Option<ChannelId> {
        self.touched.channels.pop_first()
    }

    /// The next request in parts to settle.
    pub fn next_touched_fanout(&mut self) -> Option<FanoutId> {
        self.touched.fanouts.pop_first()
    }

    /// Whether nothing is left to settle.
    pub fn is_settled(&self) -> bool {
        self.touched.sessions.is_empty()
            && self.touched.channels.is_empty()
            && self.touched.fanouts.is_empty()
    }

    /// Something changed that every channel may depend on.
    pub fn touch_all_channels(&mut self) {
        self.touched.channels.extend(self.channels.keys().copied());
    }

    /// Everything is settled: the rows that were touched come up when they are due.
    pub fn watch_touched(&mut self) {
        for place in 0..self.touched.rows.len() {
            self.watch(self.touched.rows[place]);
        }
        self.touched.rows.clear();
    }

    /// A session that was settled comes up at this moment at the latest.
    pub fn watch_session(&mut self, key: SessionKey, at: Moment) {
        self.deadlines.watch(Due::Session(key), at);
    }

    /// A channel that was settled comes up when it is due.
    pub fn watch_channel(&mut self, id: ChannelId) {
        self.watch(Due::Channel(id));
        self.watch(Due::Silence(id));
    }

    fn watch(&mut self, due: Due) {
        if let Some(at) = self.deadline(due) {
            self.deadlines.watch(due, at);
        }
    }

    /// The next row that is due. On the way the bounds of rows that are not due any more
    /// are corrected; each row that is looked at is one of `looks`.
    pub fn next_due(&mut self, now: Moment, looks: &mut usize) -> Option<Due> {
        while *looks > 0 {
            *looks -= 1;
            let due = self.deadlines.reached(now)?;
            match self.deadline(due) {
                Some(at) if at > now => self.deadlines.postpone(due, at),
                Some(_) => {
                    self.deadlines.forget(due);
                    return Some(due);
                }
                None => self.deadlines.forget(due),
            }
        }
        None
    }

    /// Whether a row is due, as the facts stand now.
    pub fn is_due(&self, due: Due, now: Moment) -> bool {
        self.deadline(due).is_some_and(|at| at <= now)
    }

    /// When the first bound is reached.
    pub fn first_bound(&self) -> Option<Moment> {
        self.deadlines.first()
    }

    /// The bound of a row.
    pub fn bound(&self, due: Due) -> Option<Moment> {
        self.deadlines.bound(due)
    }
}
