//! The ways in which an agent brings a session back in another process, and the experience with
//! them.

use serde::{Deserialize, Serialize};

/// A way to bring a session back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Way {
    /// `session/resume`.
    Resume,
    /// `session/load`, whose replay is not shown.
    Load,
}

impl Way {
    /// Both ways, the better one first: a resume replays nothing.
    pub const ALL: [Way; 2] = [Way::Resume, Way::Load];

    /// The method.
    pub const fn method(self) -> &'static str {
        match self {
            Way::Resume => "session/resume",
            Way::Load => "session/load",
        }
    }
}

/// The experience with one way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Experience {
    /// None.
    #[default]
    None,
    /// A restore has succeeded.
    Succeeded,
    /// The agent has refused to restore a session that had a record.
    Refused,
}

/// When an agent replays the history in a load.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Replay {
    /// That is not known.
    #[default]
    Unknown,
    /// Before the answer, as the protocol has it.
    BeforeAnswer,
    /// A part of it after the answer.
    AfterAnswer,
}

/// The experience with one version of an agent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Record {
    /// With `session/resume`.
    pub resume: Experience,
    /// With `session/load`.
    pub load: Experience,
    /// When it replays the history in a load.
    pub replay: Replay,
}

impl Record {
    /// The experience with one way.
    pub fn with(&self, way: Way) -> Experience {
        match way {
            Way::Resume => self.resume,
            Way::Load => self.load,
        }
    }

    /// Notes an experience; says whether it is new. A refusal counts for ever.
    pub fn note(&mut self, way: Way, experience: Experience) -> bool {
        let known = match way {
            Way::Resume => &mut self.resume,
            Way::Load => &mut self.load,
        };
        let is_new = *known != experience && *known != Experience::Refused;
        if is_new {
            *known = experience;
        }
        is_new
    }
}

/// A session that was never prompted and was opened anew: the agent knows it by another id than
/// clients do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pair {
    /// The id that clients know.
    pub known_as: Box<str>,
    /// The agent's id.
    pub agent_id: Box<str>,
    /// The directory of the session.
    pub cwd: Box<str>,
}
