//! What a person is told: one line per thing that happened, with its reason.
//!
//! The core publishes these; the runtime logs them at their [`Level`]. They
//! hold names, numbers and reasons, never the content of messages.

use std::fmt;

use super::event::ExitStatus;
use super::id::{ChannelId, ClientId, SessionKey};
use super::time::Limit;

/// How loud a notice is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// A turn off the happy path.
    Debug,
    /// A change of state that a person notices.
    Info,
    /// Worth waking somebody.
    Warn,
    /// Broken.
    Error,
}

/// Why a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum EndReason {
    /// A client sent `session/close`.
    ClientClose,
    /// The reaper.
    IdleTimeout,
    /// The last client left on purpose.
    LastClientDetached,
    /// It gave way at the limit.
    Evicted,
    /// A client deleted or archived it.
    Deleted,
    /// Its channel's process ended.
    ChannelClosed,
    /// Its channel was ended by the bridge because of a fault.
    Killed,
    /// The bridge ends.
    Shutdown,
}

impl EndReason {
    /// The word on the wire and in the log.
    pub const fn word(self) -> &'static str {
        match self {
            EndReason::ClientClose => "client_close",
            EndReason::IdleTimeout => "idle_timeout",
            EndReason::LastClientDetached => "last_client_detached",
            EndReason::Evicted => "evicted",
            EndReason::Deleted => "deleted",
            EndReason::ChannelClosed => "channel_closed",
            EndReason::Killed => "killed",
            EndReason::Shutdown => "shutdown",
        }
    }

    /// Whether the session was taken from its clients rather than closed in order.
    pub const fn is_death(self) -> bool {
        matches!(self, EndReason::ChannelClosed | EndReason::Killed | EndReason::Shutdown)
    }
}

/// Why a channel is taken out of service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StopReason {
    /// Nothing to do for longer than the limit, in milliseconds.
    Idle(u64),
    /// Room was needed for another channel.
    MakeRoom,
    /// The agent did not answer a close in time.
    CloseUnanswered,
    /// The agent did not answer an open in time.
    OpenUnanswered,
    /// It holds too many closed sessions that it cannot free.
    Husks,
    /// It wants a login that may have happened elsewhere meanwhile.
    LoginElsewhere,
    /// It refused settings that the other agents of its kind have.
    SettingsRefused,
    /// The client it was carried for is gone.
    ClientGone,
    /// The bridge ends.
    Shutdown,
    /// The agent closed its stdio and went on running.
    StdioClosed,
    /// The agent was waited for and gave no sign of life for so many intervals.
    Lifeless {
        /// How many.
        strikes: usize,
        /// How long each of them was.
        interval: Limit,
    },
    /// The handshake took longer than its timeout.
    HandshakeTimeout,
    /// The agent refused `initialize`, or answered it with nonsense.
    HandshakeRefused,
    /// A later process of the agent speaks another protocol version.
    VersionChanged,
}

impl StopReason {
    /// Whether the agent, not the bridge, is the cause.
    pub const fn is_fault(&self) -> bool {
        matches!(
            self,
            StopReason::StdioClosed
                | StopReason::Lifeless { .. }
                | StopReason::HandshakeTimeout
                | StopReason::HandshakeRefused
                | StopReason::VersionChanged
        )
    }
}

impl fmt::Display for StopReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StopReason::Idle(millis) => write!(f, "idle for {millis} ms"),
            StopReason::MakeRoom => f.write_str("room is needed at --max-channels"),
            StopReason::CloseUnanswered => f.write_str("it did not answer session/close in time"),
            StopReason::OpenUnanswered => f.write_str("it did not open a session in time"),
            StopReason::Husks => f.write_str("it holds --max-husks closed sessions"),
            StopReason::LoginElsewhere => f.write_str("it wants a login"),
            StopReason::SettingsRefused => {
                f.write_str("it refused provider settings that the others have")
            }
            StopReason::ClientGone => f.write_str("its client is gone"),
            StopReason::Shutdown => f.write_str("shutdown"),
            StopReason::StdioClosed => f.write_str("it closed its stdio and still runs"),
            StopReason::Lifeless { strikes, interval } => write!(
                f,
                "it gave no sign of life while requests waited, {strikes} times {interval}"
            ),
            StopReason::HandshakeTimeout => f.write_str("it did not answer initialize in time"),
            StopReason::HandshakeRefused => f.write_str("it refused initialize"),
            StopReason::VersionChanged => f.write_str("it changed its protocol version"),
        }
    }
}

/// Something that happened and that somebody may want to know.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)] // the texts below say what each field is
pub enum Notice {
    ChannelSpawning { channel: ChannelId },
    ChannelStarted { channel: ChannelId, pid: u32 },
    ChannelReady { channel: ChannelId, after_ms: u64 },
    HandshakeSlow { channel: ChannelId, after_ms: u64 },
    ChannelDraining { channel: ChannelId, reason: StopReason },
    ChannelStopping { channel: ChannelId, reason: StopReason },
    ChannelTerminated { channel: ChannelId },
    ChannelKilled { channel: ChannelId },
    ChannelStuck { channel: ChannelId },
    ChannelExited { channel: ChannelId, status: ExitStatus, is_crash: bool, tail: String },
    SpawnFailed { channel: ChannelId, error: String },
    SessionOpened { session: SessionKey, id: String, channel: ChannelId },
    SessionEnded { session: SessionKey, id: String, channel: ChannelId, reason: EndReason },
    CloseRefused { channel: ChannelId, id: String, code: i64 },
    CloseUnanswered { channel: ChannelId, id: String },
    OpenUnanswered { channel: ChannelId },
    LateOpenClosed { channel: ChannelId, id: String },
    BackgroundWork { session: SessionKey, id: String, processes: String },
    CapabilitiesChanged { channel: ChannelId, before: String, after: String },
    CarriedTransparently { client: ClientId, version: String },
    StrayLine { channel: ChannelId, what: String },
    OverlongLine { from: String, length: u64 },
    AgentNotReading { channel: ChannelId },
    NoSignOfLife { channel: ChannelId, silent_ms: u64, strikes: usize, limit: usize },
    HostPaused,
    ShuttingDown { cause: String, channels: usize, sessions: usize },
    ShutdownForced,
    Survivors { channels: Vec<ChannelId> },
    RowAbsent { row: String },
}

impl Notice {
    /// How loud it is.
    pub fn level(&self) -> Level {
        use Notice::*;
        match self {
            ChannelSpawning { .. } | CloseRefused { .. } | LateOpenClosed { .. } => Level::Debug,
            ChannelExited { is_crash: true, .. }
            | HandshakeSlow { .. }
            | ChannelKilled { .. }
            | SpawnFailed { .. }
            | CloseUnanswered { .. }
            | OpenUnanswered { .. }
            | CapabilitiesChanged { .. }
            | StrayLine { .. }
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
            ChannelStarted { channel, pid } => write!(f, "{channel}: agent started, pid {pid}"),
            ChannelReady { channel, after_ms } => {
                write!(f, "{channel}: ready after {after_ms} ms")
            }
            HandshakeSlow { channel, after_ms } => write!(
                f,
                "{channel}: no answer to initialize for {after_ms} ms \
                 (a first npx or uvx start downloads the agent)"
            ),
            ChannelDraining { channel, reason } => write!(
                f,
                "{channel}: takes no new sessions, ends when the last one is gone: {reason}"
            ),
            ChannelStopping { channel, reason } => write!(f, "{channel}: stopping: {reason}"),
            ChannelTerminated { channel } => {
                write!(f, "{channel}: did not leave at the end of its stdin, SIGTERM sent")
            }
            ChannelKilled { channel } => write!(f, "{channel}: did not leave, SIGKILL sent"),
            ChannelStuck { channel } => {
                write!(f, "{channel}: still there after SIGKILL (is it in uninterruptible sleep?)")
            }
            ChannelExited { channel, status, is_crash, tail } => {
                let how = if *is_crash { "agent ended unasked" } else { "agent left" };
                write!(f, "{channel}: {how} with {status}")?;
                match tail.lines().next_back() {
                    Some(line) if *is_crash => write!(f, "; its last words: {line}"),
                    _ => Ok(()),
                }
            }
            SpawnFailed { channel, error } => {
                write!(f, "{channel}: the agent could not be started: {error}")
            }
            SessionOpened { session, id, channel } => {
                write!(f, "{session} ({id}): opened on {channel}")
            }
            SessionEnded { session, id, channel, reason } => {
                write!(f, "{session} ({id}): ended on {channel}, reason {}", reason.word())
            }
            CloseRefused { channel, id, code } => {
                write!(f, "{channel}: refused to close {id} (error {code})")
            }
            CloseUnanswered { channel, id } => {
                write!(f, "{channel}: no answer to the close of {id} in time")
            }
            OpenUnanswered { channel } => {
                write!(f, "{channel}: a session was not opened in time")
            }
            LateOpenClosed { channel, id } => {
                write!(f, "{channel}: {id} was opened when nobody waited any more; closed again")
            }
            BackgroundWork { session, id, processes } => {
                write!(f, "{session} ({id}): kept, processes of its turns still run: {processes}")
            }
            CapabilitiesChanged { channel, before, after } => write!(
                f,
                "{channel}: the agent was updated while you worked: \
                 it offered {before}, now {after}"
            ),
            CarriedTransparently { client, version } => write!(
                f,
                "{client}: speaks protocol version {version}; it gets an agent of its own, \
                 carried as it is, without sharing or reaping"
            ),
            StrayLine { channel, what } => {
                write!(f, "{channel}: a line on stdout that is no message: {what}")
            }
            OverlongLine { from, length } => write!(
                f,
                "{from}: a line of {length} bytes is over --max-frame-bytes and was dropped"
            ),
            AgentNotReading { channel } => {
                write!(f, "{channel}: the agent does not read; further requests are refused")
            }
            NoSignOfLife { channel, silent_ms, strikes, limit } => {
                write!(
                    f,
                    "{channel}: no sign of life for {silent_ms} ms while requests wait \
                     (strike {strikes}"
                )?;
                if *limit > 0 { write!(f, " of {limit})") } else { f.write_str(")") }
            }
            HostPaused => f.write_str("the host stood still; nothing times out for 60 s"),
            ShuttingDown { cause, channels, sessions } => {
                write!(f, "shutting down ({cause}): {sessions} sessions, {channels} channels")
            }
            ShutdownForced => f.write_str("shutting down at once: SIGKILL to every agent"),
            RowAbsent { row } => write!(
                f,
                "a mistake of drawbridge: a row is absent from its books ({row}); please report it"
            ),
            Survivors { channels } => {
                let names: Vec<String> = channels.iter().map(ToString::to_string).collect();
                write!(f, "processes that would not die: {}", names.join(", "))
            }
        }
    }
}
