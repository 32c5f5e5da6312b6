//! The number of messages and bytes that the bridge has taken and given.

use crate::wire::{Lines, OutgoingFrame};

/// The messages of one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Passed {
    /// Their number. Those that are no messages count, too.
    pub frames: u64,
    /// Their length, without line ends.
    pub bytes: u64,
}

impl Passed {
    /// Counts what came in one piece.
    pub(super) fn came(&mut self, lines: &Lines) {
        self.frames += lines.count() as u64;
        self.bytes += match lines {
            Lines::One(Ok(frame)) => frame.bytes().len() as u64,
            Lines::One(Err(_)) => 0,
            Lines::Run(run) => run.bytes().len() as u64,
        };
    }

    /// Counts what goes out in one piece.
    pub(super) fn went(&mut self, frame: &OutgoingFrame) {
        self.frames += frame.count() as u64;
        self.bytes += frame.len() as u64;
    }
}

/// The messages of all directions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// From clients.
    pub from_clients: Passed,
    /// To clients.
    pub to_clients: Passed,
    /// From agents.
    pub from_agents: Passed,
    /// To agents.
    pub to_agents: Passed,
}
