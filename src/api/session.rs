//! One session: one conversation that is open.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::fate::Fate;

/// A page of the sessions of a bridge.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Sessions {
    /// The sessions, the oldest first.
    pub sessions: Vec<SessionStatus>,
    /// The `after` of the next page; `None`: there are no more.
    pub next: Option<u64>,
}

/// A session that is live, being opened, or parked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SessionStatus {
    /// Its name in this bridge, such as `s-7`; never used again. `None`: it is being opened.
    pub key: Option<String>,
    /// The id by which its clients know it; `None`: the agent has not given it one yet.
    pub id: Option<String>,
    /// The name of its agent.
    pub agent: String,
    /// The name of its channel; `None`: its open waits for one, or it is parked.
    pub channel: Option<String>,
    /// Its directory.
    pub directory: String,
    /// The names of the clients that are attached, in the order in which they came; of one that is
    /// being opened, the client that waits for it; of a parked one, those that had it.
    pub clients: Vec<String>,
    /// Its state.
    pub state: SessionState,
    /// The time since it was last used, or since it was parked.
    pub idle_ms: u64,
    /// The time since its running turn began; `None`: none runs.
    pub turn_ms: Option<u64>,
    /// The number of prompts that wait for the running turn.
    pub queued: usize,
    /// The requests of its agent that no client has answered, the oldest first.
    pub questions: Vec<QuestionStatus>,
    /// Its future if nothing happens.
    pub fate: Fate,
}

/// The state of a session: the most urgent thing that goes on in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SessionState {
    /// Its agent was asked to open it, or will be.
    Opening,
    /// It is being brought back: its agent restores it, or its settings are made what they were.
    Restoring,
    /// Its agent waits for an answer to a question.
    Question,
    /// A turn runs.
    Turn,
    /// Another request of a client is open in it.
    Request,
    /// Nothing, but processes that a turn has started still run.
    Background,
    /// Nothing.
    Quiet,
    /// No agent has it; the next request that names it brings it back.
    Parked,
}

impl SessionState {
    /// Every state.
    pub const ALL: [SessionState; 8] = [
        SessionState::Opening,
        SessionState::Restoring,
        SessionState::Question,
        SessionState::Turn,
        SessionState::Request,
        SessionState::Background,
        SessionState::Quiet,
        SessionState::Parked,
    ];

    /// The word for it in JSON.
    pub const fn word(self) -> &'static str {
        match self {
            SessionState::Opening => "opening",
            SessionState::Restoring => "restoring",
            SessionState::Question => "question",
            SessionState::Turn => "turn",
            SessionState::Request => "request",
            SessionState::Background => "background",
            SessionState::Quiet => "quiet",
            SessionState::Parked => "parked",
        }
    }
}

impl fmt::Display for SessionState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// A request of an agent that no client has answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct QuestionStatus {
    /// Its method.
    pub method: String,
    /// The time since it was asked.
    pub age_ms: u64,
    /// The names of the clients that have it open; none: no client is there that may answer.
    pub asked: Vec<String>,
    /// The time after which the bridge answers it in the client's place; `None`: not as things
    /// stand.
    pub ends_in_ms: Option<u64>,
}
