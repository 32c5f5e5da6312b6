//! The way to the editor: one buffer of whole lines, and one writer that empties it. Whoever has
//! something to say appends it, so that no line is cut or lost, whichever task is given up.

use std::cell::{Cell, RefCell};
use std::io::{self, IoSlice};

use bytes::{BufMut, BytesMut};
use tokio::sync::Notify;

use crate::runtime::stdio::Sink;
use crate::wire::OutgoingFrame;

/// With more than this in the buffer, in bytes, no more is read from the daemon.
const FULL: usize = 64 * 1024;

/// The buffer, and the editor's end of it.
pub(super) struct ToEditor {
    stdout: Sink,
    lines: RefCell<BytesMut>,
    /// Whether a piece is being written.
    is_writing: Cell<bool>,
    /// Wakes the writer.
    more: Notify,
    /// Wakes who waits for room: a piece was written.
    written: Notify,
}

impl ToEditor {
    pub(super) fn new(stdout: Sink) -> ToEditor {
        let (lines, is_writing) = (RefCell::default(), Cell::default());
        ToEditor { stdout, lines, is_writing, more: Notify::new(), written: Notify::new() }
    }

    /// Waits until the editor reads no more.
    pub(super) async fn reader_gone(&self) {
        self.stdout.reader_gone().await;
    }

    /// Sends whole lines on their way; those that the editor does not take at once are appended.
    pub(super) fn pass(&self, lines: &[u8]) {
        let mut before = self.lines.borrow_mut();
        let written = match before.is_empty() && !self.is_writing.get() {
            true => self.stdout.write_now(&[IoSlice::new(lines)]).unwrap_or(0),
            false => 0,
        };
        before.put_slice(&lines[written..]);
        if !before.is_empty() {
            self.more.notify_one();
        }
    }

    /// Appends whole lines, which [`ToEditor::flush`] sends on their way.
    pub(super) fn push(&self, lines: &[u8]) {
        self.lines.borrow_mut().put_slice(lines);
    }

    /// Writes what the editor takes at once, without a turn of the writer, which gets the rest.
    pub(super) fn flush(&self) {
        let lines = self.lines.take();
        if !lines.is_empty() {
            self.pass(&lines);
        }
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
    pub(super) async fn write(&self) -> io::Result<()> {
        loop {
            let piece = self.lines.borrow_mut().split();
            if piece.is_empty() {
                self.more.notified().await;
                continue;
            }
            self.is_writing.set(true);
            self.stdout.write_all(&mut [IoSlice::new(&piece)]).await?;
            self.is_writing.set(false);
            self.written.notify_waiters();
        }
    }
}
