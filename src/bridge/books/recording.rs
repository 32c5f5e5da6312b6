//! The recording of what the clients of a session are told, for clients that come later.

use bytes::Bytes;

use crate::bridge::books::Books;
use crate::bridge::books::session::Session;
use crate::bridge::books::transcript::Transcript;
use crate::bridge::id::{CallId, SessionKey};
use crate::bridge::time::Moment;
use crate::bridge::update::Part;

impl Books {
    /// Whether sessions keep a transcript.
    pub fn keeps_transcripts(&self) -> bool {
        self.limits.replay_bytes > 0
    }

    /// Numbers notifications for the clients of a session, and keeps them for those that come
    /// later. `lines`: how many they are, and their bytes, with one `\n` between two. Returns the
    /// last sequence number.
    pub fn record(&mut self, key: SessionKey, part: Part, lines: (usize, &[u8])) -> u64 {
        let Some(session) = self.sessions.get_mut(&key) else { return 0 };
        let before = session.seq;
        session.seq += lines.0 as u64;
        let last = session.seq;
        let limit = self.limits.replay_bytes;
        self.change_transcript(key, |row| row.add(part, before + 1, lines, limit));
        last
    }

    /// Notes that an agent may replay a history for a call, which is for the client that asked
    /// alone; it is kept where sessions keep a transcript.
    pub fn begin_replay(&mut self, call: CallId, transcript: Transcript) {
        self.replays.insert(call, Box::new(transcript));
    }

    /// Keeps a message of a history that an agent replays for a call.
    pub fn record_replayed(&mut self, call: CallId, part: Part, bytes: &Bytes) {
        let limit = self.limits.replay_bytes;
        if let Some(replay) = self.replays.get_mut(&call).filter(|_| limit > 0) {
            let before = replay.bytes();
            replay.add(part, 0, (1, bytes), limit);
            // It gives way before the turns of live sessions do.
            let others = self.replay_sum.bytes() - before;
            while others + replay.bytes() > self.limits.replay_total_bytes
                && replay.ring.bytes() > 0
            {
                replay.ring.give_up_oldest();
            }
            self.replay_sum.changed(before, replay.bytes());
        }
    }

    /// Takes the history that an agent has replayed for a call. `None`: none was kept.
    pub fn take_replay(&mut self, call: CallId) -> Option<Box<Transcript>> {
        let replay = self.replays.remove(&call)?;
        self.replay_sum.changed(replay.bytes(), 0);
        Some(replay).filter(|_| self.keeps_transcripts())
    }

    /// The load of a live session whose history its agent replays now.
    pub fn replay_in(&self, session: &Session) -> Option<CallId> {
        if self.replays.is_empty() {
            return None;
        }
        session.calls.iter().copied().find(|call| self.replays.contains_key(call))
    }

    /// The size of all transcripts together, in bytes.
    pub fn replay_bytes(&self) -> usize {
        self.replay_sum.bytes()
    }

    /// Gives a session its transcript, in place of the one that it may have.
    pub fn set_transcript(&mut self, key: SessionKey, transcript: Box<Transcript>) {
        let Some(session) = self.sessions.get_mut(&key) else { return self.absent(key) };
        let before = session.transcript.replace(transcript);
        if let Some(before) = before {
            self.forget_transcript(key, &before);
        }
        let after = self.sessions.get(&key).and_then(|row| row.transcript.as_ref());
        self.replay_sum.changed(0, after.map_or(0, |row| row.bytes()));
        self.change_transcript(key, |_| {});
    }

    /// Changes the transcript of a session, if it has one, and keeps the sum of all within its
    /// limit.
    pub fn change_transcript(&mut self, key: SessionKey, change: impl FnOnce(&mut Transcript)) {
        let Some(session) = self.sessions.get_mut(&key) else { return };
        let last_seen = session.last_seen;
        let Some(transcript) = session.transcript.as_mut() else { return };
        let before = transcript.bytes();
        change(transcript);
        self.replay_sum.changed(before, transcript.bytes());
        if transcript.listed_at.is_none() && transcript.ring.bytes() > 0 {
            transcript.listed_at = Some(last_seen);
            self.replay_sum.list(key, last_seen);
        }
        while self.replay_sum.bytes() > self.limits.replay_total_bytes
            && let Some((listed_at, key)) = self.replay_sum.next()
        {
            self.give_up_turn(key, listed_at);
        }
    }

    /// Makes the session that was used least recently give up its oldest turn; if it was used
    /// since it was listed, it is only listed anew.
    fn give_up_turn(&mut self, key: SessionKey, listed_at: Moment) {
        let Some(session) = self.sessions.get_mut(&key) else { return };
        let last_seen = session.last_seen;
        let Some(transcript) = session.transcript.as_mut() else { return };
        transcript.listed_at = None;
        if last_seen <= listed_at {
            let before = transcript.bytes();
            transcript.ring.give_up_oldest();
            self.replay_sum.changed(before, transcript.bytes());
        }
        if transcript.ring.bytes() > 0 {
            transcript.listed_at = Some(last_seen);
            self.replay_sum.list(key, last_seen);
        }
    }

    /// Makes the history that an agent has replayed for a load of a live session that session's
    /// own, where a part of it was missing, and keeps the result of the load. Where one client
    /// alone has the session, what the agent has said of its state counts, and nothing older.
    pub fn adopt_replay(&mut self, key: SessionKey, replay: Transcript, result: Bytes) {
        let Some(session) = self.sessions.get(&key) else { return };
        let (seq, is_alone) = (session.seq, session.clients().len() == 1);
        self.change_transcript(key, |row| {
            if is_alone {
                row.adopt_state(&replay);
            }
            if !row.ring.is_complete() {
                row.ring = replay.ring;
                row.ring.forget_numbers_up_to(seq);
            }
            row.set_opened(result);
        });
    }

    /// Takes the transcript of a session out of the sum.
    pub fn forget_transcript(&mut self, key: SessionKey, transcript: &Transcript) {
        self.replay_sum.changed(transcript.bytes(), 0);
        if let Some(listed_at) = transcript.listed_at {
            self.replay_sum.unlist(key, listed_at);
        }
    }

    /// Whether the sum of all transcripts is right and within its limit, and each is sound.
    pub fn transcripts_are_sound(&self) -> bool {
        let rows = || self.sessions.values().filter_map(|session| session.transcript.as_ref());
        let replayed = self.replays.values().map(|row| row.bytes()).sum::<usize>();
        let bytes = rows().map(|row| row.bytes()).sum::<usize>() + replayed;
        let listed = rows().filter(|row| row.listed_at.is_some()).count();
        bytes == self.replay_sum.bytes()
            && listed == self.replay_sum.listed()
            && self.replays.keys().all(|call| self.calls.contains_key(call))
            && rows().all(|row| row.is_sound() && row.ring.bytes() <= self.limits.replay_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bridge::books::call::Stage;
    use crate::bridge::books::ring::{Entry, OVERHEAD};
    use crate::bridge::books::tests::{
        AGENT, ALICE, add_channel, add_prompt, add_session, at, books,
    };

    const LENGTH: usize = 1000;

    /// Books with three sessions, used at 1, 2 and 3, with a turn of one message each.
    fn three(total: usize) -> (Books, [SessionKey; 3]) {
        let mut books = books();
        (books.limits.replay_bytes, books.limits.replay_total_bytes) = (1 << 20, total);
        let channel = add_channel(&mut books, AGENT);
        let keys = ["a", "b", "c"].map(|id| add_session(&mut books, channel, id, id));
        for (place, key) in keys.into_iter().enumerate() {
            books.set_transcript(key, Box::new(Transcript::new(true, [("", 0); 2])));
            books.mark_seen(key, at(place as u64 + 1));
            add_turn(&mut books, key);
        }
        (books, keys)
    }

    fn add_turn(books: &mut Books, key: SessionKey) {
        books.change_transcript(key, |row| row.ring.begin_turn());
        books.record(key, Part::History, (1, &[b'x'; LENGTH]));
        assert!(books.transcripts_are_sound());
    }

    fn turns(books: &Books, keys: [SessionKey; 3]) -> [usize; 3] {
        let count = |key| {
            let session = books.session(key).unwrap();
            session.transcript.as_ref().unwrap().ring.entries().count()
        };
        keys.map(count)
    }

    #[test]
    fn the_session_that_was_used_least_recently_gives_up_its_turns_first() {
        let one = LENGTH + OVERHEAD;
        let (mut books, keys) = three(3 * one);
        assert_eq!(turns(&books, keys), [1, 1, 1]);
        books.mark_seen(keys[2], at(10));
        add_turn(&mut books, keys[2]);
        assert_eq!(turns(&books, keys), [0, 1, 2]);
        // The first one is used again, and the second one is now the oldest.
        books.mark_seen(keys[0], at(11));
        add_turn(&mut books, keys[0]);
        assert_eq!(turns(&books, keys), [1, 0, 2]);
        let session = books.remove_session(keys[2]).unwrap();
        assert!(session.transcript.is_some() && books.transcripts_are_sound());
        assert_eq!(books.replay_sum.bytes(), one);
    }

    #[test]
    fn a_history_that_an_agent_replays_is_within_the_sum_too() {
        let one = LENGTH + OVERHEAD;
        let (mut books, keys) = three(4 * one);
        let prompt = add_prompt(&mut books, keys[0], ALICE, Stage::sent(at(0), 0));
        books.begin_replay(prompt, Transcript::new(true, [("", 0); 2]));
        for _ in 0..2 {
            books.record_replayed(prompt, Part::History, &vec![b'x'; LENGTH].into());
        }
        assert_eq!(turns(&books, keys), [1, 1, 1]);
        assert_eq!(books.replay_sum.bytes(), 3 * one);
        assert!(books.transcripts_are_sound());
        let replay = books.take_replay(prompt).unwrap();
        assert!(!replay.ring.is_complete() && books.replay_sum.bytes() == 3 * one);
    }

    #[test]
    fn every_notification_has_a_number_also_where_nothing_is_kept() {
        let (mut books, [key, ..]) = three(0);
        assert_eq!(turns(&books, [key; 3]), [0; 3]);
        assert_eq!(books.record(key, Part::Moment, (1, b"")), 2);
        assert!(books.transcripts_are_sound());
    }

    /// Books like [`three`], where an agent replays messages of these lengths for a load.
    fn replaying(total: usize, lengths: &[usize]) -> (Books, [SessionKey; 3], CallId) {
        let (mut books, keys) = three(total);
        let call = add_prompt(&mut books, keys[0], ALICE, Stage::sent(at(0), 0));
        books.begin_replay(call, Transcript::new(true, [("", 0); 2]));
        for length in lengths {
            books.record_replayed(call, Part::History, &vec![b'x'; *length].into());
            assert!(books.transcripts_are_sound());
        }
        (books, keys, call)
    }

    #[test]
    fn a_replayed_history_that_just_fits_is_kept_whole_and_takes_nothing_from_others() {
        let one = LENGTH + OVERHEAD;
        let (mut books, keys, call) = replaying(5 * one, &[LENGTH; 2]);
        assert_eq!((books.replay_sum.bytes(), turns(&books, keys)), (5 * one, [1; 3]));
        assert!(books.take_replay(call).unwrap().ring.is_complete());
        let (books, ..) = replaying(5 * one, &[LENGTH, LENGTH, 0]);
        assert_eq!(books.replay_sum.bytes(), 3 * one);
    }

    #[test]
    fn a_replayed_state_alone_never_makes_it_wait() {
        let one = LENGTH + OVERHEAD;
        let (mut books, _, call) = replaying(3 * one, &[]);
        let usage = Part::State(crate::bridge::update::StateKind::Usage);
        books.record_replayed(call, usage, &vec![b'x'; LENGTH].into());
        assert_eq!(books.replay_sum.bytes(), 3 * one + LENGTH);
        assert!(books.transcripts_are_sound());
    }

    #[test]
    fn where_nothing_is_kept_nothing_of_a_replay_is() {
        let mut books = books();
        let channel = add_channel(&mut books, AGENT);
        let key = add_session(&mut books, channel, "a", "a");
        let call = add_prompt(&mut books, key, ALICE, Stage::sent(at(0), 0));
        books.begin_replay(call, Transcript::new(true, [("", 0); 2]));
        let usage = Part::State(crate::bridge::update::StateKind::Usage);
        books.record_replayed(call, usage, &Bytes::from_static(b"x"));
        assert_eq!(books.replay_sum.bytes(), 0);
        assert!(books.take_replay(call).is_none());
    }

    #[test]
    fn a_session_is_listed_for_as_long_as_it_has_a_turn_to_give_up() {
        let one = LENGTH + OVERHEAD;
        let (mut books, keys) = three(6 * one);
        for _ in 0..3 {
            add_turn(&mut books, keys[0]);
        }
        // It was used before the others, and gives up one turn after the other.
        for (left, count) in [(3, 3), (2, 3), (1, 3), (0, 2)] {
            add_turn(&mut books, keys[2]);
            assert_eq!((turns(&books, keys)[0], books.replay_sum.listed()), (left, count));
        }
        books.set_transcript(keys[0], Box::new(Transcript::new(true, [("", 0); 2])));
        assert_eq!(books.replay_sum.listed(), 2, "it has no turn yet");
    }

    #[test]
    fn a_complete_ring_is_not_replaced_by_what_an_agent_replays() {
        let one = LENGTH + OVERHEAD;
        for (gives_up, expected) in [(false, 1), (true, 2)] {
            let (mut books, keys, call) = replaying(8 * one, &[LENGTH; 2]);
            if gives_up {
                books.change_transcript(keys[0], |row| row.ring.give_up_oldest());
            }
            let replay = books.take_replay(call).unwrap();
            books.adopt_replay(keys[0], *replay, Bytes::from_static(b"{}"));
            assert_eq!(turns(&books, keys)[0], expected);
        }
    }

    #[test]
    fn a_wrong_sum_or_list_is_found() {
        let is_sound = |change: fn(&mut Books, SessionKey, CallId)| {
            let (mut books, keys, call) = replaying(1 << 20, &[LENGTH]);
            change(&mut books, keys[0], call);
            books.transcripts_are_sound()
        };
        assert!(is_sound(|_, _, _| {}));
        assert!(!is_sound(|books, _, _| books.replay_sum.changed(0, 1)));
        assert!(!is_sound(|books, key, _| {
            let row = books.session_mut(key).unwrap().transcript.as_mut().unwrap();
            row.listed_at = None;
        }));
        assert!(!is_sound(|books, _, call| {
            let replay = books.replays.remove(&call).unwrap();
            books.replays.insert(CallId(999), replay);
        }));
        assert!(!is_sound(|books, _, _| books.limits.replay_bytes = 10));
        assert!(!is_sound(|books, key, _| {
            let row = books.session_mut(key).unwrap().transcript.as_mut().unwrap();
            let entry = |seq| Entry { seq, is_history: true, bytes: Bytes::new() };
            let before = row.bytes();
            for seq in [9, 8] {
                row.ring.push(entry(seq), 1, usize::MAX);
            }
            let after = row.bytes();
            books.replay_sum.changed(before, after);
        }));
    }
}
