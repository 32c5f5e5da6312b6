//! Where the bridge stands in its own life: in service, ending, over.

use crate::bridge::event::ShutdownCause;
use crate::bridge::time::Moment;

/// Where the bridge stands in its own life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// In service.
    Running,
    /// Shutting down.
    Ending {
        /// When the shutdown began.
        since: Moment,
        /// The cause.
        cause: ShutdownCause,
        /// When its end was last wished for: what follows soon after is the same wish.
        wished_at: Moment,
        /// When the last signal came; `None`: none came.
        signalled_at: Option<Moment>,
        /// Whether SIGKILL was sent to every process that was left.
        forced: bool,
    },
    /// The shutdown is over: every channel has exited or is stuck.
    Over,
}
