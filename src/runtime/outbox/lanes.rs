//! The messages in a write queue, by lane: order within a lane is kept, and lanes take turns,
//! by bytes.

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
    queues: BTreeMap<Lane, VecDeque<Entry>>,
    /// The same lanes, in the order of their turns.
    turns: VecDeque<Lane>,
    /// The number of fences so far.
    fences: u64,
    /// The memory of a burst that was written, for the next one.
    reusable: BytesMut,
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
        let reusable = &mut self.reusable;
        let queue = self.queues.entry(lane).or_insert_with(|| {
            self.turns.push_back(lane);
            VecDeque::new()
        });
        if frame.len() >= LONG {
            let piece = Piece::Long(frame);
            let weight = piece.weight();
            queue.push_back(Entry { fences, content: Content::Piece(piece) });
            return weight;
        }
        let length = frame.len() + 1;
        if let Some(Entry { fences: its, content: Content::Piece(Piece::Burst(burst)) }) =
            queue.back_mut()
            && *its == fences
            && burst.len() + length <= BURST
        {
            if burst.capacity() - burst.len() < length {
                burst.reserve(BURST - burst.len());
            }
            frame.write_line_to(burst);
            return length;
        }
        let mut burst = mem::take(reusable);
        frame.write_line_to(&mut burst);
        queue.push_back(Entry { fences, content: Content::Piece(Piece::Burst(burst)) });
        length
    }

    /// Makes what is queued in this lane from now on wait for all that is queued now.
    pub(super) fn fence(&mut self, lane: Lane) {
        if self.queues.keys().all(|other| *other == lane) {
            return;
        }
        self.fences += 1;
        let fences = self.fences;
        let queue = self.queues.entry(lane).or_insert_with(|| {
            self.turns.push_back(lane);
            VecDeque::new()
        });
        queue.push_back(Entry { fences, content: Content::Fence });
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
        // A fence waits for earlier messages only, so one of the lanes can always go on.
        for _ in 0..self.turns.len() {
            let lane = self.turns.pop_front()?;
            self.pass_fences(lane);
            let turn = self.turn();
            let taken = self.queues.get_mut(&lane).and_then(|queue| take(queue, lane, turn));
            if self.queues.get(&lane).is_some_and(VecDeque::is_empty) {
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

    /// Puts a part of a piece that was taken back to its place, at the end of the turns.
    pub(super) fn put_back(&mut self, taken: Taken) {
        let Taken { piece, lane, fences } = taken;
        let queue = self.queues.entry(lane).or_insert_with(|| {
            self.turns.push_back(lane);
            VecDeque::new()
        });
        queue.push_front(Entry { fences, content: Content::Piece(piece) });
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
            self.queues.get(&lane).and_then(VecDeque::front)
        {
            let waits =
                |queue: &VecDeque<Entry>| queue.front().is_some_and(|entry| entry.fences < *fences);
            let others = self.queues.iter().filter(|(other, _)| **other != lane);
            if others.map(|(_, queue)| queue).any(waits) {
                return;
            }
            if let Some(queue) = self.queues.get_mut(&lane) {
                queue.pop_front();
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

    /// Drops all messages.
    pub(super) fn clear(&mut self) {
        *self = Lanes::default();
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

/// Takes the next piece of a lane, of about `turn` bytes; `None`: the lane waits at a fence.
fn take(queue: &mut VecDeque<Entry>, lane: Lane, turn: usize) -> Option<Taken> {
    let Entry { fences, content } = queue.front_mut()?;
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
    match queue.pop_front()?.content {
        Content::Piece(piece) => Some(Taken { piece, lane, fences }),
        Content::Fence => None,
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::bridge::ChannelId;

    const A: Lane = Lane::Channel(ChannelId(1));
    const B: Lane = Lane::Channel(ChannelId(2));

    fn frame(text: &str) -> OutgoingFrame {
        OutgoingFrame::ready(Bytes::from(text.to_owned()))
    }

    fn push(lanes: &mut Lanes, lane: Lane, text: &str) -> usize {
        lanes.push(lane, frame(text))
    }

    /// The next piece, as text.
    fn next(lanes: &mut Lanes) -> Option<String> {
        Some(match lanes.next()?.piece {
            Piece::Burst(burst) => String::from_utf8(burst.to_vec()).unwrap(),
            Piece::Long(frame) => String::from_utf8(frame.to_bytes().to_vec()).unwrap() + "\n",
        })
    }

    fn all(lanes: &mut Lanes) -> String {
        std::iter::from_fn(|| next(lanes)).collect()
    }

    #[test]
    fn one_lane_is_written_in_bursts_and_in_order() {
        let mut lanes = Lanes::default();
        let long = "l".repeat(LONG);
        let weights: usize =
            ["a", "b", long.as_str(), "c"].iter().map(|text| push(&mut lanes, A, text)).sum();
        assert_eq!(weights, 2 + 2 + LONG + size_of::<OutgoingFrame>() + 2);
        assert_eq!(next(&mut lanes).as_deref(), Some("a\nb\n"));
        assert_eq!(all(&mut lanes), format!("{long}\nc\n"));
        assert!(lanes.is_empty() && lanes.turns.is_empty());
    }

    #[test]
    fn a_flood_in_one_lane_holds_up_no_other() {
        let mut lanes = Lanes::default();
        let line = "x".repeat(99);
        for _ in 0..600 {
            push(&mut lanes, A, &line);
        }
        push(&mut lanes, B, "answer");
        let first = next(&mut lanes).unwrap();
        assert!(first.ends_with('\n') && first.len() <= LONGEST_TURN + 100, "{}", first.len());
        assert_eq!(next(&mut lanes).as_deref(), Some("answer\n"));
        // Alone again, it is written in whole bursts.
        assert_eq!(next(&mut lanes).unwrap().len() + first.len(), 600 * 100);
        assert!(lanes.is_empty());
    }

    #[test]
    fn many_lanes_have_short_turns() {
        let mut lanes = Lanes::default();
        let line = "x".repeat(99);
        for lane in 0..200 {
            for _ in 0..100 {
                push(&mut lanes, Lane::Channel(ChannelId(lane)), &line);
            }
        }
        push(&mut lanes, Lane::Bridge, "answer");
        let mut before = 0;
        loop {
            let piece = next(&mut lanes).unwrap();
            if piece == "answer\n" {
                break;
            }
            before += piece.len();
        }
        assert!(before <= 200 * (SHORTEST_TURN + 100), "{before}");
    }

    #[test]
    fn a_fence_waits_for_what_was_queued_before_it_and_for_nothing_else() {
        let mut lanes = Lanes::default();
        let line = "x".repeat(99);
        for _ in 0..400 {
            push(&mut lanes, A, &line);
        }
        push(&mut lanes, A, "died");
        push(&mut lanes, B, "early");
        lanes.fence(B);
        push(&mut lanes, B, "loaded");
        for _ in 0..400 {
            push(&mut lanes, A, &line);
        }
        let all = all(&mut lanes);
        let place = |text: &str| all.find(text).unwrap();
        assert!(place("early") < place("died") && place("died") < place("loaded"));
        assert!(place("loaded") < all.len() - 100 * 100, "what came later is not waited for");
        assert_eq!(all.lines().count(), 803);
    }

    #[test]
    fn fences_of_two_lanes_for_each_other_are_passed() {
        let mut lanes = Lanes::default();
        push(&mut lanes, A, "a1");
        push(&mut lanes, B, "b1");
        lanes.fence(A);
        push(&mut lanes, A, "a2");
        lanes.fence(B);
        push(&mut lanes, B, "b2");
        assert_eq!(all(&mut lanes), "a1\nb1\na2\nb2\n");
        // Before anything else is queued there is nothing to wait for.
        lanes.fence(A);
        assert!(lanes.is_empty());
    }
}
