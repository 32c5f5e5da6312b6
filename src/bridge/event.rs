//! Everything that can happen to the bridge.

use crate::bridge::id::{ChannelId, ClientId};
use crate::bridge::time::Moment;
use crate::wire::{Frame, Malformed};

/// Something happened. The runtime says so; the core decides what it means.
#[derive(Clone, Debug)]
pub enum Event {
    /// A client is there; `cwd` is the directory it was started in.
    ClientConnected {
        /// Given by the runtime, never used twice.
        client: ClientId,
        /// Where agents of this client start unless a session says otherwise.
        cwd: String,
    },
    /// A line of a client.
    ClientFrame {
        /// Who sent it.
        client: ClientId,
        /// The message, or what is wrong with the line.
        frame: Result<Frame, Malformed>,
    },
    /// A client's connection is over; nothing more comes from it.
    ClientGone {
        /// Whose connection.
        client: ClientId,
    },
    /// The process of a channel runs.
    ChannelSpawned {
        /// Which one.
        channel: ChannelId,
        /// Its process id.
        pid: u32,
    },
    /// The process of a channel could not be started; the channel never was.
    SpawnFailed {
        /// Which one.
        channel: ChannelId,
        /// The system's words.
        error: String,
    },
    /// A line of an agent.
    ChannelFrame {
        /// Whose.
        channel: ChannelId,
        /// The message, or what is wrong with the line.
        frame: Result<Frame, Malformed>,
    },
    /// A channel's process is reaped and its output read to the end.
    ChannelExited {
        /// Which one.
        channel: ChannelId,
        /// How it ended.
        exit: Exit,
    },
    /// An agent closed its stdout, or does not take its stdin, but still runs.
    ChannelLost {
        /// Which one.
        channel: ChannelId,
    },
    /// The outbox of a client went over its high mark, or under its low mark.
    ClientSaturated {
        /// Whose.
        client: ClientId,
        /// `true`: over the mark.
        over: bool,
    },
    /// The outbox of a channel is full, or has room again.
    ChannelSaturated {
        /// Whose.
        channel: ChannelId,
        /// `true`: full.
        over: bool,
    },
    /// The answer to [`Effect::Survey`](super::Effect::Survey).
    Surveyed {
        /// The channel whose process tree was looked at.
        channel: ChannelId,
        /// What runs in it beside the agent itself.
        processes: Vec<Process>,
        /// The time that all of it has spent on the processor, the agent
        /// included, in milliseconds to within 10; `None`: nobody can tell.
        worked: Option<u64>,
    },
    /// The host stood still for a while (sleep, or a stopped process).
    HostPaused,
    /// Start the process that is wanted before any client asks.
    Preheat {
        /// The directory to start it in.
        cwd: String,
    },
    /// End everything.
    Shutdown(ShutdownCause),
}

/// Why the bridge is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShutdownCause {
    /// The editor closed the bridge's stdin.
    StdinEnded,
    /// SIGTERM, SIGINT or SIGHUP.
    Signal,
}

/// How a process ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exit {
    /// Code or signal.
    pub status: ExitStatus,
    /// The last lines it wrote to stderr, at most 1 KiB.
    pub stderr_tail: String,
    /// Bytes of an unfinished last line on its stdout.
    pub half_line: u64,
}

/// The status of a process that ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitStatus {
    /// It left with this code.
    Code(i32),
    /// This signal ended it.
    Signal(i32),
    /// Nobody can tell.
    Unknown,
}

impl std::fmt::Display for ExitStatus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            ExitStatus::Code(code) => write!(f, "exit code {code}"),
            ExitStatus::Signal(signal) => write!(f, "signal {signal}"),
            ExitStatus::Unknown => f.write_str("an unknown status"),
        }
    }
}

/// A process found in the tree of a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// Its id.
    pub pid: u32,
    /// Its program's name.
    pub name: String,
    /// When it was born, to within 10 ms.
    pub born: Moment,
}
