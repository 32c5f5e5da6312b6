//! The clients: the outbox of each, and the tasks of its streams.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::{Notify, OwnedSemaphorePermit, mpsc};
use tokio::task::{AbortHandle, JoinSet};

use super::flow::{Crowd, Flow, Reader};
use super::input::Input;
use super::outbox::{Outbox, OutboxSum};
use super::stdio::{Sink, Source};
use crate::bridge::{ClientId, Lane};
use crate::link::control::{Control, WhyKind};
use crate::wire::OutgoingFrame;

/// How long a client that is dropped may take to read why.
const LAST_CHANCE: Duration = Duration::from_secs(2);

/// All clients.
pub(super) struct Clients {
    /// The longest line that is taken from a client, in bytes.
    limit: usize,
    /// The limit of the outbox of one client, in bytes.
    outbox_bytes: usize,
    sum: OutboxSum,
    to_loop: mpsc::UnboundedSender<Input>,
    marks: Rc<Notify>,
    crowd: Crowd,
    rows: BTreeMap<ClientId, Row>,
    /// The clients that were sent a message since the last flush.
    unsent: RefCell<Vec<ClientId>>,
}

/// One client.
struct Row {
    outbox: Outbox,
    /// The tasks of its streams.
    tasks: [AbortHandle; 2],
    /// Its place among the clients that the daemon takes at once, if a shim is at the other end,
    /// which reads control lines.
    link: Option<OwnedSemaphorePermit>,
}

impl Clients {
    pub(super) fn new(
        (outbox_bytes, sum): (usize, OutboxSum),
        limit: usize,
        to_loop: mpsc::UnboundedSender<Input>,
        marks: Rc<Notify>,
        crowd: Crowd,
    ) -> Clients {
        let unsent = RefCell::default();
        Clients { limit, outbox_bytes, sum, to_loop, marks, crowd, rows: BTreeMap::new(), unsent }
    }

    /// Adds a client, and starts the tasks that serve its streams.
    pub(super) fn connect(
        &mut self,
        client: ClientId,
        source: Source,
        sink: Sink,
        tasks: &mut JoinSet<()>,
    ) {
        let outbox = Outbox::new(self.outbox_bytes, self.marks.clone(), self.sum.clone());
        let writer = outbox.clone();
        let write = tasks.spawn_local(async move {
            // If a write fails or the reader is gone, `Outbox::is_broken` tells that.
            writer.write_while_read(sink).await;
        });
        let flow = Flow::new(outbox.clone(), self.crowd.clone());
        let reader = Reader { source, limit: self.limit, to: self.to_loop.clone(), flow };
        let wrap = move |batch| Input::FromClient(client, batch);
        let ended = move |half_line| Input::ClientEnded(client, half_line);
        let read = tasks.spawn_local(reader.run(wrap, ended));
        self.rows.insert(client, Row { outbox, tasks: [write, read], link: None });
    }

    /// Notes that a shim is at the other end of a client's connection.
    pub(super) fn link(&mut self, client: ClientId, place: OwnedSemaphorePermit) {
        if let Some(row) = self.rows.get_mut(&client) {
            row.link = Some(place);
        }
    }

    /// Says a control line to the shim of a client, if there is one.
    pub(super) fn say(&self, client: ClientId, lane: Lane, line: &Control) {
        if self.rows.get(&client).is_some_and(|row| row.link.is_some()) {
            self.send(client, lane, OutgoingFrame::ready(line.line()));
        }
    }

    /// Ends the stream of a client that says nothing more, behind the messages that are queued.
    /// If it does not read them within [`LAST_CHANCE`], its stream is closed without them.
    pub(super) fn let_go(&mut self, client: ClientId, tasks: &mut JoinSet<()>) {
        let Some(Row { outbox, tasks: [write, read], .. }) = self.rows.remove(&client) else {
            return;
        };
        read.abort();
        outbox.end();
        close_later(outbox, write, tasks);
    }

    /// Closes the streams of a client that is gone.
    pub(super) fn remove(&mut self, client: ClientId) {
        if let Some(row) = self.rows.remove(&client) {
            row.tasks.iter().for_each(AbortHandle::abort);
            // What it holds is no part of the sum of all outboxes any more.
            row.outbox.abandon();
        }
    }

    /// Ends the stream of a client with these messages, ahead of what is queued. If it does not
    /// read them within [`LAST_CHANCE`], its stream is closed without them.
    pub(super) fn drop_client(
        &mut self,
        client: ClientId,
        last: Vec<OutgoingFrame>,
        tasks: &mut JoinSet<()>,
    ) {
        let Some(Row { outbox, tasks: [write, read], link }) = self.rows.remove(&client) else {
            return;
        };
        read.abort();
        let why = Control::why(
            WhyKind::ClientTooSlow,
            "The editor did not read for too long, and its connection was ended.",
        );
        let why = link.map(|_| OutgoingFrame::ready(why.line()));
        outbox.end_with(last.into_iter().chain(why).collect());
        close_later(outbox, write, tasks);
    }

    pub(super) fn send(&self, client: ClientId, lane: Lane, frame: OutgoingFrame) {
        if let Some(row) = self.rows.get(&client) {
            row.outbox.push(lane, frame);
            let mut unsent = self.unsent.borrow_mut();
            if unsent.last() != Some(&client) {
                unsent.push(client);
            }
        }
    }

    /// Makes what is sent in this lane from now on wait for all that was sent before.
    pub(super) fn fence(&self, client: ClientId, lane: Lane) {
        if let Some(row) = self.rows.get(&client) {
            row.outbox.fence(lane);
        }
    }

    /// Writes the messages since the last flush, as far as the clients take them at once.
    pub(super) fn flush(&self) {
        for client in self.unsent.take() {
            if let Some(row) = self.rows.get(&client) {
                row.outbox.flush();
            }
        }
    }

    /// The bytes that wait for a client.
    pub(super) fn waiting(&self, client: ClientId) -> usize {
        self.rows.get(&client).map_or(0, |row| row.outbox.waiting())
    }

    fn outboxes(&self) -> impl Iterator<Item = (ClientId, &Outbox)> {
        self.rows.iter().map(|(id, row)| (*id, &row.outbox))
    }

    /// The clients that take no bytes any more: a write has failed, or the reader is gone.
    pub(super) fn broken(&self) -> Vec<ClientId> {
        self.outboxes().filter(|(_, outbox)| outbox.is_broken()).map(|(id, _)| id).collect()
    }

    /// The clients whose outboxes went over their high mark (`true`) or under their low one.
    pub(super) fn marks_passed(&self) -> Vec<(ClientId, bool)> {
        self.outboxes().filter_map(|(id, outbox)| Some((id, outbox.mark_passed()?))).collect()
    }

    /// The clients whose outboxes have reached their limit.
    pub(super) fn filled(&self) -> Vec<ClientId> {
        self.outboxes().filter(|(_, outbox)| outbox.has_filled()).map(|(id, _)| id).collect()
    }

    /// The longest write queue of a client.
    pub(super) fn fullest(&self) -> Option<&Outbox> {
        self.outboxes().map(|(_, outbox)| outbox).max_by_key(|outbox| outbox.waiting())
    }

    /// Ends every client's stream behind the messages that are queued; shims are told why.
    pub(super) fn end(&self, why: &Control) {
        for (client, row) in &self.rows {
            self.say(*client, Lane::Bridge, why);
            row.outbox.end();
        }
    }

    /// Whether every outbox is empty, or its client gone.
    pub(super) fn are_done(&self) -> bool {
        self.outboxes().all(|(_, outbox)| outbox.is_done())
    }

    /// The bytes that wait for clients that may still take them.
    pub(super) fn unread(&self) -> usize {
        let alive = self.outboxes().filter(|(_, outbox)| !outbox.is_broken());
        alive.map(|(_, outbox)| outbox.waiting()).sum()
    }
}

/// Closes the stream of a client after [`LAST_CHANCE`], if it has not ended by then.
fn close_later(outbox: Outbox, write: AbortHandle, tasks: &mut JoinSet<()>) {
    tasks.spawn_local(async move {
        tokio::time::sleep(LAST_CHANCE).await;
        write.abort();
        outbox.abandon();
    });
}
