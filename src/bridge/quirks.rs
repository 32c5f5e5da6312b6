//! Editors that need something else than the protocol says, by the name that they give of
//! themselves (`clientInfo.name`).

/// Which turns of a session a client is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mirror {
    /// All, as they happen.
    #[default]
    Live,
    /// Its own; of a turn of another client it gets the state alone.
    OwnTurns,
}

/// The editors that show an error for a turn which they did not begin.
const OWN_TURNS: [&str; 1] = [
    // Answers each message of such a turn with the error -32602.
    "CodeCompanion.nvim",
];

/// The turns that a client with this name is shown.
pub fn mirror(client_name: &str) -> Mirror {
    if OWN_TURNS.contains(&client_name) { Mirror::OwnTurns } else { Mirror::Live }
}
