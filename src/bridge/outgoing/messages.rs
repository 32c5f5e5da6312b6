//! The params, results and errors that the bridge writes itself, as structures.
//!
//! Their names and shapes are those of the Agent Client Protocol, and of
//! `docs/protocol.md` for the bridge's own extension.

use serde::Serialize;

use crate::bridge::event::ExitStatus;
use crate::bridge::refusal::Refusal;

/// Params that name a session and nothing else: `session/cancel`, `session/close`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SessionParams<'a> {
    /// The id under which the receiver knows the session.
    pub session_id: &'a str,
}

/// Params of `$/cancel_request`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CancelRequestParams {
    /// The number under which the receiver got the request.
    pub request_id: u64,
}

/// Params of `_drawbridge/session_closed` and `_drawbridge/session_died`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SessionEndedParams<'a> {
    /// The id under which clients know the session.
    pub session_id: &'a str,
    /// The reason, as one word.
    pub reason: &'static str,
    /// How the agent's process ended, if that ended the session.
    #[serde(flatten)]
    pub exit: ExitFields,
    /// Whether the bridge brings the session back when a request names it.
    pub restorable: bool,
    /// The number of notifications in the session for its clients, also while no client was
    /// attached.
    pub seq: u64,
}

/// Params of `_drawbridge/turn`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TurnParams<'a> {
    /// The id under which clients know the session.
    pub session_id: &'a str,
    /// `running` or `idle`.
    pub state: &'static str,
    /// Why the turn ended, as the agent says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_reason: Option<&'a str>,
}

/// Params of `_drawbridge/client_dropped`.
#[derive(Debug, Serialize)]
pub struct DroppedParams {
    /// The reason, as one word.
    pub reason: &'static str,
    /// The reason, as a sentence.
    pub details: String,
}

/// The result of `_drawbridge/attach`.
#[derive(Debug, Serialize)]
pub struct AttachResult {
    /// The number of messages that were sent before it.
    pub replayed: usize,
    /// Whether messages are missing that are not in memory any more.
    pub gap: bool,
}

/// The member `_meta.drawbridge` of the answer to a load or resume that the bridge gives itself.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub struct JoinMeta<'a> {
    /// The params of the request that the session does not follow: it keeps those that it was
    /// opened with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kept: Option<&'a [&'static str]>,
    /// The sequence number of the last notification, for clients that asked for numbers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seq: Option<u64>,
}

/// A text as the content of a message.
#[derive(Debug, Serialize)]
pub struct TextContent<'a> {
    r#type: &'static str,
    text: &'a str,
}

impl TextContent<'_> {
    /// The content with this text.
    pub fn of(text: &str) -> TextContent<'_> {
        TextContent { r#type: "text", text }
    }
}

/// How a process ended: a code, a signal, or neither if that is not known.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ExitFields {
    #[serde(skip_serializing_if = "Option::is_none")]
    exit_code: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    signal: Option<i32>,
}

impl From<&ExitStatus> for ExitFields {
    fn from(status: &ExitStatus) -> ExitFields {
        let (exit_code, signal) = match status {
            ExitStatus::Code(code) => (Some(*code), None),
            ExitStatus::Signal(signal) => (None, Some(*signal)),
            ExitStatus::Unknown => (None, None),
        };
        ExitFields { exit_code, signal }
    }
}

/// The result of `_drawbridge/heartbeat`.
#[derive(Debug, Serialize)]
pub struct HeartbeatResult {
    /// Every session that the request is about.
    pub sessions: Vec<SessionState>,
}

/// The state of one session, in the answer to a heartbeat.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SessionState {
    /// The id under which clients know the session.
    pub session_id: Box<str>,
    /// `busy`, `idle`, `parked`, or `unknown` where work may go on in the background.
    pub state: &'static str,
    /// The time since the session was last used (ms).
    pub idle_ms: u64,
}

/// The member `_meta.drawbridge` of the answer to `initialize`.
#[derive(Debug, Serialize)]
pub struct BridgeMeta {
    /// The version of the bridge.
    pub version: &'static str,
}

/// The error object of a refusal.
#[derive(Debug, Serialize)]
pub struct ErrorObject<'a> {
    code: i64,
    message: String,
    data: ErrorData<'a>,
}

#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct ErrorData<'a> {
    kind: &'static str,
    /// The message once more: some editors show this in its place.
    details: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    session_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    agent: Option<&'a str>,
    #[serde(flatten)]
    exit: ExitFields,
    /// The agent's own words.
    #[serde(skip_serializing_if = "Option::is_none")]
    agent_message: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stderr_tail: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_ms: Option<u64>,
}

impl<'a> From<&'a Refusal> for ErrorObject<'a> {
    fn from(refusal: &'a Refusal) -> ErrorObject<'a> {
        let data = ErrorData::from(refusal);
        ErrorObject { code: refusal.code(), message: data.details.clone(), data }
    }
}

impl<'a> From<&'a Refusal> for ErrorData<'a> {
    fn from(refusal: &'a Refusal) -> ErrorData<'a> {
        let mut data = ErrorData {
            kind: refusal.kind(),
            details: refusal.message(),
            retry_after_ms: refusal.retry_after_ms(),
            ..ErrorData::default()
        };
        match refusal {
            Refusal::UnknownSession { id }
            | Refusal::RestoreUnderWay { id }
            | Refusal::SessionBusy { id }
            | Refusal::SessionInUse { id }
            | Refusal::SessionElsewhere { id, .. }
            | Refusal::SessionFenced { id } => data.session_id = Some(id),
            Refusal::RestoreFailed { agent, id, words, .. } => {
                data.agent = Some(agent);
                data.session_id = Some(id);
                data.agent_message = Some(words.as_str()).filter(|words| !words.is_empty());
            }
            Refusal::SessionEnded { id, reason } => {
                data.session_id = Some(id);
                data.reason = Some(reason.word());
            }
            Refusal::AgentExited { agent, status, stderr_tail, .. } => {
                data.agent = Some(agent);
                data.exit = status.into();
                data.stderr_tail = Some(stderr_tail);
            }
            Refusal::RestartLimit { agent, .. }
            | Refusal::AgentNotReading { agent }
            | Refusal::SpawnFailed { agent, .. }
            | Refusal::NotAcpAgent { agent, .. }
            | Refusal::AgentStopped { agent, .. }
            | Refusal::AgentGone { agent }
            | Refusal::HandshakeTimeout { agent, .. }
            | Refusal::OpenTimeout { agent }
            | Refusal::PromptTimeout { agent }
            | Refusal::AnswerTimeout { agent }
            | Refusal::ProtocolBroken { agent, .. } => data.agent = Some(agent),
            _ => {}
        }
        data
    }
}
