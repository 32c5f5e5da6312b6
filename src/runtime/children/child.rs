//! An agent process without a keeper: its start, its signals, its end.
//!
//! It is used where the system has no keepers, or none are wanted.
//!
//! The agent runs in a session (and so a group) of its own: a tool that opens
//! the terminal fails at once, and the whole group can be signalled. A group is
//! signalled only before its leader is reaped, or directly after that: the system
//! uses process ids again.

use std::collections::BTreeSet;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
#[cfg(not(target_os = "linux"))]
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{self, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use super::start::Start;
use super::start_fault::{no_directory, not_started};
use super::tree::CookieSweep;
use crate::agent_environment::COOKIE;
use crate::bridge::ExitStatus;
use crate::processes::Spare;
#[cfg(target_os = "linux")]
use crate::processes::dead::{End, end_of};

/// An agent that was started as a child of the bridge.
#[derive(Debug)]
pub(super) struct Child {
    process: process::Child,
    group: Pid,
    cookie: String,
    spare: Spare,
    state: ChildState,
}

/// How far an agent's process is on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum ChildState {
    /// No signal was sent to it.
    Running,
    /// Its group got SIGTERM.
    Terminated,
    /// It has ended, and is not reaped.
    Ended,
    /// It is reaped: its id may be that of another process.
    Reaped,
}

/// The bridge's ends of an agent's stdio.
#[derive(Debug)]
pub(super) struct Stdios {
    pub(super) stdin: OwnedFd,
    pub(super) stdout: OwnedFd,
    pub(super) stderr: OwnedFd,
}

impl Stdios {
    /// Takes the bridge's ends of the pipes that a child was started with.
    pub(super) fn of(process: &mut process::Child) -> io::Result<Stdios> {
        match (process.stdin.take(), process.stdout.take(), process.stderr.take()) {
            (Some(stdin), Some(stdout), Some(stderr)) => {
                Ok(Stdios { stdin: stdin.into(), stdout: stdout.into(), stderr: stderr.into() })
            }
            _ => Err(io::Error::other("its pipes are missing")),
        }
    }
}

impl Child {
    /// Starts the agent.
    ///
    /// # Errors
    /// The system's message, with the program or the directory that it is about.
    pub(super) fn spawn(program: &Path, start: &Start) -> Result<(Child, Stdios), String> {
        let Some((name, arguments)) = start.agent.command.split_first() else {
            return Err("no command was given".to_owned());
        };
        let (cwd, cookie) = (start.cwd.as_os_str(), start.cookie.clone());
        if !Path::new(cwd).is_dir() {
            return Err(no_directory(cwd));
        }
        #[allow(clippy::disallowed_methods)] // where agents are started without a keeper
        let mut command = Command::new(program);
        command
            .arg0(name)
            .args(arguments)
            .current_dir(cwd)
            .env_clear()
            .envs(start.environment())
            .env("PWD", cwd)
            .env(COOKIE, &cookie)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        lead_a_session(&mut command, start.preparation());
        let mut process =
            command.spawn().map_err(|error| not_started(name, Some(program), &error))?;
        let stdios = Stdios::of(&mut process).map_err(|error| error.to_string())?;
        let group = Pid::from_raw(i32::try_from(process.id()).unwrap_or(i32::MAX));
        let spare = start.agent.spare.clone();
        Ok((Child { process, group, cookie, spare, state: ChildState::Running }, stdios))
    }

    /// Its process id, which is also the id of its group.
    pub(super) fn pid(&self) -> u32 {
        self.process.id()
    }

    /// The cookie in the environment of the agent and its descendants.
    pub(super) fn cookie(&self) -> &str {
        &self.cookie
    }

    /// SIGTERM to its group, once.
    pub(super) fn terminate(&mut self) {
        if self.state == ChildState::Running {
            self.signal(Signal::SIGTERM);
            self.state = ChildState::Terminated;
        }
    }

    /// SIGKILL to its group.
    pub(super) fn kill(&self) {
        self.signal(Signal::SIGKILL);
    }

    fn signal(&self, signal: Signal) {
        if self.state != ChildState::Reaped {
            // It fails if the group is gone, which is as good.
            let _ = killpg(self.group, signal);
        }
    }

    /// If the process has ended since the last call, returns how. The rest of its group gets
    /// SIGTERM, if the group got none before. The process is not reaped: until then the system
    /// does not use its id again, and [`Child::reap`] may signal the group.
    #[cfg(target_os = "linux")]
    pub(super) fn ended(&mut self) -> Option<ExitStatus> {
        if self.state >= ChildState::Ended {
            return None;
        }
        let end = end_of(self.group)?;
        self.terminate();
        self.state = ChildState::Ended;
        Some(match end {
            End::Code(code) => ExitStatus::Code(code),
            End::Signal(signal) => ExitStatus::Signal(signal),
        })
    }

    /// If the process has ended since the last call, reaps it, kills the rest of its group at
    /// once, since the system does not use its id again so soon, and returns how it ended.
    #[cfg(not(target_os = "linux"))]
    pub(super) fn ended(&mut self) -> Option<ExitStatus> {
        if self.state >= ChildState::Ended {
            return None;
        }
        let status = self.process.try_wait().ok()??;
        self.kill();
        self.state = ChildState::Reaped;
        Some(match (status.code(), status.signal()) {
            (Some(code), _) => ExitStatus::Code(code),
            (None, Some(signal)) => ExitStatus::Signal(signal),
            (None, None) => ExitStatus::Unknown,
        })
    }

    /// Sends SIGKILL to the rest of the group, and reaps the process, if it has ended.
    pub(super) fn reap(&mut self) {
        if self.state == ChildState::Ended {
            self.kill();
            let _ = self.process.try_wait();
            self.state = ChildState::Reaped;
        }
    }
}

impl Drop for Child {
    /// Ends the whole tree if its sweep has not come to its end: at the bound of a shutdown, or
    /// after a panic.
    fn drop(&mut self) {
        if self.state < ChildState::Reaped {
            self.kill();
            let sweep = CookieSweep {
                cookie: &self.cookie,
                spare: &self.spare,
                terminated: None,
                grace: Duration::ZERO,
            };
            sweep.run(BTreeSet::new());
        }
        self.reap();
    }
}

/// Makes the process lead a new process session (`setsid`), and on Linux get SIGTERM when
/// the bridge dies, after further preparation.
fn lead_a_session(
    command: &mut Command,
    prepare_more: impl Fn() -> io::Result<()> + Send + Sync + 'static,
) {
    let prepare = move || {
        nix::unistd::setsid()?;
        prepare_more()?;
        #[cfg(target_os = "linux")]
        nix::sys::prctl::set_pdeathsig(Signal::SIGTERM)?;
        Ok(())
    };
    // SAFETY: between fork and exec only system calls are made, all of
    // which are async-signal-safe; nothing is allocated.
    #[allow(unsafe_code)] // the standard library has no safe way to call setsid
    unsafe {
        command.pre_exec(prepare);
    }
}
