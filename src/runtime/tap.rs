//! The place where every message passes: it is counted there, and noted in the trace if there is
//! one.

use crate::bridge::{ChannelId, ClientId};
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

    /// Notes what came from a client in one piece.
    pub(super) fn came_from_client(&mut self, client: ClientId, lines: &Lines) {
        self.traffic.from_clients.came(lines);
        if let Some(trace) = &mut self.trace {
            trace.note(Direction::FromClient, client.to_string(), lines);
        }
    }

    /// Notes what came from an agent in one piece.
    pub(super) fn came_from_agent(&mut self, channel: ChannelId, lines: &Lines) {
        self.traffic.from_agents.came(lines);
        if let Some(trace) = &mut self.trace {
            trace.note(Direction::FromAgent, channel.to_string(), lines);
        }
    }

    /// Notes what goes to a client in one piece.
    pub(super) fn goes_to_client(&mut self, client: ClientId, frame: &OutgoingFrame) {
        self.traffic.to_clients.went(frame);
        if let Some(trace) = &mut self.trace {
            trace.note(Direction::ToClient, client.to_string(), frame);
        }
    }

    /// Notes what goes to an agent in one piece.
    pub(super) fn goes_to_agent(&mut self, channel: ChannelId, frame: &OutgoingFrame) {
        self.traffic.to_agents.went(frame);
        if let Some(trace) = &mut self.trace {
            trace.note(Direction::ToAgent, channel.to_string(), frame);
        }
    }
}
