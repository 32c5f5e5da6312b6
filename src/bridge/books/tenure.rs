//! The tenure of a bridge for many clients: whether it is still of use, or ends by itself.

use crate::bridge::event::ShutdownCause;
use crate::bridge::time::{Limit, Moment};

/// The wish that a bridge ends, which waits until nobody would lose anything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Leaving {
    /// There is none.
    #[default]
    No,
    /// Another bridge takes the place of this one, because its program was replaced, its socket
    /// is gone, or a newer one asked for that: it ends without clients and without a busy session.
    Superseded,
    /// A person wants it: it ends when no request and no question is open.
    WhenIdle,
}

/// The facts that decide whether the bridge ends by itself.
#[derive(Debug, Default)]
pub struct Tenure {
    /// Since when there is neither a client nor a session; `None`: there is one.
    unused_since: Option<Moment>,
    /// Whether the bridge is to end, and when.
    pub leaving: Leaving,
    /// Since when nobody would lose anything with a bridge that is to end; `None`: somebody
    /// would.
    left_since: Option<Moment>,
}

impl Tenure {
    /// Notes whether there is neither a client nor a session now, and whether the bridge is to
    /// end and nobody would lose anything with it.
    pub fn settle(&mut self, is_unused: bool, may_be_left: bool, now: Moment) {
        let since = |before: Option<Moment>, holds: bool| holds.then(|| before.unwrap_or(now));
        self.unused_since = since(self.unused_since, is_unused);
        self.left_since = since(self.left_since, may_be_left);
    }

    /// When a bridge that is to end does so; `None`: somebody needs it.
    pub fn left_since(&self) -> Option<Moment> {
        self.left_since
    }

    /// When the bridge has been unused for this long.
    pub fn unused_until(&self, limit: Limit) -> Option<Moment> {
        self.unused_since?.plus(limit)
    }

    /// The cause of a shutdown at the end of the tenure.
    pub fn cause_of_end(&self) -> ShutdownCause {
        match self.leaving {
            Leaving::No => ShutdownCause::Unused,
            Leaving::Superseded => ShutdownCause::Superseded,
            Leaving::WhenIdle => ShutdownCause::Operator,
        }
    }
}
