//! The measurements: one module for each kind of figure.

pub mod core;
pub mod crowd;
pub mod fairness;
pub mod growth;
pub mod life;
pub mod many;
pub mod memory;
pub mod speed;

use std::collections::BTreeMap;
use std::io;

use crate::paths::{Path, Programs};

/// The repetitions behind a median. `life` has other numbers for starts and stuck agents;
/// memory, wake-ups and the size of the binary are measured once.
pub const REPETITIONS: usize = 5;

/// A figure for each path.
pub type PerPath<T> = BTreeMap<Path, T>;

/// How much is done for a figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effort {
    /// Rough figures in about a minute.
    Quick,
    /// The figures that are published.
    Full,
}

impl Effort {
    /// `quick` or `full`, as the effort is.
    pub fn of<T>(self, quick: T, full: T) -> T {
        match self {
            Effort::Quick => quick,
            Effort::Full => full,
        }
    }
}

/// The things that every measurement needs.
#[derive(Debug)]
pub struct Lab {
    /// The programs of the paths.
    pub programs: Programs,
    /// How much is done.
    pub effort: Effort,
}

/// Everything that a run found out.
#[derive(Debug)]
pub struct Figures {
    /// Round trips, floods, openings.
    pub speed: speed::Speed,
    /// Round trips and floods with many sessions on one channel.
    pub growth: growth::Growth,
    /// Round trips of one session while another session floods another channel.
    pub fairness: fairness::Fairness,
    /// A heartbeat while very many agents flood.
    pub crowd: crowd::Crowd,
    /// Many clients of one bridge.
    pub many: many::Many,
    /// Resident memory.
    pub memory: memory::MemoryFigures,
    /// Starting, idling, ending.
    pub life: life::Life,
    /// The core alone.
    pub core: core::Core,
}

impl Figures {
    /// Measures everything; says on stderr what is measured at the moment.
    pub fn measure(lab: &Lab) -> io::Result<Figures> {
        let say = |what: &str| eprintln!("measuring {what} …");
        say("the core");
        let core = core::measure(lab)?;
        say("round trips and floods");
        let speed = speed::measure(lab)?;
        say("growth");
        let growth = growth::measure(lab)?;
        say("fairness");
        let fairness = fairness::measure(lab)?;
        say("a crowd");
        let crowd = crowd::measure(lab)?;
        say("many clients");
        let many = many::measure(lab)?;
        say("memory");
        let memory = memory::measure(lab)?;
        say("starting, idling, ending");
        let life = life::measure(lab)?;
        Ok(Figures { speed, growth, fairness, crowd, many, memory, life, core })
    }
}
