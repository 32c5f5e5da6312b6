//! The gate before a reader: what it has read is served before it reads on, and
//! not even then while the core wants it to pause.
//!
//! One task reads, one serves, and both are on one thread.

use std::cell::Cell;
use std::fmt;
use std::rc::Rc;

use tokio::sync::Notify;

/// A handle on the gate of one reader; the reader has one too.
#[derive(Clone)]
pub(super) struct Gate(Rc<State>);

struct State {
    is_open: Cell<bool>,
    /// Nothing of what was read waits for the loop.
    is_served: Cell<bool>,
    changed: Notify,
}

/// What was read last is not served yet: until this is dropped, the reader waits.
pub(super) struct Turn(Gate);

impl Gate {
    /// An open one.
    pub(super) fn new() -> Gate {
        let changed = Notify::new();
        Gate(Rc::new(State { is_open: true.into(), is_served: true.into(), changed }))
    }

    /// Lets the reader through, or not for now.
    pub(super) fn set(&self, is_open: bool) {
        if self.0.is_open.replace(is_open) != is_open && is_open {
            self.0.changed.notify_one();
        }
    }

    /// Whether the reader may go on, once everything is served.
    pub(super) fn is_open(&self) -> bool {
        self.0.is_open.get()
    }

    /// Waits until it is open.
    pub(super) async fn opened(&self) {
        while !self.is_open() {
            self.0.changed.notified().await;
        }
    }

    /// Waits until all that was read is served.
    pub(super) async fn served(&self) {
        while !self.0.is_served.get() {
            self.0.changed.notified().await;
        }
    }

    /// Begins a turn of the reader.
    pub(super) fn turn(&self) -> Turn {
        self.0.is_served.set(false);
        Turn(self.clone())
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let Gate(state) = &self.0;
        state.is_served.set(true);
        state.changed.notify_one();
    }
}

impl fmt::Debug for Turn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Turn")
    }
}
