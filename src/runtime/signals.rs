//! The signals that the bridge listens to.

use std::future::pending;
use std::io;

use nix::sys::signal::SigSet;
use nix::sys::signal::Signal::{SIGCHLD, SIGHUP, SIGINT, SIGTERM};
use tokio::signal::unix::{self, SignalKind};
use tokio::sync::mpsc;

use crate::own_process::is_ignored;

/// The meaning of a signal for the bridge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signal {
    /// The signal of this name, SIGTERM, SIGINT or SIGHUP: the bridge is asked to end.
    End(&'static str),
    /// SIGCHLD: a child may have ended.
    ChildEnded,
}

/// The streams of all awaited signals.
pub(super) struct Signals {
    terminate: unix::Signal,
    interrupt: unix::Signal,
    /// `None`: SIGHUP was ignored when the bridge was started, as under `nohup`, and stays so.
    hang_up: Option<unix::Signal>,
    child: unix::Signal,
}

impl Signals {
    /// Begins to listen, and unblocks the signals: the parent process may have blocked
    /// them, and both the bridge and its agents would inherit that.
    pub(super) fn new() -> io::Result<Signals> {
        let mut awaited = SigSet::empty();
        for signal in [SIGTERM, SIGINT, SIGHUP, SIGCHLD] {
            awaited.add(signal);
        }
        awaited.thread_unblock()?;
        Ok(Signals {
            terminate: unix::signal(SignalKind::terminate())?,
            interrupt: unix::signal(SignalKind::interrupt())?,
            hang_up: if is_ignored(SIGHUP) {
                None
            } else {
                Some(unix::signal(SignalKind::hangup())?)
            },
            child: unix::signal(SignalKind::child())?,
        })
    }

    /// Sends the signals to the loop, until the loop is gone.
    pub(super) async fn tell(mut self, to_loop: mpsc::Sender<Signal>) {
        while to_loop.send(self.next().await).await.is_ok() {}
    }

    async fn next(&mut self) -> Signal {
        tokio::select! {
            biased;
            _ = self.terminate.recv() => Signal::End("SIGTERM"),
            _ = self.interrupt.recv() => Signal::End("SIGINT"),
            () = hung_up(self.hang_up.as_mut()) => Signal::End("SIGHUP"),
            _ = self.child.recv() => Signal::ChildEnded,
        }
    }
}

/// Waits for the next SIGHUP; for ever if SIGHUP is ignored.
async fn hung_up(hang_up: Option<&mut unix::Signal>) {
    match hang_up {
        Some(signal) => drop(signal.recv().await),
        None => pending().await,
    }
}
