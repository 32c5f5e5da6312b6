//! The end of the process that has started the shim, as a sign that the editor is gone where
//! another process holds the other ends of its pipes.

use std::cell::Cell;
use std::future::pending;
use std::rc::Rc;
use std::time::Duration;

use crate::bridge::Limit;

/// The lines of the editor, counted.
#[derive(Clone, Default)]
pub(super) struct Heard(Rc<Cell<u64>>);

impl Heard {
    pub(super) fn note(&self) {
        self.0.set(self.0.get() + 1);
    }
}

/// Waits until the parent process is gone and the editor has been silent since then for this
/// long, and nothing is under way. A parent that leaves before the first line, or before another
/// one, was a launcher.
pub(super) async fn orphaned(
    parent_gone: impl Future<Output = ()>,
    timeout: Limit,
    heard: Heard,
    is_quiet: impl Fn() -> bool,
) {
    let Limit::After(millis) = timeout else { return pending().await };
    parent_gone.await;
    let lines = heard.0.get();
    if lines > 0 {
        loop {
            tokio::time::sleep(Duration::from_millis(millis)).await;
            match heard.0.get() == lines {
                true if is_quiet() => return,
                true => {}
                false => break,
            }
        }
    }
    pending::<()>().await;
}
