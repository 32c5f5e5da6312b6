//! Frames that a client sent behind its `initialize`, before that was answered.

use std::collections::VecDeque;

use crate::wire::{Frame, FrameKind, Token};

/// The most frames that are held for one client.
pub const MAX_HELD: usize = 1024;

/// The most bytes that are held for one client.
pub const MAX_HELD_BYTES: usize = 1024 * 1024;

/// The held frames of one client, in the order in which they came.
#[derive(Clone, Debug, Default)]
pub struct HeldFrames {
    frames: VecDeque<Frame>,
    bytes: usize,
}

impl HeldFrames {
    /// Holds a frame; `false`: a limit is reached, and the frame is not held.
    pub fn hold(&mut self, frame: &Frame) -> bool {
        let size = frame.bytes().len();
        if self.frames.len() >= MAX_HELD || self.bytes + size > MAX_HELD_BYTES {
            return false;
        }
        self.frames.push_back(frame.detached());
        self.bytes += size;
        true
    }

    /// Takes the next frame.
    pub fn next(&mut self) -> Option<Frame> {
        let frame = self.frames.pop_front()?;
        self.bytes -= frame.bytes().len();
        Some(frame)
    }

    /// Takes all frames.
    pub fn take(&mut self) -> VecDeque<Frame> {
        self.bytes = 0;
        std::mem::take(&mut self.frames)
    }

    /// The ids of the requests among them.
    pub fn requests(&self) -> impl Iterator<Item = Token> {
        let requests = self.frames.iter().filter(|frame| frame.kind == FrameKind::Request);
        requests.map(Frame::id)
    }

    /// Whether no frame is held.
    pub fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// Takes the request with this id out, because its client withdraws it; `false`: there
    /// is none.
    pub fn withdraw(&mut self, id: &Token) -> bool {
        let is_it = |frame: &Frame| frame.kind == FrameKind::Request && frame.id() == *id;
        let Some(place) = self.frames.iter().position(is_it) else { return false };
        let frame = self.frames.remove(place);
        self.bytes -= frame.map_or(0, |frame| frame.bytes().len());
        true
    }

    /// Whether every limit is kept, and the number of bytes is right.
    pub fn is_sound(&self) -> bool {
        let bytes: usize = self.frames.iter().map(|frame| frame.bytes().len()).sum();
        bytes == self.bytes && bytes <= MAX_HELD_BYTES && self.frames.len() <= MAX_HELD
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(id: &str, padding: usize) -> Frame {
        let line = format!(r#"{{"id":{id},"method":"m","p":"{}"}}"#, "x".repeat(padding));
        Frame::parse(line.into()).unwrap()
    }

    #[test]
    fn frames_are_taken_in_their_order_and_once() {
        let mut held = HeldFrames::default();
        for id in ["1", "2", "3"] {
            assert!(held.hold(&request(id, 10)));
        }
        assert!(held.withdraw(&Token::new(b"2")));
        assert!(!held.withdraw(&Token::new(b"2")));
        assert!(held.is_sound());
        let ids = [held.next(), held.next()].map(|frame| frame.map(|frame| frame.id()));
        assert_eq!(ids, [Some(Token::new(b"1")), Some(Token::new(b"3"))]);
        assert!(held.next().is_none() && held.is_empty() && held.is_sound());
        assert!(held.hold(&request("4", 0)));
        assert_eq!(held.take().len(), 1);
        assert!(held.is_empty() && held.is_sound());
    }

    #[test]
    fn their_number_and_their_bytes_are_bounded() {
        let mut held = HeldFrames::default();
        for _ in 0..MAX_HELD {
            assert!(held.hold(&request("1", 0)));
        }
        assert!(!held.hold(&request("1", 0)) && held.is_sound());
        let mut held = HeldFrames::default();
        assert!(held.hold(&request("1", MAX_HELD_BYTES - 100)));
        assert!(!held.hold(&request("1", 100)) && held.is_sound());
    }
}
