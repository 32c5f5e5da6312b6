//! The commands of a prompt.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use crate::agent::{Agent, Interrupted};
use crate::message::{chunk, update};
use crate::store::Speaker;
use crate::{errands, faults, turn};

/// A script that runs: one turn, seen from inside.
pub(crate) struct Script<'a> {
    pub(crate) agent: &'a Arc<Agent>,
    pub(crate) turn: u64,
    pub(crate) session: String,
    /// The params of the prompt, as they came.
    params: String,
    pub(crate) stop: String,
    pub(crate) later: Vec<(Duration, String)>,
    pub(crate) twice: bool,
}

/// Whether the line was a command at all; or the turn ended meanwhile.
pub(crate) type Known = Result<bool, Interrupted>;

impl<'a> Script<'a> {
    pub(crate) fn new(agent: &'a Arc<Agent>, turn: u64, session: String, params: String) -> Self {
        let stop = "end_turn".to_owned();
        Self { agent, turn, session, params, stop, later: Vec::new(), twice: false }
    }

    /// Runs one line.
    pub(crate) fn line(&mut self, line: &str) -> Result<(), Interrupted> {
        let line = line.trim_end();
        if line.is_empty() {
            return Ok(());
        }
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        let known = self.speech(word, rest)?
            || errands::command(self, word, rest)?
            || faults::command(self, word, rest)?;
        if !known {
            self.say(&format!("you said: {line}"));
        }
        Ok(())
    }

    /// The commands that only say something.
    fn speech(&mut self, word: &str, rest: &str) -> Known {
        match (word, rest) {
            ("say", text) => self.say(text),
            ("think", text) => self.update(&chunk("agent_thought_chunk", text)),
            ("stream", sizes) => {
                let Some((count, size)) = two_numbers(sizes) else {
                    return Ok(false);
                };
                let text = "x".repeat(size);
                for _ in 0..count {
                    self.go_on()?;
                    self.say(&text);
                }
            }
            ("plan", "") => {
                let entry = |content: &str, status: &str| json!({ "content": content, "priority": "medium", "status": status });
                let entries = [entry("look around", "completed"), entry("act", "in_progress")];
                self.update(&json!({ "sessionUpdate": "plan", "entries": entries }));
            }
            ("tool", name) => self.tool(name),
            ("usage", "") => self.update(&json!({
                "sessionUpdate": "usage_update", "used": 1000, "size": 200_000,
                "cost": { "amount": 0.25, "currency": "USD" },
            })),
            ("echo-params", "") => self.say(&self.params.clone()),
            ("env", name) => self.say(&std::env::var(name).unwrap_or_default()),
            ("pid", "") => self.say(&std::process::id().to_string()),
            ("sleep", ms) => {
                let Ok(ms) = ms.trim().parse() else {
                    return Ok(false);
                };
                self.sleep(Duration::from_millis(ms))?;
            }
            ("stop", reason) if !reason.is_empty() && !reason.contains(' ') => {
                reason.clone_into(&mut self.stop);
            }
            ("update-later", rest) => {
                let (ms, text) = rest.split_once(' ').unwrap_or((rest, ""));
                let Ok(ms) = ms.parse() else { return Ok(false) };
                self.later.push((Duration::from_millis(ms), text.to_owned()));
            }
            ("update-other", rest) => {
                let (id, text) = rest.split_once(' ').unwrap_or((rest, ""));
                self.agent.update(id, &chunk("agent_message_chunk", text));
            }
            ("raw", json) => self.agent.wire.send(&self.fill_in(json)),
            ("answer-twice", "") => self.twice = true,
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Says something, and remembers it.
    pub(crate) fn say(&self, text: &str) {
        self.agent.lock().store.remember(&self.session, Speaker::Agent, text);
        self.update(&chunk("agent_message_chunk", text));
    }

    /// Sends an update of this session.
    pub(crate) fn update(&self, content: &serde_json::Value) {
        self.agent.wire.send(&update(&self.session, content));
    }

    /// Puts the session id where the script says `$SESSION`.
    pub(crate) fn fill_in(&self, text: &str) -> String {
        text.replace("$SESSION", &self.session)
    }

    /// Stops here if the turn is to end.
    pub(crate) fn go_on(&self) -> Result<(), Interrupted> {
        match turn::is_ending(&self.agent.lock(), self.turn) {
            true => Err(Interrupted),
            false => Ok(()),
        }
    }

    fn sleep(&self, time: Duration) -> Result<(), Interrupted> {
        let ended = self
            .agent
            .wait(Some(time), |state| turn::is_ending(state, self.turn).then_some(Interrupted));
        ended.map_or(Ok(()), Err)
    }

    fn tool(&self, name: &str) {
        let id = self.agent.tool_id();
        self.update(&json!({
            "sessionUpdate": "tool_call", "toolCallId": id, "title": name, "kind": "other",
            "status": "in_progress", "rawInput": { "name": name },
        }));
        self.update(&json!({
            "sessionUpdate": "tool_call_update", "toolCallId": id, "status": "completed",
            "content": [{ "type": "content", "content": { "type": "text", "text": "done" } }],
        }));
    }
}

fn two_numbers(text: &str) -> Option<(usize, usize)> {
    let (first, second) = text.trim().split_once(' ')?;
    Some((first.parse().ok()?, second.trim().parse().ok()?))
}
