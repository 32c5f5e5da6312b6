//! Which session an agent means by the id that it writes.

use foldhash::HashMap;

use crate::bridge::id::SessionKey;
use crate::wire::Frame;

/// The ids of a channel's live sessions and their children, as the agent knows them.
#[derive(Clone, Debug, Default)]
pub struct Names {
    by_id: HashMap<Box<str>, SessionKey>,
    /// The one that a frame named last, as it was spelled there: who streams
    /// names the same one again and again.
    last: Option<(Box<[u8]>, SessionKey)>,
}

impl Names {
    /// The session with this id.
    pub fn get(&self, id: &str) -> Option<SessionKey> {
        self.by_id.get(id).copied()
    }

    /// Whether a session has this id.
    pub fn contains(&self, id: &str) -> bool {
        self.by_id.contains_key(id)
    }

    /// The session that a frame is about.
    pub fn named_in(&mut self, frame: &Frame) -> Option<SessionKey> {
        let spelled = frame.session_place()?.of(frame.bytes());
        match &self.last {
            Some((last, key)) if **last == *spelled => Some(*key),
            _ => {
                let key = self.get(&frame.session()?)?;
                self.last = Some((spelled.into(), key));
                Some(key)
            }
        }
    }

    /// The id means this session from now on.
    pub fn insert(&mut self, id: Box<str>, key: SessionKey) {
        self.last = None;
        self.by_id.insert(id, key);
    }

    /// The id means nothing any more.
    pub fn remove(&mut self, id: &str) {
        self.last = None;
        self.by_id.remove(id);
    }

    /// Whether every id means one of these.
    pub fn are_all(&self, is_one: impl Fn(&SessionKey) -> bool) -> bool {
        self.by_id.values().all(is_one)
    }
}
