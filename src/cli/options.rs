//! The table of options: the one place where an option is known.
//!
//! Flags, variables, keys of the file, the help and the output of
//! `drawbridge config` are all made from its rows, so none of them can say
//! something that the others do not know.

use std::ffi::OsStr;
use std::iter;

use super::kinds::{
    Bytes, Count, Face, Filter, LogPath, Millis, Name, ProgramNames, Switch, Timeout, ValueKind,
    Words,
};
use super::settings::Settings;
use super::variable_kinds::{VariableNames, VariableValues};
use crate::agent_environment::OWN_PREFIX;
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
    /// Its meaning, with its edge values; the default is added from the settings.
    pub(super) help: &'static str,
    /// The look of its values.
    pub(super) face: fn() -> Face,
    /// The place of its value in the settings.
    pub(super) place: &'static str,
    /// Reads the text into the settings, or says why not.
    pub(super) set: fn(&mut Settings, &OsStr) -> Result<(), String>,
    /// The value in the settings, as a person reads it.
    pub(super) get: fn(&Settings) -> String,
}

impl Opt {
    /// The name without its unit, which means the same: `session-idle-timeout`.
    pub(super) fn alias(&self) -> Option<&'static str> {
        self.name.strip_suffix("-ms")
    }

    /// All names of the option, the main one first.
    pub(super) fn names(&self) -> impl Iterator<Item = &'static str> {
        iter::once(self.name).chain(self.alias())
    }

    /// Whether its value is that of one agent, and may stand in that agent's table of the file.
    pub(super) fn is_of_agent(&self) -> bool {
        let places = ["config.agent.", "passing.", "spare"];
        places.iter().any(|place| self.place.starts_with(place))
    }

    /// The default value, as a person reads it.
    pub(super) fn default(&self) -> String {
        (self.get)(&Settings::default())
    }
}

/// The prefix of the environment variable of every option.
pub(super) const PREFIX: &str = OWN_PREFIX;

/// The environment variable of the option `name`: `DRAWBRIDGE_TERM_GRACE_MS`.
pub(super) fn variable(name: &str) -> String {
    format!("{PREFIX}{}", name.to_ascii_uppercase().replace('-', "_"))
}

/// The option with this name or alias, as an index of [`OPTIONS`].
pub(super) fn find(name: &str) -> Option<usize> {
    OPTIONS.iter().position(|option| option.names().any(|known| known == name))
}

const LIMIT: Timeout = Timeout { at_least: 0 };
// 0 is refused: it would fail every request at once, and is probably meant as `never`.
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
const LOG_FORMAT: Words<LogFormat> = Words { words: &LogFormat::WORDS, refused: &[] };

const IDLE_SESSIONS: &str = "Idle sessions";
const CHANNELS: &str = "Channels (agent processes) and sharing";
const LIMITS: &str = "Limits";
const TIMEOUTS: &str = "Timeouts";
const STOPPING: &str = "Stopping";
const ENVIRONMENT: &str = "Environment of agents";
const QUESTIONS: &str = "Prompts and questions";
const WIRE: &str = "Messages";
/// Also the heading of `--config`, which has no row: it names the file that sets options.
pub(super) const LOGS: &str = "Logs and configuration";

macro_rules! option {
    ($name:literal, $heading:expr, $kind:expr => $($field:ident).+, $help:literal) => {
        Opt {
            name: $name,
            heading: $heading,
            help: $help,
            face: || $kind.face(),
            place: stringify!($($field).+),
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
        "Idle time after which a session without a client is closed: with one editor, a session \
         that it has detached. 0 or never: no session is closed for being idle"
    ),
    option!(
        "attached-idle-timeout-ms", IDLE_SESSIONS, LIMIT => config.agent.attached_idle_timeout,
        "Idle time after which a session with a client is closed, where --idle-policy allows \
         that. 0 or never: no session with a client is closed for being idle"
    ),
    option!(
        "session-reap-interval-ms", IDLE_SESSIONS, LIMIT => config.limits.session_reap_interval,
        "Interval at which the sessions that have been idle for long enough are closed. 0 or \
         never: no session is closed for being idle"
    ),
    option!(
        "idle-policy", IDLE_SESSIONS, IDLE_POLICY => config.agent.idle_policy,
        "Sessions that may be closed for being idle. detached: those without a client. all: those \
         with a client too; what their agent does not store is lost"
    ),
    option!(
        "background-work", IDLE_SESSIONS, BACKGROUND_WORK => config.agent.background_work,
        "Effect of processes that a turn started and that still run. keep: the session is not \
         closed for being idle while a client is attached. ignore: none. No effect without \
         --idle-policy all"
    ),
    option!(
        "channel-idle-timeout-ms", CHANNELS, LIMIT => config.agent.channel_idle_timeout,
        "Time without work after which a channel (an agent process) is stopped. 0: at once. \
         never: it keeps running"
    ),
    option!(
        "share", CHANNELS, SHARE => config.agent.share,
        "Sessions that may share a channel. agent: all. cwd: those with the same working \
         directory. session: none. With cwd and session, an agent that is started for a session \
         runs in the session's directory; one that is started earlier, for initialize or by \
         --preheat, runs in drawbridge's directory and serves the first session"
    ),
    option!(
        "sessions-per-channel", CHANNELS, Count => config.agent.sessions_per_channel,
        "Most sessions on one channel. 0: no limit"
    ),
    option!(
        "max-husks", CHANNELS, Count => config.agent.max_husks,
        "Number of closed sessions that an agent without session/close may still hold before its \
         channel is replaced. One that left processes counts for more. 0: no limit"
    ),
    option!(
        "preheat", CHANNELS, Switch => config.limits.preheat,
        "Start of an agent before the first client asks for one. --preheat=false overrules the \
         environment and the file"
    ),
    option!(
        "max-sessions", LIMITS, Count => config.limits.max_sessions,
        "Most sessions, live and opening ones together. 0: no limit"
    ),
    option!(
        "at-capacity", LIMITS, AT_CAPACITY => config.limits.at_capacity,
        "Treatment of a new session at --max-sessions. evict: the longest-idle session that \
         --idle-policy allows is closed for it. refuse: it gets an error"
    ),
    option!(
        "max-channels", LIMITS, Count => config.limits.max_channels,
        "Most channels, starting, live and ending ones together. 0: no limit. With --share \
         session at least --max-sessions"
    ),
    option!(
        "restart-limit", LIMITS, Count => config.agent.restart_limit,
        "Number of crashes within --restart-window-ms after which an agent is not started for a \
         while. 0: no limit"
    ),
    option!(
        "restart-window-ms", LIMITS, Millis { at_least: 1 } => config.agent.restart_window,
        "Period in which crashes are counted. At least 1ms"
    ),
    option!(
        "initialize-timeout-ms", TIMEOUTS, TIMEOUT => config.agent.initialize_timeout,
        "Time for the start of an agent and its answer to initialize. At least 1ms"
    ),
    option!(
        "session-open-timeout-ms", TIMEOUTS, TIMEOUT => config.agent.session_open_timeout,
        "Time for an agent's answer to session/new, session/load, session/resume and \
         session/fork. At least 1ms"
    ),
    option!(
        "session-close-timeout-ms", TIMEOUTS, TIMEOUT => config.agent.session_close_timeout,
        "Time for an agent's answer to session/close. At least 1ms"
    ),
    option!(
        "prompt-timeout-ms", TIMEOUTS, TIMEOUT => config.agent.prompt_timeout,
        "Time for an agent's answer to a prompt. At least 1ms"
    ),
    option!(
        "stdin-grace-ms", STOPPING, LIMIT => config.agent.stdin_grace,
        "Time from the end of an agent's stdin to SIGTERM. 0: SIGTERM at once. never: SIGTERM \
         only at a shutdown"
    ),
    option!(
        "term-grace-ms", STOPPING, LIMIT => config.agent.term_grace,
        "Time from SIGTERM to SIGKILL. 0: SIGKILL at once. never: SIGKILL only at a shutdown"
    ),
    option!(
        "kill-grace-ms", STOPPING, LIMIT => config.agent.kill_grace,
        "Time from SIGKILL to the error line about a process that still exists. 0: the line comes \
         at once. never: it never comes"
    ),
    option!(
        "shutdown-timeout-ms", STOPPING, Millis { at_least: 0 } => config.limits.shutdown_timeout,
        "Time in which a shutdown ends every agent; the graces are scaled down to fit into it. \
         Last answers and log lines may add a little. 0: SIGKILL at once"
    ),
    option!(
        "orphan-timeout-ms", STOPPING, LIMIT => config.limits.orphan_timeout,
        "Time without a message from the editor, after the process that started drawbridge has \
         ended, after which drawbridge ends, too, unless a turn or a question is open. never: the \
         end of that process means nothing"
    ),
    option!(
        "liveness-interval-ms", TIMEOUTS, LIMIT => config.agent.liveness_interval,
        "Time without a line from an agent, while a request waits for it, after which its \
         processes are looked at (Linux only). If they used no processor time either, the agent \
         gets a strike. 0 or never: no look"
    ),
    option!(
        "liveness-strikes", TIMEOUTS, Count => config.agent.liveness_strikes,
        "Number of strikes in a row after which a channel is replaced; its sessions end. 0: \
         strikes are only logged. No effect without --liveness-interval-ms"
    ),
    option!(
        "spare", STOPPING, ProgramNames => spare,
        "Programs that keep running when everything that an agent has started is ended: daemons \
         that serve others too. With a keeper, all that they have started keeps running with \
         them. none: no program. Processes in the agent's own process group always end with it"
    ),
    option!(
        "no-keeper", STOPPING, Switch => no_keeper,
        "Agents without keepers. A keeper is a small process that ends everything that an agent \
         has started, also if drawbridge is killed (Linux only)"
    ),
    option!(
        "agent-name", LOGS, Name => agent_name,
        "Name of the agent in messages and in the log. derived: that of the program that its \
         command runs, past launchers such as npx, uvx, node, sh -c and env"
    ),
    option!(
        "env-pass", ENVIRONMENT, VariableNames => passing.pass,
        "Variables of drawbridge's environment that agents get: names with commas between them, \
         with * for any rest of a name. none: no variable"
    ),
    option!(
        "env-ignore", ENVIRONMENT, VariableNames => passing.ignore,
        "Variables that agents do not get, although --env-pass names them. volatile: all those \
         that belong to one terminal, shell, window or start; more names may follow behind a \
         comma. none: no exception"
    ),
    option!(
        "env-set", ENVIRONMENT, VariableValues => passing.set,
        "Variables that are set for agents, also in a login in a terminal, with commas between \
         them. A part that does not begin with a name and = belongs to the value before it. A NAME \
         alone, before the first value, takes its value from drawbridge's environment: others can \
         read a command line. none: no variable"
    ),
    option!(
        "prompt-queue", QUESTIONS, PROMPT_QUEUE => config.agent.prompt_queue,
        "Prompts that wait while a turn runs. others: those of other clients; no effect with one \
         editor. all: every prompt"
    ),
    option!(
        "max-queued-prompts", QUESTIONS, Count => config.limits.max_queued_prompts,
        "Most waiting prompts of one session, the running one not counted. 0: no prompt waits, it \
         is refused"
    ),
    option!(
        "permission-policy", QUESTIONS, PERMISSION_POLICY => config.agent.permission_policy,
        "Clients that are asked for a permission. originator: the client whose prompt runs. all: \
         every attached client; the first valid answer counts. No effect with one editor"
    ),
    option!(
        "permission-timeout-ms", QUESTIONS, LIMIT => config.limits.permission_timeout,
        "Time that a request for a permission waits while no client is attached, before it is \
         answered as cancelled. 0: it does not wait. never: it waits without limit. File requests \
         and elicitations wait 30s. With one editor: for sessions that it has detached"
    ),
    option!(
        "max-frame-bytes", WIRE, Bytes { at_least: 1024 } => max_frame_bytes,
        "Longest message that is accepted from a client or an agent. At least 1024"
    ),
    option!(
        "outbox-bytes", WIRE, Bytes { at_least: 65_536 } => outbox_bytes,
        "Size of the outbox, the write queue of one client or agent. At least 65536"
    ),
    option!(
        "extension-events", WIRE, EXTENSION_EVENTS => config.limits.extension_events,
        "Clients that get drawbridge's own notifications. asked: those that asked in initialize. \
         on: every client. off: no client"
    ),
    option!(
        "log", LOGS, Filter => log.filter,
        "Lines that are logged: a level, or a list of TARGET=LEVEL such as drawbridge=debug. off: \
         none. RUST_LOG is read where nothing else sets it. Whatever the level, a stderr that is \
         no terminal gets no more than warnings and errors; the log file gets the rest"
    ),
    option!(
        "log-format", LOGS, LOG_FORMAT => log.format,
        "Format of the log. text: for people. json: one object a line"
    ),
    option!(
        "log-file", LOGS, LogPath => log.file,
        "File to log to, rotated at 8 MiB. auto: drawbridge.log in the state directory, unless \
         stderr is a terminal. off: no file"
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_become_variables() {
        for (index, option) in OPTIONS.iter().enumerate() {
            for name in option.names() {
                assert_eq!(find(name), Some(index), "{name} is there twice");
            }
        }
        assert_eq!(find("prompt-timeout"), find("prompt-timeout-ms"));
        assert_eq!(variable("max-sessions"), "DRAWBRIDGE_MAX_SESSIONS");
    }

    #[test]
    fn every_default_is_accepted_where_it_is_written() {
        for option in OPTIONS {
            let default = option.default();
            let text = default.split(" (").next().unwrap_or_default();
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
