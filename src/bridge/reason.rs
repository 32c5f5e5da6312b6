//! The reasons why sessions end and channels stop: a word for programs, a phrase for people.

use std::fmt;

use super::time::{Limit, spelled};
use super::words::counted;

/// Why a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum EndReason {
    /// A client sent `session/close`.
    ClientClose,
    /// The session was idle for too long.
    IdleTimeout,
    /// The last client left the session on purpose.
    LastClientDetached,
    /// No client came back to the session in time.
    ClientLost,
    /// A client with another environment has loaded the conversation.
    Moved,
    /// The session was evicted.
    Evicted,
    /// It gave memory back.
    MemoryPressure,
    /// Its channel was replaced by a fresh one.
    Recycled,
    /// The agent has brought it back, but not as it was.
    RestoreFailed,
    /// A client deleted or archived the session.
    Deleted,
    /// A person closed it, or stopped its channel, by the control socket.
    Operator,
    /// Its channel's process ended.
    ChannelClosed,
    /// Its channel was ended by the bridge because of a fault.
    Killed,
    /// The bridge ends.
    Shutdown,
}

impl EndReason {
    /// The word on the wire: `reason` of the notifications and of `data`.
    pub const fn word(self) -> &'static str {
        match self {
            EndReason::ClientClose => "client_close",
            EndReason::IdleTimeout => "idle_timeout",
            EndReason::LastClientDetached => "last_client_detached",
            EndReason::ClientLost => "client_lost",
            EndReason::Moved => "moved",
            EndReason::Evicted => "evicted",
            EndReason::MemoryPressure => "memory_pressure",
            EndReason::Recycled => "recycled",
            EndReason::RestoreFailed => "restore_failed",
            EndReason::Deleted => "deleted",
            EndReason::Operator => "operator",
            EndReason::ChannelClosed => "channel_closed",
            EndReason::Killed => "killed",
            EndReason::Shutdown => "shutdown",
        }
    }

    /// The end of the sentence "the session ended, because …".
    pub const fn phrase(self) -> &'static str {
        match self {
            EndReason::ClientClose => "a client closed it",
            EndReason::IdleTimeout => "it was idle for too long",
            EndReason::LastClientDetached => "its last client left it",
            EndReason::ClientLost => "its client was gone and did not come back",
            EndReason::Moved => "a client with another environment has loaded the conversation",
            EndReason::Evicted => "--max-sessions was reached and a new session took its place",
            EndReason::MemoryPressure => "the agents took more memory than --memory-high-mb",
            EndReason::Recycled => "the agent's process was replaced by a fresh one",
            EndReason::RestoreFailed => "the agent brought it back with other settings",
            EndReason::Deleted => "a client deleted or archived it",
            EndReason::Operator => "it was closed by hand (drawbridge close or retire)",
            EndReason::ChannelClosed => "the agent's process ended",
            EndReason::Killed => "the agent failed and was stopped",
            EndReason::Shutdown => "drawbridge shut down",
        }
    }

    /// Whether a session that ended for this reason is kept, if its agent can bring it back: nobody
    /// who has it wanted its end.
    pub const fn keeps(self) -> bool {
        !matches!(
            self,
            EndReason::ClientClose
                | EndReason::LastClientDetached
                | EndReason::Moved
                | EndReason::Deleted
                | EndReason::Shutdown
        )
    }

    /// Whether the session was taken from its clients rather than closed in order.
    pub const fn is_death(self) -> bool {
        matches!(self, EndReason::ChannelClosed | EndReason::Killed | EndReason::Shutdown)
    }
}

/// Why a client cannot use a session any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LossReason {
    /// The session ended.
    Ended(EndReason),
    /// The client left the session, in which other clients stay.
    Left,
    /// The agent did not open the session in time, or after its client had gone.
    NotOpened,
    /// It was open in an earlier bridge, which is gone.
    DaemonLost,
}

impl LossReason {
    /// The word on the wire.
    pub const fn word(self) -> &'static str {
        match self {
            LossReason::Ended(reason) => reason.word(),
            LossReason::Left => "detached",
            LossReason::NotOpened => "not_opened",
            LossReason::DaemonLost => "daemon_lost",
        }
    }

    /// The end of the sentence "the session is not open any more, because …".
    pub const fn phrase(self) -> &'static str {
        match self {
            LossReason::Ended(reason) => reason.phrase(),
            LossReason::Left => "this client left it",
            LossReason::NotOpened => "the agent did not open it in time",
            LossReason::DaemonLost => "the daemon that served it is gone",
        }
    }
}

/// The sign by which a program is known to be no ACP agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotAcp {
    /// It sent `initialize` back.
    Echo,
    /// It wrote lines that are no messages, and then nothing for a while.
    Prose,
    /// It exited with code 0 in the handshake.
    Left,
}

impl NotAcp {
    /// The end of the sentence "the program does not speak ACP: it …".
    pub const fn phrase(self) -> &'static str {
        match self {
            NotAcp::Echo => "sends back what it is sent",
            NotAcp::Prose => "wrote text in place of messages and did not answer initialize",
            NotAcp::Left => "exited with code 0 and did not answer initialize",
        }
    }
}

/// Why a message goes nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DropReason {
    /// Its session is closed, or its channel stops.
    Late,
    /// It names nothing that the bridge knows, and more than one client may be meant.
    UnknownSession,
    /// It is about a session that is being opened, and too many such messages wait.
    Early,
    /// It answers no open request.
    StrayAnswer,
    /// Its method is one of the bridge, and not for this use.
    OfBridge,
    /// No agent or client is there to get it.
    NoReceiver,
    /// Its session has ended.
    Ended,
    /// Its session is one of another client.
    OfOthers,
    /// It withdraws a request that is not open.
    UnknownRequest,
    /// The agent does not read.
    NotReading,
    /// Too much waits for the answer to `initialize`.
    HeldTooMuch,
    /// No `initialize` of its client has succeeded.
    BeforeInitialize,
}

impl DropReason {
    /// The end of the sentence "the message is dropped, because …".
    pub const fn phrase(self) -> &'static str {
        match self {
            DropReason::Late => "its session is closed or its agent stops",
            DropReason::UnknownSession => "it is not known whom it is for",
            DropReason::Early => "too many messages wait for the session to be opened",
            DropReason::StrayAnswer => "it answers no open request",
            DropReason::OfBridge => "nobody but drawbridge may send it",
            DropReason::NoReceiver => "nobody is there to get it",
            DropReason::Ended => "its session has ended",
            DropReason::OfOthers => "its session is one of another client",
            DropReason::UnknownRequest => "it withdraws a request that is not open",
            DropReason::NotReading => "the agent does not read its stdin",
            DropReason::HeldTooMuch => "too much waits for the answer to initialize",
            DropReason::BeforeInitialize => "no initialize has succeeded before it",
        }
    }
}

/// Why a channel is taken out of service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StopReason {
    /// The channel had no work for this time (ms).
    Idle(u64),
    /// Its place was needed for another channel.
    MakeRoom,
    /// The agent did not answer a close in time.
    CloseUnanswered,
    /// The agent did not answer an open in time.
    OpenUnanswered,
    /// The agent holds too many husks.
    Husks,
    /// The agent wants a login, which may have been made outside the bridge meanwhile.
    LoginElsewhere,
    /// This file of the agent has changed since the channel was ready.
    AgentUpdated {
        /// Its path.
        file: String,
    },
    /// A login handle of the agent does not work any more, and a client has one that does.
    DeadHandle {
        /// The name of the variable.
        name: String,
    },
    /// The channel has reached the age, or served the number of sessions, at which it is replaced.
    WornOut,
    /// It had no work, and the agents took too much memory.
    MemoryPressure,
    /// The channel is older than this (ms), and its agent may have been updated since.
    TooOld(u64),
    /// The agent refused a needed setting of the set-up replay.
    SettingsRefused,
    /// The passthrough client of the channel is gone.
    ClientGone,
    /// A person asked for that by the control socket.
    Operator,
    /// The bridge ends.
    Shutdown,
    /// The agent closed its stdio and went on running.
    StdioClosed,
    /// The agent got too many strikes in a row.
    Lifeless {
        /// The number of strikes.
        strikes: usize,
        /// The interval of one strike.
        interval: Limit,
    },
    /// The handshake took longer than its timeout.
    HandshakeTimeout,
    /// The agent refused `initialize`, or answered it without a protocol version.
    HandshakeRefused,
    /// The program is no ACP agent.
    NotAcp(NotAcp),
    /// A later process of the agent speaks another protocol version.
    VersionChanged,
}

impl StopReason {
    /// The word for programs.
    pub const fn word(&self) -> &'static str {
        match self {
            StopReason::Idle(_) => "idle",
            StopReason::MakeRoom => "make_room",
            StopReason::CloseUnanswered => "close_unanswered",
            StopReason::OpenUnanswered => "open_unanswered",
            StopReason::Husks => "husks",
            StopReason::LoginElsewhere => "login_elsewhere",
            StopReason::AgentUpdated { .. } => "agent_updated",
            StopReason::DeadHandle { .. } => "dead_handle",
            StopReason::WornOut => "recycled",
            StopReason::MemoryPressure => "memory_pressure",
            StopReason::TooOld(_) => "too_old",
            StopReason::SettingsRefused => "settings_refused",
            StopReason::ClientGone => "client_gone",
            StopReason::Operator => "operator",
            StopReason::Shutdown => "shutdown",
            StopReason::StdioClosed => "stdio_closed",
            StopReason::Lifeless { .. } => "lifeless",
            StopReason::HandshakeTimeout => "handshake_timeout",
            StopReason::HandshakeRefused => "handshake_refused",
            StopReason::NotAcp(_) => "not_acp",
            StopReason::VersionChanged => "version_changed",
        }
    }

    /// Whether the agent, not the bridge, is the cause.
    pub const fn is_fault(&self) -> bool {
        matches!(
            self,
            StopReason::StdioClosed
                | StopReason::Lifeless { .. }
                | StopReason::HandshakeTimeout
                | StopReason::HandshakeRefused
                | StopReason::NotAcp(_)
                | StopReason::VersionChanged
        )
    }
}

impl fmt::Display for StopReason {
    /// The end of the sentence "the channel stops, because …".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StopReason::Idle(millis) => write!(f, "it had no work for {}", spelled(*millis)),
            StopReason::MakeRoom => {
                f.write_str("--max-channels is reached and a new channel takes its place")
            }
            StopReason::CloseUnanswered => {
                f.write_str("the agent did not answer session/close in time")
            }
            StopReason::OpenUnanswered => f.write_str("the agent did not open a session in time"),
            StopReason::Husks => f.write_str("the agent holds --max-husks closed sessions"),
            StopReason::LoginElsewhere => {
                f.write_str("the agent asks for a login; new sessions get a new process, which may be logged in already")
            }
            StopReason::AgentUpdated { file } => write!(
                f,
                "the agent was updated: {file} has changed since its start (agent_updated)"
            ),
            StopReason::DeadHandle { name } => write!(
                f,
                "{name} of the agent leads nowhere any more, and a client has one that works"
            ),
            StopReason::TooOld(millis) => write!(
                f,
                "it is older than {}, and its agent may have been updated since",
                spelled(*millis)
            ),
            StopReason::WornOut => f.write_str(
                "it is replaced by a fresh one (--channel-max-age-ms, --channel-max-sessions)",
            ),
            StopReason::MemoryPressure => {
                f.write_str("it had no work, and the agents took more memory than --memory-high-mb")
            }
            StopReason::SettingsRefused => {
                f.write_str("the agent refused provider settings that its other processes have")
            }
            StopReason::ClientGone => f.write_str("its client is gone"),
            StopReason::Operator => {
                f.write_str("it was retired by hand (drawbridge retire)")
            }
            StopReason::Shutdown => f.write_str("drawbridge shuts down"),
            StopReason::StdioClosed => {
                f.write_str("the agent closed its stdin or stdout and still runs")
            }
            StopReason::Lifeless { strikes, interval } => write!(
                f,
                "the agent gave no sign of life for {} of {interval} while requests waited",
                counted(*strikes, "interval", "intervals")
            ),
            StopReason::HandshakeTimeout => {
                f.write_str("the agent did not answer initialize in time")
            }
            StopReason::HandshakeRefused => f.write_str("the agent refused initialize"),
            StopReason::NotAcp(sign) => {
                write!(f, "the program does not speak ACP on stdin and stdout: it {}", sign.phrase())
            }
            StopReason::VersionChanged => f.write_str("the agent changed its protocol version"),
        }
    }
}
