//! The clients: the outbox of each, and the tasks of its streams.

use std::collections::BTreeMap;
use std::rc::Rc;

use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;

use super::flow::{Crowd, Flow, Reader};
use super::input::Input;
use super::outbox::Outbox;
use super::stdio::{Sink, Source};
use crate::bridge::{ClientId, Lane};
use crate::wire::OutgoingFrame;

/// All clients.
pub(super) struct Clients {
    /// The longest line that is taken from a client, in bytes.
    limit: usize,
    /// The limit of the outbox of one client, in bytes.
    outbox_bytes: usize,
    to_loop: mpsc::UnboundedSender<Input>,
    marks: Rc<Notify>,
    crowd: Crowd,
    outboxes: BTreeMap<ClientId, Outbox>,
}

impl Clients {
    pub(super) fn new(
        outbox_bytes: usize,
        limit: usize,
        to_loop: mpsc::UnboundedSender<Input>,
        marks: Rc<Notify>,
        crowd: Crowd,
    ) -> Clients {
        Clients { limit, outbox_bytes, to_loop, marks, crowd, outboxes: BTreeMap::new() }
    }

    /// Adds a client, and starts the tasks that serve its streams.
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
            // If a write fails or the reader is gone, `Outbox::is_broken` tells that.
            writer.write_while_read(sink).await;
        });
        let flow = Flow::new(outbox.clone(), self.crowd.clone());
        let reader = Reader { source, limit: self.limit, to: self.to_loop.clone(), flow };
        let wrap = move |batch| Input::FromClient(client, batch);
        let ended = move |half_line| Input::ClientEnded(client, half_line);
        tasks.spawn_local(reader.run(wrap, ended));
        self.outboxes.insert(client, outbox);
    }

    pub(super) fn send(&self, client: ClientId, lane: Lane, frame: OutgoingFrame) {
        if let Some(outbox) = self.outboxes.get(&client) {
            outbox.push(lane, frame);
        }
    }

    /// Makes what is sent in this lane from now on wait for all that was sent before.
    pub(super) fn fence(&self, client: ClientId, lane: Lane) {
        if let Some(outbox) = self.outboxes.get(&client) {
            outbox.fence(lane);
        }
    }

    /// Writes the queued messages, as far as the clients take them at once.
    pub(super) fn flush(&self) {
        for outbox in self.outboxes.values() {
            outbox.flush();
        }
    }

    /// The clients that take no bytes any more: a write has failed, or the reader is gone.
    pub(super) fn broken(&self) -> Vec<ClientId> {
        let broken = self.outboxes.iter().filter(|(_, outbox)| outbox.is_broken());
        broken.map(|(id, _)| *id).collect()
    }

    /// The clients whose outboxes went over their high mark (`true`) or under their low one.
    pub(super) fn marks_passed(&self) -> Vec<(ClientId, bool)> {
        let passed = |(id, outbox): (&ClientId, &Outbox)| Some((*id, outbox.mark_passed()?));
        self.outboxes.iter().filter_map(passed).collect()
    }

    /// Ends every client's stream behind the messages that are queued.
    pub(super) fn end(&self) {
        for outbox in self.outboxes.values() {
            outbox.end();
        }
    }

    /// Whether every outbox is empty, or its client gone.
    pub(super) fn are_done(&self) -> bool {
        self.outboxes.values().all(|outbox| outbox.is_done())
    }

    /// The bytes that wait for clients that may still take them.
    pub(super) fn unread(&self) -> usize {
        let alive = self.outboxes.values().filter(|outbox| !outbox.is_broken());
        alive.map(|outbox| outbox.waiting()).sum()
    }
}
