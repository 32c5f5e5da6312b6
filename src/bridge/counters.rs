//! Counts of what was thrown away or refused, and of strikes.

use std::fmt;

use super::words::counted;

/// What was thrown away or refused, and why. Nothing is lost without a count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Notifications of an agent for a session that was closed, or of one that stops.
    pub late_frames: u64,
    /// Notifications of an agent for a session that nobody knows.
    pub unknown_session_frames: u64,
    /// Notifications before the answer that makes their session known: over the limit, or
    /// of a session that never came.
    pub early_frames: u64,
    /// Answers under an unknown id, and second answers.
    pub stray_answers: u64,
    /// Lines of agents that are no message.
    pub stray_lines: u64,
    /// Lines over the frame limit.
    pub overlong_lines: u64,
    /// Bytes of unfinished last lines.
    pub half_line_bytes: u64,
    /// Tombstones that gave way.
    pub tombstones: u64,
    /// Notifications that had nowhere to go, or whose agent does not read.
    pub unrouted: u64,
    /// Requests that were refused, whoever sent them.
    pub refused: u64,
    /// Intervals in which an agent gave no sign of life.
    pub strikes: u64,
    /// Cursors of `session/list` that gave way: who goes on with one is refused.
    pub cursors: u64,
    /// Settings that further channels will not be told.
    pub set_up_requests: u64,
}

impl fmt::Display for Counters {
    /// Every count that is not 0, with its noun: `3 late notifications, 1 refused request`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = [
            (self.late_frames, "late notification"),
            (self.unknown_session_frames, "notification for an unknown session"),
            (self.early_frames, "early notification over the limit"),
            (self.stray_answers, "stray answer"),
            (self.stray_lines, "stray line"),
            (self.overlong_lines, "line over --max-frame-bytes"),
            (self.half_line_bytes, "byte of unfinished lines"),
            (self.tombstones, "tombstone over the limit"),
            (self.unrouted, "notification without a receiver"),
            (self.refused, "refused request"),
            (self.strikes, "strike"),
            (self.cursors, "cursor over the limit"),
            (self.set_up_requests, "set-up request over the limit"),
        ];
        let said: Vec<String> = all
            .into_iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, noun)| counted(usize::try_from(count).unwrap_or(usize::MAX), noun))
            .collect();
        f.write_str(&said.join(", "))
    }
}
