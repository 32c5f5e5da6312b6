//! The clients: the outbox of each, and the gate before its reader.

use std::collections::BTreeMap;
use std::rc::Rc;

use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;

use super::gate::Gate;
use super::input::Input;
use super::outbox::Outbox;
use super::reader::Reader;
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
    rows: BTreeMap<ClientId, ClientRow>,
}

struct ClientRow {
    outbox: Outbox,
    /// A client is never made to wait for an agent; only for itself, when it does
    /// not take its answers.
    gate: Gate,
}

impl ClientRow {
    /// Lets the client be read, or not for now; says whether it is.
    fn open_gate(&self) -> bool {
        let may_read = !self.outbox.is_choked();
        self.gate.set(may_read);
        may_read
    }
}

impl Clients {
    pub(super) fn new(
        outbox_bytes: usize,
        limit: usize,
        to_loop: mpsc::UnboundedSender<Input>,
        marks: Rc<Notify>,
    ) -> Clients {
        Clients { limit, outbox_bytes, to_loop, marks, rows: BTreeMap::new() }
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
        let gate = Gate::new();
        let (limit, to) = (self.limit, self.to_loop.clone());
        let reader = Reader { source, limit, to, gate: gate.clone() };
        let wrap = move |batch| Input::FromClient(client, batch);
        let ended = move |half_line| Input::ClientEnded(client, half_line);
        tasks.spawn_local(reader.run(wrap, ended));
        self.rows.insert(client, ClientRow { outbox, gate });
    }

    pub(super) fn send(&self, client: ClientId, frame: OutgoingFrame) {
        if let Some(row) = self.rows.get(&client) {
            row.outbox.push(frame);
        }
    }

    /// Writes what was sent, as far as it is taken at once.
    pub(super) fn flush(&self) {
        for row in self.rows.values() {
            row.outbox.flush();
        }
    }

    /// All bytes that were ever queued for a client.
    pub(super) fn pushed(&self, client: ClientId) -> u64 {
        self.rows.get(&client).map_or(0, |row| row.outbox.pushed())
    }

    /// What was queued for a client since then was brought about by its own lines: it
    /// is not read while it leaves too much of that.
    pub(super) fn owes(&self, client: ClientId, since: u64) {
        if let Some(row) = self.rows.get(&client) {
            row.outbox.owes(since);
        }
    }

    /// Lets a client be read as the facts stand now; says whether it is.
    pub(super) fn open_gate(&self, client: ClientId) -> bool {
        self.rows.get(&client).is_some_and(ClientRow::open_gate)
    }

    /// Clients that take nothing any more, although their outboxes were not ended.
    pub(super) fn broken(&self) -> Vec<ClientId> {
        let broken = self.rows.iter().filter(|(_, row)| row.outbox.is_broken());
        broken.map(|(id, _)| *id).collect()
    }

    /// Whose outbox went over its upper mark (`true`) or under its lower one. Who takes
    /// answers again is read again.
    pub(super) fn marks_passed(&self) -> Vec<(ClientId, bool)> {
        let passed = |(id, row): (&ClientId, &ClientRow)| {
            row.open_gate();
            Some((*id, row.outbox.mark_passed()?))
        };
        self.rows.iter().filter_map(passed).collect()
    }

    /// Ends every outbox behind what is queued.
    pub(super) fn end(&self) {
        for row in self.rows.values() {
            row.outbox.end();
        }
    }

    /// Whether nothing is left to be written, or nobody to take it.
    pub(super) fn are_done(&self) -> bool {
        self.rows.values().all(|row| row.outbox.is_done())
    }

    /// How much waits for those who might still take it, in bytes.
    pub(super) fn unread(&self) -> usize {
        let alive = self.rows.values().filter(|row| !row.outbox.is_broken());
        alive.map(|row| row.outbox.waiting()).sum()
    }
}
