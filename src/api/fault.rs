//! Why a bridge does not do what it was asked to.

use serde::{Deserialize, Serialize};

/// A refusal of the control API: `error.message`, and `error.data`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The reason for programs.
    pub kind: FaultKind,
    /// The reason for people, as whole sentences.
    pub message: String,
}

/// The reason for programs: `kind` in `error.data`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// No live session has this name.
    UnknownSession,
    /// Several live sessions have this id.
    AmbiguousSession,
    /// No channel has this name.
    UnknownChannel,
    /// The channel cannot be drained.
    NotDrainable,
    /// The bridge ends, or is too busy to answer.
    NotAnswering,
    /// The configuration was not read again.
    NotReloaded,
    /// The connection or the message is refused.
    NotServed,
}

impl Fault {
    /// A fault of this kind, with these sentences.
    pub fn new(kind: FaultKind, message: impl Into<String>) -> Fault {
        Fault { kind, message: message.into() }
    }
}

/// `error.data` of a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FaultData {
    /// The reason for programs.
    pub kind: FaultKind,
}
