//! The process that started a client's connection, as a sign of the client's end.
//!
//! Its end may come unnoticed by the connection: another process may hold the other ends of
//! the pipes. But a parent may also leave on purpose, as launchers do.

use crate::bridge::time::Moment;

/// The knowledge of a client's parent process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parent {
    /// Its end is not known, and no line of the client came yet.
    Unheard,
    /// Its end is not known, and lines of the client came.
    Present,
    /// It has ended, and the client was silent since then.
    Gone {
        /// Since when the client is silent without it.
        since: Moment,
    },
    /// It left on purpose: its end before the first line of the client, or a line after its
    /// end, shows that it was a launcher.
    Launcher,
}

impl Parent {
    /// The state after a line of the client.
    pub const fn after_line(self) -> Parent {
        match self {
            Parent::Unheard | Parent::Present => Parent::Present,
            Parent::Gone { .. } | Parent::Launcher => Parent::Launcher,
        }
    }

    /// The state after the end of the parent at `now`.
    pub const fn after_end(self, now: Moment) -> Parent {
        match self {
            Parent::Present => Parent::Gone { since: now },
            Parent::Unheard | Parent::Launcher => Parent::Launcher,
            Parent::Gone { since } => Parent::Gone { since },
        }
    }

    /// The state after work was found at the end of the client's time: the time begins anew.
    pub const fn after_work(self, now: Moment) -> Parent {
        match self {
            Parent::Gone { .. } => Parent::Gone { since: now },
            other => other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Moment = Moment::from_millis(7);

    #[test]
    fn only_a_parent_that_a_client_has_outlived_in_silence_is_missed() {
        let used = Parent::Unheard.after_line();
        assert_eq!(used.after_end(NOW), Parent::Gone { since: NOW });
        assert_eq!(used.after_end(NOW).after_end(Moment::from_millis(9)), used.after_end(NOW));
        assert_eq!(Parent::Unheard.after_end(NOW), Parent::Launcher);
        assert_eq!(used.after_end(NOW).after_line(), Parent::Launcher);
        assert_eq!(used.after_end(NOW).after_line().after_end(NOW), Parent::Launcher);
    }

    #[test]
    fn work_begins_the_time_anew() {
        let later = Moment::from_millis(9);
        let gone = Parent::Present.after_end(NOW).after_work(later);
        assert_eq!(gone, Parent::Gone { since: later });
        assert_eq!(Parent::Launcher.after_work(later), Parent::Launcher);
    }
}
