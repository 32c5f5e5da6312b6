//! The requests of the client, method by method.

use std::sync::Arc;
use std::thread;

use serde_json::{Value, json};

use crate::agent::{Agent, Outcome};
use crate::message::{self, Fault, Request, chunk, text};
use crate::store::{Session, Speaker};
use crate::turn;
use crate::turns::Ending;

const MODES: [(&str, &str); 2] = [("ask", "Ask"), ("code", "Code")];
const MODELS: [(&str, &str); 2] = [("stub-1", "Stub 1"), ("stub-2", "Stub 2")];

/// Answers a request, or starts a thread that will answer it.
pub(crate) fn handle(agent: &Arc<Agent>, request: Request) {
    if let Some(capability) = request.method.strip_prefix("session/")
        && agent.manners.without.contains(capability)
    {
        return agent.answer(&request, Err(unknown_method(&request)));
    }
    if agent.manners.needs_login && is_opening(&request.method) && !agent.lock().logged_in {
        return agent.answer(&request, Err(Fault::new(-32000, "authentication required")));
    }
    if request.method.starts_with('_')
        && let Some(answer) = message::dictated(&request)
    {
        return agent.wire.send(&answer);
    }
    match request.method.as_str() {
        "session/new" => {
            let cwd = text(&request.params["cwd"]);
            let created = agent.lock().store.create(cwd);
            opened(agent, request, created);
        }
        "session/fork" => {
            let id = text(&request.params["sessionId"]);
            let cwd = request.params["cwd"].as_str().map(str::to_owned);
            let forked = agent.lock().store.fork(&id, cwd);
            opened(agent, request, forked);
        }
        "session/load" => load(agent, &request),
        "session/resume" => {
            let outcome = restore(agent, &request).map(|session| state_of(&session).to_string());
            agent.answer(&request, outcome);
        }
        "session/prompt" => turn::prompt(agent, request),
        "session/close" | "session/delete" => close(agent, request),
        _ => {
            let outcome = simple(agent, &request);
            agent.answer(&request, outcome);
        }
    }
}

/// The outcome of a request that needs no message but its answer.
fn simple(agent: &Agent, request: &Request) -> Outcome {
    let params = &request.params;
    let result = match request.method.as_str() {
        "initialize" => initialize(agent),
        "authenticate" => logged_in(agent, true),
        "logout" => logged_in(agent, false),
        "auth/status" => {
            let state = if agent.lock().logged_in { "authenticated" } else { "unauthenticated" };
            json!({ "state": state, "accounts": [] })
        }
        "providers/list" => json!({ "providers": [{
            "providerId": "main", "supported": ["anthropic", "openai"], "required": false,
            "current": agent.lock().provider,
        }] }),
        "providers/set" => {
            agent.lock().provider =
                json!({ "apiType": params["apiType"], "baseUrl": params["baseUrl"] });
            json!({})
        }
        "providers/disable" => {
            agent.lock().provider = Value::Null;
            json!({})
        }
        "session/list" => {
            json!({ "sessions": agent.lock().store.list(params["cwd"].as_str()) })
        }
        "session/archive" | "session/unarchive" => {
            let archived = request.method == "session/archive";
            agent.lock().store.change(&text(&params["sessionId"]), |s| s.archived = archived)?;
            json!({})
        }
        "session/set_title" => {
            let (id, title) = (text(&params["sessionId"]), text(&params["title"]));
            agent.lock().store.change(&id, |session| session.title = Some(title.clone()))?;
            agent.update(&id, &json!({ "sessionUpdate": "session_info_update", "title": title }));
            json!({})
        }
        "session/status" => {
            let live = agent.lock().store.is_live(&text(&params["sessionId"]))?;
            json!({ "status": if live { "open" } else { "saved" } })
        }
        "nes/start" => json!({ "sessionId": agent.lock().suggesting.start() }),
        "nes/suggest" => {
            agent.lock().suggesting.check(&text(&params["sessionId"]))?;
            json!({ "suggestions": [{ "id": "suggestion-1", "kind": "edit" }] })
        }
        "nes/close" => {
            agent.lock().suggesting.close(&text(&params["sessionId"]))?;
            json!({})
        }
        "session/set_mode" => {
            change(agent, params, &params["modeId"], &MODES, |session| &mut session.mode)?;
            json!({})
        }
        "session/set_config_option" if params["configId"] != "model" => {
            let id = text(&params["sessionId"]);
            agent.lock().store.live(&id)?;
            return Err(Fault::new(-32602, "unknown configId"));
        }
        "session/set_config_option" => {
            let session =
                change(agent, params, &params["value"], &MODELS, |session| &mut session.model)?;
            json!({ "configOptions": config_options(&session) })
        }
        method if method.starts_with('_') || method == "mcp/message" => {
            return Ok(format!(r#"{{"echo":{}}}"#, request.raw_params));
        }
        _ => return Err(unknown_method(request)),
    };
    Ok(result.to_string())
}

fn unknown_method(request: &Request) -> Fault {
    Fault::new(-32601, format!("method not found: {}", request.method))
}

fn is_opening(method: &str) -> bool {
    let rest = method.strip_prefix("session/");
    rest.is_some_and(|rest| ["new", "load", "resume", "fork", "list"].contains(&rest))
}

fn logged_in(agent: &Agent, now: bool) -> Value {
    agent.lock().logged_in = now;
    json!({})
}

fn initialize(agent: &Agent) -> Value {
    let manners = &agent.manners;
    let offered = |capability: &&str| !manners.without.contains(*capability);
    let session_capabilities: serde_json::Map<String, Value> =
        ["list", "delete", "resume", "close", "fork", "archive", "status", "title"]
            .into_iter()
            .filter(|capability| offered(capability))
            .map(|capability| (capability.to_owned(), json!({})))
            .collect();
    let login = json!([{ "id": "stub-login", "name": "Log in", "description": "Always works" }]);
    json!({
        "protocolVersion": manners.protocol_version.unwrap_or(1),
        "agentCapabilities": {
            "loadSession": offered(&"load"),
            "promptCapabilities": { "image": false, "audio": false, "embeddedContext": true },
            "mcpCapabilities": { "http": false, "sse": false },
            "sessionCapabilities": session_capabilities,
            "auth": { "logout": {} },
            "providers": {},
            "nes": { "events": { "document": { "didOpen": {} } } },
        },
        "agentInfo": {
            "name": "agent-stub", "title": "Agent stub", "version": env!("CARGO_PKG_VERSION"),
        },
        "authMethods": if manners.needs_login { login } else { json!([]) },
    })
}

/// Answers `session/new` or `fork`; before it come the early update and the permission
/// request that the flags ask for.
fn opened(agent: &Arc<Agent>, request: Request, session: Result<Session, Fault>) {
    let session = match session {
        Ok(session) => session,
        Err(fault) => return agent.answer(&request, Err(fault)),
    };
    let mut result = json!({ "sessionId": session.id });
    if let (Some(result), Value::Object(state)) = (result.as_object_mut(), state_of(&session)) {
        result.extend(state);
    }
    let result = result.to_string();
    early_update(agent, &session.id);
    if !(agent.manners.ask_in_new && request.method == "session/new") {
        return agent.answer(&request, Ok(result));
    }
    let agent = Arc::clone(agent);
    thread::spawn(move || {
        let _ = agent.ask_permission(None, &session.id);
        agent.answer(&request, Ok(result));
    });
}

fn early_update(agent: &Agent, session: &str) {
    if agent.manners.early_update {
        let commands = json!([{ "name": "stub", "description": "Does nothing" }]);
        let update = json!({
            "sessionUpdate": "available_commands_update", "availableCommands": commands,
        });
        agent.update(session, &update);
    }
}

fn restore(agent: &Agent, request: &Request) -> Result<Session, Fault> {
    let id = text(&request.params["sessionId"]);
    if agent.manners.lose_store {
        return Err(Fault::about(-32002, "no such session in the store", &id));
    }
    let cwd = request.params["cwd"].as_str();
    let mode = agent.manners.load_mode.as_deref();
    agent.lock().store.restore(&id, cwd, mode)
}

fn load(agent: &Arc<Agent>, request: &Request) {
    let session = match restore(agent, request) {
        Ok(session) => session,
        Err(fault) => return agent.answer(request, Err(fault)),
    };
    early_update(agent, &session.id);
    let replay = |agent: &Agent, id: &str, history: &[(Speaker, String)]| {
        for (speaker, said) in history {
            let kind = match speaker {
                Speaker::User => "user_message_chunk",
                Speaker::Agent => "agent_message_chunk",
            };
            agent.update(id, &chunk(kind, said));
        }
    };
    let result = state_of(&session).to_string();
    let Session { id, mut history, .. } = session;
    let answer_at = if agent.manners.late_replay { history.len() / 2 } else { history.len() };
    let late = history.split_off(answer_at);
    replay(agent, &id, &history);
    agent.answer_then(request, Ok(result), move |agent| replay(agent, &id, &late));
}

/// Closes or deletes a session: its turns end first, then comes the answer.
fn close(agent: &Arc<Agent>, request: Request) {
    let id = text(&request.params["sessionId"]);
    let outcome = agent.change(|state| {
        match request.method.as_str() {
            "session/delete" => state.store.delete(&id)?,
            _ => state.store.close(&id)?,
        }
        state.turns.end_session(&id, &Ending::Closed);
        Ok(state.turns.is_busy(&id))
    });
    let busy = match outcome {
        Ok(busy) => busy,
        Err(fault) => return agent.answer(&request, Err(fault)),
    };
    late_updates(agent, &id, agent.manners.updates_at_close);
    let closer = Arc::clone(agent);
    let finish = move || {
        closer.wait(None, |state| (!state.turns.is_busy(&id)).then_some(()));
        closer.answer_then(&request, Ok("{}".to_owned()), move |agent| {
            late_updates(agent, &id, agent.manners.updates_after_close);
            if agent.manners.ask_after_close {
                let agent = Arc::clone(agent);
                thread::spawn(move || agent.ask_permission(None, &id));
            }
        });
    };
    if busy {
        thread::spawn(finish);
    } else {
        finish();
    }
}

fn late_updates(agent: &Agent, session: &str, count: usize) {
    for n in 1..=count {
        agent.update(session, &chunk("agent_message_chunk", &format!("late update {n}")));
    }
}

/// Sets the mode or the model of a session to `wanted`, which must be one of `known`.
fn change(
    agent: &Agent,
    params: &Value,
    wanted: &Value,
    known: &[(&str, &str)],
    field: impl FnOnce(&mut Session) -> &mut String,
) -> Result<Session, Fault> {
    let id = text(&params["sessionId"]);
    let mut state = agent.lock();
    let session = state.store.live(&id)?;
    let Some((name, _)) = known.iter().find(|(name, _)| wanted == name) else {
        return Err(Fault::new(-32602, format!("unknown value: {wanted}")));
    };
    (*name).clone_into(field(session));
    let session = session.clone();
    state.store.save(&id);
    Ok(session)
}

/// The modes and options that the answers to new, load, resume and fork carry.
fn state_of(session: &Session) -> Value {
    let modes = MODES.map(|(id, name)| json!({ "id": id, "name": name }));
    json!({
        "modes": { "currentModeId": session.mode, "availableModes": modes },
        "configOptions": config_options(session),
    })
}

fn config_options(session: &Session) -> Value {
    let options = MODELS.map(|(value, name)| json!({ "value": value, "name": name }));
    json!([{
        "id": "model", "name": "Model", "category": "model", "type": "select",
        "currentValue": session.model, "options": options,
    }])
}
