//! The changes of files that end a daemon, or make it bind its socket again: they are told by the
//! system, so that an idle daemon does not wake up.

use std::fs;
use std::future::pending;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use tokio::io::unix::AsyncFd;

/// The watch over the directories of the socket and of this program.
pub(super) struct Watch {
    /// `None`: the system does not tell changes.
    changes: Option<AsyncFd<OwnedFd>>,
    program: Option<Program>,
}

/// The program that this process runs, as a file.
struct Program {
    path: PathBuf,
    identity: (u64, u64),
}

impl Watch {
    /// Watches the directory of the socket, and that of this program.
    pub(super) fn of(socket: &Path) -> Watch {
        let program = Program::own();
        let own = program.as_ref().and_then(|own| own.path.parent());
        let changes = told::changes(&[Some(socket), own])
            .inspect_err(|error| tracing::warn!("files cannot be watched: {error}"));
        Watch { changes: changes.ok(), program }
    }

    /// Waits for the next change.
    pub(super) async fn changed(&self) {
        let Some(changes) = &self.changes else { return pending().await };
        if let Ok(mut ready) = changes.readable().await {
            told::forget(changes.get_ref());
            ready.clear_ready();
        }
    }

    /// Whether another program has taken the place of this one, or it was removed.
    pub(super) fn is_program_replaced(&self) -> bool {
        self.program.as_ref().is_some_and(|own| identity(&own.path) != Some(own.identity))
    }
}

impl Program {
    /// `None`: it is not known.
    fn own() -> Option<Program> {
        let path = fs::read_link("/proc/self/exe").ok()?;
        let identity = identity(Path::new("/proc/self/exe"))?;
        Some(Program { path, identity })
    }
}

fn identity(path: &Path) -> Option<(u64, u64)> {
    fs::metadata(path).ok().map(|found| (found.dev(), found.ino()))
}

#[cfg(target_os = "linux")]
mod told {
    use std::io;
    use std::os::fd::OwnedFd;
    use std::path::Path;

    use rustix::fs::inotify::{CreateFlags, WatchFlags, add_watch, init};
    use rustix::io::read;
    use tokio::io::Interest;
    use tokio::io::unix::AsyncFd;

    use crate::runtime::stdio::watched;

    /// The changes of a directory that may concern a file in it.
    const CHANGES: WatchFlags = WatchFlags::CREATE
        .union(WatchFlags::DELETE)
        .union(WatchFlags::MOVED_FROM)
        .union(WatchFlags::MOVED_TO)
        .union(WatchFlags::DELETE_SELF)
        .union(WatchFlags::MOVE_SELF);

    /// The room for the news of one read, in bytes.
    const NEWS: usize = 4096;

    /// A descriptor that is ready when one of these directories has changed.
    pub(super) fn changes(directories: &[Option<&Path>]) -> io::Result<AsyncFd<OwnedFd>> {
        let changes = init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
        for directory in directories.iter().flatten() {
            add_watch(&changes, *directory, CHANGES)?;
        }
        watched(changes, Interest::READABLE)
    }

    /// Forgets what has changed: it is looked at anew.
    pub(super) fn forget(changes: &OwnedFd) {
        let mut news = [0; NEWS];
        while read(changes, &mut news).is_ok_and(|length| length > 0) {}
    }
}

#[cfg(not(target_os = "linux"))]
mod told {
    use std::io;
    use std::os::fd::OwnedFd;
    use std::path::Path;

    use tokio::io::unix::AsyncFd;

    pub(super) fn changes(_: &[Option<&Path>]) -> io::Result<AsyncFd<OwnedFd>> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(super) fn forget(_: &OwnedFd) {}
}
