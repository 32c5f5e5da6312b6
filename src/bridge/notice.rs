//! Notices: the lines of the log that the core writes, one for each thing that happened.
//!
//! The core publishes them, and the runtime logs each at its [`Level`]. They hold names,
//! numbers and reasons, never the content of messages.

mod stray;

use std::fmt;

pub use self::stray::Stray;
use super::event::{ExitStatus, ShutdownCause};
use super::id::{ChannelId, ClientId, SessionKey};
use super::last_words;
use super::reason::{DropReason, EndReason, StopReason};
use super::time::spelled;
use super::words::counted;

/// The level of a notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// A detail that helps to find a fault.
    Debug,
    /// A change of state that a person notices.
    Info,
    /// A fault that a person should look at.
    Warn,
    /// A failure that the bridge cannot mend.
    Error,
}

/// One thing that happened and that a person may want to know.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)] // the texts below say what each field is
pub enum Notice {
    ChannelSpawning {
        channel: ChannelId,
    },
    ChannelStarted {
        channel: ChannelId,
        pid: u32,
    },
    ChannelReady {
        channel: ChannelId,
        after_ms: u64,
    },
    HandshakeSlow {
        channel: ChannelId,
        after_ms: u64,
    },
    ChannelDraining {
        channel: ChannelId,
        reason: StopReason,
    },
    ChannelStopping {
        channel: ChannelId,
        reason: StopReason,
    },
    ChannelTerminated {
        channel: ChannelId,
    },
    ChannelKilled {
        channel: ChannelId,
    },
    ChannelStuck {
        channel: ChannelId,
    },
    ChannelExited {
        channel: ChannelId,
        status: ExitStatus,
        is_crash: bool,
        tail: String,
    },
    SpawnFailed {
        channel: ChannelId,
        error: String,
    },
    SessionOpened {
        session: SessionKey,
        id: String,
        channel: ChannelId,
        how: &'static str,
    },
    SessionEnded {
        session: SessionKey,
        id: String,
        channel: ChannelId,
        reason: EndReason,
        idle_ms: u64,
    },
    Refused {
        from: String,
        method: String,
        id: String,
        why: String,
    },
    Dropped {
        from: String,
        method: String,
        session: Option<String>,
        why: DropReason,
    },
    CloseRefused {
        channel: ChannelId,
        id: String,
        code: i64,
    },
    CloseUnanswered {
        channel: ChannelId,
        id: String,
    },
    OpenUnanswered {
        channel: ChannelId,
    },
    LateOpenClosed {
        channel: ChannelId,
        id: String,
    },
    BackgroundWork {
        session: SessionKey,
        id: String,
        processes: String,
    },
    CapabilitiesChanged {
        channel: ChannelId,
        before: String,
        after: String,
    },
    ClientPassthrough {
        client: ClientId,
        version: String,
    },
    StrayLine {
        channel: ChannelId,
        what: Stray,
    },
    StrayAnswer {
        channel: ChannelId,
        id: String,
        method: &'static str,
    },
    TextIds {
        channel: ChannelId,
    },
    PassingIdsOver {
        channel: ChannelId,
    },
    NoAddressee {
        channel: ChannelId,
        method: String,
    },
    SuccessorFailed {
        channel: ChannelId,
    },
    OverlongLine {
        from: String,
        length: u64,
    },
    AgentNotReading {
        channel: ChannelId,
    },
    NoSignOfLife {
        channel: ChannelId,
        silent_ms: u64,
        strikes: usize,
        limit: usize,
    },
    HostPaused,
    /// The parent process is gone, but a turn or a question of the client is open.
    OrphanStays {
        client: ClientId,
    },
    ShuttingDown {
        cause: ShutdownCause,
        channels: usize,
        sessions: usize,
    },
    ShutdownForced,
    Survivors {
        channels: Vec<ChannelId>,
    },
    RowAbsent {
        row: String,
    },
}

impl Notice {
    /// The level to log it at.
    pub fn level(&self) -> Level {
        use Notice::*;
        match self {
            ChannelSpawning { .. }
            | CloseRefused { .. }
            | LateOpenClosed { .. }
            | Refused { .. }
            | Dropped { .. } => Level::Debug,
            ChannelExited { is_crash: true, .. }
            | HandshakeSlow { .. }
            | ChannelKilled { .. }
            | SpawnFailed { .. }
            | CloseUnanswered { .. }
            | OpenUnanswered { .. }
            | CapabilitiesChanged { .. }
            | StrayLine { .. }
            | StrayAnswer { .. }
            | TextIds { .. }
            | PassingIdsOver { .. }
            | NoAddressee { .. }
            | SuccessorFailed { .. }
            | OverlongLine { .. }
            | AgentNotReading { .. }
            | NoSignOfLife { .. }
            | ShutdownForced => Level::Warn,
            ChannelStuck { .. } | Survivors { .. } | RowAbsent { .. } => Level::Error,
            ChannelStopping { reason, .. } if reason.is_fault() => Level::Warn,
            ChannelDraining {
                reason: StopReason::CloseUnanswered | StopReason::OpenUnanswered,
                ..
            } => Level::Warn,
            _ => Level::Info,
        }
    }
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use Notice::*;
        match self {
            ChannelSpawning { channel } => write!(f, "{channel}: starting an agent"),
            ChannelStarted { channel, pid } => {
                write!(f, "{channel}: agent started, process id {pid}")
            }
            ChannelReady { channel, after_ms } => {
                write!(f, "{channel}: ready after {}", spelled(*after_ms))
            }
            HandshakeSlow { channel, after_ms } => write!(
                f,
                "{channel}: still waiting for the answer to initialize after {} \
                 (a first start with npx or uvx downloads the agent)",
                spelled(*after_ms)
            ),
            ChannelDraining { channel, reason } => write!(
                f,
                "{channel}: takes no new sessions and stops after its last one, because {reason}"
            ),
            ChannelStopping { channel, reason } => {
                write!(f, "{channel}: stopping, because {reason}")
            }
            ChannelTerminated { channel } => {
                write!(f, "{channel}: the agent did not exit at the end of its stdin, SIGTERM sent")
            }
            ChannelKilled { channel } => {
                write!(f, "{channel}: the agent did not exit, SIGKILL sent")
            }
            ChannelStuck { channel } => write!(
                f,
                "{channel}: the agent still exists after SIGKILL (is it in uninterruptible sleep?)"
            ),
            ChannelExited { channel, status, is_crash, tail } => {
                let how = if *is_crash { "exited unexpectedly" } else { "exited" };
                write!(f, "{channel}: the agent {how}: {status}")?;
                match last_words::chosen(*status, tail) {
                    Some(line) if *is_crash => write!(f, "; its last words: {line}"),
                    _ => Ok(()),
                }
            }
            SpawnFailed { channel, error } => {
                write!(f, "{channel}: the agent could not be started: {error}")
            }
            SessionOpened { session, id, channel, how } => {
                write!(f, "{session} ({id}): {how} on {channel}")
            }
            SessionEnded { session, id, channel, reason, idle_ms } => {
                write!(f, "{session} ({id}): ended on {channel}, because {}", reason.phrase())?;
                match reason {
                    EndReason::IdleTimeout | EndReason::Evicted => {
                        write!(f, " (it was idle for {})", spelled(*idle_ms))
                    }
                    _ => Ok(()),
                }
            }
            Refused { from, method, id, why } => {
                write!(f, "{from}: {method} (id {id}) is refused: {why}")
            }
            Dropped { from, method, session, why } => {
                write!(f, "{from}: {method}")?;
                if let Some(session) = session {
                    write!(f, " in session {session}")?;
                }
                write!(f, " is dropped, because {}", why.phrase())
            }
            CloseRefused { channel, id, code } => {
                write!(f, "{channel}: the agent refused to close session {id} (error {code})")
            }
            CloseUnanswered { channel, id } => write!(
                f,
                "{channel}: no answer to the close of session {id} within --session-close-timeout-ms"
            ),
            OpenUnanswered { channel } => {
                write!(f, "{channel}: a session was not opened within --session-open-timeout-ms")
            }
            LateOpenClosed { channel, id } => write!(
                f,
                "{channel}: session {id} was opened, and no client waits for it; closed again"
            ),
            BackgroundWork { session, id, processes } => write!(
                f,
                "{session} ({id}): not closed, because processes of its turns still run: {processes}"
            ),
            CapabilitiesChanged { channel, before, after } => write!(
                f,
                "{channel}: the agent was updated while the editor was open: \
                 its capabilities were {before}, and are {after} now"
            ),
            ClientPassthrough { client, version } => write!(
                f,
                "{client}: speaks protocol version {version}; its messages pass to an agent of its \
                 own, with nothing but request ids exchanged, without sharing and without a reaper"
            ),
            StrayLine { channel, what } => {
                write!(f, "{channel}: a line on the agent's stdout is no message: {what}")
            }
            StrayAnswer { channel, id, method } => write!(
                f,
                "{channel}: the agent answered under the id {id}, which no request has; \
                 the oldest one that waits is {method}"
            ),
            TextIds { channel } => write!(
                f,
                "{channel}: the agent answers under ids that are strings, such as \"7\" for 7; \
                 they are taken for the numbers"
            ),
            PassingIdsOver { channel } => write!(
                f,
                "{channel}: the agent uses very many session ids of sub-agents or extensions; \
                 the oldest ones are forgotten"
            ),
            NoAddressee { channel, method } => write!(
                f,
                "{channel}: {method} of the agent does not say which client it is for, and several \
                 may be meant, so it goes to none; with share = \"session\" each session has an \
                 agent of its own"
            ),
            SuccessorFailed { channel } => write!(
                f,
                "{channel}: the agent holds --max-husks closed sessions, but no new process could \
                 take its place; it is kept"
            ),
            OverlongLine { from, length } => write!(
                f,
                "{from}: a line of {length} bytes is over --max-frame-bytes and was dropped"
            ),
            AgentNotReading { channel } => write!(
                f,
                "{channel}: the agent does not read its stdin; further requests are refused"
            ),
            NoSignOfLife { channel, silent_ms, strikes, limit } => {
                write!(
                    f,
                    "{channel}: no sign of life for {} while requests wait (strike {strikes}",
                    spelled(*silent_ms)
                )?;
                if *limit > 0 { write!(f, " of {limit})") } else { f.write_str(")") }
            }
            HostPaused => f.write_str(
                "the machine or drawbridge was suspended; no timeout passes in the next 60s",
            ),
            OrphanStays { client } => write!(
                f,
                "{client}: the process that started drawbridge is gone, but a turn or a question \
                 is open; drawbridge stays for now (--orphan-timeout-ms)"
            ),
            ShuttingDown { cause, channels, sessions } => write!(
                f,
                "shutting down, because {}: {}, {}",
                cause.phrase(),
                counted(*sessions, "session", "sessions"),
                counted(*channels, "channel", "channels")
            ),
            ShutdownForced => f.write_str("shutting down at once: SIGKILL to every agent"),
            RowAbsent { row } => write!(
                f,
                "a bug in drawbridge: its books lack a row that must be there ({row}); \
                 please report it"
            ),
            Survivors { channels } => {
                let names: Vec<String> = channels.iter().map(ToString::to_string).collect();
                write!(f, "channels whose agents still exist after SIGKILL: {}", names.join(", "))
            }
        }
    }
}
