//! The process that has started this one: its end may be the only sign that the editor is
//! gone, where another process holds the other ends of the bridge's stdio.
//!
//! Not by `PR_SET_PDEATHSIG`, which fires when the thread that forked ends.

use std::future::pending;
#[cfg(target_os = "linux")]
use std::os::fd::OwnedFd;
use std::time::Duration;

use nix::unistd::{Pid, getppid};
#[cfg(target_os = "linux")]
use rustix::process::{PidfdFlags, pidfd_open};
#[cfg(target_os = "linux")]
use tokio::io::Interest;
#[cfg(target_os = "linux")]
use tokio::io::unix::AsyncFd;
use tokio::sync::mpsc;

use super::input::Input;
#[cfg(target_os = "linux")]
use super::stdio::watched;
use crate::bridge::ClientId;

/// The interval of the looks at the parent where its end cannot be waited for.
const BETWEEN_LOOKS: Duration = Duration::from_secs(60);

/// A task that tells the loop when the process is gone that has started this one, as the
/// parent of `client`.
pub(super) fn watch(
    client: ClientId,
    to_loop: mpsc::UnboundedSender<Input>,
) -> impl Future<Output = ()> {
    let gone = gone();
    async move {
        gone.await;
        let _ = to_loop.send(Input::ParentGone(client));
    }
}

/// Waits until the process is gone that has started this one. Without a parent that can be
/// watched it waits for ever.
pub(crate) fn gone() -> impl Future<Output = ()> {
    let parent = getppid();
    // Opened before the process is asked again: its id may be given away meanwhile.
    let end = End::of(parent);
    async move {
        // The first process of a container or of the machine is no parent that could leave:
        // it adopts orphans.
        if parent.as_raw() <= 1 {
            pending::<()>().await;
        }
        while getppid() == parent {
            end.wait().await;
        }
    }
}

/// The way in which the end of a process is noticed.
enum End {
    /// By a descriptor of the process.
    #[cfg(target_os = "linux")]
    Watched(AsyncFd<OwnedFd>),
    /// By a look from time to time.
    LookedFor,
}

impl End {
    #[cfg(target_os = "linux")]
    fn of(process: Pid) -> End {
        let opened = rustix::process::Pid::from_raw(process.as_raw())
            .and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok())
            .and_then(|fd| watched(fd, Interest::READABLE).ok());
        opened.map_or(End::LookedFor, End::Watched)
    }

    #[cfg(not(target_os = "linux"))]
    fn of(_: Pid) -> End {
        End::LookedFor
    }

    async fn wait(&self) {
        #[cfg(target_os = "linux")]
        if let End::Watched(fd) = self
            && let Ok(mut ready) = fd.readable().await
        {
            return ready.clear_ready();
        }
        tokio::time::sleep(BETWEEN_LOOKS).await;
    }
}
