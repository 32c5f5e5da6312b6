//! One process of the agent, behind a bridge of its own, and what is tried with it.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::path::Path;
use std::process::{ChildStderr, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::facts::text;
use super::plan::{Patience, Plan};
use super::report::{Report, time};
use super::running::Running;
use crate::api::ChannelStatus;
use crate::bridge::words::counted;
use crate::cli::editor::{Editor, NoResult, answer};
use crate::cli::exit_code::SURVIVORS;
#[cfg(target_os = "linux")]
use crate::cli::process_sight::Sight;
use crate::control::report::{one_line, size};
use crate::control::{ControlApiClient, found, reach};

/// The number of the last lines of stderr that are kept.
const MOST_LINES: usize = 10;

/// The most letters of an answer that are shown.
const MOST_LETTERS: usize = 200;

/// The most bytes of a line of stderr that are kept.
const LONGEST_LINE: usize = 4096;

/// The time for the bridge to say that an agent does not answer.
const BRIDGE: Duration = Duration::from_secs(2);

/// The time for all of a replay that comes behind its answer.
const LONGEST_REPLAY: Duration = Duration::from_secs(5);

/// The time for an agent to answer a close, which the bridge has already answered.
const CLOSED: Duration = Duration::from_secs(3);

/// The pause between two looks.
const PAUSE: Duration = Duration::from_millis(20);

/// The last lines of a stream.
type LastLines = Arc<Mutex<VecDeque<String>>>;

/// An agent behind a bridge.
pub(super) struct Trial {
    editor: Editor,
    stderr: LastLines,
    patience: Patience,
    running: Running,
}

impl Trial {
    /// Starts a bridge in front of the agent.
    pub(super) fn start(plan: &Plan) -> io::Result<Trial> {
        let patience = plan.patience;
        let mut editor = plan.running.start(|| {
            let editor = Editor::start(plan.arguments(), Stdio::piped(), patience.first)?;
            let pid = editor.bridge();
            Ok::<_, io::Error>((editor, pid))
        })?;
        let stderr = LastLines::default();
        if let Some(pipe) = editor.take_stderr() {
            let lines = Arc::clone(&stderr);
            thread::Builder::new().name("stderr".into()).spawn(move || keep_last(pipe, &lines))?;
        }
        Ok(Trial { editor, stderr, patience, running: plan.running.clone() })
    }

    /// The last lines of stderr, of the agent and the bridge, without the one that says `refusal`.
    pub(super) fn stderr(&self, refusal: &str) -> Vec<String> {
        let lines = self.stderr.lock().unwrap_or_else(PoisonError::into_inner);
        let said = shortened(&format!("error: {refusal}"));
        lines.iter().filter(|line| **line != said).cloned().collect()
    }

    /// Asks the agent who it is, and measures that.
    pub(super) fn introduced(&mut self) -> Result<(Value, Duration), NoResult> {
        let files = json!({"readTextFile": false, "writeTextFile": false});
        let params = json!({
            "protocolVersion": 1,
            "clientCapabilities": {"fs": files, "terminal": false},
            "clientInfo": {"name": "drawbridge-check", "version": env!("CARGO_PKG_VERSION")},
        });
        self.measured("initialize", &params)
    }

    /// Opens a session in a directory, and measures that.
    pub(super) fn opened(&mut self, directory: &Path) -> Result<(Value, Duration), NoResult> {
        self.measured("session/new", &json!({"cwd": directory, "mcpServers": []}))
    }

    /// Sends a request, and measures the time to its result. Requests of the agent are refused.
    pub(super) fn measured(
        &mut self,
        method: &str,
        params: &Value,
    ) -> Result<(Value, Duration), NoResult> {
        let begun = now();
        let result = self.result(method, params, |_| {})?;
        Ok((result, begun.elapsed()))
    }

    /// Sends a request and waits for its result; the notifications before it go to `heard`.
    pub(super) fn result(
        &mut self,
        method: &str,
        params: &Value,
        mut heard: impl FnMut(&Value),
    ) -> Result<Value, NoResult> {
        let limit = match method {
            // The bridge itself says why the agent does not answer.
            "initialize" => self.patience.first.saturating_add(BRIDGE),
            _ => self.patience.further,
        };
        let id = self.editor.ask(method, params)?;
        let deadline = now().checked_add(limit);
        loop {
            let message = self.next_by(deadline).map_err(|why| why.after(limit))?;
            if let Some(result) = self.taken(message, id, &mut heard)? {
                return result;
            }
        }
    }

    /// Takes what still comes, until nothing has come for as long as `silence` says, or five
    /// seconds have passed.
    pub(super) fn hear_out(
        &mut self,
        mut silence: impl FnMut() -> Duration,
        mut heard: impl FnMut(&Value),
    ) {
        let end = now() + LONGEST_REPLAY;
        loop {
            let by = end.min(now() + silence());
            let Ok(message) = self.next_by(Some(by)) else { return };
            // No answer is expected.
            if self.taken(message, 0, &mut heard).is_err() {
                return;
            }
        }
    }

    /// The next message, if it comes until then.
    fn next_by(&mut self, deadline: Option<Instant>) -> Result<Value, NoResult> {
        let left = deadline.map(|end| end.saturating_duration_since(now()));
        self.editor.set_patience(left.unwrap_or(Duration::MAX));
        self.editor.next()
    }

    /// Takes a message: refuses a request, hands a notification on, or returns the answer to the
    /// request with this id.
    fn taken(
        &mut self,
        message: Value,
        id: u64,
        heard: &mut impl FnMut(&Value),
    ) -> Result<Option<Result<Value, NoResult>>, NoResult> {
        match (message.get("method").is_some(), message.get("id").is_some()) {
            (true, true) => self.editor.send(&refusal(&message)).map(|()| None),
            (true, false) => {
                heard(&message);
                Ok(None)
            }
            (false, _) => Ok(answer(message, id)),
        }
    }

    /// Runs a turn, and says how it went: whether it ended as it should.
    pub(super) fn turn(
        &mut self,
        session: &str,
        prompt: &str,
        report: &mut Report,
    ) -> io::Result<bool> {
        let content = json!([{"type": "text", "text": prompt}]);
        let params = json!({"sessionId": session, "prompt": content});
        let begun = now();
        let (mut said, mut first) = (String::new(), None);
        let ended = self.result("session/prompt", &params, |message| {
            if let Some(chunk) = chunk(message, "agent_message_chunk") {
                first.get_or_insert_with(|| begun.elapsed());
                said.push_str(chunk);
            }
        });
        let result = match ended {
            Ok(result) => result,
            Err(why) => {
                let why = why.to_string();
                report.problem("turn", &why)?;
                report.quote("stderr", &self.stderr(&why))?;
                return Ok(false);
            }
        };
        let first = first.map(|first| format!("the first words came after {}, ", time(first)));
        let stop = text(&result["stopReason"]);
        let took = time(begun.elapsed());
        report
            .say("turn", &format!("{}the end ({stop}) after {took}", first.unwrap_or_default()))?;
        report.quote("", &[shortened(said.trim())])?;
        Ok(true)
    }

    /// Says what the processes of the agent weigh.
    pub(super) fn weigh(&self, report: &mut Report) -> io::Result<()> {
        let Some(tree) = self.channel().and_then(|channel| channel.tree) else { return Ok(()) };
        let processes = counted(tree.processes, "process", "processes");
        report.say("weighs", &format!("{} in {processes}", size(tree.memory_bytes)))
    }

    /// Closes a session, and says what became of it.
    pub(super) fn close(&mut self, session: &str, report: &mut Report) -> io::Result<()> {
        let took = match self.measured("session/close", &json!({"sessionId": session})) {
            Ok((_, took)) => time(took),
            Err(why) => return report.problem("close", &why.to_string()),
        };
        let begun = now();
        let closed = loop {
            match self.channel() {
                None => break Closed::Unknown,
                Some(channel) if channel.requests > 0 && begun.elapsed() < CLOSED => {
                    thread::sleep(PAUSE);
                }
                Some(channel) if channel.requests > 0 => break Closed::Unanswered,
                Some(channel) if channel.husks > 0 => break Closed::Kept,
                Some(_) => break Closed::ByAgent,
            }
        };
        match closed {
            Closed::Unknown => report.say("close", &format!("answered after {took}")),
            Closed::ByAgent => report
                .say("close", &format!("answered after {took}; the agent lets the session go")),
            Closed::Kept => {
                let text = format!(
                    "answered after {took}; the agent cannot close a session: drawbridge forgets \
                     it, and replaces the process after some of them"
                );
                report.say("close", &text)
            }
            Closed::Unanswered => {
                report.problem("close", "the agent offers session/close and does not answer it")
            }
        }
    }

    /// Quits, and returns how long it takes for all processes to be gone, or what is wrong.
    pub(super) fn quit(&mut self) -> io::Result<Result<Duration, String>> {
        #[cfg(target_os = "linux")]
        let before = Sight::of(self.editor.bridge());
        let begun = now();
        let status = self.editor.quit()?;
        self.running.ended();
        match status.code().map(u8::try_from) {
            Some(Ok(SURVIVORS)) => {
                return Ok(Err("the agent does not end, not even by SIGKILL".into()));
            }
            Some(_) => {}
            None => return Ok(Err(format!("the bridge ended with {status}"))),
        }
        #[cfg(target_os = "linux")]
        if before.ends().is_none() {
            return Ok(Err(format!("processes are left: {:?}", before.left())));
        }
        Ok(Ok(begun.elapsed()))
    }

    /// The state of the agent's channel; `None`: the bridge has no control socket.
    fn channel(&self) -> Option<ChannelStatus> {
        let socket = found().into_iter().find(|socket| socket.pid() == self.editor.bridge())?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
        let channels = runtime.block_on(async { reach(&socket).ok()?.channels().await.ok() })?;
        channels.into_iter().next()
    }
}

/// The end of a closed session at the agent.
enum Closed {
    /// The bridge has no control socket.
    Unknown,
    /// The agent has let it go.
    ByAgent,
    /// The agent cannot close, and keeps it.
    Kept,
    /// The agent does not answer.
    Unanswered,
}

/// The text of an update of this kind; `None` for other messages.
pub(super) fn chunk<'a>(message: &'a Value, kind: &str) -> Option<&'a str> {
    let update = &message["params"]["update"];
    (update["sessionUpdate"] == kind).then(|| text(&update["content"]["text"]))
}

/// The answer to a request of an agent: nothing is permitted, and nothing else is done.
fn refusal(request: &Value) -> Value {
    let id = &request["id"];
    if request["method"] != "session/request_permission" {
        let error = json!({"code": -32601, "message": "not offered by drawbridge check"});
        return json!({"jsonrpc": "2.0", "id": id, "error": error});
    }
    let options = request["params"]["options"].as_array().into_iter().flatten();
    let reject = options.into_iter().find(|option| option["kind"] == "reject_once");
    let outcome = match reject {
        Some(option) => json!({"outcome": "selected", "optionId": option["optionId"]}),
        None => json!({"outcome": "cancelled"}),
    };
    json!({"jsonrpc": "2.0", "id": id, "result": {"outcome": outcome}})
}

/// Keeps the last lines of a stream, however long they are.
fn keep_last(mut pipe: ChildStderr, lines: &LastLines) {
    let (mut piece, mut line) = ([0; 4096], Vec::new());
    let keep = |line: &[u8]| {
        let text = shortened(&String::from_utf8_lossy(line));
        let mut lines = lines.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() == MOST_LINES {
            lines.pop_front();
        }
        lines.extend((!text.is_empty()).then_some(text));
    };
    while let Ok(length @ 1..) = pipe.read(&mut piece) {
        for byte in &piece[..length] {
            match byte {
                b'\n' | b'\r' => keep(&std::mem::take(&mut line)),
                byte if line.len() < LONGEST_LINE => line.push(*byte),
                _ => {}
            }
        }
    }
    keep(&line);
}

fn shortened(said: &str) -> String {
    let line = one_line(&said.split_whitespace().collect::<Vec<_>>().join(" "));
    match line.char_indices().nth(MOST_LETTERS) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

/// The time now.
#[allow(clippy::disallowed_methods)] // the check has a clock of its own
pub(super) fn now() -> Instant {
    Instant::now()
}
