//! The kinds of `session/update`, as far as the bridge must tell them apart: what a client that
//! comes later is told, and what a client must have offered to get it.
//!
//! The names and the capabilities are those of the Agent Client Protocol.

use crate::wire::Frame;

/// What an update is for a client that comes later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// A part of the history of the conversation.
    History,
    /// The state of the session: a later update of the same kind takes its place.
    State(StateKind),
    /// A plan: a part of the history, and the last one is state.
    Plan,
    /// For the moment alone: it is never replayed.
    Moment,
    /// Unknown to the bridge.
    Other,
}

impl Part {
    /// Whether a load replays it as a part of the history.
    pub const fn is_replayed(self) -> bool {
        matches!(self, Part::History | Part::Plan)
    }
}

/// The kinds of state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum StateKind {
    /// The commands that a person may use.
    Commands,
    /// The current mode.
    Mode,
    /// The configuration options.
    Options,
    /// The title and the like.
    Info,
    /// What the session has used.
    Usage,
    /// The plan.
    Plan,
}

/// A capability that a client must have offered to get an update.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gate {
    /// `session.notices`.
    Notices,
    /// `session.compaction`.
    Compaction,
    /// `plan`.
    PlanOperations,
    /// `subagents`.
    SubAgents,
}

impl Gate {
    /// Every gate.
    pub const ALL: [Gate; 4] =
        [Gate::Notices, Gate::Compaction, Gate::PlanOperations, Gate::SubAgents];

    /// The place of the capability within `clientCapabilities`.
    pub const fn path(self) -> &'static [&'static str] {
        match self {
            Gate::Notices => &["clientCapabilities", "session", "notices"],
            Gate::Compaction => &["clientCapabilities", "session", "compaction"],
            Gate::PlanOperations => &["clientCapabilities", "plan"],
            Gate::SubAgents => &["clientCapabilities", "subagents"],
        }
    }
}

/// A kind of update.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpdateKind {
    /// `user_message_chunk`.
    UserMessage,
    /// `agent_message_chunk` and `agent_thought_chunk`.
    AgentMessage,
    /// `tool_call` and `tool_call_update`, or another kind whose name begins so.
    ToolCall {
        /// Whether the bridge knows the name.
        is_known: bool,
    },
    /// `plan`.
    Plan,
    /// `plan_update` and `plan_removed`.
    PlanOperation,
    /// One of the kinds of state.
    State(StateKind),
    /// `notice`.
    Notice,
    /// `compaction_…`.
    Compaction,
    /// `subagent_update`.
    SubAgent,
    /// `session_message…`.
    SessionMessage,
    /// Any other one.
    Other,
    /// None: the notification is no update.
    Unnamed,
}

impl UpdateKind {
    /// The kind of this notification.
    pub fn of(frame: &Frame) -> UpdateKind {
        frame.update_kind().map_or(UpdateKind::Unnamed, |name| UpdateKind::named(&name))
    }

    /// The kind with this name.
    pub fn named(name: &str) -> UpdateKind {
        match name {
            "user_message_chunk" => UpdateKind::UserMessage,
            "agent_message_chunk" | "agent_thought_chunk" => UpdateKind::AgentMessage,
            "tool_call" | "tool_call_update" => UpdateKind::ToolCall { is_known: true },
            "plan" => UpdateKind::Plan,
            "plan_update" | "plan_removed" => UpdateKind::PlanOperation,
            "available_commands_update" => UpdateKind::State(StateKind::Commands),
            "current_mode_update" => UpdateKind::State(StateKind::Mode),
            "config_option_update" => UpdateKind::State(StateKind::Options),
            "session_info_update" => UpdateKind::State(StateKind::Info),
            "usage_update" => UpdateKind::State(StateKind::Usage),
            "notice" => UpdateKind::Notice,
            "subagent_update" => UpdateKind::SubAgent,
            _ if name.starts_with("compaction_") => UpdateKind::Compaction,
            _ if name.starts_with("session_message") => UpdateKind::SessionMessage,
            _ if name.starts_with("tool_call") => UpdateKind::ToolCall { is_known: false },
            _ => UpdateKind::Other,
        }
    }

    /// The part that an update of this kind is.
    pub const fn part(self) -> Part {
        match self {
            UpdateKind::UserMessage
            | UpdateKind::AgentMessage
            | UpdateKind::ToolCall { is_known: true }
            | UpdateKind::PlanOperation
            | UpdateKind::Compaction
            | UpdateKind::SubAgent
            | UpdateKind::SessionMessage => Part::History,
            UpdateKind::Plan => Part::Plan,
            UpdateKind::State(kind) => Part::State(kind),
            UpdateKind::Notice => Part::Moment,
            UpdateKind::ToolCall { is_known: false } | UpdateKind::Other | UpdateKind::Unnamed => {
                Part::Other
            }
        }
    }

    /// The capability that a client must have offered to get an update of this kind.
    pub const fn gate(self) -> Option<Gate> {
        match self {
            UpdateKind::Notice => Some(Gate::Notices),
            UpdateKind::PlanOperation => Some(Gate::PlanOperations),
            UpdateKind::Compaction => Some(Gate::Compaction),
            UpdateKind::SubAgent | UpdateKind::SessionMessage => Some(Gate::SubAgents),
            _ => None,
        }
    }
}
