//! The bridge's side of a keeper: its start, what it is told, what it reports.
//!
//! With a keeper the bridge signals nobody else: numbers of processes are the
//! keeper's business. The link between the two is the lifeline as well; whatever
//! ends the bridge closes it, and the keeper does the rest.

use std::ffi::OsString;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::process::{self, Command, Stdio};

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{self, Pid};
use tokio::io::Interest;
use tokio::sync::mpsc;

use super::child::Stdios;
use super::input::Input;
use super::stdio::watched;
use super::tree;
use crate::agent_environment::Variables;
use crate::bridge::{ChannelId, Config};
use crate::keeper::message::{Link, Need, Order, Received};
use crate::keeper::task::{Graces, Task};
use crate::keeper::{self, Image};
use crate::processes::Spare;

/// How keepers are started: the same for every agent.
#[derive(Debug)]
pub(super) struct KeeperStarter {
    image: Image,
    graces: Graces,
    spare: Spare,
}

impl KeeperStarter {
    /// If keepers are wanted and can be had.
    pub(super) fn wanted(is_wanted: bool, config: &Config, spare: &Spare) -> Option<KeeperStarter> {
        if !is_wanted {
            return None;
        }
        match Image::of_process() {
            Ok(image) => {
                Some(KeeperStarter { image, graces: graces(config), spare: spare.clone() })
            }
            Err(error) => {
                tell_refused(&error.to_string());
                None
            }
        }
    }

    /// Starts a keeper, which starts the agent and says what came of it.
    ///
    /// # Errors
    /// If there can be no keeper.
    pub(super) fn start(
        &self,
        command: &[OsString],
        environment: &Variables,
        cwd: &str,
        cookie: &str,
    ) -> io::Result<(Keeper, Stdios)> {
        let (link, its_link) = Link::pair()?;
        let number = its_link.as_raw_fd();
        let task = Task {
            link: number,
            graces: self.graces,
            spare: self.spare.clone(),
            cookie: (tree::COOKIE.to_owned(), cookie.to_owned()),
            cwd: cwd.into(),
            command: command.to_owned(),
        };
        #[allow(clippy::disallowed_methods)] // the one place that starts keepers
        let mut command = Command::new(self.image.path());
        command
            .arg0(std::ffi::OsStr::from_bytes(keeper::NAME.to_bytes()))
            .args(task.arguments())
            .env_clear()
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let prepare = move || {
            // Out of reach of whoever ends our group, before it can be.
            unistd::setsid()?;
            fcntl(its_link.descriptor(), FcntlArg::F_SETFD(FdFlag::empty()))?;
            Ok(())
        };
        // SAFETY: between fork and exec only two system calls are made, both of
        // which are async-signal-safe; nothing is allocated.
        #[allow(unsafe_code)] // the standard library has no safe way to pass a descriptor
        unsafe {
            command.pre_exec(prepare);
        }
        let mut process = command.spawn()?;
        let stdios = Stdios::of(&mut process)?;
        Ok((Keeper { process, link, cookie: cookie.to_owned() }, stdios))
    }
}

/// The graces of a keeper that is left alone.
fn graces(config: &Config) -> Graces {
    Graces::fitted(
        config.agent.stdin_grace.millis(),
        config.agent.term_grace.millis(),
        config.limits.shutdown_timeout,
    )
}

/// A keeper that was started.
#[derive(Debug)]
pub(super) struct Keeper {
    process: process::Child,
    link: Link,
    cookie: String,
}

impl Keeper {
    /// The keeper's process id.
    pub(super) fn pid(&self) -> u32 {
        self.process.id()
    }

    /// What the agent's descendants carry in their environment.
    pub(super) fn cookie(&self) -> &str {
        &self.cookie
    }

    pub(super) fn order(&mut self, order: Order) {
        self.link.order(order);
        self.wake();
    }

    /// A keeper that somebody has stopped would hear nothing. As long as it is not
    /// reaped its number is its own.
    fn wake(&mut self) {
        if !self.try_reap() {
            let _ = kill(Pid::from_raw(self.process.id().cast_signed()), Signal::SIGCONT);
        }
    }

    /// Tells the loop what the keeper reports, and at last that it is gone.
    pub(super) fn reports(
        &self,
        channel: ChannelId,
        to_loop: mpsc::UnboundedSender<Input>,
    ) -> io::Result<impl Future<Output = ()> + use<>> {
        let link = watched(self.link.again()?, Interest::READABLE)?;
        Ok(async move {
            while let Ok(mut guard) = link.readable().await {
                match link.get_ref().hear_report() {
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

    /// Closes the link: whatever is still to be done, the keeper does. Its
    /// process is left to be reaped.
    pub(super) fn let_go(mut self) -> process::Child {
        self.wake();
        self.process
    }

    /// Reaps the keeper if it has ended. `true`: it is reaped.
    pub(super) fn try_reap(&mut self) -> bool {
        !matches!(self.process.try_wait(), Ok(None))
    }
}

/// Warns that agents are not kept.
pub(super) fn tell_refused(why: &str) {
    tracing::warn!("agents run without keepers from now on: {why}");
}

/// What a keeper misses, in words.
pub(super) fn missing(need: Need, errno: i32) -> String {
    match errno {
        0 => need.words().to_owned(),
        _ => format!("{}: {}", need.words(), io::Error::from_raw_os_error(errno)),
    }
}
