//! Orders to a bridge, and its answers.

use serde::{Deserialize, Serialize};

/// The answer to `bridge_closeSession`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Closed {
    /// The session that was closed.
    pub key: String,
    /// Whether a turn ran in it.
    pub in_turn: bool,
}

/// The answer to `bridge_cancelTurn`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Cancelled {
    /// The names of the sessions whose turns are cancelled.
    pub sessions: Vec<String>,
}

/// The way in which a channel is taken out of service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Retirement {
    /// It gets no new sessions, and stops after its last one.
    Drain,
    /// It is stopped, and its sessions end.
    Now,
}

/// The way in which a bridge is to end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stop {
    /// Only if nothing is under way: no turn, no question, no other request.
    #[default]
    IfIdle,
    /// Only if nothing is under way, and no session is open that a later bridge is not known to bring
    /// back.
    IfUnused,
    /// As soon as nothing is under way.
    WhenIdle,
    /// At once.
    Now,
}

/// The answer to `bridge_stop`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Stopped {
    /// The consequence.
    pub how: StoppedHow,
    /// The work that was under way.
    pub unfinished: Unfinished,
}

/// The consequence of `bridge_stop`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StoppedHow {
    /// The bridge ends now.
    Ends,
    /// The bridge ends when nothing is unfinished.
    EndsWhenIdle,
    /// Nothing: something is unfinished.
    Refused,
}

/// The work that would be lost if a bridge ended now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Unfinished {
    /// Turns that run, and prompts that wait for theirs.
    pub turns: usize,
    /// Requests of agents that no client has answered.
    pub questions: usize,
    /// Sessions that are being opened.
    pub opening: usize,
    /// Other requests of clients that are not answered; those of clients of other protocol versions
    /// may be turns.
    pub requests: usize,
    /// Live sessions in all. They are no reason to wait.
    pub sessions: usize,
    /// Those among them that a later bridge is known to bring back.
    pub kept: usize,
}

impl Unfinished {
    /// Whether nothing is under way.
    pub const fn is_idle(self) -> bool {
        self.turns == 0 && self.questions == 0 && self.opening == 0 && self.requests == 0
    }
}
