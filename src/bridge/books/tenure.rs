//! The tenure of a bridge for many clients: whether it is still of use, or ends by itself.

use crate::bridge::event::ShutdownCause;
use crate::bridge::time::{Limit, Moment};

/// The facts that decide whether the bridge ends by itself.
#[derive(Debug)]
pub struct Tenure {
    /// Since when there is neither a client nor a session; `None`: there is one.
    unused_since: Option<Moment>,
    /// Whether another bridge takes the place of this one, because its program was replaced, its
    /// socket is gone, or a newer one asked for that.
    pub is_superseded: bool,
    /// Since when nobody would lose anything with a bridge that is superseded; `None`: somebody
    /// would.
    left_since: Option<Moment>,
}

impl Tenure {
    /// The tenure of a new bridge, which nobody uses yet.
    pub fn new() -> Tenure {
        Tenure { unused_since: Some(Moment::START), is_superseded: false, left_since: None }
    }

    /// Notes whether there is neither a client nor a session now.
    pub fn set_unused(&mut self, is_unused: bool, now: Moment) {
        let since = self.unused_since.filter(|_| is_unused);
        self.unused_since = since.or(is_unused.then_some(now));
    }

    /// Notes whether nobody would lose anything with the bridge now.
    pub fn set_left(&mut self, may_be_left: bool, now: Moment) {
        let since = self.left_since.filter(|_| may_be_left);
        self.left_since = since.or((may_be_left && self.is_superseded).then_some(now));
    }

    /// When a bridge that is superseded ends; `None`: somebody needs it.
    pub fn left_since(&self) -> Option<Moment> {
        self.left_since
    }

    /// When the bridge has been unused for this long.
    pub fn unused_until(&self, limit: Limit) -> Option<Moment> {
        self.unused_since?.plus(limit)
    }

    /// The cause of a shutdown at the end of the tenure.
    pub fn cause_of_end(&self) -> ShutdownCause {
        if self.is_superseded { ShutdownCause::Superseded } else { ShutdownCause::Unused }
    }
}
