//! What waits to be written to a peer: counted in bytes, written in bursts.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::IoSlice;
use std::mem;
use std::rc::Rc;

use bytes::BytesMut;
use tokio::sync::Notify;

use super::stdio::Sink;
use crate::wire::Outgoing;

/// Messages that wait are gathered in bursts of at most this many bytes; a burst
/// is written when the one before it is.
const BURST: usize = 64 * 1024;
/// A message of this length is written from its own bytes, in bytes.
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
    queue: VecDeque<Piece>,
    /// Room for the next burst, from one that was written.
    spare: BytesMut,
    /// What is queued or being written weighs this much, in bytes.
    bytes: usize,
    fate: Fate,
    /// What the core was last told.
    over: bool,
    /// It was full, and is not under the low mark yet.
    choked: bool,
}

/// What waits in one piece.
#[derive(Debug)]
enum Piece {
    /// Short messages, with their line ends: nobody else's bytes are held by them.
    Burst(BytesMut),
    /// A message that is not copied.
    Long(Outgoing),
}

impl Piece {
    /// What it costs while it waits, in bytes.
    fn weight(&self) -> usize {
        match self {
            Piece::Burst(burst) => burst.len(),
            Piece::Long(frame) => frame.len() + size_of::<Outgoing>(),
        }
    }
}

impl State {
    fn push(&mut self, frame: Outgoing) {
        if frame.len() >= LONG {
            let piece = Piece::Long(frame);
            self.bytes += piece.weight();
            return self.queue.push_back(piece);
        }
        let length = frame.len() + 1;
        self.bytes += length;
        if let Some(Piece::Burst(burst)) = self.queue.back_mut()
            && burst.len() + length <= BURST
        {
            if burst.capacity() - burst.len() < length {
                burst.reserve(BURST - burst.len());
            }
            return frame.write_line_to(burst);
        }
        let mut burst = mem::take(&mut self.spare);
        frame.write_line_to(&mut burst);
        self.queue.push_back(Piece::Burst(burst));
    }
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
        if state.queue.is_empty() {
            self.0.work.notify_one();
        }
        state.push(frame);
        if state.bytes >= self.0.high && !state.over {
            self.0.marks.notify_one();
        }
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

    /// The next burst, with a long message behind it if there is one. `None`: the end.
    async fn take(&self) -> Option<(BytesMut, Option<Outgoing>)> {
        loop {
            {
                let mut state = self.0.state.borrow_mut();
                let burst = match state.queue.pop_front() {
                    Some(Piece::Long(frame)) => return Some((BytesMut::new(), Some(frame))),
                    Some(Piece::Burst(burst)) => Some(burst),
                    None if state.fate != Fate::Open => return None,
                    None => None,
                };
                if let Some(burst) = burst {
                    let long = match state.queue.pop_front() {
                        Some(Piece::Long(frame)) => Some(frame),
                        other => {
                            other.into_iter().for_each(|piece| state.queue.push_front(piece));
                            None
                        }
                    };
                    return Some((burst, long));
                }
            }
            self.0.work.notified().await;
        }
    }

    fn written(&self, mut burst: BytesMut, long: Option<Outgoing>) {
        let mut state = self.0.state.borrow_mut();
        state.bytes -= burst.len() + long.map_or(0, |frame| Piece::Long(frame).weight());
        burst.clear();
        if burst.capacity() > state.spare.capacity() {
            state.spare = burst;
        }
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
        while let Some((burst, long)) = self.take().await {
            let [before, token, after] = long.as_ref().map_or([&[] as &[u8]; 3], Outgoing::parts);
            let line_end: &[u8] = if long.is_some() { b"\n" } else { b"" };
            let pieces = [&burst, before, token, after, line_end];
            if sink.write_all(&mut pieces.map(IoSlice::new)).await.is_err() {
                self.close(Fate::Broken);
                return false;
            }
            self.written(burst, long);
        }
        self.close(Fate::Closed);
        true
    }
}
