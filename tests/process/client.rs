//! A client of a bridge, at its stdio or at a socket: lines, requests, turns, questions.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;

use serde_json::{Value, json};

use crate::processes;

/// Lines of the bridge that the test has not asked for yet; more make it wait.
const LINES: usize = 1 << 16;

/// A client.
pub(crate) struct Client {
    to: Option<Box<dyn Write + Send>>,
    lines: Receiver<String>,
    /// Lines that came while the test waited for another one.
    pub(crate) stash: Vec<String>,
    /// Requests made so far; the last one's id.
    pub(crate) asked: u64,
    /// The directory of its sessions.
    cwd: String,
}

impl Client {
    /// A client that is not connected yet, in this directory.
    pub(crate) fn unconnected(cwd: &Path) -> Client {
        let (to, stash, cwd) = (None, Vec::new(), cwd.display().to_string());
        Client { to, lines: sync_channel(0).1, stash, asked: 0, cwd }
    }

    /// Takes this for the way to its stdin.
    pub(crate) fn write_to(&mut self, stdin: impl Write + Send + 'static) {
        self.to = Some(Box::new(stdin));
    }

    /// Gives the way to its stdin away, to be written to from another thread.
    pub(crate) fn take_stdin(&mut self) -> Box<dyn Write + Send> {
        self.to.take().expect("its stdin is open")
    }

    /// Takes this for the way from its stdout.
    pub(crate) fn read_from(&mut self, stdout: impl Read + Send + 'static) {
        let (sender, lines) = sync_channel(LINES);
        thread::spawn(move || {
            for line in BufReader::new(stdout).split(b'\n') {
                let Ok(line) = line else { return };
                if sender.send(String::from_utf8(line).expect("UTF-8")).is_err() {
                    return;
                }
            }
        });
        self.lines = lines;
    }

    /// Writes bytes as they are.
    pub(crate) fn write(&mut self, bytes: &[u8]) {
        let stdin = self.to.as_mut().expect("its stdin is open");
        stdin.write_all(bytes).expect("the bridge reads");
    }

    /// Writes a line.
    pub(crate) fn send(&mut self, line: &str) {
        self.write(format!("{line}\n").as_bytes());
    }

    /// Writes a line; `false`: the bridge does not read any more.
    pub(crate) fn try_send(&mut self, line: &str) -> bool {
        let stdin = self.to.as_mut().expect("its stdin is open");
        stdin.write_all(format!("{line}\n").as_bytes()).is_ok()
    }

    /// The next line that comes; `None`: the bridge has ended.
    pub(crate) fn try_incoming(&mut self) -> Option<String> {
        self.lines.recv_timeout(processes::LIMIT).ok()
    }

    pub(crate) fn close_stdin(&mut self) {
        self.to = None;
    }

    /// The next line that comes, not one of those in the stash.
    pub(crate) fn incoming(&mut self) -> String {
        match self.lines.recv_timeout(processes::LIMIT) {
            Ok(line) => line,
            Err(error) => panic!("no line: {error}\nleft aside: {:#?}", self.stash),
        }
    }

    /// What came and was not asked for, without waiting.
    pub(crate) fn leftovers(&mut self) -> Vec<String> {
        let mut lines = std::mem::take(&mut self.stash);
        lines.extend(self.lines.try_iter());
        lines
    }

    /// Introduces a client that reads files, has terminals, and wants events.
    pub(crate) fn initialize(&mut self) -> Value {
        let id = self.ask_to_initialize();
        self.answer(id)
    }

    /// The same for a client that wants sequence numbers.
    pub(crate) fn initialize_numbered(&mut self) -> Value {
        self.call("initialize", &numbered())
    }

    /// Introduces a client without waiting for the answer.
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
        session.unwrap_or_else(|| panic!("no session: {answer}")).to_owned()
    }

    /// Opens a stored session again, by `session/load` or `session/resume`.
    pub(crate) fn restore(&mut self, method: &str, session: &str) -> Value {
        let cwd = self.cwd();
        self.call(method, &json!({ "sessionId": session, "cwd": cwd, "mcpServers": [] }))
    }

    fn cwd(&self) -> String {
        self.cwd.clone()
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
        assert_eq!(answer["result"]["stopReason"], "end_turn", "{answer}");
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

/// The introduction of a client that wants sequence numbers.
pub(crate) fn numbered() -> Value {
    json!({
        "protocolVersion": 1,
        "clientCapabilities": {
            "fs": { "readTextFile": true, "writeTextFile": true },
            "terminal": true,
            "_meta": { "drawbridge": { "events": true, "seq": true } },
        },
        "clientInfo": { "name": "process-test", "version": "1" },
    })
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

pub(crate) fn spoken(frame: &Value, session: &str) -> Option<String> {
    let params = &frame["params"];
    let update = &params["update"];
    let is_speech =
        params["sessionId"] == session && update["sessionUpdate"] == "agent_message_chunk";
    update["content"]["text"].as_str().filter(|_| is_speech).map(str::to_owned)
}
