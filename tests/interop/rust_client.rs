//! The client of the interop tests, written with the official Rust SDK.
//!
//! The SDK starts the bridge the way it starts any agent, walks through one
//! conversation and returns what it saw as JSON. `node/client.mjs` returns
//! the same shape, so one expectation serves both.

use std::sync::{Arc, Mutex};

use agent_client_protocol::schema::ProtocolVersion;
use agent_client_protocol::v1::ConnectionTo;
use agent_client_protocol::v1::schema::{
    CancelNotification, CloseSessionRequest, ContentBlock, Implementation, InitializeRequest,
    LoadSessionRequest, NewSessionRequest, PermissionOptionKind, PromptRequest,
    RequestPermissionOutcome, RequestPermissionRequest, RequestPermissionResponse,
    SelectedPermissionOutcome, SessionId, SessionNotification,
};
use agent_client_protocol::{
    AcpAgent, AcpAgentConfig, Agent, Client, Result, on_receive_notification, on_receive_request,
};
use serde_json::{Value, json};
use tokio::sync::Notify;

/// What the agent has sent since the last [`Record::take`], in order.
#[derive(Clone, Default)]
struct Record(Arc<Entries>);

#[derive(Default)]
struct Entries {
    seen: Mutex<Vec<(SessionId, String)>>,
    grown: Notify,
}

impl Record {
    fn push(&self, session: SessionId, entry: String) {
        self.0.seen.lock().unwrap().push((session, entry));
        self.0.grown.notify_one();
    }

    /// Returns as soon as `entry` has been seen.
    async fn until(&self, entry: &str) {
        while !self.0.seen.lock().unwrap().iter().any(|(_, seen)| seen == entry) {
            self.0.grown.notified().await;
        }
    }

    /// Empties the record; every entry must belong to `session`.
    fn take(&self, session: &SessionId) -> Vec<String> {
        let seen = std::mem::take(&mut *self.0.seen.lock().unwrap());
        seen.into_iter()
            .map(|(owner, entry)| {
                assert_eq!(&owner, session, "an entry of another session: {entry}");
                entry
            })
            .collect()
    }
}

/// Runs the conversation with the agent behind `bridge`.
pub(crate) async fn converse(bridge: AcpAgentConfig, cwd: &'static str) -> Result<Value> {
    let bridge = AcpAgent::new(bridge).with_debug(|line, direction| {
        eprintln!("{direction:?}: {line}");
    });
    let record = Record::default();
    let wanted = Arc::new(Mutex::new(PermissionOptionKind::AllowOnce));
    let (updates, questions, answer) = (record.clone(), record.clone(), Arc::clone(&wanted));
    Client
        .v1()
        .on_receive_notification(
            async move |notification: SessionNotification, _connection| {
                let entry = describe_update(&serde_json::to_value(&notification.update)?);
                updates.push(notification.session_id, entry);
                Ok(())
            },
            on_receive_notification!(),
        )
        .on_receive_request(
            async move |request: RequestPermissionRequest, responder, _connection| {
                questions.push(
                    request.session_id.clone(),
                    describe_question(&serde_json::to_value(&request)?),
                );
                let wanted = *answer.lock().unwrap();
                let mut options = request.options.iter();
                let chosen = options.find(|option| option.kind == wanted).unwrap();
                responder.respond(RequestPermissionResponse::new(
                    RequestPermissionOutcome::Selected(SelectedPermissionOutcome::new(
                        chosen.option_id.clone(),
                    )),
                ))
            },
            on_receive_request!(),
        )
        .connect_with(bridge, async move |connection: ConnectionTo<Agent>| {
            let hello = connection
                .send_request(
                    InitializeRequest::new(ProtocolVersion::V1)
                        .client_info(Implementation::new("rust-client", "1.0.0")),
                )
                .block_task()
                .await?;
            let hello = serde_json::to_value(&hello)?;

            let new = connection.send_request(NewSessionRequest::new(cwd));
            let session = new.block_task().await?.session_id;
            let talk = Talk { connection, record };
            let allowed = talk.turn(&session, "edit").await?;
            *wanted.lock().unwrap() = PermissionOptionKind::RejectOnce;
            let rejected = talk.turn(&session, "edit").await?;
            let cancelled = talk.cancelled_turn(&session).await?;

            let stored = SessionId::new("stored-7");
            let load = LoadSessionRequest::new(stored.clone(), cwd);
            talk.connection.send_request(load).block_task().await?;
            let replayed = talk.record.take(&stored);
            let loaded = talk.turn(&stored, "and now?").await?;
            let again = talk.turn(&session, "still there?").await?;
            for id in [&session, &stored] {
                let close = CloseSessionRequest::new(id.clone());
                talk.connection.send_request(close).block_task().await?;
            }
            let refused = talk.turn(&session, "anyone?").await.unwrap_err();
            Ok(json!({
                "protocolVersion": hello["protocolVersion"],
                "agent": hello["agentInfo"]["name"],
                "bridge": hello["_meta"]["drawbridge"].is_object(),
                "load": hello["agentCapabilities"]["loadSession"],
                "close": hello["agentCapabilities"]["sessionCapabilities"]["close"].is_object(),
                "allowed": allowed,
                "rejected": rejected,
                "cancelled": cancelled,
                "replayed": replayed,
                "loaded": loaded,
                "again": again,
                "refused": i32::from(refused.code),
            }))
        })
        .await
}

/// Prompts a session of the stub agent so often, and waits after each turn until the process has
/// ended that has answered. Returns the entries of each turn and the processes.
#[cfg(target_os = "linux")]
pub(crate) async fn outlives(
    bridge: AcpAgentConfig,
    cwd: &'static str,
    times: usize,
) -> Result<(Vec<Value>, Vec<String>)> {
    let record = Record::default();
    let updates = record.clone();
    Client
        .v1()
        .on_receive_notification(
            async move |notification: SessionNotification, _connection| {
                let entry = describe_update(&serde_json::to_value(&notification.update)?);
                updates.push(notification.session_id, entry);
                Ok(())
            },
            on_receive_notification!(),
        )
        .connect_with(AcpAgent::new(bridge), async move |connection: ConnectionTo<Agent>| {
            let hello = InitializeRequest::new(ProtocolVersion::V1);
            connection.send_request(hello).block_task().await?;
            let new = connection.send_request(NewSessionRequest::new(cwd));
            let session = new.block_task().await?.session_id;
            let talk = Talk { connection, record };
            let (mut turns, mut processes) = (Vec::new(), Vec::new());
            for _ in 0..times {
                turns.push(talk.turn(&session, "recall").await?);
                let told = talk.turn(&session, "pid").await?;
                let process = told["seen"][0].as_str().unwrap().replace("agent: ", "");
                while std::path::Path::new("/proc").join(&process).exists() {
                    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
                }
                processes.push(process);
            }
            Ok((turns, processes))
        })
        .await
}

/// The connection and what came over it.
struct Talk {
    connection: ConnectionTo<Agent>,
    record: Record,
}

impl Talk {
    /// One prompt and everything up to its answer.
    async fn turn(&self, session: &SessionId, text: &str) -> Result<Value> {
        let prompt = PromptRequest::new(session.clone(), vec![ContentBlock::from(text)]);
        let answer = self.connection.send_request(prompt).block_task().await?;
        Ok(json!({ "stop": answer.stop_reason, "seen": self.record.take(session) }))
    }

    /// The same, cancelled once the agent has begun to speak.
    async fn cancelled_turn(&self, session: &SessionId) -> Result<Value> {
        let prompt = PromptRequest::new(session.clone(), vec![ContentBlock::from("wait")]);
        let answer = self.connection.send_request(prompt);
        self.record.until("agent: waiting").await;
        self.connection.send_notification(CancelNotification::new(session.clone()))?;
        let answer = answer.block_task().await?;
        Ok(json!({ "stop": answer.stop_reason, "seen": self.record.take(session) }))
    }
}

/// One line for an update: what a person would see of it.
fn describe_update(update: &Value) -> String {
    let field = |name: &str| update[name].as_str().unwrap_or("?").to_owned();
    let text = update["content"]["text"].as_str().unwrap_or("?");
    match update["sessionUpdate"].as_str() {
        Some("user_message_chunk") => format!("user: {text}"),
        Some("agent_message_chunk") => format!("agent: {text}"),
        Some("tool_call") => format!("tool {}: {}", field("toolCallId"), field("title")),
        Some("tool_call_update") => format!("tool {}: {}", field("toolCallId"), field("status")),
        other => format!("unexpected: {other:?}"),
    }
}

/// One line for a permission request, with the options in their order.
fn describe_question(request: &Value) -> String {
    let options = request["options"].as_array().unwrap().iter();
    let kinds: Vec<&str> = options.map(|o| o["kind"].as_str().unwrap()).collect();
    let tool = request["toolCall"]["toolCallId"].as_str().unwrap();
    format!("question {tool}: {}", kinds.join(" or "))
}
