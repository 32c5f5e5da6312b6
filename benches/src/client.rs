//! A raw client: starts a path, sends lines, waits for answers.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
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

/// A client and the process that it has started, unless it is one of many clients of a bridge
/// at a socket.
#[derive(Debug)]
pub struct Client {
    child: Option<Child>,
    input: Option<File>,
    /// The lines that this process writes.
    pub output: Lines,
    requests: u64,
}

impl Client {
    /// Starts a path.
    pub fn start(mut command: Command) -> io::Result<Client> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn()?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(io::ErrorKind::BrokenPipe.into());
        };
        let input = Some(OwnedFd::from(input).into());
        let output = Lines::new(OwnedFd::from(output));
        Ok(Client { child: Some(child), input, output, requests: 0 })
    }

    /// A client at this socket, which has the answer to its `initialize`.
    pub fn at(stream: UnixStream) -> io::Result<Client> {
        let input = Some(OwnedFd::from(stream.try_clone()?).into());
        let output = Lines::new(OwnedFd::from(stream));
        let mut client = Client { child: None, input, output, requests: 0 };
        client.initialize()?;
        Ok(client)
    }

    /// Starts a path and waits for the answer to `initialize`.
    pub fn connect(command: Command) -> io::Result<Client> {
        let mut client = Client::start(command)?;
        client.initialize()?;
        Ok(client)
    }

    fn initialize(&mut self) -> io::Result<()> {
        let params = r#"{"protocolVersion":1,"clientCapabilities":{}}"#;
        let id = self.request("initialize", params)?;
        self.answer(id).map(drop)
    }

    /// The id of the process that was started; 0 if none was.
    pub fn pid(&self) -> u32 {
        self.child.as_ref().map_or(0, Child::id)
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
        self.child.as_mut().map_or(Ok(()), Child::kill)
    }

    /// The exit code of the process that was started; `None` if it does not end
    /// within `patience`, or was ended by a signal.
    pub fn exit_code(&mut self, patience: Duration) -> io::Result<Option<i32>> {
        let begun = Instant::now();
        while begun.elapsed() < patience {
            let child = self.child.as_mut();
            if let Some(status) = child.map(Child::try_wait).transpose()?.flatten() {
                return Ok(status.code());
            }
            // Nothing reads its stdout here: a process that is blocked in a write to it never exits.
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(None)
    }

    /// Waits for the end of the process that was started.
    pub fn wait(&mut self) -> io::Result<()> {
        self.child.as_mut().map_or(Ok(()), |child| child.wait().map(drop))
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
        let Some(child) = &mut self.child else { return };
        let patience = Instant::now();
        while matches!(child.try_wait(), Ok(None)) {
            if patience.elapsed() > Duration::from_secs(5) {
                // It may be gone by now, which is what is wanted.
                let _ = child.kill();
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
