//! Agents: what they have stored, and the sessions that each of their processes holds.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// The mode of a session of which its agent knows nothing else.
pub const FIRST_MODE: &str = "ask";

/// The mode of a session that is brought back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Modes {
    /// It is as it was, and the agent tells it.
    Kept,
    /// It is the first one, and the agent tells it.
    Reset,
    /// It is the first one, and the agent tells nothing.
    Silent,
    /// It is the first one, and the agent refuses to set another unless a client asks.
    Refused,
}

/// How restores fail: the first two of three, or the first one of each session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fails {
    Never,
    Dies,
    WantsLogin,
    Loses,
}

/// The manners of the agents of a history.
#[derive(Clone, Copy, Debug)]
pub struct Manners {
    pub resumes: bool,
    pub loads: bool,
    pub closes: bool,
    /// The replay of a load comes after its answer.
    pub is_late: bool,
    pub modes: Modes,
    pub fails: Fails,
    pub open_millis: u64,
    pub turn_millis: u64,
    pub exit_millis: u64,
}

/// A session as it is stored.
#[derive(Clone, Debug)]
pub struct Stored {
    pub texts: Vec<String>,
    pub mode: String,
}

/// The store that all processes of the agents share.
#[derive(Debug, Default)]
pub struct Store {
    pub sessions: BTreeMap<String, Stored>,
    opened: u64,
    texts: u64,
    restores: u64,
}

impl Store {
    pub fn open(&mut self) -> String {
        self.opened += 1;
        let id = format!("c{}", self.opened);
        let stored = Stored { texts: Vec::new(), mode: FIRST_MODE.to_owned() };
        self.sessions.insert(id.clone(), stored);
        id
    }

    /// A new text of an agent in a session.
    pub fn say(&mut self, id: &str) -> Value {
        self.texts += 1;
        let text = format!("t{}", self.texts);
        if let Some(stored) = self.sessions.get_mut(id) {
            stored.texts.push(text.clone());
        }
        update(id, &text)
    }

    /// Whether the next restore fails, where restores fail.
    pub fn is_next_bad(&mut self) -> bool {
        self.restores += 1;
        !self.restores.is_multiple_of(3)
    }

    pub fn has_record(&self, id: &str) -> bool {
        self.sessions.get(id).is_some_and(|stored| !stored.texts.is_empty())
    }
}

/// A process.
#[derive(Debug, Default)]
pub struct Process {
    /// The mode of each session that it holds.
    pub held: BTreeMap<String, String>,
    /// The call of the turn that runs in each session, and the text that it answers.
    pub turns: BTreeMap<String, Vec<(u64, String)>>,
    pub is_ending: bool,
}

pub fn update(id: &str, text: &str) -> Value {
    let kind = if text.starts_with('p') { "user_message_chunk" } else { "agent_message_chunk" };
    let content = json!({ "type": "text", "text": text });
    let params =
        json!({ "sessionId": id, "update": { "sessionUpdate": kind, "content": content } });
    json!({ "jsonrpc": "2.0", "method": "session/update", "params": params })
}

pub fn answer(id: &Value, result: &Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "result": result })
}

pub fn failure(id: &Value, code: i64) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "error": { "code": code, "message": "no" } })
}

/// The modes in the result of an open.
pub fn modes(current: &str) -> Value {
    json!({ "currentModeId": current, "availableModes": [{ "id": "ask" }, { "id": "code" }] })
}
