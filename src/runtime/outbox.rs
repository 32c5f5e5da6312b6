//! What waits to be written to a peer: counted in bytes, written in bursts.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::IoSlice;
use std::rc::Rc;

use bytes::{BufMut, BytesMut};
use tokio::sync::Notify;

use super::stdio::Sink;
use crate::wire::Outgoing;

/// A burst is written when it is this long, or when nothing more waits.
const BURST: usize = 64 * 1024;
/// A message of this length is written from its own bytes.
const LONG: usize = 16 * 1024;

/// A handle on what waits for one peer.
#[derive(Clone, Debug)]
pub(super) struct Outbox(Rc<Shared>);

#[derive(Debug)]
struct Shared {
    state: RefCell<State>,
    /// Something waits, or the end was asked for.
    work: Notify,
    /// The low mark may have been reached.
    marks: Rc<Notify>,
    cap: usize,
    high: usize,
    low: usize,
}

#[derive(Debug, Default)]
struct State {
    queue: VecDeque<Outgoing>,
    /// What is queued or being written weighs this much, in bytes.
    bytes: usize,
    fate: Fate,
    /// What the core was last told.
    over: bool,
    /// It was full, and is not under the low mark yet.
    choked: bool,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum Fate {
    #[default]
    Open,
    /// It ends behind what is queued.
    Ending,
    /// The peer takes nothing any more.
    Broken,
    /// Everything is written, and it is closed.
    Closed,
}

impl Outbox {
    /// For `cap` bytes: over the mark at three quarters of it, under it at three
    /// eighths. `marks` is notified when the core must be told.
    pub(super) fn new(cap: usize, marks: Rc<Notify>) -> Self {
        let (high, low) = (cap / 4 * 3, cap / 8 * 3);
        let state = RefCell::default();
        Outbox(Rc::new(Shared { state, work: Notify::new(), marks, cap, high, low }))
    }

    /// Queues a message, also while the end is asked for and not reached; after
    /// the end of the peer it is dropped.
    pub(super) fn push(&self, frame: Outgoing) {
        let mut state = self.0.state.borrow_mut();
        if !matches!(state.fate, Fate::Open | Fate::Ending) {
            return;
        }
        state.bytes += weight(&frame);
        state.queue.push_back(frame);
        if state.bytes >= self.0.high && !state.over {
            self.0.marks.notify_one();
        }
        self.0.work.notify_one();
    }

    /// Ends the stream behind what is queued.
    pub(super) fn end(&self) {
        let mut state = self.0.state.borrow_mut();
        if state.fate == Fate::Open {
            state.fate = Fate::Ending;
            self.0.work.notify_one();
        }
    }

    /// Whether nothing is left to be written, or nobody to take it.
    pub(super) fn is_done(&self) -> bool {
        let state = self.0.state.borrow();
        state.bytes == 0 || matches!(state.fate, Fate::Broken | Fate::Closed)
    }

    /// Whether the peer takes nothing any more, although it was not ended.
    pub(super) fn is_broken(&self) -> bool {
        self.0.state.borrow().fate == Fate::Broken
    }

    /// Whether it went over or under its mark since this was last asked.
    pub(super) fn mark_passed(&self) -> Option<bool> {
        let mut state = self.0.state.borrow_mut();
        let over = if state.over { state.bytes > self.0.low } else { state.bytes >= self.0.high };
        (over != state.over).then(|| {
            state.over = over;
            over
        })
    }

    /// Whether it is full, or was and is not under its low mark again. Then its
    /// peer is not read either: each line of it might add an answer.
    pub(super) fn is_choked(&self) -> bool {
        let mut state = self.0.state.borrow_mut();
        state.choked =
            if state.choked { state.bytes > self.0.low } else { state.bytes >= self.0.cap };
        state.choked
    }

    /// Moves what waits to `burst`, up to the first long message, which is not
    /// copied; and says how much they weigh. `None`: the end.
    async fn take(&self, burst: &mut BytesMut) -> Option<(usize, Option<Outgoing>)> {
        loop {
            {
                let mut state = self.0.state.borrow_mut();
                let mut taken = 0;
                while burst.len() < BURST
                    && let Some(frame) = state.queue.pop_front()
                {
                    taken += weight(&frame);
                    if frame.len() >= LONG {
                        return Some((taken, Some(frame)));
                    }
                    frame.write_to(burst);
                    burst.put_u8(b'\n');
                }
                if taken > 0 {
                    return Some((taken, None));
                }
                if state.fate != Fate::Open {
                    return None;
                }
            }
            self.0.work.notified().await;
        }
    }

    fn written(&self, bytes: usize) {
        let mut state = self.0.state.borrow_mut();
        state.bytes -= bytes;
        let is_relieved = (state.over || state.choked) && state.bytes <= self.0.low;
        if is_relieved || state.fate == Fate::Ending {
            self.0.marks.notify_one();
        }
    }

    fn close(&self, fate: Fate) {
        let mut state = self.0.state.borrow_mut();
        state.fate = fate;
        state.queue.clear();
        state.bytes = 0;
        self.0.marks.notify_one();
    }

    /// Writes until the end: the one task of this outbox. `false`: the peer took
    /// no more before that.
    pub(super) async fn write_to(self, mut sink: Sink) -> bool {
        let mut burst = BytesMut::new();
        while let Some((taken, long)) = self.take(&mut burst).await {
            let [before, token, after] = long.as_ref().map_or([&[] as &[u8]; 3], Outgoing::parts);
            let line_end: &[u8] = if long.is_some() { b"\n" } else { b"" };
            let pieces = [&burst, before, token, after, line_end];
            if sink.write_all(&mut pieces.map(IoSlice::new)).await.is_err() {
                self.close(Fate::Broken);
                return false;
            }
            self.written(taken);
            burst.clear();
        }
        self.close(Fate::Closed);
        true
    }
}

/// What a message costs while it waits: its bytes, and its place in the queue.
fn weight(frame: &Outgoing) -> usize {
    frame.len() + size_of::<Outgoing>()
}
