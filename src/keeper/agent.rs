//! The start of the agent, with the stdio that the bridge has made for it.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use nix::errno::Errno;
use nix::sys::prctl;
use nix::sys::signal::{SigSet, Signal};
use nix::unistd::{self, Pid};

use super::message::{Report, StartFault};
use super::task::Task;
use crate::own_process;

/// Starts the agent in a session of its own. `mask` is the signal mask that it
/// gets: the keeper's own blocks the signals that the keeper waits for.
pub(super) fn start(task: &Task, mask: SigSet) -> Result<Pid, Report> {
    if !Path::new(&task.cwd).is_dir() {
        return Err(Report::Failed(StartFault::Directory, Errno::ENOENT as i32));
    }
    let (name, arguments) = task.name_and_arguments();
    #[allow(clippy::disallowed_methods)] // what a keeper is for
    let mut command = Command::new(&task.program);
    command
        .arg0(name)
        .args(arguments)
        .current_dir(&task.cwd)
        .env("PWD", &task.cwd)
        .env(&task.cookie.0, &task.cookie.1);
    let keeper = unistd::getpid();
    let prepare = move || {
        unistd::setsid()?;
        // SIGKILL at once: a dead keeper cannot follow SIGTERM with a second signal.
        prctl::set_pdeathsig(Signal::SIGKILL)?;
        if unistd::getppid() != keeper {
            return Err(Errno::ESRCH.into());
        }
        mask.thread_set_mask()?;
        Ok(())
    };
    // SAFETY: between fork and exec only system calls are made, all of which are
    // async-signal-safe; nothing is allocated.
    #[allow(unsafe_code)] // the standard library has no safe way to call setsid
    unsafe {
        command.pre_exec(prepare);
    }
    let started = command.spawn().map_err(|error| {
        let errno = error.raw_os_error().unwrap_or(Errno::EINVAL as i32);
        Report::Failed(StartFault::Program, errno)
    })?;
    Ok(Pid::from_raw(started.id().cast_signed()))
}

/// Puts `/dev/null` in place of the agent's stdio, so that the keeper keeps none of
/// the pipes open when the agent closes its ends.
pub(super) fn let_go_of_stdio() {
    if own_process::let_go_of_stdio().is_err() {
        close_stdio();
    }
}

/// Closes the agent's stdio, where there is no `/dev/null` to put in its place.
fn close_stdio() {
    for number in 0..3 {
        let _ = unistd::close(number);
    }
}
