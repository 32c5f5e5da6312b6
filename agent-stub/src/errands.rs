//! The commands that ask the client for something and say what came back.

use std::path::Path;

use serde_json::{Value, json};

use crate::agent::Interrupted;
use crate::message::{self, Frame, Reply, Request, text};
use crate::script::{Known, Script};

/// Runs the line if it is one of these commands; `false` if it is not.
pub(crate) fn command(script: &Script<'_>, word: &str, rest: &str) -> Known {
    let answer = match (word, rest) {
        ("ask-permission", "") => permission(script, &script.session)?,
        ("ask-other", id) if !id.is_empty() => permission(script, id)?,
        ("read", path) if !path.is_empty() => {
            let params = json!({ "sessionId": script.session, "path": absolute(script, path) });
            let content = |result: Value| text(&result["content"]);
            format!("read: {}", told(ask(script, "fs/read_text_file", &params)?.map(content)))
        }
        ("write", rest) if !rest.is_empty() => {
            let (path, content) = rest.split_once(' ').unwrap_or((rest, ""));
            let path = absolute(script, path);
            let params = json!({ "sessionId": script.session, "path": path, "content": content });
            let written = ask(script, "fs/write_text_file", &params)?;
            format!("write: {}", told(written.map(|_| "ok".to_owned())))
        }
        ("terminal", line) if !line.is_empty() => {
            format!("terminal: {}", told(terminal(script, line)?))
        }
        ("elicit", "") => format!("elicit: {}", told(elicit(script)?)),
        ("request", rest) => {
            let (method, json) = rest.split_once(' ').unwrap_or((rest, "{}"));
            let Ok(params) = serde_json::from_str(&script.fill_in(json)) else {
                return Ok(false);
            };
            answered(script.agent.ask(Some(script.turn), method, &params)?)
        }
        ("ask-raw", json) => {
            let line = script.fill_in(json);
            let Frame::Request(Request { id, method, .. }) = message::parse(&line) else {
                return Ok(false);
            };
            answered(script.agent.ask_as(Some(script.turn), &id, &method, &line)?)
        }
        _ => return Ok(false),
    };
    script.say(&answer);
    Ok(true)
}

fn answered(reply: Reply) -> String {
    match reply {
        Reply::Result(result) => format!("answer: {result}"),
        Reply::Error { code, message } => format!("answer: error {code} {message}"),
    }
}

/// A result of the client, or the code of its error.
type Asked<T> = Result<T, i64>;

fn ask(script: &Script<'_>, method: &str, params: &Value) -> Result<Asked<Value>, Interrupted> {
    Ok(result(script.agent.ask(Some(script.turn), method, params)?))
}

fn result(reply: Reply) -> Asked<Value> {
    match reply {
        Reply::Result(result) => Ok(result),
        Reply::Error { code, .. } => Err(code),
    }
}

fn told(answer: Asked<String>) -> String {
    answer.unwrap_or_else(|code| format!("error {code}"))
}

fn permission(script: &Script<'_>, session: &str) -> Result<String, Interrupted> {
    let reply = result(script.agent.ask_permission(Some(script.turn), session)?);
    let outcome = reply.map(|result| {
        let outcome = &result["outcome"];
        match outcome["optionId"].as_str() {
            Some(option) => format!("{} {option}", text(&outcome["outcome"])),
            None => text(&outcome["outcome"]),
        }
    });
    Ok(format!("permission: {}", told(outcome)))
}

/// The path made absolute, as ACP demands: a script may name one relative to the session's cwd.
fn absolute(script: &Script<'_>, path: &str) -> String {
    let cwd = script.agent.lock().store.live(&script.session).map(|session| session.cwd.clone());
    Path::new(&cwd.unwrap_or_default()).join(path).display().to_string()
}

/// Runs a command in a terminal of the client, from its creation to its release.
fn terminal(script: &Script<'_>, line: &str) -> Result<Asked<String>, Interrupted> {
    let mut words = line.split_whitespace();
    let params = json!({
        "sessionId": script.session, "command": words.next(), "args": words.collect::<Vec<_>>(),
    });
    let terminal = match ask(script, "terminal/create", &params)? {
        Ok(created) => created["terminalId"].clone(),
        Err(code) => return Ok(Err(code)),
    };
    let tool = script.agent.tool_id();
    script.update(&json!({
        "sessionUpdate": "tool_call", "toolCallId": tool, "title": line, "kind": "execute",
        "status": "in_progress", "content": [{ "type": "terminal", "terminalId": terminal }],
    }));
    let params = json!({ "sessionId": script.session, "terminalId": terminal });
    let exit = ask(script, "terminal/wait_for_exit", &params)?;
    let output = ask(script, "terminal/output", &params)?;
    let released = ask(script, "terminal/release", &params)?;
    script.update(&json!({
        "sessionUpdate": "tool_call_update", "toolCallId": tool, "status": "completed",
    }));
    Ok(exit.and_then(|exit| {
        let status = match exit["signal"].as_str() {
            Some(signal) => format!("signal {signal}"),
            None => format!("exit {}", exit["exitCode"]),
        };
        let output = text(&output?["output"]);
        released.map(|_| format!("{status}: {output}"))
    }))
}

fn elicit(script: &Script<'_>) -> Result<Asked<String>, Interrupted> {
    let params = json!({
        "sessionId": script.session, "mode": "form", "message": "What is your name?",
        "requestedSchema": {
            "type": "object", "required": ["name"],
            "properties": { "name": { "type": "string", "title": "Name" } },
        },
    });
    let answer = ask(script, "elicitation/create", &params)?;
    Ok(answer.map(|answer| match &answer["content"] {
        Value::Null => text(&answer["action"]),
        content => format!("{} {content}", text(&answer["action"])),
    }))
}
