//! The configuration of the core: every limit and policy, already validated.
//!
//! Where a value came from (flag, environment, file) and how it is spelled is
//! the command line's business; the core sees numbers that make sense.

use super::time::Limit;

/// The configuration of the core. [`Config::default`] holds the documented defaults of
/// the embedded mode.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// The limits of the bridge as a whole.
    pub limits: Limits,
    /// The agent that clients are given.
    pub agent: AgentConfig,
}

/// The limits and policies of one bridge that are the same for every agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Sessions are reaped at multiples of this interval; 0 and `never`: no reaper.
    pub session_reap_interval: Limit,
    /// Sessions, live and opening together; 0: no limit.
    pub max_sessions: usize,
    /// The treatment of an open that would exceed `max_sessions`.
    pub at_capacity: AtCapacity,
    /// The resident memory of all agent trees together from which idle ones end, in MiB; 0: no
    /// limit.
    pub memory_high_mb: usize,
    /// Channels, starting, live and dying together; 0: no limit.
    pub max_channels: usize,
    /// Whether an agent is started before a client asks for one.
    pub preheat: bool,
    /// Prompts that may wait per session, the running one not counted.
    pub max_queued_prompts: usize,
    /// How long a question for a permission waits while no client has it open.
    pub permission_timeout: Limit,
    /// How long a quiet session is kept after its last client is gone; 0: it is closed at once;
    /// `never`: for as long as the reaper keeps it.
    pub lost_client_timeout: Limit,
    /// How long a turn goes on after the last client of its session is gone.
    pub lost_turn_timeout: Limit,
    /// How long a client may be slow while others wait for the same agent; 100 ms at least.
    pub saturation_grace: Limit,
    /// The most bytes of a session's last turns that are kept for clients that come later; 0:
    /// none.
    pub replay_bytes: usize,
    /// The most bytes that are kept so of all sessions together.
    pub replay_total_bytes: usize,
    /// The most parked sessions, and the most bytes that they take.
    pub parked: ParkedLimits,
    /// How long a client may be silent after the end of its parent process.
    pub orphan_timeout: Limit,
    /// How long the bridge goes on without a client and a session.
    pub daemon_idle_timeout: Limit,
    /// Whether the connections of clients outlive the bridge, and keep their sessions for a later
    /// one.
    pub is_succeeded: bool,
    /// The bound of a whole shutdown, in milliseconds.
    pub shutdown_timeout: u64,
    /// Which clients get the `_drawbridge` notifications.
    pub extension_events: ExtensionEvents,
}

/// One agent: its name, and the limits and policies that are its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentConfig {
    /// Its name, as messages to people give it.
    pub name: String,
    /// How long a channel without work is kept; 0 stops it at once.
    pub channel_idle_timeout: Limit,
    /// The age at which a channel is replaced: it gets no new sessions, and those that it has move
    /// on as soon as they can.
    pub channel_max_age: Limit,
    /// The number of sessions after which a channel is replaced so; 0: no limit.
    pub channel_max_sessions: usize,
    /// The age from which a channel that runs a fetched package gets no new sessions. The sessions
    /// that it has stay.
    pub package_max_age: Limit,
    /// How long a channel that takes no new sessions may have some that could move on.
    pub drain_timeout: Limit,
    /// How long an idle session without a client lives; 0 and `never`: never reaped.
    pub session_idle_timeout: Limit,
    /// The same for a session with a client attached, where the policy allows it.
    pub attached_idle_timeout: Limit,
    /// Which idle sessions may be reaped.
    pub idle_policy: IdlePolicy,
    /// How sessions are brought back in another process.
    pub restore: Restore,
    /// Whether background work keeps a session from being closed for being idle.
    pub background_work: BackgroundWork,
    /// Which sessions may share a channel.
    pub share: Share,
    /// Sessions on one channel; 0: no limit.
    pub sessions_per_channel: usize,
    /// The husks, weighed, that an agent without `session/close` may hold before its channel
    /// is replaced; 0: no limit.
    pub max_husks: usize,
    /// The timeout of a channel's start: spawn and handshake together.
    pub initialize_timeout: Limit,
    /// The timeout of an open and of a request of the set-up replay, and of the wait of
    /// any call for a channel.
    pub session_open_timeout: Limit,
    /// The timeout of a close.
    pub session_close_timeout: Limit,
    /// The timeout of a turn.
    pub prompt_timeout: Limit,
    /// Which prompts wait while a turn runs.
    pub prompt_queue: PromptQueue,
    /// Which clients are asked when the agent wants a permission.
    pub permission_policy: PermissionPolicy,
    /// From the end of the agent's stdin to SIGTERM.
    pub stdin_grace: Limit,
    /// From SIGTERM to SIGKILL.
    pub term_grace: Limit,
    /// From SIGKILL until the channel counts as stuck: its process does not die.
    pub kill_grace: Limit,
    /// Crashes within `restart_window` before starts are refused; 0: no limit.
    pub restart_limit: usize,
    /// The window in which crashes are counted, in milliseconds.
    pub restart_window: u64,
    /// How long an agent that is waited for may be silent before its channel is surveyed;
    /// 0 and `never`: no survey.
    pub liveness_interval: Limit,
    /// Strikes in a row after which a channel is stopped; 0: strikes are only reported.
    pub liveness_strikes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            session_reap_interval: Limit::After(60_000),
            max_sessions: 0,
            at_capacity: AtCapacity::Evict,
            memory_high_mb: 0,
            max_channels: 0,
            preheat: false,
            max_queued_prompts: 8,
            permission_timeout: Limit::After(3_600_000),
            lost_client_timeout: Limit::Never,
            lost_turn_timeout: Limit::Never,
            saturation_grace: Limit::After(5_000),
            replay_bytes: 0,
            replay_total_bytes: 64 << 20,
            parked: ParkedLimits { rows: 1024, bytes: 16 << 20 },
            orphan_timeout: Limit::After(600_000),
            daemon_idle_timeout: Limit::Never,
            is_succeeded: false,
            shutdown_timeout: 2_500,
            extension_events: ExtensionEvents::Asked,
        }
    }
}

impl Limits {
    /// The defaults of a bridge that serves many clients. The embedded mode ends with its one
    /// client, and needs no limits for what lost clients leave.
    pub fn for_many_clients() -> Limits {
        Limits {
            lost_client_timeout: Limit::After(120_000),
            lost_turn_timeout: Limit::After(600_000),
            replay_bytes: 4 << 20,
            max_sessions: 64,
            max_channels: 32,
            is_succeeded: true,
            shutdown_timeout: 10_000,
            ..Limits::default()
        }
    }
}

impl Default for AgentConfig {
    fn default() -> Self {
        AgentConfig {
            name: "agent".to_owned(),
            channel_idle_timeout: Limit::After(600_000),
            channel_max_age: Limit::Never,
            channel_max_sessions: 0,
            package_max_age: Limit::Never,
            drain_timeout: Limit::After(600_000),
            session_idle_timeout: Limit::After(1_800_000),
            attached_idle_timeout: Limit::After(7_200_000),
            idle_policy: IdlePolicy::Detached,
            restore: Restore::Auto,
            background_work: BackgroundWork::Keep,
            share: Share::Agent,
            sessions_per_channel: 0,
            max_husks: 32,
            initialize_timeout: Limit::After(300_000),
            session_open_timeout: Limit::After(120_000),
            session_close_timeout: Limit::After(10_000),
            prompt_timeout: Limit::Never,
            prompt_queue: PromptQueue::Others,
            permission_policy: PermissionPolicy::Originator,
            stdin_grace: Limit::After(4_000),
            term_grace: Limit::After(5_000),
            kill_grace: Limit::After(2_000),
            restart_limit: 5,
            restart_window: 60_000,
            liveness_interval: Limit::Never,
            liveness_strikes: 3,
        }
    }
}

/// Which idle sessions the reaper may close.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdlePolicy {
    /// Only sessions that no client is attached to.
    Detached,
    /// Also those with a client that are known to come back at its next request.
    Restorable,
    /// Every idle session; what its agent does not store is lost.
    All,
}

/// How the sessions of an agent are brought back in another process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Restore {
    /// In a way that the agent offers. A session is ended by choice only if that way has
    /// succeeded before, or if the session has no record to lose.
    Auto,
    /// By `session/resume`, for which a person vouches.
    Resume,
    /// By `session/load`, for which a person vouches.
    Load,
    /// Not at all.
    None,
}

/// The limits of what is kept of parked sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParkedLimits {
    /// The most sessions.
    pub rows: usize,
    /// The most bytes.
    pub bytes: usize,
}

/// The effect of background work on its session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BackgroundWork {
    /// The session may still be working: it is kept while background work runs and a
    /// client is attached.
    Keep,
    /// Nothing: the session may be reaped.
    Ignore,
}

/// The treatment of an open that would exceed the limit of sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AtCapacity {
    /// The longest-idle session that the policy allows gives way.
    Evict,
    /// The open is refused.
    Refuse,
}

/// Which sessions may live on the same channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Share {
    /// All sessions of the agent.
    Agent,
    /// Sessions with the same working directory.
    Cwd,
    /// None: each session has a channel of its own.
    Session,
}

/// Which prompts wait while a turn of the session runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PromptQueue {
    /// Prompts of other clients than the one whose prompt runs; its own are sent at once,
    /// as without a bridge.
    Others,
    /// All prompts.
    All,
}

/// Which clients are asked when the agent wants a permission.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PermissionPolicy {
    /// The client whose prompt runs; if it is gone, those that take part.
    Originator,
    /// All attached clients; the first valid answer wins.
    All,
}

/// Which clients get the `_drawbridge` notifications.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExtensionEvents {
    /// Clients that asked for them in `initialize`.
    Asked,
    /// Every client.
    On,
    /// No client.
    Off,
}
