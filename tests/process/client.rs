//! A client at the bridge's stdio: requests, turns, questions.

use serde_json::{Value, json};

use crate::bridge::Bridge;

impl Bridge {
    /// Introduces a client that reads files, has terminals, and wants events.
    pub(crate) fn initialize(&mut self) -> Value {
        let id = self.ask_to_initialize();
        self.answer(id)
    }

    /// The same without waiting.
    pub(crate) fn ask_to_initialize(&mut self) -> u64 {
        let params = json!({
            "protocolVersion": 1,
            "clientCapabilities": {
                "fs": { "readTextFile": true, "writeTextFile": true },
                "terminal": true,
                "_meta": { "drawbridge": { "events": true } },
            },
            "clientInfo": { "name": "process-test", "version": "1" },
        });
        self.request("initialize", &params)
    }

    /// Sends a request; its id is a number of ours.
    pub(crate) fn request(&mut self, method: &str, params: &Value) -> u64 {
        self.asked += 1;
        let id = self.asked;
        let frame = json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params });
        self.send(&frame.to_string());
        id
    }

    pub(crate) fn notify(&mut self, method: &str, params: &Value) {
        self.send(&json!({ "jsonrpc": "2.0", "method": method, "params": params }).to_string());
    }

    /// Sends a request and waits for its answer.
    pub(crate) fn call(&mut self, method: &str, params: &Value) -> Value {
        let id = self.request(method, params);
        self.answer(id)
    }

    /// A request that concerns a session and nothing else.
    pub(crate) fn call_about(&mut self, method: &str, session: &str) -> Value {
        self.call(method, &json!({ "sessionId": session }))
    }

    /// The first line, of those that came or will come, that is as wanted.
    /// All others are left aside, in their order.
    pub(crate) fn find_line(&mut self, mut is_wanted: impl FnMut(&str) -> bool) -> String {
        if let Some(place) = self.stash.iter().position(|line| is_wanted(line)) {
            return self.stash.remove(place);
        }
        loop {
            let line = self.incoming();
            if is_wanted(&line) {
                return line;
            }
            self.stash.push(line);
        }
    }

    /// The same for a whole message.
    pub(crate) fn find(&mut self, mut is_wanted: impl FnMut(&Value) -> bool) -> Value {
        parsed(&self.find_line(|line| is_wanted(&parsed(line))))
    }

    /// The answer to a request.
    pub(crate) fn answer(&mut self, id: u64) -> Value {
        self.find(|frame| frame["method"].is_null() && frame["id"] == id)
    }

    /// A notification or a request with this method.
    pub(crate) fn message(&mut self, method: &str) -> Value {
        self.find(|frame| frame["method"] == method)
    }

    /// Answers a request of the agent.
    pub(crate) fn reply(&mut self, question: &Value, result: &Value) {
        let frame = json!({ "jsonrpc": "2.0", "id": question["id"], "result": result });
        self.send(&frame.to_string());
    }

    /// Opens a session in the scratch directory.
    pub(crate) fn new_session(&mut self) -> String {
        let cwd = self.cwd();
        self.new_session_in(&cwd)
    }

    pub(crate) fn new_session_in(&mut self, cwd: &str) -> String {
        let id = self.ask_for_session_in(cwd);
        self.opened(id)
    }

    /// Asks for a session without waiting for it.
    pub(crate) fn ask_for_session(&mut self) -> u64 {
        let cwd = self.cwd();
        self.ask_for_session_in(&cwd)
    }

    fn ask_for_session_in(&mut self, cwd: &str) -> u64 {
        self.request("session/new", &json!({ "cwd": cwd, "mcpServers": [] }))
    }

    /// The session that was asked for.
    pub(crate) fn opened(&mut self, id: u64) -> String {
        let answer = self.answer(id);
        let session = answer["result"]["sessionId"].as_str();
        session.unwrap_or_else(|| panic!("no session: {answer}\n{self}")).to_owned()
    }

    /// Opens a stored session again, by `session/load` or `session/resume`.
    pub(crate) fn restore(&mut self, method: &str, session: &str) -> Value {
        let cwd = self.cwd();
        self.call(method, &json!({ "sessionId": session, "cwd": cwd, "mcpServers": [] }))
    }

    fn cwd(&self) -> String {
        self.scratch.path().display().to_string()
    }

    /// Begins a turn.
    pub(crate) fn prompt(&mut self, session: &str, script: &str) -> u64 {
        let prompt = json!([{ "type": "text", "text": script }]);
        self.request("session/prompt", &json!({ "sessionId": session, "prompt": prompt }))
    }

    /// A whole turn; what the agent said in it.
    pub(crate) fn turn(&mut self, session: &str, script: &str) -> Vec<String> {
        let id = self.prompt(session, script);
        let answer = self.answer(id);
        assert_eq!(answer["result"]["stopReason"], "end_turn", "{answer}\n{self}");
        self.said(session)
    }

    /// What the agent has said in a session; this empties it.
    pub(crate) fn said(&mut self, session: &str) -> Vec<String> {
        let mut said = Vec::new();
        self.stash.retain(|line| match spoken(&parsed(line), session) {
            Some(text) => {
                said.push(text);
                false
            }
            None => true,
        });
        said
    }

    /// Waits until the agent says something in a session.
    pub(crate) fn hears(&mut self, session: &str) -> String {
        let update = self.find(|frame| spoken(frame, session).is_some());
        spoken(&update, session).expect("what was found")
    }

    /// The process that serves a session.
    pub(crate) fn pid_of(&mut self, session: &str) -> u32 {
        self.turn(session, "pid").concat().parse().expect("a process id")
    }

    /// The process that the script line starts, such as `background 3000`.
    pub(crate) fn starts(&mut self, session: &str, line: &str) -> u32 {
        let said = self.turn(session, line).concat();
        let pid = said.rsplit(' ').next().and_then(|pid| pid.parse().ok());
        pid.unwrap_or_else(|| panic!("no process id in `{said}`"))
    }
}

/// A line as a message.
pub(crate) fn parsed(line: &str) -> Value {
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in {line:?}"))
}

/// Says with how a request was refused: code, and kind where there is one.
pub(crate) fn refusal(answer: &Value) -> (i64, &str) {
    let error = &answer["error"];
    let code = error["code"].as_i64().unwrap_or_else(|| panic!("no refusal: {answer}"));
    (code, error["data"]["kind"].as_str().unwrap_or_default())
}

fn spoken(frame: &Value, session: &str) -> Option<String> {
    let params = &frame["params"];
    let update = &params["update"];
    let is_speech =
        params["sessionId"] == session && update["sessionUpdate"] == "agent_message_chunk";
    update["content"]["text"].as_str().filter(|_| is_speech).map(str::to_owned)
}
