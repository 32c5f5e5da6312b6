//! Everything that can happen to the bridge.

use std::borrow::Cow;

use crate::bridge::config::{AgentConfig, Limits};
use crate::bridge::environment::Environment;
use crate::bridge::id::{AgentId, ChannelId, ClientId, EnvironmentId, SessionKey};
use crate::bridge::restore::{Known, Pair};
use crate::bridge::time::Moment;
use crate::wire::{Frame, Malformed, Run};

/// One thing that happened. The runtime reports it; the core decides what it means.
#[derive(Clone, Debug)]
pub enum Event {
    /// A client has connected.
    ClientConnected {
        /// The number that the runtime gave the client; it is never used again.
        client: ClientId,
        /// The agent that it wants.
        agent: AgentId,
        /// Its environment, which the processes that are started for it get.
        environment: Environment,
        /// The directory in which agents of this client start unless a session names
        /// another one.
        cwd: String,
    },
    /// A line of a client.
    ClientFrame {
        /// The client.
        client: ClientId,
        /// The message, or what is wrong with the line.
        frame: Result<Frame, Malformed>,
    },
    /// The process that started a client's connection has ended, while the connection is
    /// still open.
    ParentGone {
        /// The client.
        client: ClientId,
    },
    /// A client's connection is over; nothing more comes from it.
    ClientGone {
        /// The client.
        client: ClientId,
    },
    /// The answer to [`Effect::LookForEditor`](super::Effect::LookForEditor).
    EditorSeen {
        /// The client, which is gone.
        client: ClientId,
        /// Whether the program that started its connection still lives.
        lives: bool,
    },
    /// The process of a channel runs.
    ChannelSpawned {
        /// The channel.
        channel: ChannelId,
        /// The process id of the agent.
        pid: u32,
    },
    /// The process of a channel could not be started; no `ChannelExited` follows.
    SpawnFailed {
        /// The channel.
        channel: ChannelId,
        /// The error that the system gave.
        error: String,
    },
    /// A line of an agent.
    ChannelFrame {
        /// The channel.
        channel: ChannelId,
        /// The message, or what is wrong with the line.
        frame: Result<Frame, Malformed>,
    },
    /// Updates of one session that an agent wrote one behind the other. Each is handled like a
    /// [`Event::ChannelFrame`].
    ChannelRun {
        /// The channel.
        channel: ChannelId,
        /// The messages.
        run: Run,
    },
    /// A channel's process is reaped. Its output is read to the end and its tree is gone,
    /// unless that takes longer than half a second.
    ChannelExited {
        /// The channel.
        channel: ChannelId,
        /// The status of the process, and the end of its output.
        exit: Exit,
    },
    /// A process that is started now would have something that the running one of a channel
    /// has not. The runtime finds that by the [`Look`] of
    /// [`Bridge::look_before`](super::Bridge::look_before).
    ChannelOutdated {
        /// The channel.
        channel: ChannelId,
        /// The difference.
        what: Outdated,
    },
    /// An agent closed its stdin or stdout, but still runs.
    ChannelLost {
        /// The channel.
        channel: ChannelId,
    },
    /// The outbox of a client went over its high mark, or under its low mark.
    ClientMarkPassed {
        /// The client.
        client: ClientId,
        /// `true`: over the high mark; `false`: under the low mark.
        over: bool,
    },
    /// The outbox of a client has reached its limit.
    ClientFull {
        /// The client.
        client: ClientId,
    },
    /// The outbox of a channel went over its high mark, or under its low mark.
    ChannelMarkPassed {
        /// The channel.
        channel: ChannelId,
        /// `true`: over the high mark; `false`: under the low mark.
        over: bool,
    },
    /// The answer to [`Effect::Survey`](super::Effect::Survey).
    Surveyed {
        /// The channel whose process tree was looked at.
        channel: ChannelId,
        /// The processes of the tree, without the agent itself; `None`: the tree could not be
        /// looked at.
        processes: Option<Vec<Process>>,
        /// The processor time that the whole tree, the agent included, has used, in
        /// milliseconds to within 10; `None`: unknown.
        worked: Option<u64>,
    },
    /// The answer to [`Effect::Weigh`](super::Effect::Weigh).
    Weighed {
        /// The resident memory of the process trees of all agents, in bytes.
        bytes: u64,
        /// Whether programs of this machine wait for memory.
        stalls: bool,
    },
    /// The bridge did not run for a few seconds, because the machine was too busy.
    LoopLate {
        /// The time since it last ran (ms).
        millis: u64,
    },
    /// The host stood still for a while: it slept, or its processes were stopped.
    HostPaused {
        /// The time since the bridge last ran (ms).
        millis: u64,
    },
    /// Start the agent of a client before the client asks for one.
    Preheat {
        /// The client.
        client: ClientId,
    },
    /// A client was served by an earlier bridge, which is gone, and had these sessions there.
    Adopted {
        /// The client.
        client: ClientId,
        /// The texts that the earlier bridge has given for them.
        sessions: Vec<String>,
    },
    /// The answer to [`Effect::Recall`](super::Effect::Recall): what is remembered of a version of an
    /// agent.
    Recalled {
        /// The agent.
        agent: AgentId,
        /// Its name and version, as it gives them.
        version: Box<str>,
        /// The knowledge of it.
        known: Known,
    },
    /// Sessions that an agent knows by other ids than clients do, the oldest first.
    Pairs {
        /// The agent.
        agent: AgentId,
        /// The sessions.
        pairs: Vec<Pair>,
    },
    /// The knowledge of earlier bridges has changed.
    EarlierBridges(EarlierBridges),
    /// Another bridge takes the place of this one, which ends as soon as nobody would lose
    /// anything with it.
    Superseded,
    /// A person wants something by the control socket.
    Operator(Order),
    /// Whether somebody follows what happens: turns are told only then.
    Followed(bool),
    /// The configuration has changed.
    Reconfigured {
        /// The limits of the bridge as a whole.
        limits: Box<Limits>,
        /// The agents that have changed.
        agents: Vec<(AgentId, AgentConfig)>,
    },
    /// End the bridge.
    Shutdown(ShutdownCause),
}

/// A look whether running agents are as good as those that are started now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Look {
    /// The channels.
    pub channels: Vec<ChannelId>,
    /// The environment whose login handles are compared with those of the agents; `None`: only
    /// the files of the agents are looked at.
    pub handles_of: Option<EnvironmentId>,
}

/// The advantage of a process that is started now over a running one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outdated {
    /// It runs the agent's program as it is now.
    Updated {
        /// The file that has changed since the channel was ready.
        file: String,
    },
    /// It has a login handle that works: nobody listens any more on the socket that the running
    /// one's names, and somebody on the client's.
    DeadHandle {
        /// The name of the variable.
        name: String,
    },
}

/// The knowledge of earlier bridges that may still hold conversations.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EarlierBridges {
    /// Whether agents of a bridge that is gone may still run. They may hold any conversation.
    pub are_ending: bool,
    /// The ids of the conversations that bridges hold which go on, as their clients and their
    /// agents know them.
    pub held: Vec<String>,
}

/// The wish of a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Close this session.
    Close(SessionKey),
    /// Cancel the turn of this session, the prompts that wait behind it, and the questions of its
    /// agent.
    CancelTurn(SessionKey),
    /// Take this channel out of service when its last session is gone.
    Drain(ChannelId),
    /// Stop this channel, and end its sessions.
    Stop(ChannelId),
    /// End the bridge as soon as no request and no question is open: at once, if none is.
    EndWhenIdle,
}

/// Why the bridge is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShutdownCause {
    /// The editor closed the bridge's stdin.
    StdinEnded,
    /// Nobody reads the bridge's stdout any more.
    StdoutClosed,
    /// The process that started the bridge is gone, and its client was silent since then.
    ParentGone,
    /// No agent could be started for the client's `initialize`, or what was started is none.
    InitializeFailed,
    /// The agent did not answer the client's `initialize` in time.
    InitializeTimedOut,
    /// Nobody has used the bridge for its idle timeout.
    Unused,
    /// Another bridge takes the place of this one.
    Superseded,
    /// A person asked for that by the control socket.
    Operator,
    /// The signal of this name: SIGTERM, SIGINT or SIGHUP.
    Signal(&'static str),
}

impl ShutdownCause {
    /// The end of the sentence "the bridge shuts down, because …".
    pub fn phrase(self) -> Cow<'static, str> {
        match self {
            ShutdownCause::StdinEnded => "the editor closed the bridge's stdin".into(),
            ShutdownCause::StdoutClosed => "nobody reads the bridge's stdout any more".into(),
            ShutdownCause::ParentGone => {
                "the process that started it is gone, and nothing came on stdin since then \
                 (parent_gone; --orphan-timeout-ms)"
                    .into()
            }
            ShutdownCause::InitializeFailed => "no agent could be started for the editor".into(),
            ShutdownCause::InitializeTimedOut => {
                "the agent did not answer initialize in time".into()
            }
            ShutdownCause::Unused => {
                "it had neither a client nor a session for --daemon-idle-timeout-ms".into()
            }
            ShutdownCause::Superseded => {
                "another daemon takes its place, and nothing is under way in this one".into()
            }
            ShutdownCause::Operator => "it was asked to by drawbridge stop".into(),
            ShutdownCause::Signal(name) => format!("{name} came").into(),
        }
    }

    /// Whether the cause is a signal.
    pub const fn is_signal(self) -> bool {
        matches!(self, ShutdownCause::Signal(_))
    }
}

/// How a process ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exit {
    /// Code or signal.
    pub status: ExitStatus,
    /// The end of what the agent wrote to stderr, at most 1 KiB, with secrets hidden.
    pub stderr_tail: String,
    /// The length of an unfinished last line on its stdout, in bytes.
    pub half_line: u64,
}

/// The status of a process that ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitStatus {
    /// It left with this code.
    Code(i32),
    /// This signal ended it.
    Signal(i32),
    /// The status is not known, for instance because the keeper was killed.
    Unknown,
}

impl std::fmt::Display for ExitStatus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            ExitStatus::Code(code) => write!(f, "exit code {code}"),
            ExitStatus::Signal(signal) => match signal_name(*signal) {
                Some(name) => write!(f, "signal {signal} ({name})"),
                None => write!(f, "signal {signal}"),
            },
            ExitStatus::Unknown => f.write_str("status unknown"),
        }
    }
}

/// The name of a signal that often ends a process, where all systems give it this number.
const fn signal_name(signal: i32) -> Option<&'static str> {
    Some(match signal {
        1 => "SIGHUP",
        2 => "SIGINT",
        3 => "SIGQUIT",
        4 => "SIGILL",
        6 => "SIGABRT",
        8 => "SIGFPE",
        9 => "SIGKILL",
        11 => "SIGSEGV",
        13 => "SIGPIPE",
        15 => "SIGTERM",
        24 => "SIGXCPU",
        25 => "SIGXFSZ",
        _ => return None,
    })
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
