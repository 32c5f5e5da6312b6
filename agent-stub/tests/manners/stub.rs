//! The binary under test, driven over its pipes.

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

const LIMIT: Duration = Duration::from_secs(5);

/// A running stub; it is killed when the test lets go of it.
pub(crate) struct Stub {
    pub(crate) child: Child,
    pub(crate) stdin: Option<ChildStdin>,
    pub(crate) lines: Receiver<String>,
    next_id: u64,
}

impl Stub {
    pub(crate) fn start(flags: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_agent-stub"))
            .args(flags)
            .env("STUB_TEST", "from outside")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in stdout.split(b'\n') {
                let line = String::from_utf8(line.unwrap()).unwrap();
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let stdin = child.stdin.take();
        Self { child, stdin, lines, next_id: 0 }
    }

    /// A stub with one open session, `sess-1`.
    pub(crate) fn with_session(flags: &[&str]) -> Self {
        let mut stub = Self::start(flags);
        let answer = stub.call("session/new", json!({ "cwd": "/tmp", "mcpServers": [] }));
        assert_eq!(answer["result"]["sessionId"], "sess-1");
        stub
    }

    pub(crate) fn write(&mut self, line: &str) {
        self.stdin.as_mut().unwrap().write_all(format!("{line}\n").as_bytes()).unwrap();
    }

    pub(crate) fn request(&mut self, method: &str, params: Value) -> u64 {
        self.next_id += 1;
        let id = self.next_id;
        let frame = json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params });
        self.write(&frame.to_string());
        id
    }

    pub(crate) fn prompt(&mut self, script: &str) -> u64 {
        let prompt = json!([{ "type": "text", "text": script }]);
        self.request("session/prompt", json!({ "sessionId": "sess-1", "prompt": prompt }))
    }

    pub(crate) fn cancel(&mut self) {
        let params = json!({ "sessionId": "sess-1" });
        let frame = json!({ "jsonrpc": "2.0", "method": "session/cancel", "params": params });
        self.write(&frame.to_string());
    }

    pub(crate) fn line(&self) -> String {
        self.lines.recv_timeout(LIMIT).expect("a line in time")
    }

    pub(crate) fn frame(&self) -> Value {
        serde_json::from_str(&self.line()).expect("a line of JSON")
    }

    /// All frames up to the answer to this request, the answer last.
    pub(crate) fn until(&self, id: u64) -> Vec<Value> {
        let mut frames = Vec::new();
        loop {
            let frame = self.frame();
            let last = frame["id"] == id && frame["method"].is_null();
            frames.push(frame);
            if last {
                return frames;
            }
        }
    }

    pub(crate) fn call(&mut self, method: &str, params: Value) -> Value {
        let id = self.request(method, params);
        self.until(id).pop().unwrap()
    }

    /// What the agent says to a script, and the stop reason.
    pub(crate) fn play(&mut self, script: &str) -> (Vec<String>, Value) {
        let id = self.prompt(script);
        let mut frames = self.until(id);
        let reason = frames.pop().unwrap()["result"]["stopReason"].take();
        (said(&frames), reason)
    }

    pub(crate) fn answer(&mut self, id: &Value, result: Value) {
        self.write(&json!({ "jsonrpc": "2.0", "id": id, "result": result }).to_string());
    }

    pub(crate) fn exit_status(&mut self) -> ExitStatus {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(start.elapsed() < LIMIT, "still there");
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    pub(crate) fn term(&self) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").arg(pid).status().unwrap().success());
    }

    pub(crate) fn is_there(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }
}

impl Drop for Stub {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn said(frames: &[Value]) -> Vec<String> {
    let text = |frame: &Value| {
        let update = &frame["params"]["update"];
        let says = update["sessionUpdate"] == "agent_message_chunk";
        says.then(|| update["content"]["text"].as_str().unwrap().to_owned())
    };
    frames.iter().filter_map(text).collect()
}

pub(crate) fn kinds(frames: &[Value]) -> Vec<&str> {
    let kinds = frames.iter().map(|frame| {
        let update = frame["params"]["update"]["sessionUpdate"].as_str();
        update.or(frame["method"].as_str()).unwrap_or("answer")
    });
    kinds.collect()
}

/// A directory of its own for each test.
pub(crate) fn scratch(name: &str) -> PathBuf {
    let dir = std::env::temp_dir().join(format!("agent-stub-{}-{name}", std::process::id()));
    let _ = std::fs::remove_dir_all(&dir);
    std::fs::create_dir_all(&dir).unwrap();
    dir
}
