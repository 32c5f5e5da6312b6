//! The clients: the outbox of each, and the tasks of its streams.

use std::collections::BTreeMap;
use std::rc::Rc;

use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;

use super::flow::{Flow, Reader};
use super::input::Input;
use super::outbox::Outbox;
use super::stdio::{Sink, Source};
use crate::bridge::ClientId;
use crate::wire::OutgoingFrame;

/// All clients.
pub(super) struct Clients {
    /// The longest line that is taken from one, in bytes.
    limit: usize,
    /// The limit of the outbox of one, in bytes.
    outbox_bytes: usize,
    to_loop: mpsc::UnboundedSender<Input>,
    marks: Rc<Notify>,
    outboxes: BTreeMap<ClientId, Outbox>,
}

impl Clients {
    pub(super) fn new(
        outbox_bytes: usize,
        limit: usize,
        to_loop: mpsc::UnboundedSender<Input>,
        marks: Rc<Notify>,
    ) -> Clients {
        Clients { limit, outbox_bytes, to_loop, marks, outboxes: BTreeMap::new() }
    }

    /// From here on the client's streams are served.
    pub(super) fn connect(
        &mut self,
        client: ClientId,
        source: Source,
        sink: Sink,
        tasks: &mut JoinSet<()>,
    ) {
        let outbox = Outbox::new(self.outbox_bytes, self.marks.clone());
        let writer = outbox.clone();
        tasks.spawn_local(async move {
            // If it breaks, the outbox says so.
            writer.write_to(sink).await;
        });
        let flow = Flow::new(outbox.clone());
        let reader = Reader { source, limit: self.limit, to: self.to_loop.clone(), flow };
        let wrap = move |batch| Input::FromClient(client, batch);
        let ended = move |half_line| Input::ClientEnded(client, half_line);
        tasks.spawn_local(reader.run(wrap, ended));
        self.outboxes.insert(client, outbox);
    }

    pub(super) fn send(&self, client: ClientId, frame: OutgoingFrame) {
        if let Some(outbox) = self.outboxes.get(&client) {
            outbox.push(frame);
        }
    }

    /// Writes what was sent, as far as it is taken at once.
    pub(super) fn flush(&self) {
        for outbox in self.outboxes.values() {
            outbox.flush();
        }
    }

    /// Clients that take nothing any more, although their outboxes were not ended.
    pub(super) fn broken(&self) -> Vec<ClientId> {
        let broken = self.outboxes.iter().filter(|(_, outbox)| outbox.is_broken());
        broken.map(|(id, _)| *id).collect()
    }

    /// The clients whose outboxes went over their high mark (`true`) or under their low one.
    pub(super) fn marks_passed(&self) -> Vec<(ClientId, bool)> {
        let passed = |(id, outbox): (&ClientId, &Outbox)| Some((*id, outbox.mark_passed()?));
        self.outboxes.iter().filter_map(passed).collect()
    }

    /// Ends every outbox behind what is queued.
    pub(super) fn end(&self) {
        for outbox in self.outboxes.values() {
            outbox.end();
        }
    }

    /// Whether nothing is left to be written, or nobody to take it.
    pub(super) fn are_done(&self) -> bool {
        self.outboxes.values().all(|outbox| outbox.is_done())
    }

    /// How much waits for those who might still take it, in bytes.
    pub(super) fn unread(&self) -> usize {
        let alive = self.outboxes.values().filter(|outbox| !outbox.is_broken());
        alive.map(|outbox| outbox.waiting()).sum()
    }
}
