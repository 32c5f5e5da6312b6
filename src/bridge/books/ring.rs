//! The replay ring of one session: its last turns, as its clients got them, for clients that
//! come later.
//!
//! It is bounded in bytes and gives up whole turns, the oldest first, so that what is left
//! begins with a prompt. It has copies of the messages, which a replay shares.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

#[cfg(feature = "seeded-bugs")]
use crate::bridge::seeded;
use crate::wire::run;

/// The least and the most memory that is taken at once for the small messages of a ring, in bytes;
/// in between, it is a part of what the ring holds.
const SMALLEST_BLOCK: usize = 512;
const LARGEST_BLOCK: usize = 32 * 1024;
const BLOCK_PART: usize = 8;

/// One message.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its sequence number in the session.
    pub seq: u64,
    /// Whether it is a part of the history that a load replays.
    pub is_history: bool,
    /// The message, as the agent wrote it.
    pub bytes: Bytes,
}

/// Messages that came in one piece, which are all history or none.
#[derive(Clone, Debug)]
struct Piece {
    /// The first one, but with the bytes of all, with one `\n` between two. The others have the
    /// sequence numbers behind its own.
    first: Entry,
    count: usize,
}

/// The memory that a piece takes beside its bytes.
pub const OVERHEAD: usize = size_of::<Piece>();

impl Piece {
    /// The memory that it takes.
    fn weight(&self) -> usize {
        self.first.bytes.len() + OVERHEAD
    }

    fn last_seq(&self) -> u64 {
        self.first.seq + self.count as u64 - 1
    }

    fn entries(&self) -> impl Iterator<Item = Entry> {
        let Entry { seq, is_history, bytes } = &self.first;
        let lines = run::each(self.count, bytes).zip(*seq..);
        lines.map(|(line, seq)| Entry {
            seq,
            is_history: *is_history,
            bytes: bytes.slice_ref(line),
        })
    }
}

/// A turn, with what came after it until the next one began.
#[derive(Clone, Debug, Default)]
struct Turn {
    pieces: Vec<Piece>,
    bytes: usize,
}

/// The ring.
#[derive(Clone, Debug)]
pub struct Ring {
    /// The turns, the oldest first; the first one may be what came before the first prompt.
    turns: VecDeque<Turn>,
    bytes: usize,
    /// Whether nothing of the conversation is missing.
    is_complete: bool,
    is_skipping: bool,
    /// The sequence number of the last message that was given up or not kept.
    missing_up_to: u64,
    /// The memory for the next messages: so many small ones are not an allocation each.
    block: BytesMut,
}

impl Ring {
    /// An empty ring. `is_complete`: the conversation is new, or its history follows.
    pub fn new(is_complete: bool) -> Ring {
        let turns = VecDeque::from([Turn::default()]);
        let block = BytesMut::new();
        Ring { turns, bytes: 0, is_complete, is_skipping: false, missing_up_to: 0, block }
    }

    /// The memory that the ring takes, in bytes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether nothing of the conversation is missing.
    pub fn is_complete(&self) -> bool {
        self.is_complete
    }

    /// Whether the turn that runs was too long, so that its rest is not kept either.
    pub fn is_skipping(&self) -> bool {
        self.is_skipping
    }

    /// Notes that a turn begins.
    pub fn begin_turn(&mut self) {
        self.is_skipping = false;
        if self.turns.back().is_some_and(|turn| !turn.pieces.is_empty()) {
            self.turns.push_back(Turn::default());
        }
    }

    /// A copy of messages, for [`Ring::push`].
    pub fn copy(&mut self, bytes: &[u8]) -> Bytes {
        if bytes.len() > self.block.capacity() {
            let block = (self.bytes / BLOCK_PART).clamp(SMALLEST_BLOCK, LARGEST_BLOCK);
            // The rest of the last block is lost: no more than an eighth of it.
            if bytes.len() > block / BLOCK_PART {
                return Bytes::copy_from_slice(bytes);
            }
            self.block = BytesMut::with_capacity(block);
        }
        self.block.extend_from_slice(bytes);
        self.block.split().freeze()
    }

    /// Adds messages, and gives up the oldest turns until the ring is within `limit` bytes.
    /// `first`: the first of them, but with the bytes of all, with one `\n` between two.
    pub fn push(&mut self, first: Entry, count: usize, limit: usize) {
        let piece = Piece { first, count };
        if self.is_skipping {
            return self.skip(piece.last_seq());
        }
        self.bytes += piece.weight();
        if self.turns.is_empty() {
            self.turns.push_back(Turn::default());
        }
        if let Some(turn) = self.turns.back_mut() {
            turn.bytes += piece.weight();
            turn.pieces.push(piece);
        }
        while self.bytes > limit {
            self.give_up_oldest();
        }
    }

    /// Notes that no message up to this sequence number is kept.
    pub fn skip(&mut self, seq: u64) {
        self.missing_up_to = self.missing_up_to.max(seq);
    }

    /// Gives up the oldest turn.
    pub fn give_up_oldest(&mut self) {
        #[cfg(feature = "seeded-bugs")]
        if seeded::is(seeded::Bug::CutRingInTurn)
            && let Some(turn) = self.turns.front_mut()
            && turn.pieces.len() > 1
        {
            let piece = turn.pieces.remove(0);
            (turn.bytes, self.bytes) = (turn.bytes - piece.weight(), self.bytes - piece.weight());
            (self.is_complete, self.missing_up_to) = (false, piece.last_seq());
            return;
        }
        let Some(turn) = self.turns.pop_front() else { return };
        self.bytes -= turn.bytes;
        if let Some(last) = turn.pieces.last() {
            self.is_complete = false;
            // A message that an agent has replayed has no number.
            self.missing_up_to = self.missing_up_to.max(last.last_seq());
        }
        // It was the one that runs.
        self.is_skipping = self.turns.is_empty();
    }

    /// Every message, the oldest first.
    pub fn entries(&self) -> impl Iterator<Item = Entry> {
        self.pieces().flat_map(Piece::entries)
    }

    fn pieces(&self) -> impl Iterator<Item = &Piece> {
        self.turns.iter().flat_map(|turn| &turn.pieces)
    }

    /// The sequence number of the first message; `None`: there is none.
    pub fn first_seq(&self) -> Option<u64> {
        self.pieces().next().map(|piece| piece.first.seq)
    }

    /// Whether a message after this sequence number is missing.
    pub fn has_gap_after(&self, seq: u64) -> bool {
        self.missing_up_to > seq
    }

    /// Notes that the messages up to this number are here without their numbers, so that a client
    /// that knows one of these numbers cannot be told which it has missed.
    pub fn forget_numbers_up_to(&mut self, seq: u64) {
        self.missing_up_to = seq;
    }

    /// Whether the number of bytes is right, and every turn but the first has messages.
    pub fn is_sound(&self) -> bool {
        let bytes = |turn: &Turn| turn.pieces.iter().map(Piece::weight).sum::<usize>();
        let is_right = self.turns.iter().all(|turn| bytes(turn) == turn.bytes);
        let in_order = self.entries().map(|entry| entry.seq).is_sorted();
        is_right && in_order && self.turns.iter().map(bytes).sum::<usize>() == self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(seq: u64, length: usize) -> Entry {
        Entry { seq, is_history: true, bytes: vec![b'x'; length].into() }
    }

    /// A ring with turns of these lengths; each has messages of 100 bytes.
    fn ring(turns: &[usize], limit: usize) -> Ring {
        let mut ring = Ring::new(true);
        let mut seq = 0;
        for turn in turns {
            ring.begin_turn();
            for _ in 0..*turn {
                seq += 1;
                ring.push(entry(seq, 100), 1, limit);
                assert!(ring.is_sound() && ring.bytes() <= limit);
            }
        }
        ring
    }

    fn seqs(ring: &Ring) -> Vec<u64> {
        ring.entries().map(|entry| entry.seq).collect()
    }

    #[test]
    fn whole_turns_are_given_up_the_oldest_first() {
        let limit = 5 * (100 + OVERHEAD);
        let kept = ring(&[2, 2, 1], limit);
        assert_eq!((seqs(&kept), kept.is_complete()), (vec![1, 2, 3, 4, 5], true));
        assert!(!kept.has_gap_after(0));
        let cut = ring(&[2, 2, 2], limit);
        assert_eq!((seqs(&cut), cut.is_complete()), (vec![3, 4, 5, 6], false));
        assert_eq!((cut.has_gap_after(1), cut.has_gap_after(2)), (true, false));
        assert_eq!(cut.first_seq(), Some(3));
    }

    #[test]
    fn of_a_turn_that_is_too_long_nothing_is_kept_and_the_next_one_is() {
        let limit = 3 * (100 + OVERHEAD);
        let mut ring = ring(&[1, 4], limit);
        assert_eq!((seqs(&ring), ring.bytes()), (vec![], 0));
        ring.push(entry(6, 100), 1, limit);
        assert_eq!(seqs(&ring), [0; 0], "its rest is not kept either");
        assert!(ring.has_gap_after(5) && !ring.has_gap_after(6) && ring.is_sound());
        ring.begin_turn();
        ring.push(entry(7, 100), 1, limit);
        assert_eq!(seqs(&ring), [7]);
        assert!(!ring.is_complete() && ring.is_sound());
    }

    #[test]
    fn a_gap_stays_although_what_was_replayed_without_numbers_is_given_up() {
        let mut ring = Ring::new(true);
        ring.push(entry(0, 100), 1, usize::MAX);
        ring.forget_numbers_up_to(500);
        ring.begin_turn();
        ring.push(entry(501, 100), 1, 100 + OVERHEAD);
        assert_eq!(seqs(&ring), [501]);
        assert_eq!((ring.has_gap_after(450), ring.has_gap_after(500)), (true, false));
    }

    #[test]
    fn a_wrong_number_of_bytes_is_found_and_so_is_a_wrong_order() {
        let sound = ring(&[1, 2], usize::MAX);
        let is_sound = |change: fn(&mut Ring)| {
            let mut ring = sound.clone();
            change(&mut ring);
            ring.is_sound()
        };
        assert!(is_sound(|_| {}));
        assert!(!is_sound(|ring| ring.bytes += 1));
        assert!(!is_sound(|ring| ring.turns[0].bytes += 1));
        assert!(!is_sound(|ring| ring.turns.swap(0, 1)));
    }

    #[test]
    fn a_turn_without_a_message_takes_no_place() {
        let mut ring = ring(&[1, 0, 0, 1], usize::MAX);
        assert_eq!(ring.turns.len(), 2);
        ring.give_up_oldest();
        assert_eq!(seqs(&ring), [2]);
        ring.give_up_oldest();
        ring.give_up_oldest();
        assert_eq!((seqs(&ring), ring.bytes(), ring.is_sound()), (vec![], 0, true));
        assert!(!Ring::new(false).is_complete());
    }
}
