//! Counts of what was thrown away or refused, and of strikes.

use std::fmt;

use super::words::counted;

/// Counts of what was thrown away or refused, and of strikes. Whatever a limit throws
/// away is counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Notifications for a closed session, or from a channel that is stopping.
    pub late_frames: u64,
    /// Notifications of an agent for a session that the books do not know.
    pub unknown_session_frames: u64,
    /// Early frames that were dropped: over the limit, or held for a new session that was
    /// not opened.
    pub early_frames: u64,
    /// Answers under an unknown id, and second answers.
    pub stray_answers: u64,
    /// Lines of agents that are no message.
    pub stray_lines: u64,
    /// Lines over the frame limit.
    pub overlong_lines: u64,
    /// Bytes that agents wrote to stdout behind their last line end.
    pub half_line_bytes: u64,
    /// Tombstones that were forgotten at their limit.
    pub tombstones: u64,
    /// Passing ids that were forgotten at their limit.
    pub passing_ids: u64,
    /// Notifications without a receiver, or for an agent that does not read.
    pub unrouted: u64,
    /// Requests of clients and agents that were refused.
    pub refused: u64,
    /// Strikes of all agents.
    pub strikes: u64,
    /// Cursors of `session/list` that were forgotten at their limit: a request with one of
    /// them is refused.
    pub cursors: u64,
    /// Parked sessions that were forgotten at the limits.
    pub parked_sessions: u64,
    /// Parts of replays that nobody was shown.
    pub muted: u64,
    /// Requests over the limit of the set-up replay: further channels will not get them.
    pub set_up_requests: u64,
}

impl fmt::Display for Counters {
    /// Every count that is not 0, with its noun: `3 late notifications, 1 refused request`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = [
            (self.late_frames, "late notification", "late notifications"),
            (
                self.unknown_session_frames,
                "notification for an unknown session",
                "notifications for unknown sessions",
            ),
            (self.early_frames, "dropped early notification", "dropped early notifications"),
            (self.stray_answers, "stray answer", "stray answers"),
            (self.stray_lines, "stray line", "stray lines"),
            (self.overlong_lines, "line over --max-frame-bytes", "lines over --max-frame-bytes"),
            (self.half_line_bytes, "byte of unfinished lines", "bytes of unfinished lines"),
            (self.tombstones, "tombstone over the limit", "tombstones over the limit"),
            (self.passing_ids, "passing id over the limit", "passing ids over the limit"),
            (self.unrouted, "undelivered notification", "undelivered notifications"),
            (self.refused, "refused request", "refused requests"),
            (self.strikes, "strike", "strikes"),
            (self.cursors, "cursor over the limit", "cursors over the limit"),
            (
                self.parked_sessions,
                "parked session over the limit",
                "parked sessions over the limit",
            ),
            (self.muted, "muted part of a replay", "muted parts of replays"),
            (
                self.set_up_requests,
                "set-up request over the limit",
                "set-up requests over the limit",
            ),
        ];
        let said: Vec<String> = all
            .into_iter()
            .filter(|(count, ..)| *count > 0)
            .map(|(count, one, many)| {
                counted(usize::try_from(count).unwrap_or(usize::MAX), one, many)
            })
            .collect();
        f.write_str(&said.join(", "))
    }
}
