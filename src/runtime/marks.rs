//! The marks of the write queues: what the loop tells the core of them.

use super::Loop;
use crate::bridge::{Event, ShutdownCause};

impl Loop {
    /// Tells the core which outboxes went over or under their marks.
    pub(super) fn tell_marks(&mut self) {
        for client in self.clients.broken() {
            // The client takes no bytes any more: it is gone, even if it still writes.
            self.client_gone(client, ShutdownCause::StdoutClosed);
        }
        if self.sum.is_over() {
            // The fullest peer counts as one that is over its mark.
            let fullest = self.clients.fullest().into_iter().chain(self.children.fullest());
            if let Some(outbox) = fullest.max_by_key(|outbox| outbox.waiting()) {
                outbox.count_as_over();
            }
        }
        for client in self.clients.filled() {
            self.handle_event(Event::ClientFull { client });
        }
        for (client, over) in self.clients.marks_passed() {
            self.handle_event(Event::ClientMarkPassed { client, over });
        }
        for (channel, over) in self.children.marks_passed() {
            self.handle_event(Event::ChannelMarkPassed { channel, over });
        }
    }
}
