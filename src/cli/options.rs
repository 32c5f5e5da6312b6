//! The table of options: the one place where an option is known.
//!
//! Flags, variables, keys of the file, the help and the output of
//! `drawbridge config` are all made from its rows, so none of them can say
//! something that the others do not know.

use std::ffi::OsStr;

use super::kinds::{
    Bytes, Count, Face, Filter, LogPath, Millis, ProgramNames, Switch, Timeout, ValueKind, Words,
};
use super::settings::Settings;
use super::variable_kinds::{VariableNames, VariableValues};
use crate::bridge::config::{
    AtCapacity, BackgroundWork, ExtensionEvents, IdlePolicy, PermissionPolicy, PromptQueue, Share,
};
use crate::logs::LogFormat;

/// One option: a flag, a variable and a key of the file.
pub(super) struct Opt {
    /// `session-idle-timeout-ms`: the flag without its dashes, and the key.
    pub(super) name: &'static str,
    /// The heading that the help lists it under.
    pub(super) heading: &'static str,
    /// What it means, with its edge values; the default is added from the settings.
    pub(super) help: &'static str,
    /// What its values look like.
    pub(super) face: fn() -> Face,
    /// Reads the text into the settings, or says why not.
    pub(super) set: fn(&mut Settings, &OsStr) -> Result<(), String>,
    /// The value in the settings, as a person reads it.
    pub(super) get: fn(&Settings) -> String,
}

impl Opt {
    /// `DRAWBRIDGE_SESSION_IDLE_TIMEOUT_MS`.
    pub(super) fn variable(&self) -> String {
        variable(self.name)
    }

    /// The value that holds where nobody says otherwise.
    pub(super) fn default(&self) -> String {
        (self.get)(&Settings::default())
    }
}

/// The environment variable of the option `name`.
pub(super) fn variable(name: &str) -> String {
    format!("DRAWBRIDGE_{}", name.to_ascii_uppercase().replace('-', "_"))
}

/// The option called `name`.
pub(super) fn find(name: &str) -> Option<usize> {
    OPTIONS.iter().position(|option| option.name == name)
}

const LIMIT: Timeout = Timeout { at_least: 0 };
// A timeout of 0 would fail all that it is for; who writes 0 there means `never`.
const TIMEOUT: Timeout = Timeout { at_least: 1 };

const IDLE_POLICY: Words<IdlePolicy> = Words {
    words: &[("detached", IdlePolicy::Detached), ("all", IdlePolicy::All)],
    refused: &[("restorable", "sessions cannot be revived yet; use detached or all")],
};
const BACKGROUND_WORK: Words<BackgroundWork> = Words {
    words: &[("keep", BackgroundWork::Keep), ("ignore", BackgroundWork::Ignore)],
    refused: &[],
};
const AT_CAPACITY: Words<AtCapacity> =
    Words { words: &[("evict", AtCapacity::Evict), ("refuse", AtCapacity::Refuse)], refused: &[] };
const SHARE: Words<Share> = Words {
    words: &[("agent", Share::Agent), ("cwd", Share::Cwd), ("session", Share::Session)],
    refused: &[],
};
const PROMPT_QUEUE: Words<PromptQueue> =
    Words { words: &[("others", PromptQueue::Others), ("all", PromptQueue::All)], refused: &[] };
const PERMISSION_POLICY: Words<PermissionPolicy> = Words {
    words: &[("originator", PermissionPolicy::Originator), ("all", PermissionPolicy::All)],
    refused: &[],
};
const EXTENSION_EVENTS: Words<ExtensionEvents> = Words {
    words: &[
        ("asked", ExtensionEvents::Asked),
        ("on", ExtensionEvents::On),
        ("off", ExtensionEvents::Off),
    ],
    refused: &[],
};
const LOG_FORMAT: Words<LogFormat> =
    Words { words: &[("text", LogFormat::Text), ("json", LogFormat::Json)], refused: &[] };

const IDLE_SESSIONS: &str = "Idle sessions";
const CHANNELS: &str = "Idle channels and sharing";
const LIMITS: &str = "Limits";
const TIMEOUTS: &str = "Timeouts";
const STOPPING: &str = "Stopping";
const ENVIRONMENT: &str = "ProcessEnvironment of agents";
const QUESTIONS: &str = "Prompts and questions";
const WIRE: &str = "Wire";
/// Also the heading of `--config`, which is no row: it says where rows come from.
pub(super) const LOGS: &str = "Logs and configuration";

macro_rules! option {
    ($name:literal, $heading:expr, $kind:expr => $($field:ident).+, $help:literal) => {
        Opt {
            name: $name,
            heading: $heading,
            help: $help,
            face: || $kind.face(),
            set: |settings, text| {
                settings.$($field).+ = $kind.read(text)?;
                Ok(())
            },
            get: |settings| $kind.write(&settings.$($field).+),
        }
    };
}

/// Every option, in the order in which help and `config` list them.
pub(super) static OPTIONS: &[Opt] = &[
    option!(
        "session-idle-timeout-ms", IDLE_SESSIONS, LIMIT => config.agent.session_idle_timeout,
        "Close a session without a client after it was idle this long; 0 or never: sessions are \
         never closed for being idle"
    ),
    option!(
        "attached-idle-timeout-ms", IDLE_SESSIONS, LIMIT => config.agent.attached_idle_timeout,
        "The same for a session with a client attached, where --idle-policy allows it; 0 or never: \
         such sessions stay"
    ),
    option!(
        "session-reap-interval-ms", IDLE_SESSIONS, LIMIT => config.limits.session_reap_interval,
        "How often idle sessions are collected; 0 or never: not at all"
    ),
    option!(
        "idle-policy", IDLE_SESSIONS, IDLE_POLICY => config.agent.idle_policy,
        "Which idle sessions may be closed; detached: those that no client is attached to; all: \
         every one, and what the agent does not keep itself is lost"
    ),
    option!(
        "background-work", IDLE_SESSIONS, BACKGROUND_WORK => config.agent.background_work,
        "What processes that outlived their turn mean; keep: the session may still be working and \
         stays while a client is attached; ignore: nothing"
    ),
    option!(
        "channel-idle-timeout-ms", CHANNELS, LIMIT => config.agent.channel_idle_timeout,
        "Stop an agent process that has had no work for this long; 0: at once; never: it is kept"
    ),
    option!(
        "share", CHANNELS, SHARE => config.agent.share,
        "Which sessions may share an agent process; agent: all; cwd: those with the same working \
         directory; session: none, each has its own. With cwd and session an agent started for a \
         session runs in that session's directory; the one started before, for initialize or by \
         --preheat, runs in drawbridge's own and serves the first session"
    ),
    option!(
        "sessions-per-channel", CHANNELS, Count => config.agent.sessions_per_channel,
        "Sessions on one agent process at most; 0: no limit"
    ),
    option!(
        "max-husks", CHANNELS, Count => config.agent.max_husks,
        "Closed sessions that an agent without session/close may still hold before its process is \
         replaced; 0: no limit"
    ),
    option!(
        "preheat", CHANNELS, Switch => config.limits.preheat,
        "Start an agent process at once, before the first session asks for one; --preheat=false: \
         only when asked, whatever the environment or the file say"
    ),
    option!(
        "max-sessions", LIMITS, Count => config.limits.max_sessions,
        "Sessions at most, live and opening together; 0: no limit"
    ),
    option!(
        "at-capacity", LIMITS, AT_CAPACITY => config.limits.at_capacity,
        "What a session more than --max-sessions meets; evict: the longest-idle session that \
         --idle-policy allows gives way; refuse: an error"
    ),
    option!(
        "max-channels", LIMITS, Count => config.limits.max_channels,
        "Agent processes at most, starting, live and ending together; 0: no limit; with --share \
         session not below --max-sessions"
    ),
    option!(
        "restart-limit", LIMITS, Count => config.agent.restart_limit,
        "Crashes of the agent within --restart-window-ms before starts are refused for a while; 0: \
         no limit"
    ),
    option!(
        "restart-window-ms", LIMITS, Millis { at_least: 1 } => config.agent.restart_window,
        "The time in which crashes are counted; at least 1, not never"
    ),
    option!(
        "initialize-timeout-ms", TIMEOUTS, TIMEOUT => config.agent.initialize_timeout,
        "For the start of an agent and its answer to initialize; at least 1; never: no limit"
    ),
    option!(
        "session-open-timeout-ms", TIMEOUTS, TIMEOUT => config.agent.session_open_timeout,
        "For the agent's answer to session/new, load, resume and fork; at least 1; never: no limit"
    ),
    option!(
        "session-close-timeout-ms", TIMEOUTS, TIMEOUT => config.agent.session_close_timeout,
        "For the agent's answer to session/close; at least 1; never: no limit"
    ),
    option!(
        "prompt-timeout-ms", TIMEOUTS, TIMEOUT => config.agent.prompt_timeout,
        "For the agent's answer to a prompt; at least 1; never: no limit"
    ),
    option!(
        "stdin-grace-ms", STOPPING, LIMIT => config.agent.stdin_grace,
        "From the end of the agent's stdin to SIGTERM; 0: at once; never: SIGTERM only at a shutdown"
    ),
    option!(
        "term-grace-ms", STOPPING, LIMIT => config.agent.term_grace,
        "From SIGTERM to SIGKILL; 0: at once; never: SIGKILL only at a shutdown"
    ),
    option!(
        "kill-grace-ms", STOPPING, LIMIT => config.agent.kill_grace,
        "From SIGKILL to an error line that names a process which does not die; 0: at once; never: \
         no such line"
    ),
    option!(
        "shutdown-timeout-ms", STOPPING, Millis { at_least: 0 } => config.limits.shutdown_timeout,
        "Bound of a shutdown for the agent processes, into which their graces are scaled; last \
         answers and log lines may add a little; 0: SIGKILL at once; not never"
    ),
    option!(
        "liveness-interval-ms", TIMEOUTS, LIMIT => config.agent.liveness_interval,
        "Look at an agent that has said nothing for this long while requests wait for it: if its \
         processes did no work either, that is a strike (Linux only); 0 or never: not at all"
    ),
    option!(
        "liveness-strikes", TIMEOUTS, Count => config.agent.liveness_strikes,
        "Strikes in a row before such an agent is replaced; its sessions end; 0: never, it is only \
         reported"
    ),
    option!(
        "spare", STOPPING, ProgramNames => spare,
        "Programs that are left alone when what an agent has started is ended, with all they have \
         started themselves: daemons that serve others too; none: nothing is left alone. What \
         stayed in the agent's process group ends with it"
    ),
    option!(
        "no-keeper", STOPPING, Switch => no_keeper,
        "Run agents without keepers, the small processes that end what an agent has started when \
         drawbridge itself is killed (on Linux; elsewhere there are none)"
    ),
    option!(
        "env-pass", ENVIRONMENT, VariableNames => passing.pass,
        "VariableNames of drawbridge's own environment that agents get, with commas between them and * \
         for any rest of a name; none: not one"
    ),
    option!(
        "env-ignore", ENVIRONMENT, VariableNames => passing.ignore,
        "Of those, variables that agents do not get: what belongs to one terminal or shell; none: \
         every one is passed on"
    ),
    option!(
        "env-set", ENVIRONMENT, VariableValues => passing.set,
        "VariableNames that are set for agents, more of them behind commas; a part without a name and = \
         belongs to the value before it; none: nothing is added"
    ),
    option!(
        "prompt-queue", QUESTIONS, PROMPT_QUEUE => config.agent.prompt_queue,
        "Whose prompts wait while a turn runs; others: those of other clients; all: every one"
    ),
    option!(
        "max-queued-prompts", QUESTIONS, Count => config.limits.max_queued_prompts,
        "Prompts that may wait per session, the running one not counted; 0: none may wait"
    ),
    option!(
        "permission-policy", QUESTIONS, PERMISSION_POLICY => config.agent.permission_policy,
        "Who is asked for a permission; originator: the client whose prompt runs; all: every \
         attached client, and the first valid answer counts"
    ),
    option!(
        "permission-timeout-ms", QUESTIONS, LIMIT => config.limits.permission_timeout,
        "How long a request for a permission waits while no client is attached, before it is \
         answered as cancelled; 0: not at all; never: without limit. Others that may wait (files, \
         elicitations) wait 30 s"
    ),
    option!(
        "max-frame-bytes", WIRE, Bytes { at_least: 1024 } => max_frame_bytes,
        "Longest message that is taken from either side; at least 1024"
    ),
    option!(
        "outbox-bytes", WIRE, Bytes { at_least: 65_536 } => outbox_bytes,
        "What may wait for a peer that does not read; at least 65536"
    ),
    option!(
        "extension-events", WIRE, EXTENSION_EVENTS => config.limits.extension_events,
        "Who gets drawbridge's own notifications; asked: clients that asked for them; on: every \
         client; off: nobody"
    ),
    option!(
        "log", LOGS, Filter => log.filter,
        "Which lines are logged: a level or a list of TARGET=LEVEL, such as drawbridge=debug; off: \
         none. Read from RUST_LOG if it is said nowhere else. On a stderr that is no terminal only \
         warnings, errors and the startup line appear, whatever is said here"
    ),
    option!(
        "log-format", LOGS, LOG_FORMAT => log.format,
        "How lines are written; text: for people; json: one object a line"
    ),
    option!(
        "log-file", LOGS, LogPath => log.file,
        "Log to this file, which is rotated at 8 MiB; auto: to drawbridge.log in the state \
         directory unless stderr is a terminal; off: to no file"
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_become_variables() {
        for (index, option) in OPTIONS.iter().enumerate() {
            assert_eq!(find(option.name), Some(index), "{} is there twice", option.name);
        }
        assert_eq!(variable("max-sessions"), "DRAWBRIDGE_MAX_SESSIONS");
    }

    #[test]
    fn every_default_is_accepted_where_it_is_written() {
        for option in OPTIONS {
            let default = option.default();
            let text = default.split(' ').next().unwrap_or_default();
            let mut settings = Settings::default();
            assert_eq!((option.set)(&mut settings, OsStr::new(text)), Ok(()), "{}", option.name);
            assert_eq!(settings, Settings::default(), "{}", option.name);
        }
    }

    #[test]
    fn every_word_reads_back_as_itself() {
        for option in OPTIONS {
            for word in (option.face)().words {
                let mut settings = Settings::default();
                assert_eq!((option.set)(&mut settings, OsStr::new(word)), Ok(()));
                assert_eq!((option.get)(&settings), word, "{}", option.name);
            }
        }
    }
}
