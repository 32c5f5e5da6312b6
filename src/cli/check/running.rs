//! The bridge that runs, for the thread that ends the check when a signal comes.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

/// The state of the check's bridges.
#[derive(Clone, Default)]
pub(super) struct Running(Arc<Mutex<State>>);

#[derive(Clone, Copy, Default)]
enum State {
    #[default]
    Nothing,
    /// The bridge with this process id.
    Bridge(u32),
    /// A signal ends the check.
    Interrupted,
}

impl Running {
    /// Starts a bridge, whose process id is a part of the result; waits for the end of this
    /// process if a signal has come.
    pub(super) fn start<T, E>(&self, start: impl FnOnce() -> Result<(T, u32), E>) -> Result<T, E> {
        self.wait_if_interrupted();
        let mut state = self.lock();
        let (started, pid) = start()?;
        *state = State::Bridge(pid);
        Ok(started)
    }

    /// Notes that the bridge has ended.
    pub(super) fn ended(&self) {
        let mut state = self.lock();
        if let State::Bridge(_) = *state {
            *state = State::Nothing;
        }
    }

    /// Notes that a signal ends the check, and returns the bridge that runs.
    pub(super) fn interrupt(&self) -> Option<u32> {
        match std::mem::replace(&mut *self.lock(), State::Interrupted) {
            State::Bridge(pid) => Some(pid),
            State::Nothing | State::Interrupted => None,
        }
    }

    /// Waits for the end of this process if a signal has come: the thread that got it ends it.
    pub(super) fn wait_if_interrupted(&self) {
        let is_interrupted = || matches!(*self.lock(), State::Interrupted);
        while is_interrupted() {
            thread::park();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
