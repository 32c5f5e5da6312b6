//! One process of the agent, behind a bridge of its own, and what is tried with it.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::io::{self, BufRead, BufReader};
use std::path::Path;
use std::process::{ChildStderr, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::facts::text;
use super::report::{Report, time};
use crate::api::ChannelStatus;
use crate::bridge::words::counted;
use crate::cli::editor::{Editor, NoResult, answer};
#[cfg(target_os = "linux")]
use crate::cli::process_sight::Sight;
use crate::control::report::{one_line, size};
use crate::control::{ControlApiClient, found, reach};

/// The number of the last lines of stderr that are kept.
const MOST_LINES: usize = 10;

/// The most letters of an answer that are shown.
const MOST_LETTERS: usize = 200;

/// The time for an agent to answer a close, which the bridge has already answered.
const CLOSED: Duration = Duration::from_secs(3);

/// The pause between two looks.
const PAUSE: Duration = Duration::from_millis(20);

/// The time for each answer.
#[derive(Clone, Copy)]
pub(super) struct Patience {
    /// For the first answer.
    pub(super) first: Duration,
    /// For all others.
    pub(super) further: Duration,
}

/// The last lines of a stream.
type LastLines = Arc<Mutex<VecDeque<String>>>;

/// An agent behind a bridge.
pub(super) struct Trial {
    editor: Editor,
    stderr: LastLines,
    patience: Patience,
}

impl Trial {
    /// Starts a bridge with these arguments.
    pub(super) fn start(arguments: &[OsString], patience: Patience) -> io::Result<Trial> {
        // The bridge itself says why the agent does not answer.
        let longer = patience.first.saturating_add(Duration::from_secs(2));
        let mut editor = Editor::start(arguments, Stdio::piped(), longer)?;
        let stderr = LastLines::default();
        if let Some(pipe) = editor.take_stderr() {
            let lines = Arc::clone(&stderr);
            thread::Builder::new().name("stderr".into()).spawn(move || keep_last(pipe, &lines))?;
        }
        Ok(Trial { editor, stderr, patience })
    }

    /// The last lines of stderr, of the agent and the bridge.
    pub(super) fn stderr(&self) -> Vec<String> {
        let lines = self.stderr.lock().unwrap_or_else(PoisonError::into_inner);
        // The bridge ends with its refusal, which is said already.
        lines.iter().filter(|line| !line.starts_with("error: ")).cloned().collect()
    }

    /// Asks the agent who it is, and measures that.
    pub(super) fn introduced(&mut self) -> Result<(Value, Duration), NoResult> {
        let files = json!({"readTextFile": false, "writeTextFile": false});
        let params = json!({
            "protocolVersion": 1,
            "clientCapabilities": {"fs": files, "terminal": false},
            "clientInfo": {"name": "drawbridge-check", "version": env!("CARGO_PKG_VERSION")},
        });
        let introduced = self.measured("initialize", &params);
        self.editor.set_patience(self.patience.further);
        introduced
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
        let id = self.editor.ask(method, params)?;
        loop {
            let message = self.editor.next()?;
            match (message.get("method").is_some(), message.get("id")) {
                (true, Some(_)) => self.editor.send(&refusal(&message))?,
                (true, None) => heard(&message),
                (false, _) => {
                    if let Some(result) = answer(message, id) {
                        return result;
                    }
                }
            }
        }
    }

    /// Takes the notifications that still come, until there is none for so long.
    pub(super) fn hear_out(&mut self, silence: Duration, mut heard: impl FnMut(&Value)) {
        self.editor.set_patience(silence);
        while let Ok(message) = self.editor.next() {
            heard(&message);
        }
        self.editor.set_patience(self.patience.further);
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
                report.problem("turn", &one_line(&why.to_string()))?;
                report.quote("stderr", &self.stderr())?;
                return Ok(false);
            }
        };
        let first = first.map(|first| format!("the first words came after {}, ", time(first)));
        let stop = one_line(text(&result["stopReason"]));
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
            Err(why) => return report.problem("close", &one_line(&why.to_string())),
        };
        let begun = now();
        let husks = loop {
            match self.channel() {
                Some(channel) if channel.requests == 0 => break Some(channel.husks),
                Some(_) if begun.elapsed() < CLOSED => thread::sleep(PAUSE),
                _ => break None,
            }
        };
        let agent = match husks {
            Some(0) => "; the agent lets the session go",
            Some(_) => {
                "; the agent cannot close a session: drawbridge forgets it, and replaces the \
                 process after some of them"
            }
            None => "",
        };
        report.say("close", &format!("answered after {took}{agent}"))
    }

    /// Quits, and returns how long it takes for all processes to be gone, or what is wrong.
    pub(super) fn quit(&mut self) -> io::Result<Result<Duration, String>> {
        #[cfg(target_os = "linux")]
        let before = Sight::of(self.editor.bridge());
        let begun = now();
        let status = self.editor.quit()?;
        if status.code().is_none() {
            return Ok(Err(format!("the bridge ended with {status}")));
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

fn keep_last(pipe: ChildStderr, lines: &LastLines) {
    for line in BufReader::new(pipe).split(b'\n').map_while(Result::ok) {
        let mut lines = lines.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() == MOST_LINES {
            lines.pop_front();
        }
        lines.push_back(shortened(&String::from_utf8_lossy(&line)));
    }
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
