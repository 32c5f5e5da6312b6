//! The exit of a channel, which is one event: the process is reaped *and* its
//! output read to the end, so that its last words are not lost; or a short limit
//! has passed, so that a grandchild that holds the pipe cannot hold us.

use std::time::Duration;

use crate::bridge::ExitStatus;

/// How long an exit waits for what the process has written, and for its tree.
pub(super) const EXIT_DRAIN: Duration = Duration::from_millis(500);

/// The parts of an exit beside that of the process itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum ExitPart {
    Stdout,
    Stderr,
    /// Whatever left the process group is looked for and ended.
    Tree,
    /// The keeper, which has done that, is reaped.
    #[cfg(target_os = "linux")]
    Keeper,
}

/// The exit of one channel: the parts that are missing, and what is known so far.
#[derive(Debug)]
pub(super) struct AwaitedExit {
    /// Set when the process is reaped.
    status: Option<ExitStatus>,
    open: Vec<ExitPart>,
    half_line: u64,
}

impl AwaitedExit {
    /// Of a process that runs.
    pub(super) fn new(open: &[ExitPart]) -> AwaitedExit {
        AwaitedExit { status: None, open: open.to_vec(), half_line: 0 }
    }

    /// The process itself is reaped.
    pub(super) fn reaped(&mut self, status: ExitStatus) {
        self.status = Some(status);
    }

    pub(super) fn is_reaped(&self) -> bool {
        self.status.is_some()
    }

    /// Whether this part is not done yet.
    #[cfg(target_os = "linux")]
    pub(super) fn waits_for(&self, part: ExitPart) -> bool {
        self.open.contains(&part)
    }

    /// A part is done; `half_line` bytes were left at the end of its stream.
    pub(super) fn part_done(&mut self, part: ExitPart, half_line: u64) {
        self.open.retain(|open| *open != part);
        self.half_line += half_line;
    }

    /// It has waited long enough.
    pub(super) fn drain_over(&mut self) {
        self.open.clear();
    }

    /// How the process ended, and the bytes of half lines, if there is nothing
    /// left to wait for.
    pub(super) fn complete(&self) -> Option<(ExitStatus, u64)> {
        let status = self.status.filter(|_| self.open.is_empty())?;
        Some((status, self.half_line))
    }
}
