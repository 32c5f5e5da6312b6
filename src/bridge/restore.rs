//! The ways in which an agent brings a session back in another process, and the experience with
//! them.

use serde::{Deserialize, Serialize};

/// The version of an agent to which experience belongs: the name and version that it gives itself;
/// empty: it gives none.
pub fn version_of(name: &str, version: &str) -> Box<str> {
    format!("{name} {version}").trim().into()
}

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

    /// The record of a single experience.
    pub fn only(way: Way, experience: Experience) -> Record {
        let mut record = Record::default();
        *record.with_mut(way) = experience;
        record
    }

    /// Notes an experience; says whether it is new. A refusal stays.
    pub fn note(&mut self, way: Way, experience: Experience) -> bool {
        let known = self.with_mut(way);
        let is_new =
            experience != Experience::None && *known != experience && *known != Experience::Refused;
        if is_new {
            *known = experience;
        }
        is_new
    }

    /// Notes when the agent replays the history; says whether that is new. An agent that has done
    /// so late may do so again.
    pub fn note_replay(&mut self, replay: Replay) -> bool {
        let is_new = replay != Replay::Unknown
            && self.replay != replay
            && self.replay != Replay::AfterAnswer;
        if is_new {
            self.replay = replay;
        }
        is_new
    }

    /// Adds later experience.
    pub fn add(&mut self, later: Record) {
        for way in Way::ALL {
            self.note(way, later.with(way));
        }
        self.note_replay(later.replay);
    }

    /// Takes over a better record, also in the place of refusals.
    pub fn correct(&mut self, better: Record) {
        for way in Way::ALL {
            if better.with(way) != Experience::None {
                *self.with_mut(way) = better.with(way);
            }
        }
        self.note_replay(better.replay);
    }

    /// Forgets the experience with each way that was refused later.
    fn give_up_refused(&mut self, later: Record) {
        for way in Way::ALL {
            if later.with(way) == Experience::Refused {
                *self.with_mut(way) = Experience::None;
            }
        }
    }

    fn with_mut(&mut self, way: Way) -> &mut Experience {
        match way {
            Way::Resume => &mut self.resume,
            Way::Load => &mut self.load,
        }
    }
}

/// The knowledge of a version of an agent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// The experience with it, corrected by checks.
    pub learned: Record,
    /// The outcomes of checks by a person that nothing has refuted since.
    pub checked: Record,
}

impl Known {
    /// Adds the later experience of a bridge.
    pub fn learn(&mut self, record: Record) {
        self.learned.add(record);
        self.checked.give_up_refused(record);
    }

    /// Adds the outcome of a later check.
    pub fn check(&mut self, record: Record) {
        self.learned.correct(record);
        self.checked.correct(record);
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
