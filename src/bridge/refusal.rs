//! Refusals: the errors that the bridge answers itself, each with its code, its kind and a
//! sentence for a person.
//!
//! Editors show the sentence as it is, so it is complete and says what to do.

mod sentence;

use crate::bridge::event::ExitStatus;
use crate::bridge::reason::{LossReason, NotAcp};

/// A refusal, answered as a JSON-RPC error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The line is not JSON.
    NotJson,
    /// The line is an array, and so a batch of JSON-RPC.
    Batch,
    /// The line is JSON, but no message.
    NotMessage,
    /// The line is longer than the frame limit.
    TooLong {
        /// The length of the line, in bytes.
        length: u64,
    },
    /// A request came before `initialize`.
    BeforeInitialize,
    /// An `initialize` of a client that has sessions or open requests.
    Reinitialize,
    /// A method with the prefix `_drawbridge/` that the bridge does not have.
    NoRoute {
        /// The method.
        method: String,
    },
    /// A needed field is missing or not a string.
    MissingField {
        /// The name of the field.
        field: &'static str,
    },
    /// A cursor that is not remembered, or whose channel takes no requests any more.
    StaleCursor,
    /// The session is not known, or the client is not attached to it. Towards an agent: its
    /// question names no session that is live or being opened.
    UnknownSession {
        /// The id of the session, as the peer writes it.
        id: String,
    },
    /// The session ended while the client was attached, or the client left it.
    SessionEnded {
        /// The public id of the session.
        id: String,
        /// Why the client cannot use the session any more.
        reason: LossReason,
    },
    /// The request was withdrawn by the peer that sent it, or is a question that the bridge
    /// withdraws or asks no client.
    Cancelled,
    /// The session was closed while the request was open.
    SessionClosing,
    /// The bridge ends.
    ShuttingDown,
    /// `--max-sessions` is reached, and no session may be evicted.
    SessionLimit {
        /// The number of live and opening sessions.
        count: usize,
    },
    /// `--max-channels` is reached, and no channel is without work.
    ChannelLimit {
        /// The number of channels, without those that are stuck.
        count: usize,
    },
    /// Too many prompts wait already.
    PromptQueueFull {
        /// The limit.
        limit: usize,
    },
    /// Too many requests of this peer are open.
    TooManyRequests,
    /// The agent does not read its stdin.
    AgentNotReading {
        /// The agent's name.
        agent: String,
    },
    /// The agent's program could not be started.
    SpawnFailed {
        /// The agent's name.
        agent: String,
        /// The message of the system.
        error: String,
    },
    /// The agent's process ended.
    AgentExited {
        /// The agent's name.
        agent: String,
        /// How the process ended.
        status: ExitStatus,
        /// The agent's last words.
        stderr_tail: String,
        /// Whether the process ended before its handshake was over.
        in_handshake: bool,
        /// The way on for the client.
        then: Then,
    },
    /// The program is no ACP agent.
    NotAcpAgent {
        /// The agent's name.
        agent: String,
        /// The sign by which that is known.
        sign: NotAcp,
    },
    /// The agent was ended by the bridge.
    AgentStopped {
        /// The agent's name.
        agent: String,
        /// The end of the sentence "the agent was stopped, because …".
        reason: String,
        /// The way on for the client.
        then: Then,
    },
    /// The process that this client was passed through to has ended.
    AgentGone {
        /// The agent's name.
        agent: String,
    },
    /// The agent did not answer `initialize` in time.
    HandshakeTimeout {
        /// The agent's name.
        agent: String,
        /// The timeout (ms).
        millis: u64,
    },
    /// The agent answered with something that the protocol does not allow.
    ProtocolBroken {
        /// The agent's name.
        agent: String,
        /// The fault of the answer.
        what: String,
    },
    /// The agent crashed too often.
    RestartLimit {
        /// The agent's name.
        agent: String,
        /// The end of its process in the last crash, as a sentence.
        last: String,
        /// The time until the agent may be started again (ms).
        retry_after_ms: u64,
    },
    /// The agent did not open the session in time.
    OpenTimeout {
        /// The agent's name.
        agent: String,
    },
    /// The agent did not answer a request that all its processes must answer in time.
    AnswerTimeout {
        /// The agent's name.
        agent: String,
    },
    /// The agent did not answer the prompt in time.
    PromptTimeout {
        /// The agent's name.
        agent: String,
    },
    /// A restore of the same conversation by the other method is under way: a load during a
    /// resume, or a resume during a load.
    RestoreUnderWay {
        /// The id of the conversation.
        id: String,
    },
    /// The conversation is fenced: a channel holds it, or may still hold it.
    SessionFenced {
        /// The id of the conversation.
        id: String,
    },
    /// Another client is attached to the session, in which a turn or question is open.
    SessionInUse {
        /// The public id of the session.
        id: String,
    },
    /// The client did not read, and others waited for the same agent.
    ClientTooSlow,
    /// The session lives in a process with another environment, and cannot be moved now.
    SessionElsewhere {
        /// The public id of the session.
        id: String,
        /// The names of the variables in which the environments differ, with commas between them.
        names: String,
    },
    /// The agent has not brought a session back as it was.
    RestoreFailed {
        /// The agent's name.
        agent: String,
        /// The public id of the session.
        id: String,
        /// The fault of the agent, as the end of a sentence.
        what: String,
        /// The agent's own words; empty: it has said none.
        words: String,
    },
    /// The session is busy, so it cannot be loaded or resumed.
    SessionBusy {
        /// The public id of the session.
        id: String,
    },
    /// The answer could not be read.
    AnswerUnreadable {
        /// The end of the sentence "the answer could not be read: it …".
        fault: &'static str,
    },
    /// The answer was longer than the frame limit.
    AnswerTooLong {
        /// The length of the answer, in bytes.
        length: u64,
    },
    /// The daemon is gone that the request was sent to, or that is to get it.
    DaemonLost {
        /// The session that the request names, if that was there.
        session: Option<String>,
        /// The way on for the client.
        then: Then,
    },
    /// Towards an agent: there is no client that can answer its question.
    NobodyToAsk {
        /// The method.
        method: String,
    },
}

/// The way on for a client after the end of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// A new session.
    New,
    /// The same session, whose turn is lost: it is brought back.
    Kept,
    /// A new session: the one whose turn is lost cannot be brought back.
    Lost,
}

impl Refusal {
    /// The same refusal, for the prompt of a turn that is lost. `is_kept`: whether its session is
    /// brought back.
    #[must_use]
    pub fn of_lost_turn(&self, is_kept: bool) -> Refusal {
        let mut refusal = self.clone();
        if let Refusal::AgentExited { then, .. } | Refusal::AgentStopped { then, .. } = &mut refusal
        {
            *then = if is_kept { Then::Kept } else { Then::Lost };
        }
        refusal
    }

    /// The JSON-RPC error code.
    pub const fn code(&self) -> i64 {
        match self {
            Refusal::NotJson => -32700,
            Refusal::Batch
            | Refusal::NotMessage
            | Refusal::TooLong { .. }
            | Refusal::BeforeInitialize
            | Refusal::Reinitialize => -32600,
            Refusal::NoRoute { .. } => -32601,
            Refusal::MissingField { .. } | Refusal::StaleCursor => -32602,
            Refusal::UnknownSession { .. }
            | Refusal::SessionEnded { .. }
            | Refusal::DaemonLost { session: Some(_), then: Then::New | Then::Lost } => -32002,
            Refusal::Cancelled | Refusal::SessionClosing | Refusal::ShuttingDown => -32800,
            _ => -32603,
        }
    }

    /// The machine-readable word in `data.kind`.
    pub const fn kind(&self) -> &'static str {
        match self {
            Refusal::NotJson => "not_json",
            Refusal::Batch => "batch",
            Refusal::NotMessage => "not_a_message",
            Refusal::TooLong { .. } => "frame_too_long",
            Refusal::BeforeInitialize => "before_initialize",
            Refusal::Reinitialize => "already_initialized",
            Refusal::NoRoute { .. } => "no_route",
            Refusal::MissingField { .. } => "missing_field",
            Refusal::StaleCursor => "stale_cursor",
            Refusal::UnknownSession { .. } => "unknown_session",
            Refusal::SessionEnded { reason: LossReason::DaemonLost, .. }
            | Refusal::DaemonLost { .. } => "daemon_lost",
            Refusal::SessionEnded { .. } => "session_closed",
            Refusal::Cancelled => "cancelled",
            Refusal::SessionClosing => "session_closing",
            Refusal::ShuttingDown => "shutting_down",
            Refusal::SessionLimit { .. } => "session_limit",
            Refusal::ChannelLimit { .. } => "channel_limit",
            Refusal::PromptQueueFull { .. } => "prompt_queue_full",
            Refusal::TooManyRequests => "too_many_requests",
            Refusal::AgentNotReading { .. } => "agent_not_reading",
            Refusal::SpawnFailed { .. } => "agent_spawn_failed",
            Refusal::AgentExited { .. } => "agent_exited",
            Refusal::NotAcpAgent { .. } => "not_an_acp_agent",
            Refusal::AgentStopped { .. } | Refusal::AgentGone { .. } => "agent_stopped",
            Refusal::HandshakeTimeout { .. } => "handshake_timeout",
            Refusal::ProtocolBroken { .. } => "protocol_broken",
            Refusal::RestartLimit { .. } => "restart_limit",
            Refusal::OpenTimeout { .. } => "open_timeout",
            Refusal::AnswerTimeout { .. } => "answer_timeout",
            Refusal::PromptTimeout { .. } => "prompt_timeout",
            Refusal::RestoreUnderWay { .. } => "restore_under_way",
            Refusal::SessionFenced { .. } => "session_fenced",
            Refusal::SessionInUse { .. } => "session_in_use",
            Refusal::ClientTooSlow => "client_too_slow",
            Refusal::SessionElsewhere { .. } => "session_elsewhere",
            Refusal::RestoreFailed { .. } => "restore_failed",
            Refusal::SessionBusy { .. } => "session_busy",
            Refusal::AnswerUnreadable { .. } => "answer_unreadable",
            Refusal::AnswerTooLong { .. } => "answer_too_long",
            Refusal::NobodyToAsk { .. } => "nobody_to_ask",
        }
    }

    /// Whether a request fails for this reason because the process that it was sent to has ended.
    pub const fn is_of_end(&self) -> bool {
        matches!(
            self,
            Refusal::AgentExited { in_handshake: false, .. } | Refusal::AgentStopped { .. }
        )
    }

    /// Whether an `initialize` fails for this reason because there is no agent to answer it.
    pub const fn is_of_start(&self) -> bool {
        matches!(
            self,
            Refusal::SpawnFailed { .. }
                | Refusal::AgentExited { in_handshake: true, .. }
                | Refusal::NotAcpAgent { .. }
                | Refusal::HandshakeTimeout { .. }
                | Refusal::RestartLimit { .. }
        )
    }

    /// The time after which the request may be tried again (ms), in `data.retryAfterMs`.
    pub const fn retry_after_ms(&self) -> Option<u64> {
        match self {
            Refusal::SessionLimit { .. } | Refusal::ChannelLimit { .. } => Some(10_000),
            Refusal::SessionFenced { .. }
            | Refusal::AgentNotReading { .. }
            | Refusal::DaemonLost { session: None, .. }
            | Refusal::DaemonLost { then: Then::Kept, .. } => Some(1_000),
            Refusal::RestartLimit { retry_after_ms, .. } => Some(*retry_after_ms),
            _ => None,
        }
    }
}
