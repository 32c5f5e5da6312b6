//! The transcript of one session: what a client that comes later is told of it. The ring has its
//! last turns, the state what is true now: commands, mode, options and the like, each once.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::bridge::books::ring::{Entry, Ring};
use crate::bridge::time::Moment;
use crate::bridge::update::{Part, StateKind};
use crate::wire::{json, run, splice};

/// The most bytes of state that are kept for one session.
pub const MAX_STATE: usize = 256 * 1024;

/// The transcript.
#[derive(Clone, Debug)]
pub struct Transcript {
    /// Its last turns.
    pub ring: Ring,
    state: BTreeMap<StateKind, Entry>,
    /// The agent's result of the open, as JSON text; empty: it is not known.
    opened: Bytes,
    /// The id of the model that a client has chosen, as JSON text; empty: none has.
    pub model: Bytes,
    /// A hash of what the session was opened with, by the name of each part.
    pub opened_with: [(&'static str, u64); 2],
    /// The moment under which its session is listed as one that can give something up.
    pub listed_at: Option<Moment>,
}

impl Transcript {
    /// A transcript of a session that was opened with this. `is_complete`: the conversation is
    /// new, or its history follows.
    pub fn new(is_complete: bool, opened_with: [(&'static str, u64); 2]) -> Transcript {
        let (state, opened) = (BTreeMap::new(), Bytes::new());
        let (ring, listed_at) = (Ring::new(is_complete), None);
        Transcript { ring, state, opened, model: Bytes::new(), opened_with, listed_at }
    }

    /// The memory that it takes, in bytes.
    pub fn bytes(&self) -> usize {
        self.ring.bytes() + self.state_bytes()
    }

    fn state_bytes(&self) -> usize {
        self.opened.len() + self.state.values().map(|entry| entry.bytes.len()).sum::<usize>()
    }

    /// Adds a copy of messages for the clients of the session. `first`: the first sequence number;
    /// a message of the history that the agent replays is older than every one that has a number,
    /// and its own is 0. `lines`: how many they are, and their bytes, with one `\n` between two.
    /// `limit`: the most bytes of the ring.
    pub fn add(&mut self, part: Part, first: u64, lines: (usize, &[u8]), limit: usize) {
        let (count, bytes) = lines;
        let entry = |seq, bytes| Entry { seq, is_history: part.is_replayed(), bytes };
        match part {
            Part::Moment => {}
            Part::History | Part::Other if self.ring.is_skipping() => {
                self.ring.skip(first + count as u64 - 1);
            }
            Part::History | Part::Other => {
                // A small message must not keep the memory of a whole read for as long as it is
                // kept.
                let copy = self.ring.copy(bytes);
                self.ring.push(entry(first, copy), count, limit);
            }
            Part::State(kind) => {
                for (line, seq) in run::each(count, bytes).zip(first..) {
                    self.set_state(kind, entry(seq, Bytes::copy_from_slice(line)));
                }
            }
            Part::Plan => {
                for (line, seq) in run::each(count, bytes).zip(first..) {
                    let entry = entry(seq, Bytes::copy_from_slice(line));
                    self.ring.push(entry.clone(), 1, limit);
                    self.set_state(StateKind::Plan, entry);
                }
            }
        }
    }

    /// Sets one part of the state; one that is too large is not kept.
    fn set_state(&mut self, kind: StateKind, entry: Entry) {
        self.state.remove(&kind);
        if self.state_bytes() + entry.bytes.len() <= MAX_STATE {
            self.state.insert(kind, entry);
        }
    }

    /// The value of a member of one part of the state, as JSON text.
    pub fn state_value(&self, kind: StateKind, member: &str) -> Option<&[u8]> {
        let text = &self.state.get(&kind)?.bytes;
        let place = json::find(text, json::whole(text)?, &["params", "update", member])?;
        Some(place.of(text))
    }

    /// The result of a load or resume that the bridge answers itself: that of the agent's open,
    /// without an id, and with the settings that hold now.
    pub fn result(&self) -> Bytes {
        let Some(object) = json::whole(&self.opened) else { return Bytes::from_static(b"{}") };
        let mut result = splice::without(&self.opened, object, "sessionId");
        let mode = self.state_value(StateKind::Mode, "currentModeId");
        let options = self.state_value(StateKind::Options, "configOptions");
        let model = Some(&*self.model).filter(|model| !model.is_empty());
        let settings: [(&[&str], Option<&[u8]>); 3] = [
            (&["modes", "currentModeId"], mode),
            (&["models", "currentModelId"], model),
            (&["configOptions"], options),
        ];
        for (path, value) in settings {
            let has_it = json::whole(&result).and_then(|all| json::find(&result, all, path));
            if let (Some(_), Some(value)) = (has_it, value) {
                result = splice::set(&result, path, value);
            }
        }
        result
    }

    /// The state as updates, for a client that has been told the ring's messages.
    pub fn updates_behind_ring(&self) -> impl Iterator<Item = &Entry> {
        let first = self.ring.first_seq();
        // A plan that stands in the ring was told.
        let is_told = move |kind: StateKind, entry: &Entry| {
            kind == StateKind::Plan && first.is_some_and(|first| entry.seq >= first)
        };
        self.in_order().filter(move |(kind, entry)| !is_told(*kind, entry)).map(|(_, entry)| entry)
    }

    /// The state as updates, in the order in which they came.
    pub fn updates(&self) -> impl Iterator<Item = &Entry> {
        self.in_order().map(|(_, entry)| entry)
    }

    fn in_order(&self) -> impl Iterator<Item = (StateKind, &Entry)> {
        let mut rows: Vec<_> = self.state.iter().map(|(kind, entry)| (*kind, entry)).collect();
        rows.sort_by_key(|(_, entry)| entry.seq);
        rows.into_iter()
    }

    /// Every message after this sequence number that a client has missed, in their order.
    pub fn missed_after(&self, seq: u64) -> Vec<Entry> {
        let state = self.state.iter().filter(|(kind, _)| **kind != StateKind::Plan);
        let state = state.map(|(_, entry)| entry.clone());
        let mut missed: Vec<Entry> = self.ring.entries().chain(state).collect();
        let plan = self.state.get(&StateKind::Plan);
        let first = self.ring.first_seq();
        missed.extend(plan.filter(|plan| first.is_none_or(|first| plan.seq < first)).cloned());
        missed.retain(|entry| entry.seq > seq);
        missed.sort_by_key(|entry| entry.seq);
        missed
    }

    /// Keeps the agent's result of an open; one that is too large is not kept.
    pub fn set_opened(&mut self, result: Bytes) {
        self.opened = Bytes::new();
        if self.state_bytes() + result.len() <= MAX_STATE {
            self.opened = result;
        }
    }

    /// Takes the state that an agent has told in a load, in place of the settings that it had and
    /// of all that it tells anew. The numbers stay: nobody was told a new one.
    pub fn adopt_state(&mut self, told: &Transcript) {
        self.model = Bytes::new();
        let before = self.state.clone();
        self.state.retain(|kind, _| !matches!(kind, StateKind::Mode | StateKind::Options));
        for (kind, entry) in &told.state {
            let seq = before.get(kind).map_or(entry.seq, |before| before.seq);
            self.set_state(*kind, Entry { seq, ..entry.clone() });
        }
    }

    /// Whether every limit is kept.
    pub fn is_sound(&self) -> bool {
        self.ring.is_sound() && self.state_bytes() <= MAX_STATE
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Borrow;

    use super::*;

    fn entry(seq: u64, length: usize) -> Entry {
        Entry { seq, is_history: true, bytes: vec![b'x'; length].into() }
    }

    fn seqs(entries: impl IntoIterator<Item: Borrow<Entry>>) -> Vec<u64> {
        entries.into_iter().map(|entry| entry.borrow().seq).collect()
    }

    fn transcript(parts: &[Part], limit: usize) -> Transcript {
        let mut transcript = Transcript::new(true, [("", 0); 2]);
        for (place, part) in parts.iter().enumerate() {
            if *part == Part::Other {
                transcript.ring.begin_turn();
            }
            transcript.add(*part, place as u64 + 1, (1, &[b'x'; 100]), limit);
            assert!(transcript.is_sound());
        }
        transcript
    }

    #[test]
    fn the_state_is_told_once_and_in_the_order_in_which_it_came_to_be() {
        let (mode, usage) = (Part::State(StateKind::Mode), Part::State(StateKind::Usage));
        let parts = [Part::History, usage, mode, Part::Moment, Part::Plan, usage, Part::History];
        let all = transcript(&parts, usize::MAX);
        assert_eq!(seqs(all.ring.entries()), [1, 5, 7]);
        assert_eq!(seqs(all.updates_behind_ring()), [3, 6], "the plan is in the ring");
        assert_eq!(seqs(all.updates()), [3, 5, 6]);
        assert_eq!(seqs(all.missed_after(3)), [5, 6, 7]);
        assert_eq!(seqs(all.missed_after(0)), [1, 3, 5, 6, 7]);
    }

    #[test]
    fn the_plan_of_a_turn_that_was_given_up_is_state() {
        let cut = transcript(&[Part::Plan, Part::Other, Part::History], 320);
        assert_eq!(seqs(cut.ring.entries()), [2, 3]);
        assert_eq!(seqs(cut.updates_behind_ring()), [1]);
        assert_eq!(seqs(cut.missed_after(0)), [1, 2, 3]);
    }

    #[test]
    fn the_state_is_bounded() {
        let mut all = transcript(&[], 0);
        all.add(Part::State(StateKind::Info), 1, (1, &[b'x'; MAX_STATE]), 0);
        assert_eq!(all.bytes(), MAX_STATE);
        all.add(Part::State(StateKind::Mode), 2, (1, b"x"), 0);
        all.set_opened(Bytes::from_static(b"{}"));
        assert_eq!((seqs(all.updates()), all.opened.len()), (vec![1], 0));
        all.add(Part::State(StateKind::Info), 3, (1, &[b'x'; 10]), 0);
        all.set_opened(Bytes::from_static(b"{}"));
        assert_eq!((all.bytes(), all.is_sound()), (12, true));
        all.add(Part::State(StateKind::Info), 4, (1, &[b'x'; MAX_STATE]), 0);
        assert_eq!(seqs(all.updates()), [0; 0], "what is not true any more is not told");
    }

    #[test]
    fn a_plan_that_begins_the_ring_is_told_once() {
        let all = transcript(&[Part::Plan, Part::History], usize::MAX);
        assert_eq!(seqs(all.missed_after(0)), [1, 2]);
        assert_eq!(seqs(all.updates_behind_ring()), [0; 0]);
    }

    #[test]
    fn the_result_of_the_open_and_the_rest_of_the_state_share_one_bound() {
        let mut all = transcript(&[], 0);
        let half = Bytes::from(vec![b' '; 128 * 1024]);
        all.add(Part::State(StateKind::Info), 1, (1, &half), 0);
        all.set_opened(half.clone());
        assert_eq!((all.bytes(), all.is_sound()), (256 * 1024, true));
        all.set_opened([&half[..], b" "].concat().into());
        assert_eq!(all.bytes(), half.len());
        all.opened = [&half[..], b" "].concat().into();
        assert!(!all.is_sound());
        all.opened = Bytes::new();
        all.ring.push(entry(2, 1), 1, usize::MAX);
        all.ring.push(entry(1, 1), 1, usize::MAX);
        assert!(!all.is_sound());
    }

    #[test]
    fn what_a_load_tells_anew_keeps_the_number_that_it_had() {
        let (mode, usage) = (Part::State(StateKind::Mode), Part::State(StateKind::Usage));
        let mut all = transcript(&[usage, mode], usize::MAX);
        let mut told = Transcript::new(true, [("", 0); 2]);
        told.add(usage, 0, (1, b"new"), usize::MAX);
        all.adopt_state(&told);
        // The mode that it had counts no more, since the load told none.
        assert_eq!(seqs(all.updates()), [1]);
        assert_eq!(all.updates().next().map(|entry| &*entry.bytes), Some(&b"new"[..]));
    }
}
