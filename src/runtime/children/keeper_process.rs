//! The bridge's side of a keeper: its start, its orders, its reports.
//!
//! Where there is a keeper, the bridge signals no process of the agent's tree: only
//! the keeper can know that a process id is not used again. The end of the bridge,
//! however it comes, closes the lifeline, and the keeper ends the tree by itself.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{self, Command, Stdio};

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{self, Pid};
use tokio::io::Interest;
use tokio::sync::mpsc;

use super::child::Stdios;
use super::start::Start;
use crate::agent_environment::COOKIE;
use crate::bridge::{AgentConfig, ChannelId};
use crate::keeper::message::{Lifeline, Need, Order, Received};
use crate::keeper::task::{Graces, Task};
use crate::keeper::{self, Image};
use crate::logs::LogPlace;
use crate::runtime::input::Input;
use crate::runtime::stdio::watched;

/// The settings for the start of keepers, the same for every agent.
#[derive(Debug)]
pub(in crate::runtime) struct KeeperStarter {
    image: Image,
    /// The bound of a shutdown (ms).
    shutdown_timeout: u64,
    log: Option<LogPlace>,
    /// The lock of the daemon's process trees, which keepers inherit.
    trees: Option<File>,
}

impl KeeperStarter {
    /// Prepares to start keepers. `None`: they are not wanted, or the executable of this
    /// process cannot be opened (WARN).
    pub(in crate::runtime) fn wanted(
        is_wanted: bool,
        shutdown_timeout: u64,
        log: Option<LogPlace>,
        trees: Option<File>,
    ) -> Option<KeeperStarter> {
        if !is_wanted {
            return None;
        }
        match Image::of_process() {
            Ok(image) => Some(KeeperStarter { image, shutdown_timeout, log, trees }),
            Err(error) => {
                tell_refused(&error.to_string());
                None
            }
        }
    }

    /// Starts a keeper, which starts the agent and reports whether that succeeded.
    ///
    /// # Errors
    /// If the keeper cannot be started.
    pub(super) fn start(&self, program: &Path, start: &Start) -> io::Result<(Keeper, Stdios)> {
        let (lifeline, its_lifeline) = Lifeline::pair()?;
        let number = its_lifeline.as_raw_fd();
        let task = Task {
            lifeline: number,
            trees: self.trees.as_ref().map(File::as_raw_fd),
            graces: self.graces(&start.agent.config),
            spare: start.agent.spare.clone(),
            cookie: (COOKIE.to_owned(), start.cookie.clone()),
            cwd: start.cwd.clone(),
            program: program.into(),
            command: start.agent.command.clone(),
            bridge: process::id(),
            log: self.log.clone(),
        };
        #[allow(clippy::disallowed_methods)] // the one place that starts keepers
        let mut command = Command::new(self.image.path());
        command
            .arg0(OsStr::from_bytes(keeper::NAME.to_bytes()))
            .args(task.arguments())
            .env_clear()
            .envs(start.environment())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let (prepare_more, trees) = (start.preparation(), task.trees);
        let prepare = move || {
            // In a session of its own before a signal to the bridge's group can reach it.
            unistd::setsid()?;
            fcntl(its_lifeline.descriptor(), FcntlArg::F_SETFD(FdFlag::empty()))?;
            if let Some(trees) = trees {
                // SAFETY: the descriptor is open for as long as the bridge has keepers to start.
                #[allow(unsafe_code)] // the flag of a descriptor that this process owns
                let trees = unsafe { BorrowedFd::borrow_raw(trees) };
                fcntl(trees, FcntlArg::F_SETFD(FdFlag::empty()))?;
            }
            prepare_more()?;
            Ok(())
        };
        // SAFETY: between fork and exec only system calls are made, all of which are
        // async-signal-safe; nothing is allocated.
        #[allow(unsafe_code)] // the standard library has no safe way to pass a descriptor
        unsafe {
            command.pre_exec(prepare);
        }
        let mut process = command.spawn()?;
        let stdios = Stdios::of(&mut process)?;
        Ok((Keeper { process, lifeline, cookie: start.cookie.clone() }, stdios))
    }

    /// The graces of a keeper whose bridge is gone.
    fn graces(&self, agent: &AgentConfig) -> Graces {
        let (stdin, term) = (agent.stdin_grace.millis(), agent.term_grace.millis());
        Graces::fitted(stdin, term, self.shutdown_timeout)
    }
}

/// The process of a keeper, and the bridge's end of its lifeline.
#[derive(Debug)]
pub(super) struct Keeper {
    process: process::Child,
    lifeline: Lifeline,
    cookie: String,
}

impl Keeper {
    /// The keeper's process id.
    pub(super) fn pid(&self) -> u32 {
        self.process.id()
    }

    /// The cookie in the environment of the agent and its descendants.
    pub(super) fn cookie(&self) -> &str {
        &self.cookie
    }

    pub(super) fn order(&mut self, order: Order) {
        self.lifeline.order(order);
        self.wake();
    }

    /// Sends SIGCONT to the keeper, since a stopped keeper (SIGSTOP) reads no orders.
    /// Until it is reaped, the system does not use its process id again.
    fn wake(&mut self) {
        if !self.try_reap() {
            let _ = kill(Pid::from_raw(self.process.id().cast_signed()), Signal::SIGCONT);
        }
    }

    /// A task that sends the keeper's reports to the loop, and at their end `None`.
    pub(super) fn reports(
        &self,
        channel: ChannelId,
        to_loop: mpsc::UnboundedSender<Input>,
    ) -> io::Result<impl Future<Output = ()> + use<>> {
        let lifeline = watched(self.lifeline.again()?, Interest::READABLE)?;
        Ok(async move {
            while let Ok(mut guard) = lifeline.readable().await {
                match lifeline.get_ref().hear_report() {
                    Received::Message(report) => {
                        let _ = to_loop.send(Input::FromKeeper(channel, Some(report)));
                    }
                    Received::Nothing => guard.clear_ready(),
                    Received::End => break,
                }
            }
            let _ = to_loop.send(Input::FromKeeper(channel, None));
        })
    }

    /// Closes the lifeline, so that the keeper goes on by itself, and returns its
    /// process, which is still to be reaped.
    pub(super) fn let_go(mut self) -> process::Child {
        self.wake();
        self.process
    }

    /// Reaps the keeper if it has ended. `false`: it still runs.
    pub(super) fn try_reap(&mut self) -> bool {
        !matches!(self.process.try_wait(), Ok(None))
    }
}

/// Warns that agents run without keepers, and why.
pub(super) fn tell_refused(why: &str) {
    tracing::warn!("agents run without keepers from now on: {why}");
}

/// The message that the system refuses what a keeper needs; `errno` 0: none is known.
pub(super) fn missing(need: Need, errno: i32) -> String {
    match errno {
        0 => need.words().to_owned(),
        _ => format!("{}: {}", need.words(), io::Error::from_raw_os_error(errno)),
    }
}
