//! The rows of the table of options.

use super::opt::{LOGS, Opt};
use super::words::{
    AT_CAPACITY, BACKGROUND_WORK, EXTENSION_EVENTS, IDLE_POLICY, LOG_FORMAT, PERMISSION_POLICY,
    PROMPT_QUEUE, RESTORE, SHARE,
};
#[cfg(feature = "otel")]
use crate::cli::address_kinds::Collector;
use crate::cli::address_kinds::ListenAddress;
use crate::cli::kinds::{
    Bytes, Count, Filter, Millis, Name, ProgramNames, Switch, Timeout, ValueKind,
};
use crate::cli::mode::{EVERY, RUN, RUN_CONNECT, RUN_SERVE, SERVE, SERVE_CONNECT};
use crate::cli::path_kinds::{LogPath, OptionalPath};
use crate::cli::variable_kinds::{VariableNames, VariableValues};

const LIMIT: Timeout = Timeout { at_least: 0 };
// 0 is refused: it would fail every request at once, and is probably meant as `never`.
const TIMEOUT: Timeout = Timeout { at_least: 1 };

const IDLE_SESSIONS: &str = "Idle sessions";
const CHANNELS: &str = "Channels (agent processes) and sharing";
const LIMITS: &str = "Limits";
const TIMEOUTS: &str = "Timeouts";
const STOPPING: &str = "Stopping";
const ENVIRONMENT: &str = "Environment of agents";
const QUESTIONS: &str = "Prompts and questions";
const CLIENTS: &str = "Editors (drawbridge serve)";
const WIRE: &str = "Messages";

macro_rules! option {
    ($name:literal, $modes:expr, $heading:expr, $kind:expr => $($field:ident).+, $help:literal) => {
        Opt {
            name: $name,
            modes: $modes,
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
pub(in crate::cli) static OPTIONS: &[Opt] = &[
    option!(
        "session-idle-timeout-ms", RUN_SERVE, IDLE_SESSIONS, LIMIT => config.agent.session_idle_timeout,
        "Idle time after which a session without a client is closed, if the loss of its client does \
         not close it before; with one editor there is none. 0 or never: no session is closed for \
         being idle"
    ),
    option!(
        "attached-idle-timeout-ms", RUN_SERVE, IDLE_SESSIONS, LIMIT => config.agent.attached_idle_timeout,
        "Idle time after which a session with a client is closed, where --idle-policy allows \
         that. 0 or never: no session with a client is closed for being idle"
    ),
    option!(
        "session-reap-interval-ms", RUN_SERVE, IDLE_SESSIONS, LIMIT => config.limits.session_reap_interval,
        "Interval at which the sessions that have been idle for long enough are closed. 0 or \
         never: no session is closed for being idle"
    ),
    option!(
        "idle-policy", RUN_SERVE, IDLE_SESSIONS, IDLE_POLICY => config.agent.idle_policy,
        "Sessions that may be closed for being idle. detached: those without a client. restorable: \
         those with a client too, if it is known that their next message brings them back. all: \
         every one; what their agent does not store is lost"
    ),
    option!(
        "restore", RUN_SERVE, IDLE_SESSIONS, RESTORE => config.agent.restore,
        "Way in which an agent that has ended brings a session back. auto: one that it offers; a \
         session is closed for being idle only if that way has succeeded before. resume, load: by \
         session/resume or session/load, which then need not have succeeded before. none: no \
         session is brought back"
    ),
    option!(
        "max-parked-sessions", RUN_SERVE, IDLE_SESSIONS, Count => config.limits.parked.rows,
        "Most sessions that are kept to be brought back. Those without a client give way first, \
         then the oldest"
    ),
    option!(
        "parked-bytes", RUN_SERVE, IDLE_SESSIONS, Bytes { at_least: 0 } => config.limits.parked.bytes,
        "Size of all that is kept of these sessions. One that takes more than 256 KiB is not kept"
    ),
    option!(
        "background-work", RUN_SERVE, IDLE_SESSIONS, BACKGROUND_WORK => config.agent.background_work,
        "Effect of processes that a turn started and that still run. keep: the session is not \
         closed for being idle while a client is attached. ignore: none. No effect with \
         --idle-policy detached"
    ),
    option!(
        "channel-idle-timeout-ms", RUN_SERVE, CHANNELS, LIMIT => config.agent.channel_idle_timeout,
        "Time without work after which a channel (an agent process) is stopped. 0: at once. \
         never: it keeps running"
    ),
    option!(
        "channel-max-age-ms", RUN_SERVE, CHANNELS, TIMEOUT => config.agent.channel_max_age,
        "Age at which a channel is replaced: it gets no new sessions, and those that are known to \
         come back move on as soon as nothing goes on in them. never: with drawbridge serve a \
         channel of 24h gets no new sessions where npx or uvx runs, since they fetch a newer version \
         only at a start. At least 1ms"
    ),
    option!(
        "channel-max-sessions", RUN_SERVE, CHANNELS, Count => config.agent.channel_max_sessions,
        "Number of sessions after which a channel is replaced in the same way. 0: no limit"
    ),
    option!(
        "drain-timeout-ms", RUN_SERVE, CHANNELS, LIMIT => config.agent.drain_timeout,
        "Time after which a channel that gets no new sessions ends if all that it has left are \
         known to come back and nothing goes on in them. never: it ends with its last session"
    ),
    option!(
        "share", RUN_SERVE, CHANNELS, SHARE => config.agent.share,
        "Sessions that may share a channel. agent: all. cwd: those with the same working \
         directory. session: none. With cwd and session, an agent that is started for a session \
         runs in the session's directory; one that is started earlier, for initialize or by \
         --preheat, runs in drawbridge's directory and serves the first session"
    ),
    option!(
        "sessions-per-channel", RUN_SERVE, CHANNELS, Count => config.agent.sessions_per_channel,
        "Most sessions on one channel. 0: no limit"
    ),
    option!(
        "max-husks", RUN_SERVE, CHANNELS, Count => config.agent.max_husks,
        "Number of closed sessions that an agent without session/close may still hold before its \
         channel is replaced. One that left processes counts for more. 0: no limit"
    ),
    option!(
        "preheat", RUN, CHANNELS, Switch => config.limits.preheat,
        "Start of an agent before the first client asks for one. --preheat=false overrules the \
         environment and the file"
    ),
    option!(
        "max-sessions", RUN_SERVE, LIMITS, Count => config.limits.max_sessions,
        "Most sessions, live and opening ones together. 0: no limit"
    ),
    option!(
        "at-capacity", RUN_SERVE, LIMITS, AT_CAPACITY => config.limits.at_capacity,
        "Treatment of a new session at --max-sessions. evict: the longest-idle session that \
         --idle-policy allows is closed for it. refuse: it gets an error"
    ),
    option!(
        "memory-high-mb", RUN_SERVE, LIMITS, Count => config.limits.memory_high_mb,
        "Memory of all agents and what they have started, in MiB, above which idle ones end before \
         their time: first agents without work, then the longest-idle sessions that --idle-policy \
         allows. So it is, too, while programs of the machine wait for memory. 0: no limit"
    ),
    option!(
        "max-channels", RUN_SERVE, LIMITS, Count => config.limits.max_channels,
        "Most channels, starting, live and ending ones together. 0: no limit. With --share \
         session at least --max-sessions"
    ),
    option!(
        "restart-limit", RUN_SERVE, LIMITS, Count => config.agent.restart_limit,
        "Number of crashes within --restart-window-ms after which an agent is not started for a \
         while. 0: no limit"
    ),
    option!(
        "restart-window-ms", RUN_SERVE, LIMITS, Millis { at_least: 1 } => config.agent.restart_window,
        "Period in which crashes are counted. At least 1ms"
    ),
    option!(
        "initialize-timeout-ms", RUN_SERVE, TIMEOUTS, TIMEOUT => config.agent.initialize_timeout,
        "Time for the start of an agent and its answer to initialize. At least 1ms"
    ),
    option!(
        "session-open-timeout-ms", RUN_SERVE, TIMEOUTS, TIMEOUT => config.agent.session_open_timeout,
        "Time for an agent's answer to session/new, session/load, session/resume and \
         session/fork. At least 1ms"
    ),
    option!(
        "session-close-timeout-ms", RUN_SERVE, TIMEOUTS, TIMEOUT => config.agent.session_close_timeout,
        "Time for an agent's answer to session/close. At least 1ms"
    ),
    option!(
        "prompt-timeout-ms", RUN_SERVE, TIMEOUTS, TIMEOUT => config.agent.prompt_timeout,
        "Time for an agent's answer to a prompt. At least 1ms"
    ),
    option!(
        "stdin-grace-ms", RUN_SERVE, STOPPING, LIMIT => config.agent.stdin_grace,
        "Time from the end of an agent's stdin to SIGTERM. 0: SIGTERM at once. never: SIGTERM \
         only at a shutdown"
    ),
    option!(
        "term-grace-ms", RUN_SERVE, STOPPING, LIMIT => config.agent.term_grace,
        "Time from SIGTERM to SIGKILL. 0: SIGKILL at once. never: SIGKILL only at a shutdown"
    ),
    option!(
        "kill-grace-ms", RUN_SERVE, STOPPING, LIMIT => config.agent.kill_grace,
        "Time from SIGKILL to the error line about a process that still exists. 0: the line comes \
         at once. never: it never comes"
    ),
    option!(
        "shutdown-timeout-ms", RUN_SERVE, STOPPING, Millis { at_least: 0 } => config.limits.shutdown_timeout,
        "Time in which a shutdown ends every agent; the graces are scaled down to fit into it. \
         Last answers and log lines may add a little. 0: SIGKILL at once"
    ),
    option!(
        "orphan-timeout-ms", RUN_CONNECT, STOPPING, LIMIT => config.limits.orphan_timeout,
        "Time without a message from the editor, after the process that started drawbridge has \
         ended, after which drawbridge ends, too, unless a turn or a question is open. never: the \
         end of that process means nothing"
    ),
    option!(
        "liveness-interval-ms", RUN_SERVE, TIMEOUTS, LIMIT => config.agent.liveness_interval,
        "Time without a line from an agent, while a request waits for it, after which its \
         processes are looked at (Linux only). If they used no processor time either, the agent \
         gets a strike. 0 or never: no look"
    ),
    option!(
        "liveness-strikes", RUN_SERVE, TIMEOUTS, Count => config.agent.liveness_strikes,
        "Number of strikes in a row after which a channel is replaced; its sessions end. 0: \
         strikes are only logged. No effect without --liveness-interval-ms"
    ),
    option!(
        "spare", RUN_SERVE, STOPPING, ProgramNames => spare,
        "Programs that keep running when everything that an agent has started is ended: daemons \
         that serve others too. With a keeper, all that they have started keeps running with \
         them. none: no program. Processes in the agent's own process group always end with it"
    ),
    option!(
        "no-keeper", RUN_SERVE, STOPPING, Switch => no_keeper,
        "Agents without keepers. A keeper is a small process that ends everything that an agent \
         has started, also if drawbridge is killed (Linux only)"
    ),
    option!(
        "agent-name", RUN_CONNECT, LOGS, Name => agent_name,
        "Name of the agent in messages and in the log. derived: that of the program that its \
         command runs, past launchers such as npx, uvx, node, sh -c and env"
    ),
    option!(
        "env-pass", EVERY, ENVIRONMENT, VariableNames => passing.pass,
        "Variables of drawbridge's environment that agents get: names with commas between them, \
         with * for any rest of a name. none: no variable"
    ),
    option!(
        "env-ignore", EVERY, ENVIRONMENT, VariableNames => passing.ignore,
        "Variables that agents do not get, although --env-pass names them. volatile: all those \
         that belong to one terminal, shell, window or start; more names may follow behind a \
         comma. none: no exception"
    ),
    option!(
        "env-set", EVERY, ENVIRONMENT, VariableValues => passing.set,
        "Variables that are set for agents, also in a login in a terminal, with commas between \
         them. A part that does not begin with a name and = belongs to the value before it. A NAME \
         alone, before the first value, takes its value from drawbridge's environment: others can \
         read a command line. none: no variable"
    ),
    option!(
        "prompt-queue", RUN_SERVE, QUESTIONS, PROMPT_QUEUE => config.agent.prompt_queue,
        "Prompts that wait while a turn runs. others: those of other clients; no effect with one \
         editor. all: every prompt"
    ),
    option!(
        "max-queued-prompts", RUN_SERVE, QUESTIONS, Count => config.limits.max_queued_prompts,
        "Most waiting prompts of one session, the running one not counted. 0: no prompt waits, it \
         is refused"
    ),
    option!(
        "permission-policy", RUN_SERVE, QUESTIONS, PERMISSION_POLICY => config.agent.permission_policy,
        "Clients that are asked for a permission. originator: the client whose prompt runs. all: \
         every attached client; the first valid answer counts. No effect with one editor"
    ),
    option!(
        "permission-timeout-ms", RUN_SERVE, QUESTIONS, LIMIT => config.limits.permission_timeout,
        "Time that a request for a permission waits while no client is attached, before it is \
         answered as cancelled. 0: it does not wait. never: it waits without limit. File requests \
         and elicitations wait 30s. With one editor: for sessions that it has detached"
    ),
    option!(
        "lost-client-timeout-ms", SERVE, CLIENTS, LIMIT => config.limits.lost_client_timeout,
        "Time that the sessions of an editor that is gone are kept for it. 0: they are closed at \
         once. never: they are closed for being idle alone"
    ),
    option!(
        "lost-turn-timeout-ms", SERVE, CLIENTS, LIMIT => config.limits.lost_turn_timeout,
        "Time that a turn goes on when no editor is there any more for its session; then it is \
         cancelled. 15s if the program that the person uses still lives: the chat was closed. \
         never: it goes on"
    ),
    option!(
        "saturation-grace-ms", SERVE, CLIENTS, LIMIT => config.limits.saturation_grace,
        "Time that an editor may be slow to read while others wait for the same agent; then its \
         connection is ended"
    ),
    option!(
        "replay-bytes", SERVE, CLIENTS, Bytes { at_least: 0 } => config.limits.replay_bytes,
        "Size of the last turns of one session that are kept for editors that join it. 0: none"
    ),
    option!(
        "replay-total-bytes", SERVE, CLIENTS, Bytes { at_least: 0 } => config.limits.replay_total_bytes,
        "Size of the last turns of all sessions together. The session that was not used for \
         longest loses its oldest turn first"
    ),
    option!(
        "daemon-idle-timeout-ms", SERVE, CLIENTS, LIMIT => config.limits.daemon_idle_timeout,
        "Time without an editor and without a session after which the daemon ends. 15m if \
         drawbridge connect has started it. never: it stays"
    ),
    option!(
        "socket", SERVE_CONNECT, CLIENTS, OptionalPath { word: "auto" } => socket,
        "Socket of the daemon; nobody else may be able to write to its directory. auto: in the \
         user's runtime directory, else in the state directory"
    ),
    option!(
        "allow-foreign-namespaces", SERVE, CLIENTS, Switch => allow_foreign_namespaces,
        "Editors in other namespaces than the daemon, such as those of a container, are let in"
    ),
    option!(
        "control", RUN_SERVE, LOGS, Switch => control,
        "Control socket of this bridge, for drawbridge status, close, stop and the like. \
         --control=false: there is none"
    ),
    option!(
        "metrics-listen", RUN_SERVE, LOGS, ListenAddress => metrics_listen,
        "Address and port at which metrics for Prometheus and the health of the bridge are served \
         by HTTP, such as 127.0.0.1:9464. Every user of the machine can read them there; \
         drawbridge metrics needs no port. An address that is no loopback one needs \
         --metrics-token-file. Port 0: any free one. off: none"
    ),
    option!(
        "metrics-token-file", RUN_SERVE, LOGS, OptionalPath { word: "none" } => metrics_token_file,
        "File with the token that those who ask for metrics must send. none: no token is needed"
    ),
    option!(
        "max-frame-bytes", RUN_SERVE, WIRE, Bytes { at_least: 1024 } => max_frame_bytes,
        "Longest message that is accepted from a client or an agent. At least 1024"
    ),
    option!(
        "outbox-bytes", RUN_SERVE, WIRE, Bytes { at_least: 65_536 } => outbox_bytes,
        "Size of the outbox, the write queue of one client or agent. At least 65536"
    ),
    option!(
        "outbox-total-bytes", SERVE, WIRE, Bytes { at_least: 65_536 } => outbox_total_bytes,
        "Size of all outboxes together. At the limit the fullest one counts as full. At least 65536"
    ),
    option!(
        "extension-events", RUN_SERVE, WIRE, EXTENSION_EVENTS => config.limits.extension_events,
        "Clients that get drawbridge's own notifications. asked: those that asked in initialize. \
         on: every client. off: no client"
    ),
    #[cfg(feature = "otel")]
    option!(
        "otlp-endpoint", RUN_SERVE, LOGS, Collector => otlp_endpoint,
        "Collector of OpenTelemetry that gets the events of sessions and channels as log records by \
         HTTP, such as http://127.0.0.1:4318. off: none"
    ),
    option!(
        "trace-frames", RUN_SERVE, LOGS, OptionalPath { word: "off" } => trace.file,
        "File for a trace; it must not exist yet. Each message that passes gets a line: its time, \
         direction, method, id and session. drawbridge trace shows it. {pid} in the path is \
         replaced by the process id. off: none"
    ),
    option!(
        "trace-payloads", RUN_SERVE, LOGS, Switch => trace.contents,
        "The trace holds the messages themselves too. Values of environments and headers, and what \
         looks like a secret, are masked; everything else is in it. No effect without \
         --trace-frames"
    ),
    option!(
        "log", EVERY, LOGS, Filter => log.filter,
        "Lines that are logged: a level, or a list of TARGET=LEVEL such as drawbridge=debug. off: \
         none. RUST_LOG is read where nothing else sets it. Whatever the level, a stderr that is \
         no terminal gets no more than warnings and errors; the log file gets the rest"
    ),
    option!(
        "log-format", EVERY, LOGS, LOG_FORMAT => log.format,
        "Format of the log. text: for people. json: one object a line"
    ),
    option!(
        "log-file", EVERY, LOGS, LogPath => log.file,
        "File to log to, rotated at 8 MiB. auto: drawbridge.log in the state directory, unless \
         stderr is a terminal. off: no file"
    ),
];
