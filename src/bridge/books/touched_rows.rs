//! The rows that a step has touched: at the end of the step they are settled, and their
//! deadlines are computed again.

use crate::bridge::books::deadlines::Due;
use crate::bridge::books::id_set::Ids;
use crate::bridge::id::{ChannelId, FanoutId, SessionKey};

/// The rows that were touched in this step and are not settled yet.
#[derive(Debug, Default)]
pub struct Touched {
    /// Sessions to settle.
    pub sessions: Ids<SessionKey>,
    /// Channels to settle.
    pub channels: Ids<ChannelId>,
    /// Fan-outs of which a part has ended.
    pub fanouts: Ids<FanoutId>,
    /// Rows that need no settling, but have a deadline: calls, questions, the shutdown.
    /// Some of these rows may be gone meanwhile.
    pub rows: Vec<Due>,
}
