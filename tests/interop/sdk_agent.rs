//! The agent of the interop tests, written with the official Rust SDK.
//!
//! Its turns depend on nothing but the prompt's text:
//!
//! - `edit`: a message, a tool call, a permission request, a second message
//!   that names the option the client chose, the end of the turn;
//! - `wait`: one message, then silence until `session/cancel`;
//! - anything else: one message that repeats the text.
//!
//! `session/load` knows every id that starts with `stored-` and replays a
//! conversation of two messages. A session that is not open is refused with
//! -32002. The process ends when its stdin does. The TypeScript agent
//! (`node/agent.mjs`) does the same, word for word.

// A test peer: a panic in it is a failed test, which is what it is for.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods
)]

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use agent_client_protocol::v1::ConnectionTo;
use agent_client_protocol::v1::schema::{
    AgentCapabilities, CancelNotification, CloseSessionRequest, CloseSessionResponse, ContentBlock,
    ContentChunk, Implementation, InitializeRequest, InitializeResponse, LoadSessionRequest,
    LoadSessionResponse, NewSessionRequest, NewSessionResponse, PermissionOption,
    PermissionOptionKind, PromptRequest, PromptResponse, RequestPermissionOutcome,
    RequestPermissionRequest, SessionCapabilities, SessionCloseCapabilities, SessionId,
    SessionNotification, SessionUpdate, StopReason, ToolCall, ToolCallStatus, ToolCallUpdate,
    ToolCallUpdateFields, ToolKind,
};
use agent_client_protocol::{
    Agent, Client, Error, Result, Stdio, on_receive_notification, on_receive_request,
};
use tokio::sync::Notify;

/// The open sessions; the value wakes the turn that waits to be cancelled.
#[derive(Clone, Default)]
struct Sessions(Arc<Mutex<HashMap<SessionId, Arc<Notify>>>>);

impl Sessions {
    fn open(&self, id: SessionId) {
        self.0.lock().unwrap().insert(id, Arc::default());
    }

    fn create(&self) -> SessionId {
        let count = self.0.lock().unwrap().len();
        let id = SessionId::new(format!("rust-{}-{count}", std::process::id()));
        self.open(id.clone());
        id
    }

    /// Starts a turn: a cancel that came before it does not count.
    fn begin_turn(&self, id: &SessionId) -> Result<Arc<Notify>> {
        let mut sessions = self.0.lock().unwrap();
        let cancelled = sessions.get_mut(id).ok_or_else(|| not_found(id))?;
        *cancelled = Arc::default();
        Ok(Arc::clone(cancelled))
    }

    fn cancel(&self, id: &SessionId) {
        if let Some(cancelled) = self.0.lock().unwrap().get(id) {
            cancelled.notify_one();
        }
    }

    fn close(&self, id: &SessionId) -> Result<CloseSessionResponse> {
        let cancelled = self.0.lock().unwrap().remove(id);
        cancelled.ok_or_else(|| not_found(id))?.notify_one();
        Ok(CloseSessionResponse::new())
    }
}

fn not_found(id: &SessionId) -> Error {
    Error::new(-32002, format!("no session {id}"))
}

/// The agent's side of one session, for what it has to say.
struct Voice {
    connection: ConnectionTo<Client>,
    session: SessionId,
}

impl Voice {
    fn update(&self, update: SessionUpdate) -> Result<()> {
        self.connection.send_notification(SessionNotification::new(self.session.clone(), update))
    }

    fn say(&self, text: impl Into<String>) -> Result<()> {
        let chunk = ContentChunk::new(ContentBlock::from(text.into()));
        self.update(SessionUpdate::AgentMessageChunk(chunk))
    }

    fn replay(&self) -> Result<()> {
        let chunk = ContentChunk::new(ContentBlock::from("an old question"));
        self.update(SessionUpdate::UserMessageChunk(chunk))?;
        self.say("an old answer")
    }

    async fn turn(&self, text: &str, cancelled: &Notify) -> Result<StopReason> {
        match text {
            "edit" => self.edit().await,
            "wait" => {
                self.say("waiting")?;
                cancelled.notified().await;
                Ok(StopReason::Cancelled)
            }
            other => {
                self.say(format!("heard {other}"))?;
                Ok(StopReason::EndTurn)
            }
        }
    }

    async fn edit(&self) -> Result<StopReason> {
        self.say("one change is needed")?;
        self.update(SessionUpdate::ToolCall(
            ToolCall::new("edit-1", "Change settings").kind(ToolKind::Edit),
        ))?;
        let question = RequestPermissionRequest::new(
            self.session.clone(),
            ToolCallUpdate::new(
                "edit-1",
                ToolCallUpdateFields::new().title("Change settings".to_owned()),
            ),
            vec![
                PermissionOption::new("no", "Leave it", PermissionOptionKind::RejectOnce),
                PermissionOption::new("yes", "Do it", PermissionOptionKind::AllowOnce),
            ],
        );
        let answer = self.connection.send_request(question).block_task().await?;
        let RequestPermissionOutcome::Selected(choice) = answer.outcome else {
            return Ok(StopReason::Cancelled);
        };
        let status = if &*choice.option_id.0 == "yes" {
            ToolCallStatus::Completed
        } else {
            ToolCallStatus::Failed
        };
        self.update(SessionUpdate::ToolCallUpdate(ToolCallUpdate::new(
            "edit-1",
            ToolCallUpdateFields::new().status(status),
        )))?;
        self.say(format!("the answer was {}", choice.option_id.0))?;
        Ok(StopReason::EndTurn)
    }
}

fn prompt_text(request: &PromptRequest) -> String {
    let text = request.prompt.iter().map(|block| match block {
        ContentBlock::Text(text) => text.text.as_str(),
        _ => "",
    });
    text.collect()
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let sessions = Sessions::default();
    let (new, load, prompt, close, cancel) =
        (sessions.clone(), sessions.clone(), sessions.clone(), sessions.clone(), sessions);
    Agent
        .v1()
        .on_receive_request(
            async |request: InitializeRequest, responder, _connection| {
                let session = SessionCapabilities::new().close(SessionCloseCapabilities::new());
                responder.respond(
                    InitializeResponse::new(request.protocol_version)
                        .agent_info(Implementation::new("rust-agent", "1.0.0"))
                        .agent_capabilities(
                            AgentCapabilities::new()
                                .load_session(true)
                                .session_capabilities(session),
                        ),
                )
            },
            on_receive_request!(),
        )
        .on_receive_request(
            async move |_request: NewSessionRequest, responder, _connection| {
                responder.respond(NewSessionResponse::new(new.create()))
            },
            on_receive_request!(),
        )
        .on_receive_request(
            async move |request: LoadSessionRequest, responder, connection| {
                let session = request.session_id;
                if !session.0.starts_with("stored-") {
                    return responder.respond_with_error(not_found(&session));
                }
                load.open(session.clone());
                Voice { connection, session }.replay()?;
                responder.respond(LoadSessionResponse::new())
            },
            on_receive_request!(),
        )
        .on_receive_request(
            async move |request: PromptRequest, responder, connection: ConnectionTo<Client>| {
                let cancelled = match prompt.begin_turn(&request.session_id) {
                    Ok(cancelled) => cancelled,
                    Err(error) => return responder.respond_with_error(error),
                };
                let text = prompt_text(&request);
                let voice = Voice { connection: connection.clone(), session: request.session_id };
                connection.spawn(async move {
                    let stop = voice.turn(&text, &cancelled).await;
                    responder.respond_with_result(stop.map(PromptResponse::new))
                })
            },
            on_receive_request!(),
        )
        .on_receive_request(
            async move |request: CloseSessionRequest, responder, _connection| {
                responder.respond_with_result(close.close(&request.session_id))
            },
            on_receive_request!(),
        )
        .on_receive_notification(
            async move |notification: CancelNotification, _connection| {
                cancel.cancel(&notification.session_id);
                Ok(())
            },
            on_receive_notification!(),
        )
        .connect_to(Stdio::new())
        .await
}
