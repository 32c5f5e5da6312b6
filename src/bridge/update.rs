//! The kinds of `session/update`, as far as the bridge must tell them apart: what a client that
//! comes later is told, and what a client must have offered to get it.
//!
//! The names and the capabilities are those of the Agent Client Protocol.

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

/// The part that an update of this kind is.
pub fn part(kind: &str) -> Part {
    match kind {
        "user_message_chunk"
        | "agent_message_chunk"
        | "agent_thought_chunk"
        | "tool_call"
        | "tool_call_update" => Part::History,
        "plan" => Part::Plan,
        "plan_update" | "plan_removed" => Part::History,
        "available_commands_update" => Part::State(StateKind::Commands),
        "current_mode_update" => Part::State(StateKind::Mode),
        "config_option_update" => Part::State(StateKind::Options),
        "session_info_update" => Part::State(StateKind::Info),
        "usage_update" => Part::State(StateKind::Usage),
        "notice" => Part::Moment,
        _ if gate(kind).is_some() => Part::History,
        _ => Part::Other,
    }
}

/// The capability that a client must have offered to get an update of this kind.
pub fn gate(kind: &str) -> Option<Gate> {
    match kind {
        "notice" => Some(Gate::Notices),
        "plan_update" | "plan_removed" => Some(Gate::PlanOperations),
        "subagent_update" => Some(Gate::SubAgents),
        _ if kind.starts_with("compaction_") => Some(Gate::Compaction),
        _ if kind.starts_with("session_message") => Some(Gate::SubAgents),
        _ => None,
    }
}
