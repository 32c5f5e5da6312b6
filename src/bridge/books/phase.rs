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
        /// When that began.
        since: Moment,
        /// Why.
        cause: ShutdownCause,
        /// Every process was sent SIGKILL already.
        forced: bool,
    },
    /// Everything is over.
    Over,
}
