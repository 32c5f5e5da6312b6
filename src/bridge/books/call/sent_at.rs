//! The moment at which a call was sent.

use crate::bridge::time::Moment;

/// When a call was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SentAt {
    /// The moment.
    pub at: Moment,
    /// The time that its agent had lost until then (ms); see `ChannelClock::lost`.
    pub lost: u64,
}
