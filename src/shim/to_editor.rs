//! The way to the editor: one buffer of whole lines, and one writer that empties it. Whoever has
//! something to say appends it, so that no line is cut or lost, whichever task is given up.

use std::cell::{Cell, RefCell};
use std::io::{self, IoSlice};

use bytes::{BufMut, BytesMut};
use tokio::sync::Notify;

use crate::runtime::stdio::Sink;
use crate::wire::OutgoingFrame;

/// With more than this in the buffer, in bytes, no more is read from the daemon.
const FULL: usize = 1 << 20;

/// The buffer.
#[derive(Default)]
pub(super) struct ToEditor {
    lines: RefCell<BytesMut>,
    /// Whether a piece is being written.
    is_writing: Cell<bool>,
    /// Wakes the writer.
    more: Notify,
    /// Wakes who waits for room: a piece was written.
    written: Notify,
}

impl ToEditor {
    /// Appends whole lines.
    pub(super) fn push(&self, lines: &[u8]) {
        self.lines.borrow_mut().put_slice(lines);
        self.more.notify_one();
    }

    /// Appends a message of the shim itself.
    pub(super) fn say(&self, message: &OutgoingFrame) {
        message.write_line_to(&mut self.lines.borrow_mut());
        self.more.notify_one();
    }

    /// Waits until there is room.
    pub(super) async fn room(&self) {
        while self.lines.borrow().len() > FULL {
            self.written.notified().await;
        }
    }

    /// Waits until everything is written.
    pub(super) async fn emptied(&self) {
        while self.is_writing.get() || !self.lines.borrow().is_empty() {
            self.written.notified().await;
        }
    }

    /// Writes what is appended, for ever. It must not be given up in the middle.
    ///
    /// # Errors
    /// If the editor takes nothing any more.
    pub(super) async fn write(&self, stdout: &Sink) -> io::Result<()> {
        loop {
            let piece = self.lines.borrow_mut().split();
            if piece.is_empty() {
                self.more.notified().await;
                continue;
            }
            self.is_writing.set(true);
            stdout.write_all(&mut [IoSlice::new(&piece)]).await?;
            self.is_writing.set(false);
            self.written.notify_waiters();
        }
    }
}
