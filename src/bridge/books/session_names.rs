//! The session that an agent means by the id that it writes.

use foldhash::HashMap;

use crate::bridge::id::SessionKey;
use crate::wire::Frame;

/// The ids of a channel's live sessions and their children, as the agent knows them.
#[derive(Clone, Debug, Default)]
pub struct SessionNames {
    by_id: HashMap<Box<str>, SessionKey>,
    /// The session that a frame named last, with its id as the frame spelled it: an agent
    /// that streams names the same session again and again.
    last: Option<(Box<[u8]>, SessionKey)>,
}

impl SessionNames {
    /// The session that the agent means by this id; for a sub-agent's, its parent.
    pub fn get(&self, id: &str) -> Option<SessionKey> {
        self.by_id.get(id).copied()
    }

    /// Whether the agent means a live session by this id.
    pub fn contains(&self, id: &str) -> bool {
        self.by_id.contains_key(id)
    }

    /// The session whose id a frame names; `None`: it names none, or an unknown one.
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

    /// Makes an id mean this session.
    pub fn insert(&mut self, id: Box<str>, key: SessionKey) {
        self.last = None;
        self.by_id.insert(id, key);
    }

    /// Forgets an id.
    pub fn remove(&mut self, id: &str) {
        self.last = None;
        self.by_id.remove(id);
    }

    /// Whether `is_one` is true of the session of every id.
    pub fn are_all(&self, is_one: impl Fn(&SessionKey) -> bool) -> bool {
        self.by_id.values().all(is_one)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A frame about a session, whose id is spelled like this.
    fn about(spelled: &str) -> Frame {
        let line = format!(
            r#"{{"jsonrpc":"2.0","method":"session/update","params":{{"sessionId":{spelled}}}}}"#
        );
        Frame::parse(line.into()).unwrap()
    }

    fn names(ids: &[(&str, u64)]) -> SessionNames {
        let mut names = SessionNames::default();
        for (id, key) in ids {
            names.insert((*id).into(), SessionKey(*key));
        }
        names
    }

    #[test]
    fn a_frame_is_about_the_session_that_it_names_however_that_is_spelled() {
        let mut names = names(&[("a", 1), ("b", 2)]);
        for (spelled, key) in
            [(r#""a""#, 1), (r#""a""#, 1), (r#""\u0061""#, 1), (r#""b""#, 2), (r#""a""#, 1)]
        {
            assert_eq!(names.named_in(&about(spelled)), Some(SessionKey(key)), "{spelled}");
        }
    }

    #[test]
    fn a_frame_about_no_session_of_the_channel_is_about_none() {
        let mut names = names(&[("a", 1)]);
        assert_eq!(names.named_in(&about(r#""b""#)), None);
        let without = Frame::parse(r#"{"jsonrpc":"2.0","method":"x"}"#.into()).unwrap();
        assert_eq!(names.named_in(&without), None);
    }

    #[test]
    fn an_id_that_was_just_named_is_not_remembered_beyond_its_meaning() {
        let mut names = names(&[("a", 1)]);
        assert_eq!(names.named_in(&about(r#""a""#)), Some(SessionKey(1)));
        names.insert("a".into(), SessionKey(2));
        assert_eq!(names.named_in(&about(r#""a""#)), Some(SessionKey(2)));
        names.remove("a");
        assert_eq!(names.named_in(&about(r#""a""#)), None);
        assert!(!names.contains("a"));
    }

    #[test]
    fn an_id_that_came_to_be_known_is_named_from_then_on() {
        let mut names = names(&[]);
        assert_eq!(names.named_in(&about(r#""a""#)), None);
        names.insert("a".into(), SessionKey(1));
        assert_eq!(names.named_in(&about(r#""a""#)), Some(SessionKey(1)));
        assert!(names.are_all(|key| *key == SessionKey(1)) && !names.are_all(|_| false));
    }
}
