//! The meanings of the session ids that an agent writes.

use foldhash::HashMap;

use crate::bridge::id::{PassingKey, SessionKey};
use crate::wire::Frame;

/// The meaning of a session id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Name {
    /// A live session.
    Session(SessionKey),
    /// A passing id.
    Passing(PassingKey),
}

/// The ids of a channel's live sessions and its passing ids, as the agent writes them.
#[derive(Clone, Debug, Default)]
pub struct SessionNames {
    by_id: HashMap<Box<str>, Entry>,
    /// How many of them have an alias.
    aliased: usize,
    /// The meaning of the id that a frame named last, with the id as the frame spelled it:
    /// an agent that streams names the same session again and again.
    last: Option<(Box<[u8]>, Name)>,
}

#[derive(Clone, Debug)]
struct Entry {
    name: Name,
    /// The public id, where that is another one.
    alias: Option<Box<str>>,
}

impl SessionNames {
    /// The meaning of this id for the agent.
    pub fn get(&self, id: &str) -> Option<Name> {
        self.by_id.get(id).map(|entry| entry.name)
    }

    /// Whether the agent means a live session or a passing id by this id.
    pub fn contains(&self, id: &str) -> bool {
        self.by_id.contains_key(id)
    }

    /// The public id of what the agent means by this id; `None`: it is the same id, or the
    /// agent means nothing by it.
    pub fn alias(&self, id: &str) -> Option<&str> {
        self.by_id.get(id)?.alias.as_deref()
    }

    /// Whether any id has an alias.
    pub fn has_aliases(&self) -> bool {
        self.aliased > 0
    }

    /// The meaning of the id that a frame names; `None`: it names none, or an unknown one.
    pub fn named_in(&mut self, frame: &Frame) -> Option<Name> {
        let spelled = frame.session_place()?.of(frame.bytes());
        match &self.last {
            Some((last, name)) if **last == *spelled => Some(*name),
            _ => {
                let name = self.get(&frame.session()?)?;
                self.last = Some((spelled.into(), name));
                Some(name)
            }
        }
    }

    /// Gives an id a meaning; clients know it by `public`.
    pub fn insert(&mut self, id: &str, public: &str, name: Name) {
        self.remove(id);
        let alias = (id != public).then(|| public.into());
        self.aliased += usize::from(alias.is_some());
        self.by_id.insert(id.into(), Entry { name, alias });
    }

    /// Forgets an id.
    pub fn remove(&mut self, id: &str) {
        self.last = None;
        let removed = self.by_id.remove(id);
        self.aliased -= usize::from(removed.is_some_and(|entry| entry.alias.is_some()));
    }

    /// Whether `is_one` is true of every meaning.
    pub fn are_all(&self, is_one: impl Fn(&str, Name) -> bool) -> bool {
        let aliased = self.by_id.values().filter(|entry| entry.alias.is_some()).count();
        aliased == self.aliased && self.by_id.iter().all(|(id, entry)| is_one(id, entry.name))
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
            names.insert(id, id, Name::Session(SessionKey(*key)));
        }
        names
    }

    #[test]
    fn a_frame_is_about_the_session_that_it_names_however_that_is_spelled() {
        let mut names = names(&[("a", 1), ("b", 2)]);
        for (spelled, key) in
            [(r#""a""#, 1), (r#""a""#, 1), (r#""\u0061""#, 1), (r#""b""#, 2), (r#""a""#, 1)]
        {
            assert_eq!(
                names.named_in(&about(spelled)),
                Some(Name::Session(SessionKey(key))),
                "{spelled}"
            );
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
        assert_eq!(names.named_in(&about(r#""a""#)), Some(Name::Session(SessionKey(1))));
        names.insert("a", "a", Name::Session(SessionKey(2)));
        assert_eq!(names.named_in(&about(r#""a""#)), Some(Name::Session(SessionKey(2))));
        names.remove("a");
        assert_eq!(names.named_in(&about(r#""a""#)), None);
        assert!(!names.contains("a"));
    }

    #[test]
    fn an_id_that_came_to_be_known_is_named_from_then_on() {
        let mut names = names(&[]);
        assert_eq!(names.named_in(&about(r#""a""#)), None);
        names.insert("a", "a", Name::Session(SessionKey(1)));
        assert_eq!(names.named_in(&about(r#""a""#)), Some(Name::Session(SessionKey(1))));
        let first = Name::Session(SessionKey(1));
        assert!(names.are_all(|_, name| name == first) && !names.are_all(|_, _| false));
    }

    #[test]
    fn an_id_has_an_alias_where_clients_know_it_by_another_one() {
        let mut names = names(&[("a", 1)]);
        assert!(!names.has_aliases());
        names.insert("b", "~1~b", Name::Passing(PassingKey(1)));
        assert_eq!((names.alias("a"), names.alias("b")), (None, Some("~1~b")));
        assert!(names.has_aliases() && names.are_all(|_, _| true));
        names.insert("b", "b", Name::Passing(PassingKey(2)));
        assert!(!names.has_aliases());
        names.insert("b", "~2~b", Name::Passing(PassingKey(2)));
        names.remove("b");
        names.remove("b");
        assert!(!names.has_aliases() && names.alias("b").is_none());
    }
}
