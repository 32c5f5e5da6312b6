//! What a bridge can be asked to do, and what it answers.

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
    /// Only if no turn and no question is open.
    #[default]
    IfIdle,
    /// As soon as no turn and no question is open.
    WhenIdle,
    /// At once.
    Now,
}

/// The answer to `bridge_stop`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Stopped {
    /// What follows.
    pub how: StoppedHow,
    /// What was going on.
    pub unfinished: Unfinished,
}

/// What follows from `bridge_stop`.
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

/// What a bridge has not finished.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Unfinished {
    /// Sessions in which a turn runs.
    pub turns: usize,
    /// Requests of agents that no client has answered.
    pub questions: usize,
    /// Live sessions in all.
    pub sessions: usize,
}

impl Unfinished {
    /// Whether neither a turn nor a question is open.
    pub const fn is_idle(self) -> bool {
        self.turns == 0 && self.questions == 0
    }
}
