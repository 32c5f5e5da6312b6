//! The end of the loop: the last answers on their way to the clients.

use std::time::Duration;

use super::{Loop, tell};
use crate::link::control::{Control, WhyKind};

/// How long the last answers may take to reach the editor.
const LAST_WORDS: Duration = Duration::from_millis(500);

impl Loop {
    /// Gives the editor [`LAST_WORDS`] to take the last answers, and logs the counters.
    pub(super) async fn last_words(&mut self) {
        self.clients.end(&Control::why(WhyKind::ShuttingDown, "The daemon was ended."));
        let deadline = tokio::time::sleep(LAST_WORDS);
        tokio::pin!(deadline);
        while !self.clients.are_done() {
            tokio::select! {
                () = self.marks.notified() => {}
                () = &mut deadline => break,
            }
        }
        let unread = self.clients.unread();
        if unread > 0 {
            tracing::warn!(bytes = unread, "the editor did not read the last answers in time");
        }
        tell::counters(&self.bridge.counters());
    }
}
