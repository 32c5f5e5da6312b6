//! A raw agent on stdio: as fast as an agent can be, so that it does not hide what the
//! process in the middle costs.
//!
//! The text of a prompt is a command: `ping` is answered at once, `flood N SIZE
//! plain|escaped` sends N numbered updates first, `sleep MS` does not read for a
//! while. A line without id and method gets -32700, so that the agent's start can be timed.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::thread;
use std::time::Duration;

use nix::sys::signal::{SigSet, Signal};
use nix::unistd::pause;

use crate::lines::Lines;
use crate::payload::{Style, Update};
use crate::text;

/// Floods are written in pieces of about this size, as a good agent does.
const BURST: usize = 64 * 1024;

/// How the agent reacts when it is asked to exit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manners {
    /// The agent exits at the end of its stdin.
    Polite,
    /// The agent ignores the end of its stdin and SIGTERM.
    Stuck,
}

/// Serves until stdin ends; a stuck agent never returns.
pub fn run(manners: Manners) -> io::Result<()> {
    if manners == Manners::Stuck {
        let mut deaf = SigSet::empty();
        deaf.add(Signal::SIGTERM);
        deaf.thread_block()?;
    }
    let mut input = Lines::new(own(io::stdin())?);
    let mut agent = Agent { output: own(io::stdout())?.into(), waiting: Vec::new(), sessions: 0 };
    loop {
        while let Some(line) = input.take() {
            agent.serve(line)?;
        }
        agent.flush()?;
        if !input.fill()? {
            break;
        }
    }
    match manners {
        Manners::Polite => Ok(()),
        Manners::Stuck => loop {
            pause();
        },
    }
}

/// A second descriptor for a standard stream, without the buffers of the library.
fn own(stream: impl AsFd) -> io::Result<OwnedFd> {
    stream.as_fd().try_clone_to_owned()
}

struct Agent {
    output: File,
    /// Answers that are written when everything that was read is served.
    waiting: Vec<u8>,
    sessions: u64,
}

impl Agent {
    fn serve(&mut self, line: &[u8]) -> io::Result<()> {
        let method = text::string(line, text::METHOD);
        let Some(id) = text::raw(line, text::ID) else {
            if method.is_none() {
                self.answer(b"null", r#""error":{"code":-32700,"message":"not JSON"}"#);
            }
            return Ok(());
        };
        match method {
            Some("session/prompt") => {
                self.prompt(line)?;
                self.answer(id, r#""result":{"stopReason":"end_turn"}"#);
            }
            Some("session/new") => {
                self.sessions += 1;
                let (pid, number) = (std::process::id(), self.sessions);
                self.answer(id, &format!(r#""result":{{"sessionId":"bench-{pid}-{number}"}}"#));
            }
            Some("session/close") => self.answer(id, r#""result":{}"#),
            Some("initialize") => self.answer(
                id,
                r#""result":{"protocolVersion":1,"agentCapabilities":{"sessionCapabilities":{"close":{}}}}"#,
            ),
            Some(_) => self.answer(id, r#""error":{"code":-32601,"message":"not known"}"#),
            None => {}
        }
        Ok(())
    }

    fn prompt(&mut self, line: &[u8]) -> io::Result<()> {
        let (Some(session), Some(command)) =
            (text::string(line, text::SESSION), text::string(line, text::TEXT))
        else {
            return Ok(());
        };
        let words: Vec<&str> = command.split(' ').collect();
        match words[..] {
            ["flood", count, size, style] => {
                let number = |text: &str| text.parse().map_err(io::Error::other);
                let style = Style::named(style).ok_or(io::ErrorKind::InvalidInput)?;
                self.flood(&Update::new(session, number(size)?, style), number(count)?)
            }
            ["sleep", millis] => {
                let millis = millis.parse().map_err(io::Error::other)?;
                thread::sleep(Duration::from_millis(millis));
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn flood(&mut self, update: &Update, count: usize) -> io::Result<()> {
        self.flush()?;
        let length = update.line.len();
        let mut burst = update.line.repeat((BURST / length).max(1));
        let mut sent = 0;
        while sent < count {
            let some = (burst.len() / length).min(count - sent);
            for (offset, copy) in burst.chunks_exact_mut(length).take(some).enumerate() {
                update.number(copy, sent + offset);
            }
            self.output.write_all(&burst[..some * length])?;
            sent += some;
        }
        Ok(())
    }

    fn answer(&mut self, id: &[u8], outcome: &str) {
        let parts: [&[u8]; 5] =
            [br#"{"jsonrpc":"2.0","id":"#, id, b",", outcome.as_bytes(), b"}\n"];
        parts.iter().for_each(|part| self.waiting.extend_from_slice(part));
    }

    fn flush(&mut self) -> io::Result<()> {
        self.output.write_all(&self.waiting)?;
        self.waiting.clear();
        Ok(())
    }
}
