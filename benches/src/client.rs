//! A raw client: starts a path, sends lines, waits for answers.

use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use crate::lines::Lines;
use crate::payload::Style;
use crate::text;

/// A flood of equal updates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Flood {
    /// Bytes of one update.
    pub size: usize,
    /// The sort of text that fills the updates.
    pub style: Style,
    /// The number of updates.
    pub count: usize,
}

impl Flood {
    /// The text of the prompt that asks the raw agent for this flood.
    pub fn command(self) -> String {
        format!("flood {} {} {}", self.count, self.size, self.style)
    }
}

/// A client and the process that it has started.
#[derive(Debug)]
pub struct Client {
    child: Child,
    input: Option<ChildStdin>,
    /// The lines that this process writes.
    pub output: Lines,
    requests: u64,
}

impl Client {
    /// Starts a path.
    pub fn start(mut command: Command) -> io::Result<Client> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn()?;
        let input = child.stdin.take();
        let Some(output) = child.stdout.take() else {
            return Err(io::ErrorKind::BrokenPipe.into());
        };
        Ok(Client { child, input, output: Lines::new(OwnedFd::from(output)), requests: 0 })
    }

    /// Starts a path and waits for the answer to `initialize`.
    pub fn connect(command: Command) -> io::Result<Client> {
        let mut client = Client::start(command)?;
        let id =
            client.request("initialize", r#"{"protocolVersion":1,"clientCapabilities":{}}"#)?;
        client.answer(id)?;
        Ok(client)
    }

    /// The id of the process that was started.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Writes bytes as they are.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.input.as_mut().ok_or(io::ErrorKind::BrokenPipe)?.write_all(bytes)
    }

    /// Sends a request and returns its id.
    pub fn request(&mut self, method: &str, params: &str) -> io::Result<u64> {
        self.requests += 1;
        let id = self.requests;
        let line = format!(
            "{{\"jsonrpc\":\"2.0\",\"id\":{id},\"method\":\"{method}\",\"params\":{params}}}\n"
        );
        self.send(line.as_bytes())?;
        Ok(id)
    }

    /// Waits for the answer to request `id` and skips all other lines; an error answer is an
    /// error.
    pub fn answer(&mut self, id: u64) -> io::Result<&[u8]> {
        while text::answer(self.output.next()?) != Some(id) {}
        let line = self.output.last();
        match text::raw(line, "\"error\":") {
            None => Ok(line),
            Some(_) => Err(io::Error::other(String::from_utf8_lossy(line).into_owned())),
        }
    }

    /// Opens a session.
    pub fn open(&mut self) -> io::Result<String> {
        let id = self.request("session/new", r#"{"cwd":"/","mcpServers":[]}"#)?;
        let session = text::string(self.answer(id)?, text::SESSION).map(str::to_owned);
        session.ok_or_else(|| io::Error::other("session/new brought no session"))
    }

    /// Closes a session.
    pub fn close(&mut self, session: &str) -> io::Result<()> {
        let id = self.request("session/close", &format!(r#"{{"sessionId":"{session}"}}"#))?;
        self.answer(id).map(drop)
    }

    /// Sends a prompt and returns its id.
    pub fn prompt(&mut self, session: &str, command: &str) -> io::Result<u64> {
        let params = format!(
            r#"{{"sessionId":"{session}","prompt":[{{"type":"text","text":"{command}"}}]}}"#
        );
        self.request("session/prompt", &params)
    }

    /// Sends a prompt that is answered at once, and returns the time until its answer.
    pub fn ping(&mut self, session: &str) -> io::Result<Duration> {
        let start = Instant::now();
        let id = self.prompt(session, "ping")?;
        self.answer(id)?;
        Ok(start.elapsed())
    }

    /// Sends the prompt of a flood, and returns the time until its answer is read; an error if
    /// updates are missing.
    pub fn flood(&mut self, session: &str, flood: Flood) -> io::Result<Duration> {
        let start = Instant::now();
        let id = self.prompt(session, &flood.command())?;
        let mut updates = 0;
        // Every line is cut and its session read, as any client must.
        while text::answer(self.output.next()?) != Some(id) {
            updates +=
                usize::from(text::string(self.output.last(), text::SESSION) == Some(session));
        }
        let took = start.elapsed();
        let complete = updates == flood.count;
        if complete {
            Ok(took)
        } else {
            Err(io::Error::other(format!("{updates} of {flood:?} came")))
        }
    }

    /// Closes the stdin of the process that was started.
    pub fn hang_up(&mut self) {
        self.input = None;
    }

    /// Kills the process that was started.
    pub fn kill(&mut self) -> io::Result<()> {
        self.child.kill()
    }

    /// The exit code of the process that was started; `None` if it does not end
    /// within `patience`, or was ended by a signal.
    pub fn exit_code(&mut self, patience: Duration) -> io::Result<Option<i32>> {
        let begun = Instant::now();
        while begun.elapsed() < patience {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status.code());
            }
            // Nothing reads its stdout here: a process that is blocked in a write to it never exits.
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(None)
    }

    /// Waits for the end of the process that was started.
    pub fn wait(&mut self) -> io::Result<()> {
        self.child.wait().map(drop)
    }
}

impl AsFd for Client {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.output.as_fd()
    }
}

impl Drop for Client {
    /// Closes stdin first, so that a process in the middle can end its agents.
    fn drop(&mut self) {
        self.hang_up();
        let patience = Instant::now();
        while matches!(self.child.try_wait(), Ok(None)) {
            if patience.elapsed() > Duration::from_secs(5) {
                // It may be gone by now, which is what is wanted.
                let _ = self.child.kill();
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

/// The process id of the raw agent that opened a session: it is a part of the session id.
pub fn agent_of(session: &str) -> io::Result<u32> {
    let pid = session.split('-').nth(1).and_then(|pid| pid.parse().ok());
    pid.ok_or_else(|| io::Error::other(format!("no agent of ours opened {session}")))
}
