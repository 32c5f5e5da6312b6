//! The signals that end a command.

use std::future::pending;
use std::io;

use nix::sys::signal::Signal::SIGHUP;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::own_process::is_ignored;

/// The streams of these signals.
pub(super) struct EndSignals {
    interrupt: Signal,
    terminate: Signal,
    quit: Signal,
    /// `None`: SIGHUP was ignored at the start, as under `nohup`, and stays so.
    hang_up: Option<Signal>,
}

impl EndSignals {
    /// Begins to listen. To be called in a runtime.
    pub(super) fn new() -> io::Result<EndSignals> {
        Ok(EndSignals {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            quit: signal(SignalKind::quit())?,
            hang_up: (!is_ignored(SIGHUP)).then(|| signal(SignalKind::hangup())).transpose()?,
        })
    }

    /// Waits for the next one, and returns its number.
    pub(super) async fn next(&mut self) -> i32 {
        tokio::select! {
            _ = self.interrupt.recv() => SignalKind::interrupt().as_raw_value(),
            _ = self.terminate.recv() => SignalKind::terminate().as_raw_value(),
            _ = self.quit.recv() => SignalKind::quit().as_raw_value(),
            _ = async {
                match &mut self.hang_up {
                    Some(signal) => signal.recv().await,
                    None => pending().await,
                }
            } => SignalKind::hangup().as_raw_value(),
        }
    }
}
