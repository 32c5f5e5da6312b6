//! The place where every message passes: it is counted there, and noted in the trace if there is
//! one.

use std::fmt::Display;

use crate::trace::{Direction, TraceFile};
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
    fn came(&mut self, lines: &Lines) {
        self.frames += lines.count() as u64;
        self.bytes += match lines {
            Lines::One(Ok(frame)) => frame.bytes().len() as u64,
            Lines::One(Err(_)) => 0,
            Lines::Run(run) => (run.bytes().len() + 1 - run.count()) as u64,
        };
    }

    fn went(&mut self, frame: &OutgoingFrame) {
        self.frames += frame.count() as u64;
        // Several have line ends between them.
        self.bytes += (frame.len() + 1 - frame.count()) as u64;
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

impl Traffic {
    fn of(&mut self, direction: Direction) -> &mut Passed {
        match direction {
            Direction::FromClient => &mut self.from_clients,
            Direction::ToClient => &mut self.to_clients,
            Direction::FromAgent => &mut self.from_agents,
            Direction::ToAgent => &mut self.to_agents,
        }
    }
}

/// The counts of what has passed, and the trace.
#[derive(Debug, Default)]
pub(super) struct Tap {
    pub(super) traffic: Traffic,
    trace: Option<TraceFile>,
}

impl Tap {
    pub(super) fn new(trace: Option<TraceFile>) -> Tap {
        Tap { traffic: Traffic::default(), trace }
    }

    /// Notes lines that came in one piece.
    pub(super) fn came(&mut self, direction: Direction, peer: impl Display, lines: &Lines) {
        self.traffic.of(direction).came(lines);
        if let Some(trace) = &mut self.trace {
            trace.note(direction, peer.to_string(), lines);
        }
    }

    /// Notes messages that go out in one piece.
    pub(super) fn goes(&mut self, direction: Direction, peer: impl Display, frame: &OutgoingFrame) {
        self.traffic.of(direction).went(frame);
        if let Some(trace) = &mut self.trace {
            trace.note(direction, peer.to_string(), frame);
        }
    }
}
