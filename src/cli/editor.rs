//! A small editor with blocking calls, in front of a bridge that it starts: the demonstration and
//! the check of an agent use it.

use std::env;
use std::ffi::OsStr;
use std::fmt;
use std::io::{self, BufRead, BufReader, Write};
use std::process::{Child, ChildStderr, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::bridge::time::spelled;

/// A bridge that was started, and its stdio.
pub(super) struct Editor {
    bridge: Child,
    stdin: Option<ChildStdin>,
    messages: Receiver<Value>,
    last_id: u64,
    patience: Duration,
}

/// Why a request has no result.
#[derive(Debug)]
pub(super) enum NoResult {
    /// It was refused with this error object.
    Refused(Value),
    /// Nothing came for so long.
    Silence(Duration),
    /// The bridge has ended.
    Ended,
    /// The bridge does not take messages.
    NotSent(io::Error),
}

impl Editor {
    /// Starts this very program with these arguments. It fails if the bridge sends no message for
    /// as long as `patience`.
    pub(super) fn start<A: AsRef<OsStr>>(
        arguments: impl IntoIterator<Item = A>,
        stderr: Stdio,
        patience: Duration,
    ) -> io::Result<Editor> {
        #[allow(clippy::disallowed_methods)] // what is started is a bridge, not an agent
        let mut bridge = Command::new(env::current_exe()?)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(stderr)
            .spawn()?;
        let stdin = bridge.stdin.take();
        let stdout = bridge.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
        let (sender, messages) = sync_channel(64);
        thread::Builder::new().name("editor".into()).spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let Ok(message) = serde_json::from_str(&line) else { continue };
                if sender.send(message).is_err() {
                    return;
                }
            }
        })?;
        Ok(Editor { bridge, stdin, messages, last_id: 0, patience })
    }

    /// Waits for so long for each further message.
    pub(super) fn set_patience(&mut self, patience: Duration) {
        self.patience = patience;
    }

    /// The stderr of the bridge, if it is a pipe that nobody has taken.
    pub(super) fn take_stderr(&mut self) -> Option<ChildStderr> {
        self.bridge.stderr.take()
    }

    /// Sends a request and gives back its id.
    pub(super) fn ask(&mut self, method: &str, params: &Value) -> Result<u64, NoResult> {
        self.last_id += 1;
        let id = self.last_id;
        self.send(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}))?;
        Ok(id)
    }

    /// Sends a message.
    pub(super) fn send(&mut self, message: &Value) -> Result<(), NoResult> {
        let stdin = self.stdin.as_mut().ok_or(NoResult::Ended)?;
        match writeln!(stdin, "{message}").and_then(|()| stdin.flush()) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(NoResult::Ended),
            Err(error) => Err(NoResult::NotSent(error)),
        }
    }

    /// Waits for the next message of the bridge.
    pub(super) fn next(&mut self) -> Result<Value, NoResult> {
        self.messages.recv_timeout(self.patience).map_err(|error| match error {
            RecvTimeoutError::Timeout => NoResult::Silence(self.patience),
            RecvTimeoutError::Disconnected => NoResult::Ended,
        })
    }

    /// Waits for the result of a request, and drops the messages before it.
    pub(super) fn result(&mut self, id: u64) -> Result<Value, NoResult> {
        loop {
            let message = self.next()?;
            if let Some(result) = answer(message, id) {
                return result;
            }
        }
    }

    /// The process id of the bridge.
    pub(super) fn bridge(&self) -> u32 {
        self.bridge.id()
    }

    /// Kills the bridge.
    pub(super) fn kill(mut self) -> io::Result<()> {
        self.bridge.kill()?;
        self.bridge.wait().map(drop)
    }

    /// Closes the bridge's stdin, as an editor that quits, and waits for the bridge to end.
    pub(super) fn quit(&mut self) -> io::Result<ExitStatus> {
        self.stdin = None;
        self.bridge.wait()
    }
}

/// The answer to a request, if a message is that.
pub(super) fn answer(mut message: Value, id: u64) -> Option<Result<Value, NoResult>> {
    // The ids of requests of agents are counted separately.
    if message["id"] != id || message.get("method").is_some() {
        return None;
    }
    Some(match message.get_mut("error") {
        Some(error) => Err(NoResult::Refused(error.take())),
        None => Ok(message["result"].take()),
    })
}

impl NoResult {
    /// The same, where nothing came for so long in all.
    pub(super) fn after(self, limit: Duration) -> NoResult {
        match self {
            NoResult::Silence(_) => NoResult::Silence(limit),
            other => other,
        }
    }

    /// Whether the agent wants a login first.
    pub(super) fn wants_login(&self) -> bool {
        matches!(self, NoResult::Refused(error) if error["code"] == -32000)
    }

    /// Whether the agent itself has refused what was asked, and not for want of a login. The
    /// bridge's own errors have a kind.
    pub(super) fn is_refusal_of_agent(&self) -> bool {
        let of_bridge = |error: &Value| error["data"]["kind"].is_string();
        matches!(self, NoResult::Refused(error) if !of_bridge(error)) && !self.wants_login()
    }
}

impl fmt::Display for NoResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NoResult::Refused(error) => match error["message"].as_str() {
                Some(message) => match error["data"]["details"].as_str() {
                    Some(details) if details != message => write!(f, "{message}: {details}"),
                    _ => f.write_str(message),
                },
                None => write!(f, "{error}"),
            },
            NoResult::Silence(time) => {
                let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
                write!(f, "there was no answer for {}", spelled(millis))
            }
            NoResult::Ended => f.write_str("the bridge has ended"),
            NoResult::NotSent(error) => write!(f, "the bridge takes no messages: {error}"),
        }
    }
}

impl From<NoResult> for io::Error {
    fn from(error: NoResult) -> io::Error {
        io::Error::other(error.to_string())
    }
}

impl Drop for Editor {
    fn drop(&mut self) {
        // After `quit` there is nothing to end.
        if self.stdin.take().is_some() {
            let _ = self.bridge.wait();
        }
    }
}
