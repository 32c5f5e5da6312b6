//! An agent process without a keeper: its start, its signals, its end.
//!
//! It is used where the system has no keepers, or none are wanted.
//!
//! The agent runs in a session (and so a group) of its own: a tool that opens
//! the terminal fails at once, and the whole group can be signalled. A group is
//! signalled only before its leader is reaped, or directly after that: the system
//! uses process ids again.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{self, Command, Stdio};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use super::tree;
use crate::agent_environment::{COOKIE, Variables};
use crate::bridge::ExitStatus;
use crate::processes::Spare;

/// An agent that was started as a child of the bridge.
#[derive(Debug)]
pub(super) struct Child {
    process: process::Child,
    group: Pid,
    cookie: String,
    spare: Spare,
    is_reaped: bool,
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
    pub(super) fn spawn(
        program: &Path,
        command: &[OsString],
        environment: &Variables,
        cwd: &str,
        cookie: String,
        spare: Spare,
    ) -> Result<(Child, Stdios), String> {
        let Some((name, arguments)) = command.split_first() else {
            return Err("no command was given".to_owned());
        };
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
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .env("PWD", cwd)
            .env(COOKIE, &cookie)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        lead_a_session(&mut command);
        let mut process = command.spawn().map_err(|error| not_started(name, &error))?;
        let stdios = Stdios::of(&mut process).map_err(|error| error.to_string())?;
        let group = Pid::from_raw(i32::try_from(process.id()).unwrap_or(i32::MAX));
        Ok((Child { process, group, cookie, spare, is_reaped: false }, stdios))
    }

    /// Its process id, which is also the id of its group.
    pub(super) fn pid(&self) -> u32 {
        self.process.id()
    }

    /// The cookie in the environment of the agent and its descendants.
    pub(super) fn cookie(&self) -> &str {
        &self.cookie
    }

    /// SIGTERM to its group.
    pub(super) fn terminate(&self) {
        self.signal(Signal::SIGTERM);
    }

    /// SIGKILL to its group.
    pub(super) fn kill(&self) {
        self.signal(Signal::SIGKILL);
    }

    fn signal(&self, signal: Signal) {
        if !self.is_reaped {
            // It fails if the group is gone, which is as good.
            let _ = killpg(self.group, signal);
        }
    }

    /// Reaps the process if it has ended, and sends SIGKILL to the rest of its group.
    /// `None`: it still runs, or was reaped before.
    pub(super) fn try_reap(&mut self) -> Option<ExitStatus> {
        if self.is_reaped {
            return None;
        }
        let status = self.end()?;
        self.is_reaped = true;
        Some(match (status.code(), status.signal()) {
            (Some(code), _) => ExitStatus::Code(code),
            (None, Some(signal)) => ExitStatus::Signal(signal),
            (None, None) => ExitStatus::Unknown,
        })
    }

    /// If the process has ended, kills its group and then reaps the process: until
    /// then the system does not use its id again.
    #[cfg(target_os = "linux")]
    fn end(&mut self) -> Option<process::ExitStatus> {
        use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
        let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT | WaitPidFlag::WNOHANG;
        if matches!(waitid(Id::Pid(self.group), flags), Ok(WaitStatus::StillAlive)) {
            return None;
        }
        self.kill();
        self.process.try_wait().ok()?
    }

    /// If the process has ended, reaps it and kills its group at once: the system does
    /// not use its id again so soon.
    #[cfg(not(target_os = "linux"))]
    fn end(&mut self) -> Option<process::ExitStatus> {
        let status = self.process.try_wait().ok()??;
        self.kill();
        Some(status)
    }
}

impl Drop for Child {
    /// Ends the whole tree if the agent is not reaped, such as after a panic.
    fn drop(&mut self) {
        if !self.is_reaped {
            self.kill();
            tree::sweep(&self.cookie, &self.spare, BTreeSet::new());
        }
    }
}

/// Makes the process lead a new process session (`setsid`), and on Linux get SIGTERM when
/// the bridge dies.
fn lead_a_session(command: &mut Command) {
    let prepare = || {
        nix::unistd::setsid()?;
        #[cfg(target_os = "linux")]
        nix::sys::prctl::set_pdeathsig(Signal::SIGTERM)?;
        Ok(())
    };
    // SAFETY: between fork and exec only two system calls are made, both of
    // which are async-signal-safe; nothing is allocated.
    #[allow(unsafe_code)] // the standard library has no safe way to call setsid
    unsafe {
        command.pre_exec(prepare);
    }
}

/// The message that an agent's working directory does not exist.
pub(super) fn no_directory(cwd: &str) -> String {
    let beginning = cwd.chars().take(200);
    let rest = if cwd.chars().nth(200).is_some() { "…" } else { "" };
    // A person must find the name again, and a log line must stay one line.
    let shown: String = beginning
        .map(|char| if char.is_control() { char::REPLACEMENT_CHARACTER } else { char })
        .collect();
    format!("the working directory {shown}{rest} does not exist")
}

/// The message that says why an agent's program cannot be run.
pub(super) fn not_started(program: &OsStr, error: &io::Error) -> String {
    let program = program.to_string_lossy();
    match error.kind() {
        io::ErrorKind::NotFound => format!("the command `{program}` was not found"),
        io::ErrorKind::PermissionDenied => format!("the command `{program}` may not be executed"),
        _ => format!("`{program}`: {error}"),
    }
}
