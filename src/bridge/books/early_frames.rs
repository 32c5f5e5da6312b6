//! Notifications that came before the answer which makes their session known.

use std::collections::{BTreeMap, VecDeque};

use crate::wire::Frame;

/// Sessions for which notifications are held before their open is answered.
pub const MAX_EARLY_SESSIONS: usize = 64;
/// Notifications held per such session.
pub const MAX_EARLY_FRAMES: usize = 32;
/// Bytes held for all of them together.
pub const MAX_EARLY_BYTES: usize = 256 * 1024;

/// Notifications that came before the answer which makes their session known.
#[derive(Clone, Debug, Default)]
pub struct Early {
    frames: BTreeMap<Box<str>, VecDeque<Frame>>,
    bytes: usize,
}

impl Early {
    /// Holds a frame; `false` if there is no room.
    pub fn hold(&mut self, id: &str, frame: &Frame) -> bool {
        let size = frame.bytes().len();
        let is_known = self.frames.contains_key(id);
        if self.bytes + size > MAX_EARLY_BYTES
            || (!is_known && self.frames.len() >= MAX_EARLY_SESSIONS)
        {
            return false;
        }
        let held = self.frames.entry(id.into()).or_default();
        if held.len() >= MAX_EARLY_FRAMES {
            return false;
        }
        held.push_back(frame.detached());
        self.bytes += size;
        true
    }

    /// Takes what is held for a session.
    pub fn take(&mut self, id: &str) -> VecDeque<Frame> {
        let frames = self.frames.remove(id).unwrap_or_default();
        self.bytes -= frames.iter().map(|frame| frame.bytes().len()).sum::<usize>();
        frames
    }

    /// Throws everything away and says how many frames that were.
    pub fn clear(&mut self) -> usize {
        let count = self.frames.values().map(VecDeque::len).sum();
        *self = Early::default();
        count
    }

    /// Whether nothing is held.
    pub fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// Whether it is within its bounds and its sum is right.
    pub fn is_sound(&self) -> bool {
        let bytes: usize = self.frames.values().flatten().map(|frame| frame.bytes().len()).sum();
        bytes == self.bytes
            && bytes <= MAX_EARLY_BYTES
            && self.frames.len() <= MAX_EARLY_SESSIONS
            && self.frames.values().all(|held| held.len() <= MAX_EARLY_FRAMES)
    }
}
