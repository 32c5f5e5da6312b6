//! The keeper: a process of ours between the bridge and one agent, so that the
//! agent's whole tree ends, whatever happens to the bridge.
//!
//! The keeper is this same program under another name; `main` turns to it before
//! it reads arguments or starts a runtime. The keeper lives in a session of its
//! own, so a signal to the bridge's process group does not reach it; it adopts
//! every orphan of the agent's tree; it holds no end of the agent's stdio. It does
//! not know what a message is.
//!
//! Bridge and keeper share one lifeline ([`message::Lifeline`]). While that is open,
//! the bridge says when to end the agent. When it breaks, or when the keeper gets
//! SIGTERM, SIGINT or SIGHUP, the keeper goes down the stop ladder by itself. It
//! has one thread, which wakes up only for a signal, an order, or its next rung.

mod agent;
mod descendants;
pub mod message;
mod obituary;
pub mod task;
mod watch;

use std::env;
use std::ffi::{CStr, OsStr, OsString};
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::process::ExitCode;

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::prctl;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

use self::message::{Lifeline, Need, Report};
use self::task::Task;
use self::watch::Watch;
use crate::own_process;

/// The name of a keeper: its `argv[0]`, by which the program knows that it is a
/// keeper, and its name in the process table.
pub const NAME: &CStr = c"channel-keeper";

/// The exit code of a keeper that was not started by a bridge, but by hand.
const NOT_BY_HAND: u8 = 2;

/// The first descriptor after those of stdio.
const FIRST: RawFd = 3;

/// The signals that a keeper waits for.
const SIGNALS: [Signal; 4] = [Signal::SIGCHLD, Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP];

/// The executable of this process, held open. Keepers are started from it, since
/// the file at its path may be replaced or removed while the bridge runs.
#[derive(Debug)]
pub struct Image(File);

impl Image {
    /// Opens the image of this process.
    ///
    /// # Errors
    /// If `/proc/self/exe` cannot be opened.
    pub fn of_process() -> io::Result<Image> {
        File::open("/proc/self/exe").map(Image)
    }

    /// The path of the image for a forked child; it leads nowhere after the exec.
    pub fn path(&self) -> PathBuf {
        format!("/proc/self/fd/{}", self.0.as_raw_fd()).into()
    }
}

/// Whether this process was started as a keeper.
pub fn is_called() -> bool {
    env::args_os().next().is_some_and(|name| name == OsStr::from_bytes(NAME.to_bytes()))
}

/// Runs the keeper, from its arguments to its exit.
pub fn main() -> ExitCode {
    own_process::fit();
    // Until now the name is the number of the descriptor that was executed.
    let _ = prctl::set_name(NAME);
    let Some(task) = Task::read(env::args_os().skip(1)) else {
        return ExitCode::from(NOT_BY_HAND);
    };
    let Ok((lifeline, trees)) = adopt(task.lifeline, task.trees) else {
        return ExitCode::from(NOT_BY_HAND);
    };
    if let Err(report) = keep(&task, &lifeline, trees) {
        lifeline.report(&report);
    }
    ExitCode::SUCCESS
}

/// Starts the agent and stays until nothing is left of its tree. An error is the
/// report that says why the agent was not started.
fn keep(task: &Task, lifeline: &Lifeline, trees: Option<OwnedFd>) -> Result<(), Report> {
    let refused = |need| move |error: nix::Error| Report::Refused(need, error as i32);
    let mut awaited = SigSet::empty();
    SIGNALS.into_iter().for_each(|signal| awaited.add(signal));
    let before = awaited
        .thread_swap_mask(nix::sys::signal::SigmaskHow::SIG_BLOCK)
        .map_err(refused(Need::Signals))?;
    let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
    let signals = SignalFd::with_flags(&awaited, flags).map_err(refused(Need::Signals))?;
    prctl::set_child_subreaper(true).map_err(refused(Need::Orphans))?;
    if fs::metadata("/proc/self/stat").is_err() {
        return Err(Report::Refused(Need::Table, 0));
    }
    let agent = agent::start(task, before)?;
    agent::let_go_of_stdio();
    // A working directory keeps its file system from being unmounted.
    let _ = env::set_current_dir("/");
    lifeline.report(&Report::Started(agent.as_raw().cast_unsigned()));
    own_process::release_file_pages();
    Watch::new(lifeline, trees, signals, agent, task).run();
    Ok(())
}

/// Takes over the keeper's end of the lifeline and the lock of the process trees, which must not
/// reach the agent. Closes all other inherited descriptors but those of stdio: they belong to the
/// program that started the bridge.
fn adopt(lifeline: RawFd, trees: Option<RawFd>) -> io::Result<(Lifeline, Option<OwnedFd>)> {
    let inherited = inherited()?;
    let is_given = |number: RawFd| number >= FIRST && inherited.contains(&number);
    if !is_given(lifeline) || !trees.is_none_or(is_given) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    for number in inherited {
        if number >= FIRST && number != lifeline && Some(number) != trees {
            let _ = nix::unistd::close(number);
        }
    }
    Ok((Lifeline::of(own(lifeline)?), trees.map(own).transpose()?))
}

/// Takes over a descriptor that the bridge has opened for this process.
fn own(number: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: the descriptor is open, and the bridge has opened it for us; nothing else in this
    // process knows of it.
    #[allow(unsafe_code)] // an inherited descriptor has no owner yet
    let fd = unsafe { OwnedFd::from_raw_fd(number) };
    fcntl(&fd, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
    Ok(fd)
}

/// The numbers of all open descriptors.
fn inherited() -> io::Result<Vec<RawFd>> {
    let number = |name: OsString| name.to_str()?.parse().ok();
    let entries = fs::read_dir("/proc/self/fd")?;
    // The descriptor of the directory itself is listed, too, but closed on return.
    Ok(entries.filter_map(|entry| number(entry.ok()?.file_name())).collect())
}
