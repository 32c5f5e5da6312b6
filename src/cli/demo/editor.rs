//! The demonstration's editor: a small client with blocking calls.

use std::env;
use std::io::{self, BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

/// The demonstration fails if the bridge sends no message for this long.
const PATIENCE: Duration = Duration::from_secs(10);

/// A bridge that was started, and its stdio.
pub(super) struct Editor {
    bridge: Child,
    stdin: Option<ChildStdin>,
    messages: Receiver<Value>,
    last_id: u64,
}

impl Editor {
    /// Starts this very program as a bridge in front of the stub agent with these flags.
    pub(super) fn start(options: &[&str], flags: &[&str]) -> io::Result<Editor> {
        let program = env::current_exe()?;
        #[allow(clippy::disallowed_methods)] // what is started is a bridge, not an agent
        let mut bridge = Command::new(&program)
            .args(options)
            .arg("--")
            .arg(&program)
            .arg("demo-agent")
            .args(flags)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
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
        Ok(Editor { bridge, stdin, messages, last_id: 0 })
    }

    /// Sends a request and gives back its id.
    pub(super) fn ask(&mut self, method: &str, params: &Value) -> io::Result<u64> {
        self.last_id += 1;
        let id = self.last_id;
        self.send(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}))?;
        Ok(id)
    }

    /// Sends a message.
    pub(super) fn send(&mut self, message: &Value) -> io::Result<()> {
        let stdin = self.stdin.as_mut().ok_or(io::ErrorKind::BrokenPipe)?;
        writeln!(stdin, "{message}")?;
        stdin.flush()
    }

    /// Waits for the next message of the bridge.
    pub(super) fn next(&mut self) -> io::Result<Value> {
        self.messages.recv_timeout(PATIENCE).map_err(|error| match error {
            RecvTimeoutError::Timeout => io::Error::other("the bridge said nothing for 10 s"),
            RecvTimeoutError::Disconnected => io::Error::other("the bridge ended"),
        })
    }

    /// Waits for the result of a request, and drops the messages before it.
    pub(super) fn result(&mut self, id: u64) -> io::Result<Value> {
        loop {
            let mut message = self.next()?;
            if message["id"] == id {
                return match message.get("error") {
                    Some(error) => Err(io::Error::other(error["message"].to_string())),
                    None => Ok(message["result"].take()),
                };
            }
        }
    }

    /// The process id of the bridge.
    #[cfg(target_os = "linux")]
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

impl Drop for Editor {
    fn drop(&mut self) {
        // After `quit` there is nothing to end.
        if self.stdin.take().is_some() {
            let _ = self.bridge.wait();
        }
    }
}
