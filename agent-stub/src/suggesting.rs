//! Next edit suggestions: the ids that `nes/start` has given out and `nes/close` has not ended.

use std::collections::BTreeSet;

use crate::message::Fault;

/// All that are open, by id: nes-1, nes-2 …
#[derive(Default)]
pub(crate) struct Suggesting {
    open: BTreeSet<String>,
    last: u64,
}

impl Suggesting {
    pub(crate) fn start(&mut self) -> String {
        self.last += 1;
        let id = format!("nes-{}", self.last);
        self.open.insert(id.clone());
        id
    }

    /// An error if this id is not open.
    pub(crate) fn check(&self, id: &str) -> Result<(), Fault> {
        self.open.contains(id).then_some(()).ok_or_else(|| Fault::unknown_session(id))
    }

    pub(crate) fn close(&mut self, id: &str) -> Result<(), Fault> {
        self.open.remove(id).then_some(()).ok_or_else(|| Fault::unknown_session(id))
    }
}
