//! Notifications that came before the answer which makes their session known.

use std::collections::{BTreeMap, VecDeque};

use crate::bridge::id::ClientId;
use crate::wire::Frame;

/// The most sessions of one channel that early frames are held for.
pub const MAX_EARLY_SESSIONS: usize = 64;
/// The most early frames that are held for one session.
pub const MAX_EARLY_FRAMES: usize = 32;
/// The most bytes of early frames that are held for all sessions of one channel together.
pub const MAX_EARLY_BYTES: usize = 256 * 1024;

/// The early frames of one channel, by the agent's session ids.
#[derive(Clone, Debug, Default)]
pub struct Early {
    frames: BTreeMap<Box<str>, EarlySession>,
    bytes: usize,
}

/// The early frames of one session.
#[derive(Clone, Debug, Default)]
struct EarlySession {
    /// The client that the first one, or a question, was for when it came, should no open bring
    /// the session.
    client: Option<ClientId>,
    frames: VecDeque<Frame>,
}

impl Early {
    /// Notes that a question under an id was put to this client: what is held for the id is for
    /// no other, should no open bring the session.
    pub fn bind(&mut self, id: &str, client: ClientId) {
        if self.frames.contains_key(id) || self.frames.len() < MAX_EARLY_SESSIONS {
            self.frames.entry(id.into()).or_default().client = Some(client);
        }
    }

    /// Holds a frame for a session; `client` is the only client that it can be for. `false`: a
    /// limit is reached, and the frame is not held.
    pub fn hold(&mut self, id: &str, frame: &Frame, client: Option<ClientId>) -> bool {
        let size = frame.bytes().len();
        let is_known = self.frames.contains_key(id);
        if self.bytes + size > MAX_EARLY_BYTES
            || (!is_known && self.frames.len() >= MAX_EARLY_SESSIONS)
        {
            return false;
        }
        let new = || EarlySession { client, frames: VecDeque::new() };
        let held = &mut self.frames.entry(id.into()).or_insert_with(new).frames;
        if held.len() >= MAX_EARLY_FRAMES {
            return false;
        }
        held.push_back(frame.detached());
        self.bytes += size;
        true
    }

    /// Takes the frames that are held for a session, in the order in which they came.
    pub fn take(&mut self, id: &str) -> VecDeque<Frame> {
        let frames = self.frames.remove(id).unwrap_or_default().frames;
        self.bytes -= frames.iter().map(|frame| frame.bytes().len()).sum::<usize>();
        frames
    }

    /// Takes the frames of all sessions, in the order in which they came, each with the id and
    /// the client of its session.
    pub fn take_all(&mut self) -> Vec<(Box<str>, Option<ClientId>, VecDeque<Frame>)> {
        let sessions = std::mem::take(self).frames.into_iter();
        sessions.map(|(id, row)| (id, row.client, row.frames)).collect()
    }

    /// Throws all frames away and returns how many there were.
    pub fn clear(&mut self) -> usize {
        let count = self.frames.values().map(|row| row.frames.len()).sum();
        *self = Early::default();
        count
    }

    /// Whether no frame is held.
    pub fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// Whether every limit is kept, and the number of bytes is right.
    pub fn is_sound(&self) -> bool {
        let bytes: usize =
            self.frames.values().flat_map(|row| &row.frames).map(|frame| frame.bytes().len()).sum();
        bytes == self.bytes
            && bytes <= MAX_EARLY_BYTES
            && self.frames.len() <= MAX_EARLY_SESSIONS
            && self.frames.values().all(|row| row.frames.len() <= MAX_EARLY_FRAMES)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A notification of `size` bytes.
    fn frame(size: usize) -> Frame {
        let line = r#"{"jsonrpc":"2.0","method":"session/update"}"#;
        let padded = format!("{line}{}", " ".repeat(size.saturating_sub(line.len())));
        Frame::parse(padded.into()).unwrap()
    }

    #[test]
    fn frames_of_a_session_are_taken_in_their_order_and_once() {
        let mut early = Early::default();
        assert!(early.is_empty());
        for size in [100, 101, 102] {
            assert!(early.hold("a", &frame(size), None));
        }
        assert!(early.hold("b", &frame(200), None));
        assert!(early.is_sound() && !early.is_empty());
        let sizes: Vec<usize> = early.take("a").iter().map(|frame| frame.bytes().len()).collect();
        assert_eq!(sizes, [100, 101, 102]);
        assert!(early.take("a").is_empty());
        assert!(early.is_sound() && !early.is_empty());
        assert_eq!(early.take("b").len(), 1);
        assert!(early.is_sound() && early.is_empty());
    }

    #[test]
    fn a_session_holds_so_many_frames_and_no_more() {
        let mut early = Early::default();
        for _ in 0..MAX_EARLY_FRAMES {
            assert!(early.hold("a", &frame(50), None));
        }
        assert!(!early.hold("a", &frame(50), None));
        assert!(early.is_sound());
        assert!(early.hold("b", &frame(50), None));
        assert_eq!(early.take("a").len(), MAX_EARLY_FRAMES);
        assert!(early.hold("a", &frame(50), None));
    }

    #[test]
    fn so_many_sessions_are_held_and_no_more() {
        let mut early = Early::default();
        for number in 0..MAX_EARLY_SESSIONS {
            assert!(early.hold(&format!("s{number}"), &frame(50), None));
        }
        assert!(!early.hold("new", &frame(50), None));
        assert!(early.hold("s0", &frame(50), None), "a session that is known has its frames");
        assert!(early.is_sound());
        early.take("s7");
        assert!(early.hold("new", &frame(50), None));
    }

    #[test]
    fn all_sessions_together_hold_so_many_bytes_and_no_more() {
        let mut early = Early::default();
        let (half, rest) = (frame(MAX_EARLY_BYTES / 2), frame(MAX_EARLY_BYTES / 2 + 1));
        assert!(early.hold("a", &half, None));
        assert!(!early.hold("b", &rest, None));
        assert!(early.hold("b", &half, None), "the bound itself may be reached");
        assert!(!early.hold("a", &frame(50), None));
        assert!(early.is_sound());
        assert_eq!(early.take("b").len(), 1);
        assert!(early.hold("a", &half, None));
    }

    #[test]
    fn a_frame_without_room_leaves_no_trace() {
        let mut early = Early::default();
        assert!(!early.hold("a", &frame(MAX_EARLY_BYTES + 1), None));
        assert!(early.is_sound() && early.is_empty());
        assert!(early.take("a").is_empty());
    }

    #[test]
    fn frames_are_for_the_client_that_a_question_was_put_to() {
        let mut early = Early::default();
        early.bind("a", ClientId(1));
        assert!(early.hold("a", &frame(50), Some(ClientId(2))));
        assert!(early.hold("b", &frame(50), Some(ClientId(2))));
        early.bind("b", ClientId(1));
        let clients = early.take_all().into_iter().map(|(_, client, _)| client);
        assert_eq!(clients.collect::<Vec<_>>(), [Some(ClientId(1)); 2]);
    }

    #[test]
    fn what_is_thrown_away_is_counted_by_frames() {
        let mut early = Early::default();
        for id in ["a", "b", "a"] {
            assert!(early.hold(id, &frame(MAX_EARLY_BYTES / 3), None));
        }
        assert_eq!(early.clear(), 3);
        assert!(early.is_sound() && early.is_empty());
        assert_eq!(early.clear(), 0);
        assert!(
            early.hold("a", &frame(60), Some(ClientId(3))) && early.hold("b", &frame(50), None)
        );
        let taken = early.take_all().into_iter();
        let taken: Vec<_> = taken
            .map(|(id, client, frames)| (id, client, frames[0].bytes().len(), frames.len()))
            .collect();
        assert_eq!(taken, [("a".into(), Some(ClientId(3)), 60, 1), ("b".into(), None, 50, 1)]);
        assert!(early.is_sound() && early.is_empty());
        assert!(early.hold("a", &frame(MAX_EARLY_BYTES), None), "all of the room is there again");
    }
}
