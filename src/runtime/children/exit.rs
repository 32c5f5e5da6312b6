//! The exit of a channel, which is one event. It is complete when the agent is
//! reaped, its output read to the end, so that the last lines are not lost, and its
//! tree ended; or [`EXIT_DRAIN`] after the agent is reaped, since a descendant may
//! hold the output pipes open.

use std::time::Duration;

use crate::bridge::ExitStatus;

/// How long an exit waits for the agent's output and tree after the agent is reaped.
pub(super) const EXIT_DRAIN: Duration = Duration::from_millis(500);

/// The parts of an exit, beside the reaping of the agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::runtime) enum ExitPart {
    Stdout,
    Stderr,
    /// The rest of the agent's tree is ended.
    Tree,
    /// The keeper is reaped.
    #[cfg(target_os = "linux")]
    Keeper,
}

/// The exit of one channel: the parts that are still open, and what is known so far.
#[derive(Debug)]
pub(super) struct AwaitedExit {
    /// How the agent ended; `None`: it is not reaped.
    status: Option<ExitStatus>,
    open: Vec<ExitPart>,
    half_line: u64,
}

impl AwaitedExit {
    /// The exit of a running agent, which will have these parts.
    pub(super) fn new(open: &[ExitPart]) -> AwaitedExit {
        AwaitedExit { status: None, open: open.to_vec(), half_line: 0 }
    }

    /// Notes that the agent is reaped.
    pub(super) fn reaped(&mut self, status: ExitStatus) {
        self.status = Some(status);
    }

    pub(super) fn is_reaped(&self) -> bool {
        self.status.is_some()
    }

    /// Whether this part is still open.
    #[cfg(target_os = "linux")]
    pub(super) fn waits_for(&self, part: ExitPart) -> bool {
        self.open.contains(&part)
    }

    /// Notes that a part is done; `half_line` bytes without a line end were left in its
    /// stream.
    pub(super) fn part_done(&mut self, part: ExitPart, half_line: u64) {
        self.open.retain(|open| *open != part);
        self.half_line += half_line;
    }

    /// Stops waiting for the parts that are open.
    pub(super) fn drain_over(&mut self) {
        self.open.clear();
    }

    /// How the agent ended, and the bytes of half lines; `None`: the exit is not
    /// complete.
    pub(super) fn complete(&self) -> Option<(ExitStatus, u64)> {
        let status = self.status.filter(|_| self.open.is_empty())?;
        Some((status, self.half_line))
    }
}
