//! The rows that a step has touched: at its end they are settled, and their deadlines
//! are looked at again.

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
    /// Requests of which a part was answered.
    pub fanouts: Ids<FanoutId>,
    /// Rows of which nothing follows but a deadline; some of them are gone meanwhile.
    pub rows: Vec<Due>,
}
