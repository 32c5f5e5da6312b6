//! The messages in a write queue, by lane: order within a lane is kept, and lanes take turns,
//! by bytes.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::mem;

use bytes::BytesMut;

use crate::bridge::Lane;
use crate::wire::OutgoingFrame;

/// The most bytes of one burst: short messages are gathered in it while the burst before
/// it is being written.
const BURST: usize = 64 * 1024;
/// A message of at least this length (bytes) is written from its own memory.
const LONG: usize = 16 * 1024;
/// The most and the fewest bytes of one turn while several lanes have messages; so many lanes
/// share the most.
const LONGEST_TURN: usize = 8 * 1024;
const SHORTEST_TURN: usize = 1024;

/// The queued messages of one peer.
#[derive(Debug, Default)]
pub(super) struct Lanes {
    /// The lanes that have messages.
    queues: BTreeMap<Lane, Queue>,
    /// The same lanes, in the order of their turns, without the newcomers.
    turns: VecDeque<Lane>,
    /// The lanes that were empty when their oldest message came, and have had no turn since.
    newcomers: VecDeque<Lane>,
    /// The last turn was that of a newcomer, which has overtaken the lanes in `turns`.
    overtaken: bool,
    /// The number of fences so far.
    fences: u64,
    /// The memory of a burst that was written, for the next one.
    reusable: BytesMut,
}

/// The messages of one lane.
#[derive(Debug, Default)]
struct Queue {
    entries: VecDeque<Entry>,
    /// The bytes that the lane has taken beyond its turns, while others waited: a long message
    /// is more than a turn, and is paid for with the next ones.
    debt: usize,
}

/// An entry of a lane, and the number of fences when it was queued.
#[derive(Debug)]
struct Entry {
    fences: u64,
    content: Content,
}

#[derive(Debug)]
enum Content {
    Piece(Piece),
    /// What follows waits until everything is taken that was queued before this fence.
    Fence,
}

/// The next bytes to be written.
#[derive(Debug)]
pub(super) enum Piece {
    /// Copies of short messages, with their line ends.
    Burst(BytesMut),
    /// A long message, which is not copied.
    Long(OutgoingFrame),
}

impl Piece {
    /// The memory that the piece holds while it waits, in bytes.
    pub(super) fn weight(&self) -> usize {
        match self {
            Piece::Burst(burst) => burst.len(),
            Piece::Long(frame) => frame.len() + size_of::<OutgoingFrame>(),
        }
    }
}

/// A piece that was taken, and its place.
#[derive(Debug)]
pub(super) struct Taken {
    pub(super) piece: Piece,
    lane: Lane,
    fences: u64,
}

impl Lanes {
    /// Queues a message, and returns the bytes by which the queue has become heavier.
    pub(super) fn push(&mut self, lane: Lane, frame: OutgoingFrame) -> usize {
        let fences = self.fences;
        if frame.len() >= LONG {
            let piece = Piece::Long(frame);
            let weight = piece.weight();
            self.queue(lane).entries.push_back(Entry { fences, content: Content::Piece(piece) });
            return weight;
        }
        let length = frame.len() + 1;
        if let Some(Entry { fences: its, content: Content::Piece(Piece::Burst(burst)) }) =
            self.queue(lane).entries.back_mut()
            && *its == fences
            && burst.len() + length <= BURST
        {
            if burst.capacity() - burst.len() < length {
                burst.reserve(BURST - burst.len());
            }
            frame.write_line_to(burst);
            return length;
        }
        let mut burst = mem::take(&mut self.reusable);
        frame.write_line_to(&mut burst);
        let content = Content::Piece(Piece::Burst(burst));
        self.queue(lane).entries.push_back(Entry { fences, content });
        length
    }

    /// Makes what is queued in this lane from now on wait for all that is queued now.
    pub(super) fn fence(&mut self, lane: Lane) {
        if self.queues.keys().all(|other| *other == lane) {
            return;
        }
        self.fences += 1;
        let fences = self.fences;
        self.queue(lane).entries.push_back(Entry { fences, content: Content::Fence });
    }

    pub(super) fn is_empty(&self) -> bool {
        self.queues.is_empty()
    }

    /// Whether messages of another lane wait.
    pub(super) fn has_other(&self, taken: &Taken) -> bool {
        self.queues.keys().any(|lane| *lane != taken.lane)
    }

    /// Takes the next piece, of the lane whose turn it is.
    pub(super) fn next(&mut self) -> Option<Taken> {
        // A fence waits for earlier messages only: the lane with the earliest message passes its
        // fence, pays its debt or gives a piece. So this ends.
        while let Some(lane) = self.next_lane() {
            self.pass_fences(lane);
            let turn = self.turn();
            let Some(queue) = self.queues.get_mut(&lane) else { continue };
            let taken = queue.take(lane, turn);
            if queue.entries.is_empty() {
                self.queues.remove(&lane);
            } else {
                self.turns.push_back(lane);
            }
            if taken.is_some() {
                return taken;
            }
        }
        None
    }

    /// The lane whose turn it is. A newcomer goes first if one turn is enough for it: an answer
    /// overtakes the floods. But the next turn is that of one of the others, so that newcomers
    /// again and again do not hold them up.
    fn next_lane(&mut self) -> Option<Lane> {
        let turn = self.turn();
        while let Some(lane) = self.newcomers.pop_front() {
            if !self.queues.get(&lane).is_some_and(|queue| queue.is_light(turn)) {
                self.turns.push_back(lane);
            } else if self.overtaken && !self.turns.is_empty() {
                self.newcomers.push_front(lane);
                break;
            } else {
                self.overtaken = !self.turns.is_empty();
                return Some(lane);
            }
        }
        self.overtaken = false;
        self.turns.pop_front()
    }

    /// The queue of a lane.
    fn queue(&mut self, lane: Lane) -> &mut Queue {
        self.queues.entry(lane).or_insert_with(|| {
            self.newcomers.push_back(lane);
            Queue::default()
        })
    }

    /// Puts a part of a piece that was taken back to its place. The lane has had its turn.
    pub(super) fn put_back(&mut self, taken: Taken) {
        let Taken { piece, lane, fences } = taken;
        let queue = self.queues.entry(lane).or_insert_with(|| {
            self.turns.push_back(lane);
            Queue::default()
        });
        queue.entries.push_front(Entry { fences, content: Content::Piece(piece) });
    }

    /// The bytes of one turn.
    fn turn(&self) -> usize {
        match self.queues.len() {
            0 | 1 => BURST,
            several => (2 * LONGEST_TURN / several).clamp(SHORTEST_TURN, LONGEST_TURN),
        }
    }

    /// Removes the fences at the front of a lane that everything before has passed.
    fn pass_fences(&mut self, lane: Lane) {
        while let Some(Entry { fences, content: Content::Fence }) =
            self.queues.get(&lane).and_then(|queue| queue.entries.front())
        {
            let waits = |queue: &Queue| queue.entries.front().is_some_and(|e| e.fences < *fences);
            let others = self.queues.iter().filter(|(other, _)| **other != lane);
            if others.map(|(_, queue)| queue).any(waits) {
                return;
            }
            if let Some(queue) = self.queues.get_mut(&lane) {
                queue.entries.pop_front();
            }
        }
    }

    /// Keeps the memory of a burst that was written for the next one.
    pub(super) fn recycle(&mut self, piece: Piece) {
        if let Piece::Burst(mut burst) = piece
            && self.reusable.capacity() == 0
        {
            burst.clear();
            self.reusable = burst;
        }
    }

    /// Drops all messages, and returns their weight.
    pub(super) fn clear(&mut self) -> usize {
        let entries = self.queues.values().flat_map(|queue| &queue.entries);
        let weight = entries.map(|entry| match &entry.content {
            Content::Piece(piece) => piece.weight(),
            Content::Fence => 0,
        });
        let weight = weight.sum();
        *self = Lanes::default();
        weight
    }
}

impl Taken {
    /// Cuts a burst behind the message that stands at its beginning, and returns the rest;
    /// `None`: there is none.
    pub(super) fn cut(&mut self) -> Option<Taken> {
        let Taken { piece: Piece::Burst(burst), lane, fences } = self else { return None };
        let end = memchr::memchr(b'\n', burst)? + 1;
        let rest = burst.split_off(end);
        let taken = Taken { piece: Piece::Burst(rest), lane: *lane, fences: *fences };
        (taken.piece.weight() > 0).then_some(taken)
    }
}

impl Queue {
    /// Whether one turn, of `turn` bytes, is enough for all that the lane has.
    fn is_light(&self, turn: usize) -> bool {
        let mut entries = self.entries.iter();
        match (entries.next(), entries.next()) {
            (Some(Entry { content: Content::Piece(piece), .. }), None) => piece.weight() <= turn,
            _ => false,
        }
    }

    /// Takes the next piece, of about `turn` bytes; `None`: the lane waits at a fence, or has
    /// had more than its turn before.
    fn take(&mut self, lane: Lane, turn: usize) -> Option<Taken> {
        if turn == BURST {
            // The lane is alone: nobody waits for it.
            self.debt = 0;
        }
        if self.debt >= turn {
            self.debt -= turn;
            return None;
        }
        let taken = self.take_piece(lane, turn)?;
        self.debt = (self.debt + taken.piece.weight()).saturating_sub(turn);
        Some(taken)
    }

    fn take_piece(&mut self, lane: Lane, turn: usize) -> Option<Taken> {
        let Entry { fences, content } = self.entries.front_mut()?;
        let fences = *fences;
        match content {
            Content::Fence => return None,
            Content::Piece(Piece::Burst(burst)) if burst.len() > turn => {
                let end = memchr::memchr(b'\n', &burst[turn - 1..]).map(|end| turn + end);
                if let Some(end) = end.filter(|end| *end < burst.len()) {
                    let part = burst.split_to(end);
                    return Some(Taken { piece: Piece::Burst(part), lane, fences });
                }
            }
            Content::Piece(_) => {}
        }
        match self.entries.pop_front()?.content {
            Content::Piece(piece) => Some(Taken { piece, lane, fences }),
            Content::Fence => None,
        }
    }
}
