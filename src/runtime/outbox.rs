//! The write queue of one peer: counted in bytes, written in bursts.
//!
//! The loop itself writes the short messages that the peer takes at once
//! ([`Outbox::flush`]). A task writes the long ones, and waits for a slow peer.

mod lanes;
mod sum;

use std::cell::RefCell;
use std::io::IoSlice;
use std::rc::Rc;

use bytes::Buf;
use tokio::sync::Notify;

use self::lanes::{Lanes, Piece, Taken};
pub(super) use self::sum::OutboxSum;
use super::stdio::Sink;
use crate::bridge::Lane;
use crate::wire::OutgoingFrame;

/// A handle on the outbox of one peer.
#[derive(Clone)]
pub(super) struct Outbox(Rc<Shared>);

struct Shared {
    state: RefCell<State>,
    /// Wakes the task: a piece is queued, or the stream is to end.
    work: Notify,
    /// Wakes the loop: a mark may be passed, bytes were written after the end was asked
    /// for, or the outbox is closed.
    marks: Rc<Notify>,
    /// Wakes the reader: the low mark is reached, or the outbox is closed.
    relieved: Notify,
    limit: usize,
    high: usize,
    low: usize,
    /// All write queues together.
    sum: OutboxSum,
}

struct State {
    /// The stream, from the start of the task until the outbox is closed.
    sink: Option<Rc<Sink>>,
    /// The messages that no write was tried for.
    lanes: Lanes,
    /// The rest of a piece that the peer has taken in part, or a long message that the task is
    /// to write next: nothing may overtake it.
    current: Option<Taken>,
    /// The weight of all pieces that are queued or being written, in bytes.
    bytes: usize,
    fate: Fate,
    /// The task is writing a piece: nothing may overtake it.
    is_writing: bool,
    /// The number of bytes that were ever queued.
    queued: u64,
    /// Whether the core was last told that the outbox is over its high mark.
    over: bool,
    /// Whether it is so only because all write queues together are too long.
    for_sum: bool,
    /// Whether the core was told that the outbox has reached its limit.
    full: bool,
}

impl State {
    fn new() -> State {
        State {
            sink: None,
            lanes: Lanes::default(),
            current: None,
            bytes: 0,
            queued: 0,
            fate: Fate::Open,
            is_writing: false,
            over: false,
            for_sum: false,
            full: false,
        }
    }

    /// Takes the next piece: what is left of the one that was written last, or another. If
    /// other lanes wait, no more is left of it than the rest of a message.
    fn next(&mut self) -> Option<Taken> {
        let Some(mut current) = self.current.take() else { return self.lanes.next() };
        if self.lanes.has_other(&current)
            && let Some(rest) = current.cut()
        {
            self.lanes.put_back(rest);
        }
        Some(current)
    }

    fn is_empty(&self) -> bool {
        self.current.is_none() && self.lanes.is_empty()
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Fate {
    Open,
    /// The stream is to end behind the last queued message.
    Ending,
    /// A write has failed: the peer takes no bytes any more.
    Broken,
    /// Everything is written, and the stream is closed.
    Closed,
}

impl Outbox {
    /// An outbox with this limit (bytes), the high mark at three quarters of it and the low
    /// mark at three eighths. `marks` wakes the loop, which tells the core.
    pub(super) fn new(limit: usize, marks: Rc<Notify>, sum: OutboxSum) -> Self {
        let (high, low) = (limit / 4 * 3, limit / 8 * 3);
        let (work, relieved) = (Notify::new(), Notify::new());
        let state = State::new().into();
        Outbox(Rc::new(Shared { state, work, marks, relieved, limit, high, low, sum }))
    }

    /// Queues a message for the next [`Outbox::flush`], also after [`Outbox::end`] while
    /// the stream is open. If the outbox is closed or broken, the message is dropped.
    /// The limit is not enforced here: the core reacts to the marks.
    pub(super) fn push(&self, lane: Lane, frame: OutgoingFrame) {
        let mut state = self.0.state.borrow_mut();
        if !matches!(state.fate, Fate::Open | Fate::Ending) {
            return;
        }
        state.queued += frame.len() as u64 + 1;
        let added = state.lanes.push(lane, frame);
        state.bytes += added;
        let is_over = (state.bytes >= self.0.high && !state.over)
            || (state.bytes >= self.0.limit && !state.full);
        if self.0.sum.add(added) || is_over {
            self.0.marks.notify_one();
        }
    }

    /// Drops what is queued, but for the rest of a message that the peer has got in part, and
    /// queues these messages in its place; then the stream ends.
    pub(super) fn end_with(&self, last: Vec<OutgoingFrame>) {
        {
            let mut state = self.0.state.borrow_mut();
            let dropped = state.lanes.clear();
            let rest = state.current.as_mut().and_then(Taken::cut);
            let dropped = dropped + rest.map_or(0, |rest| rest.piece.weight());
            state.bytes -= dropped;
            self.0.sum.subtract(dropped);
        }
        for frame in last {
            self.push(Lane::Bridge, frame);
        }
        self.flush();
        self.end();
    }

    /// Makes what is queued in this lane from now on wait for all that is queued now.
    pub(super) fn fence(&self, lane: Lane) {
        let mut state = self.0.state.borrow_mut();
        // The rest of a piece stands beside the lanes, and would not be waited for.
        if let Some(rest) = state.current.as_mut().and_then(Taken::cut) {
            state.lanes.put_back(rest);
        }
        state.lanes.fence(lane);
    }

    /// Writes the bursts that the peer takes at once, and wakes the task for the rest.
    pub(super) fn flush(&self) {
        let mut state = self.0.state.borrow_mut();
        while !state.is_writing
            && let Some(sink) = state.sink.clone()
            && let Some(mut next) = state.next()
        {
            let Piece::Burst(burst) = &mut next.piece else {
                state.current = Some(next);
                break;
            };
            // An error is left to the task, whose own write fails, too.
            let written = sink.write_now(&[IoSlice::new(burst)]).unwrap_or(0);
            self.taken(&mut state, written);
            if written < burst.len() {
                burst.advance(written);
                state.current = Some(next);
                break;
            }
            state.lanes.recycle(next.piece);
        }
        if !state.is_empty() {
            self.0.work.notify_one();
        }
    }

    /// Ends the stream behind the messages that are queued.
    pub(super) fn end(&self) {
        let mut state = self.0.state.borrow_mut();
        if state.fate == Fate::Open {
            state.fate = Fate::Ending;
            self.0.work.notify_one();
        }
    }

    /// Whether the outbox is empty, or its peer gone.
    pub(super) fn is_done(&self) -> bool {
        let state = self.0.state.borrow();
        state.bytes == 0 || matches!(state.fate, Fate::Broken | Fate::Closed)
    }

    /// The bytes that wait.
    pub(super) fn waiting(&self) -> usize {
        self.0.state.borrow().bytes
    }

    /// Whether a write has failed: the peer takes nothing any more.
    pub(super) fn is_broken(&self) -> bool {
        self.0.state.borrow().fate == Fate::Broken
    }

    /// The number of bytes that were ever queued.
    pub(super) fn ever_queued(&self) -> u64 {
        self.0.state.borrow().queued
    }

    /// The limit of the outbox, in bytes.
    pub(super) fn limit(&self) -> u64 {
        self.0.limit as u64
    }

    /// Whether the outbox is at or under its low mark.
    pub(super) fn is_low(&self) -> bool {
        self.waiting() <= self.0.low
    }

    /// Waits until the outbox comes down to its low mark, or is closed. Returns at once if
    /// that happened since the last call.
    pub(super) async fn relieved(&self) {
        self.0.relieved.notified().await;
    }

    /// `Some(true)`: the outbox went over its high mark since the last call, and a flush did
    /// not help. `Some(false)`: it went under its low mark. `None`: neither.
    pub(super) fn mark_passed(&self) -> Option<bool> {
        if self.waiting() >= self.0.high {
            self.flush();
        }
        let mut state = self.0.state.borrow_mut();
        state.for_sum &= self.0.sum.is_long();
        let over = match state.over {
            true => state.for_sum || state.bytes > self.0.low,
            false => state.for_sum || state.bytes >= self.0.high,
        };
        (over != state.over).then(|| {
            state.over = over;
            over
        })
    }

    /// Makes the outbox count as over its high mark until all write queues together are shorter.
    pub(super) fn count_as_over(&self) {
        self.0.state.borrow_mut().for_sum = true;
    }

    /// Whether the outbox has reached its limit since the last call.
    pub(super) fn has_filled(&self) -> bool {
        let mut state = self.0.state.borrow_mut();
        let was_full = std::mem::replace(&mut state.full, false);
        state.full = state.bytes >= self.0.limit;
        state.full && !was_full
    }

    /// Waits for the next piece that the task is to write. `None`: the stream is to end, or
    /// is closed.
    async fn take(&self) -> Option<(Rc<Sink>, Piece)> {
        loop {
            {
                let mut state = self.0.state.borrow_mut();
                let sink = state.sink.clone()?;
                match state.next() {
                    Some(next) => {
                        state.is_writing = true;
                        return Some((sink, next.piece));
                    }
                    None if state.fate != Fate::Open => return None,
                    None => {}
                }
            }
            self.0.work.notified().await;
        }
    }

    /// Subtracts bytes that the peer has taken, and wakes the reader and the loop if they
    /// wait for that.
    fn taken(&self, state: &mut State, bytes: usize) {
        let was_low = state.bytes <= self.0.low;
        state.bytes -= bytes;
        let is_shorter = self.0.sum.subtract(bytes);
        let is_relieved = !was_low && state.bytes <= self.0.low;
        if is_relieved {
            self.0.relieved.notify_one();
        }
        if (is_relieved && state.over) || state.fate == Fate::Ending || is_shorter {
            self.0.marks.notify_one();
        }
    }

    fn close(&self, fate: Fate) {
        let mut state = self.0.state.borrow_mut();
        state.fate = fate;
        state.sink = None;
        state.lanes.clear();
        state.current = None;
        self.0.sum.subtract(state.bytes);
        state.bytes = 0;
        self.0.marks.notify_one();
        self.0.relieved.notify_one();
    }

    /// Closes the outbox of a peer that is given up.
    pub(super) fn abandon(&self) {
        self.close(Fate::Broken);
    }

    /// Runs the one task of an outbox like [`Outbox::write_to`], but ends also when nobody
    /// reads the stream any more, although nothing is to be written.
    pub(super) async fn write_while_read(self, sink: Sink) -> bool {
        let sink = Rc::new(sink);
        tokio::select! {
            biased;
            done = self.clone().write(sink.clone()) => done,
            () = sink.reader_gone() => {
                self.close(Fate::Broken);
                false
            }
        }
    }

    /// Runs the one task of this outbox, which writes what [`Outbox::flush`] leaves, until
    /// the end that [`Outbox::end`] asks for. `false`: a write failed before that.
    pub(super) async fn write_to(self, sink: Sink) -> bool {
        self.write(Rc::new(sink)).await
    }

    async fn write(self, sink: Rc<Sink>) -> bool {
        self.0.state.borrow_mut().sink = Some(sink);
        while let Some((sink, piece)) = self.take().await {
            let done = match &piece {
                Piece::Burst(burst) => sink.write_all(&mut [IoSlice::new(burst)]).await,
                Piece::Long(frame) => {
                    let [before, token, after] = frame.parts();
                    sink.write_all(&mut [before, token, after, b"\n"].map(IoSlice::new)).await
                }
            };
            if done.is_err() {
                self.close(Fate::Broken);
                return false;
            }
            let mut state = self.0.state.borrow_mut();
            state.is_writing = false;
            self.taken(&mut state, piece.weight());
            state.lanes.recycle(piece);
        }
        self.close(Fate::Closed);
        true
    }
}
