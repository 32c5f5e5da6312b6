//! The future of a row.

use serde::{Deserialize, Serialize};

/// The future of a channel or a session if nothing happens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "snake_case", rename_all_fields = "camelCase")]
pub enum Fate {
    /// It ends.
    Ends {
        /// The time until then.
        in_ms: u64,
        /// The beginning of the sentence "…, so it ends": the cause.
        cause: String,
    },
    /// Something else comes first, and what follows depends on it.
    Waits {
        /// The event, as a noun.
        event: String,
        /// The time after which the bridge itself acts, if nothing comes; `None`: no such time is
        /// known.
        at_most_ms: Option<u64>,
    },
    /// It stays.
    Stays {
        /// The end of the sentence "it stays, because …".
        because: String,
    },
}
