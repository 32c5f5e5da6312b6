//! The meeting with the daemon: it is reached or started, and told whose shim this is.

use std::ffi::OsString;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::errno::Errno;

use super::start;
use crate::link::control::{Control, Hello, Welcome, Why, WhyKind};
use crate::link::peer::check_user;
use crate::link::place::Place;
use crate::link::streams::{Streams, receive};

/// The pause before the next look for a daemon that is being started or ends.
const PAUSE: Duration = Duration::from_millis(5);

/// The longest answer to a hello, in bytes.
const LONGEST_ANSWER: usize = 64 * 1024;

/// The way to the daemon.
#[derive(Debug)]
pub struct Meeting {
    /// The place of its socket.
    pub place: Place,
    /// The path of the socket, if it was named.
    pub socket: Option<PathBuf>,
    /// The hello for it; `adopts` is set anew at each meeting.
    pub hello: Hello,
}

/// Why there is no daemon for this editor.
#[derive(Debug, thiserror::Error)]
pub enum NoDaemon {
    /// It does not let this process in, or does not serve this editor.
    #[error("{}", .0.message)]
    Refused(Why),
    /// It belongs to somebody else.
    #[error("the socket {0} belongs to another user")]
    Foreign(String),
    /// It does not answer in time.
    #[error("the daemon at {0} does not answer")]
    Silent(String),
    /// There is none, and none can be started.
    #[error("there is no daemon at {0}, and none could be started: {1}")]
    NotStarted(String, String),
    /// Its socket cannot be used.
    #[error("the socket {0} cannot be used: {1}")]
    Unusable(String, io::Error),
}

impl NoDaemon {
    /// The attempt itself has failed.
    pub(super) fn lost(error: &impl std::fmt::Display) -> NoDaemon {
        NoDaemon::NotStarted(String::new(), error.to_string())
    }
}

/// The result of one attempt.
enum Attempt {
    /// It is there.
    Welcome(Streams, Welcome),
    /// There is none.
    None,
    /// There is one that takes nobody at this moment.
    Busy,
}

impl Meeting {
    /// Meets the daemon, which is started if there is none, within this time. `adopted` is what a
    /// lost one has given to be kept.
    ///
    /// # Errors
    /// If there is no daemon for this editor.
    #[allow(clippy::disallowed_methods)] // a bound for blocking calls, before there is a clock
    pub fn meet(
        &self,
        within: Duration,
        adopted: &[String],
    ) -> Result<(Streams, Welcome), NoDaemon> {
        let until = Deadline(Instant::now() + within);
        let name = self.place.socket().display().to_string();
        let unusable = |error| NoDaemon::Unusable(name.clone(), error);
        loop {
            if until.left().is_err() {
                return Err(NoDaemon::Silent(name));
            }
            match self.attempt(until, adopted)? {
                Attempt::Welcome(streams, welcome) => return Ok((streams, welcome)),
                Attempt::Busy => sleep(PAUSE),
                Attempt::None => {
                    // One at a time: the others wait for that daemon.
                    let Some(_lock) = self.place.lock_start().map_err(unusable)? else {
                        sleep(PAUSE);
                        continue;
                    };
                    match self.attempt(until, adopted)? {
                        Attempt::Welcome(streams, welcome) => return Ok((streams, welcome)),
                        Attempt::Busy => sleep(PAUSE),
                        Attempt::None => {
                            let config = self.hello.config.clone().map(OsString::from);
                            let left = until.left().unwrap_or_default();
                            start::start(self.socket.as_deref(), config.as_deref(), left)
                                .map_err(|why| NoDaemon::NotStarted(name.clone(), why))?;
                        }
                    }
                }
            }
        }
    }

    fn attempt(&self, until: Deadline, adopted: &[String]) -> Result<Attempt, NoDaemon> {
        let name = || self.place.socket().display().to_string();
        let stream = match self.place.connect() {
            Ok(stream) => stream,
            Err(error) => match error.raw_os_error().map(Errno::from_raw) {
                Some(Errno::ENOENT | Errno::ECONNREFUSED) => return Ok(Attempt::None),
                // More connections wait for it than the system takes.
                Some(Errno::EAGAIN) => return Ok(Attempt::Busy),
                _ => return Err(NoDaemon::Unusable(name(), error)),
            },
        };
        if check_user(&stream).is_err() {
            return Err(NoDaemon::Foreign(name()));
        }
        let mut pipes = Vec::new();
        match self.greet(&stream, until, adopted, &mut pipes) {
            Ok(Some(Control::Welcome(welcome))) => {
                let streams = Streams::welcomed(stream, &welcome, pipes);
                let streams = streams.map_err(|error| NoDaemon::Unusable(name(), error))?;
                Ok(Attempt::Welcome(streams, welcome))
            }
            // It is about to end.
            Ok(Some(Control::Why(Why { kind: WhyKind::ShuttingDown, .. })) | None) => {
                Ok(Attempt::Busy)
            }
            Ok(Some(Control::Why(why))) => Err(NoDaemon::Refused(why)),
            Ok(Some(_)) => Err(NoDaemon::Silent(name())),
            Err(error) => match error.kind() {
                io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
                    Err(NoDaemon::Silent(name()))
                }
                _ => Ok(Attempt::Busy),
            },
        }
    }

    /// Says hello, and returns the first line of the daemon; `None`: it has ended the connection.
    /// Descriptors that come with the line are added to `pipes`.
    fn greet(
        &self,
        stream: &UnixStream,
        until: Deadline,
        adopted: &[String],
        pipes: &mut Vec<OwnedFd>,
    ) -> io::Result<Option<Control>> {
        let adopts = !adopted.is_empty();
        let hello = Control::Hello(Box::new(Hello { adopts, ..self.hello.clone() }));
        let mut lines = hello.whole_line();
        if adopts {
            lines.extend(Control::Adopt(adopted.to_vec()).whole_line());
        }
        // One that refuses the connection reads nothing, and has said why.
        let said = write_all(stream, &lines, until);
        let mut line = Vec::new();
        // The bytes behind the first line are ACP, and are read later.
        while line.len() < LONGEST_ANSWER {
            stream.set_read_timeout(Some(until.left()?))?;
            match receive(stream, pipes)? {
                None => break,
                Some(b'\n') => return Ok(Control::read(&line)),
                Some(byte) => line.push(byte),
            }
        }
        said.map(|()| None)
    }
}

/// The end of the time for a meeting.
#[derive(Clone, Copy)]
struct Deadline(Instant);

impl Deadline {
    /// The time that is left.
    ///
    /// # Errors
    /// If there is none.
    #[allow(clippy::disallowed_methods)] // a bound for blocking calls, before there is a clock
    fn left(self) -> io::Result<Duration> {
        let left = self.0.saturating_duration_since(Instant::now());
        if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(left) }
    }
}

/// Writes everything before the deadline, however slowly it is read.
fn write_all(mut stream: &UnixStream, mut bytes: &[u8], until: Deadline) -> io::Result<()> {
    while !bytes.is_empty() {
        stream.set_write_timeout(Some(until.left()?))?;
        match stream.write(bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => bytes = &bytes[written..],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
