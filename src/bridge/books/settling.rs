//! The touched rows that are left to settle, and the moments at which rows come up: the
//! methods by which other rooms use [`touched_rows`](super::touched_rows) and
//! [`deadlines`](super::deadlines).

use crate::bridge::books::Books;
use crate::bridge::books::deadlines::Due;
use crate::bridge::id::{ChannelId, FanoutId, SessionKey};
use crate::bridge::time::Moment;

impl Books {
    /// Takes the next session to settle.
    pub fn next_touched_session(&mut self) -> Option<SessionKey> {
        self.touched.sessions.pop_first()
    }

    /// Takes the next channel to settle.
    pub fn next_touched_channel(&mut self) -> Option<ChannelId> {
        self.touched.channels.pop_first()
    }

    /// Takes the next fan-out to settle.
    pub fn next_touched_fanout(&mut self) -> Option<FanoutId> {
        self.touched.fanouts.pop_first()
    }

    /// Whether nothing is left to settle.
    pub fn is_settled(&self) -> bool {
        self.touched.sessions.is_empty()
            && self.touched.channels.is_empty()
            && self.touched.fanouts.is_empty()
    }

    /// Touches every channel, after a change that any of them may depend on.
    pub fn touch_all_channels(&mut self) {
        self.touched.channels.extend(self.channels.keys().copied());
    }

    /// Makes the touched rows that need no settling come up when they are due. To be called
    /// when everything is settled.
    pub fn watch_touched(&mut self) {
        for place in 0..self.touched.rows.len() {
            self.watch(self.touched.rows[place]);
        }
        self.touched.rows.clear();
    }

    /// Makes a session come up at this moment at the latest.
    pub fn watch_session(&mut self, key: SessionKey, at: Moment) {
        self.deadlines.watch(Due::Session(key), at);
    }

    /// Makes a channel come up when it is due, and when its agent has been silent for an
    /// interval.
    pub fn watch_channel(&mut self, id: ChannelId) {
        self.watch(Due::Channel(id));
        self.watch(Due::Silence(id));
    }

    fn watch(&mut self, due: Due) {
        if let Some(at) = self.deadline(due) {
            self.deadlines.watch(due, at);
        }
    }

    /// Takes the next row that is due out of the index. `None`: no row is due, or `looks`,
    /// the number of rows that may still be looked at, is used up. A row whose bound was too
    /// early gets a new bound on the way.
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

    /// The earliest bound; `None`: no row is watched.
    pub fn first_bound(&self) -> Option<Moment> {
        self.deadlines.first()
    }

    /// The bound of a row; `None`: it is not watched.
    pub fn bound(&self, due: Due) -> Option<Moment> {
        self.deadlines.bound(due)
    }
}
