//! The commands that send something without waiting for the client, that sleep, or that set how
//! the turn ends.

use std::time::Duration;

use serde_json::json;

use crate::agent::Interrupted;
use crate::message::{chunk, notification};
use crate::script::{Known, Script};
use crate::store::Speaker;

/// Runs the line if it is one of these commands; `false` if it is not.
pub(crate) fn command(script: &mut Script<'_>, word: &str, rest: &str) -> Known {
    match (word, rest) {
        ("say", text) => script.say(text),
        ("think", text) => script.update(&chunk("agent_thought_chunk", text)),
        ("stream", sizes) => {
            let Some((count, size)) = two_numbers(sizes) else {
                return Ok(false);
            };
            let text = "x".repeat(size);
            for _ in 0..count {
                script.go_on()?;
                script.say(&text);
            }
        }
        ("plan", "") => {
            let entry = |content: &str, status: &str| json!({ "content": content, "priority": "medium", "status": status });
            let entries = [entry("look around", "completed"), entry("act", "in_progress")];
            script.update(&json!({ "sessionUpdate": "plan", "entries": entries }));
        }
        ("tool", name) => tool(script, name),
        ("usage", "") => script.update(&json!({
            "sessionUpdate": "usage_update", "used": 1000, "size": 200_000,
            "cost": { "amount": 0.25, "currency": "USD" },
        })),
        ("echo-params", "") => script.say(&script.request.raw_params),
        ("env", name) => script.say(&std::env::var(name).unwrap_or_default()),
        ("recall", "") => script.say(&recalled(script)),
        ("pid", "") => script.say(&std::process::id().to_string()),
        ("sleep", ms) => {
            let Ok(ms) = ms.trim().parse() else {
                return Ok(false);
            };
            sleep(script, Duration::from_millis(ms))?;
        }
        ("stop", reason) if !reason.is_empty() && !reason.contains(' ') => {
            reason.clone_into(&mut script.stop);
        }
        ("update-later", rest) => {
            let (ms, text) = rest.split_once(' ').unwrap_or((rest, ""));
            let Ok(ms) = ms.parse() else { return Ok(false) };
            script.later.push((Duration::from_millis(ms), text.to_owned()));
        }
        ("update-other", rest) => {
            let (id, text) = rest.split_once(' ').unwrap_or((rest, ""));
            script.agent.update(id, &chunk("agent_message_chunk", text));
        }
        ("update", json) => {
            let params = format!(r#"{{"sessionId":"$SESSION","update":{json}}}"#);
            let line = notification("session/update", &script.fill_in(&params));
            script.agent.wire.send(&line);
        }
        ("notify", rest) if !rest.is_empty() => {
            let (method, json) = rest.split_once(' ').unwrap_or((rest, "{}"));
            script.agent.wire.send(&notification(method, &script.fill_in(json)));
        }
        ("raw", json) => script.agent.wire.send(&script.fill_in(json)),
        ("answer-twice", "") => script.twice = true,
        _ => return Ok(false),
    }
    Ok(true)
}

/// The number of prompts that the record of the session holds, this one included, and its mode.
fn recalled(script: &Script<'_>) -> String {
    let mut state = script.agent.lock();
    let Ok(session) = state.store.live(&script.session) else { return String::new() };
    let prompts = session.history.iter().filter(|(speaker, _)| *speaker == Speaker::User);
    format!("{} prompts, mode {}", prompts.count(), session.mode)
}

fn sleep(script: &Script<'_>, time: Duration) -> Result<(), Interrupted> {
    let ended = script
        .agent
        .wait(Some(time), |state| state.turns.is_ending(script.turn).then_some(Interrupted));
    ended.map_or(Ok(()), Err)
}

fn tool(script: &Script<'_>, name: &str) {
    let id = script.agent.tool_id();
    script.update(&json!({
        "sessionUpdate": "tool_call", "toolCallId": id, "title": name, "kind": "other",
        "status": "in_progress", "rawInput": { "name": name },
    }));
    script.update(&json!({
        "sessionUpdate": "tool_call_update", "toolCallId": id, "status": "completed",
        "content": [{ "type": "content", "content": { "type": "text", "text": "done" } }],
    }));
}

fn two_numbers(text: &str) -> Option<(usize, usize)> {
    let (first, second) = text.trim().split_once(' ')?;
    Some((first.parse().ok()?, second.trim().parse().ok()?))
}
