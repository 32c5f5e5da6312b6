//! The ids by which clients know an agent's conversations: the agent's own id, or an
//! alias where two conversations have the same id.

//!
//! An alias is `~N~ID`. An id of that form is always one of ours, and without its prefix it
//! leads to the agent's id, in the next bridge too. So an agent's own id that looks like an
//! alias is shown with one more prefix, and one prefix is taken off, always.

use foldhash::HashMap;

use crate::bridge::books::id_set::Ids;
use crate::bridge::books::session_names::Name;
use crate::bridge::id::{CallId, SessionKey};

/// An id without the prefix of aliases; `None`: it has none.
pub fn stripped(id: &str) -> Option<&str> {
    let (number, rest) = id.strip_prefix('~')?.split_once('~')?;
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then_some(rest)
}

/// A public id for what an agent knows by `agent_id`: that id itself, or the first alias of
/// it, of which `is_taken` is false.
pub fn free(agent_id: &str, is_taken: impl Fn(&str) -> bool) -> Box<str> {
    if stripped(agent_id).is_none() && !is_taken(agent_id) {
        return agent_id.into();
    }
    let mut number = 1_u64;
    loop {
        let alias = format!("~{number}~{agent_id}");
        if !is_taken(&alias) {
            return alias.into();
        }
        number += 1;
    }
}

/// The meanings of one id; nearly always there is one.
#[derive(Clone, Debug)]
enum Meanings {
    One(Name),
    Several(Vec<Name>),
}

impl Meanings {
    fn of(all: Vec<Name>) -> Meanings {
        match all[..] {
            [one] => Meanings::One(one),
            _ => Meanings::Several(all),
        }
    }

    fn all(&self) -> &[Name] {
        match self {
            Meanings::One(one) => std::slice::from_ref(one),
            Meanings::Several(all) => all,
        }
    }
}

/// The public ids of one agent's conversations that are live or being restored.
#[derive(Debug, Default)]
pub struct Aliases {
    /// Live sessions and passing ids, by the id that clients know, the last one last. An id that
    /// means several things means sessions in different directories; the last may be a passing
    /// id, of a session that is being loaded in one more.
    live: HashMap<Box<str>, Meanings>,
    /// Calls that restore a stored conversation, by the agent's id of it.
    restoring: HashMap<Box<str>, Ids<CallId>>,
    /// The same calls, by the id by which clients will know the conversation.
    on_their_way: HashMap<Box<str>, Ids<CallId>>,
}

impl Aliases {
    /// The live sessions that clients know by this id: one in each directory.
    pub fn live(&self, id: &str) -> impl Iterator<Item = SessionKey> {
        let names = self.live.get(id).map(Meanings::all).unwrap_or_default();
        names.iter().filter_map(|name| match name {
            Name::Session(key) => Some(*key),
            Name::Passing(_) => None,
        })
    }

    /// The meaning that this id has got last.
    pub fn named(&self, id: &str) -> Option<Name> {
        self.live.get(id)?.all().last().copied()
    }

    /// Whether this id has a meaning, also if another one has been added since.
    pub fn means(&self, id: &str, name: Name) -> bool {
        self.live.get(id).is_some_and(|names| names.all().contains(&name))
    }

    /// Gives an id a meaning. It takes the place of others, but for sessions: the new one is a
    /// conversation in another directory, or what an agent says of one that it loads.
    pub fn insert(&mut self, id: &str, name: Name) {
        let before = self.live.get(id).map(Meanings::all).unwrap_or_default();
        let others = before.iter().filter(|other| matches!(other, Name::Session(_)));
        let all: Vec<Name> = others.copied().chain([name]).collect();
        self.live.insert(id.into(), Meanings::of(all));
    }

    /// Forgets one meaning of an id.
    pub fn remove(&mut self, id: &str, name: Name) {
        let Some(names) = self.live.get_mut(id) else { return };
        let left: Vec<Name> = names.all().iter().copied().filter(|other| *other != name).collect();
        if left.is_empty() {
            self.live.remove(id);
        } else {
            *names = Meanings::of(left);
        }
    }

    /// The calls that restore the conversation that clients will know by this id, in the
    /// order in which clients asked.
    pub fn on_their_way(&self, public: &str) -> impl Iterator<Item = CallId> {
        self.on_their_way.get(public).into_iter().flatten().copied()
    }

    /// Notes that a call restores a conversation: the agent knows it by `source`, and
    /// clients by `public`.
    pub fn begin_restore(&mut self, source: &str, public: &str, call: CallId) {
        self.restoring.entry(source.into()).or_default().insert(call);
        self.on_their_way.entry(public.into()).or_default().insert(call);
    }

    /// Forgets a call that [`begin_restore`](Aliases::begin_restore) noted.
    pub fn end_restore(&mut self, source: &str, public: &str, call: CallId) {
        for (calls, id) in [(&mut self.restoring, source), (&mut self.on_their_way, public)] {
            let Some(same) = calls.get_mut(id) else { continue };
            same.remove(&call);
            if same.is_empty() {
                calls.remove(id);
            }
        }
    }

    /// Whether clients know a conversation by this id, or will when it is restored.
    pub fn is_known(&self, id: &str) -> bool {
        self.live.contains_key(id) || self.on_their_way.contains_key(id)
    }

    /// The calls that restore the conversation with this id of the agent, in the order in
    /// which clients asked.
    pub fn restores(&self, source: &str) -> impl Iterator<Item = CallId> {
        self.restoring.get(source).into_iter().flatten().copied()
    }

    /// Whether `is_one` is true of every restoring call, in both tables.
    pub fn are_all(&self, is_one: impl Fn(CallId) -> bool) -> bool {
        let all = |calls: &Ids<CallId>| calls.iter().all(|call| is_one(*call));
        self.restoring.values().all(all) && self.on_their_way.values().all(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bridge::id::PassingKey;

    const FIRST: SessionKey = SessionKey(1);
    const SECOND: SessionKey = SessionKey(2);

    fn live(aliases: &Aliases, id: &str) -> Vec<SessionKey> {
        aliases.live(id).collect()
    }

    fn restores(aliases: &Aliases, source: &str) -> Vec<u64> {
        aliases.restores(source).map(|call| call.0).collect()
    }

    #[test]
    fn an_id_means_one_thing_or_sessions_in_different_directories_and_what_is_loaded() {
        let mut aliases = Aliases::default();
        assert_eq!(live(&aliases, "a"), Vec::new());
        aliases.insert("a", Name::Session(FIRST));
        assert_eq!(live(&aliases, "a"), [FIRST]);
        aliases.insert("a", Name::Session(SECOND));
        assert_eq!(live(&aliases, "a"), [FIRST, SECOND]);
        assert_eq!(aliases.named("a"), Some(Name::Session(SECOND)));
        assert!(aliases.means("a", Name::Session(FIRST)));
        aliases.remove("a", Name::Session(SECOND));
        assert_eq!(live(&aliases, "a"), [FIRST]);
        aliases.insert("a", Name::Passing(PassingKey(2)));
        assert_eq!(live(&aliases, "a"), [FIRST]);
        assert_eq!(aliases.named("a"), Some(Name::Passing(PassingKey(2))));
        aliases.remove("a", Name::Passing(PassingKey(2)));
        assert_eq!(aliases.named("a"), Some(Name::Session(FIRST)));
        aliases.insert("child", Name::Passing(PassingKey(1)));
        assert_eq!(live(&aliases, "child"), Vec::new());
        assert_eq!(aliases.named("child"), Some(Name::Passing(PassingKey(1))));
        aliases.insert("child", Name::Session(FIRST));
        assert!(!aliases.means("child", Name::Passing(PassingKey(1))));
    }

    #[test]
    fn only_the_session_that_has_an_id_gives_it_up() {
        let mut aliases = Aliases::default();
        aliases.insert("a", Name::Session(FIRST));
        aliases.remove("a", Name::Session(SECOND));
        aliases.remove("b", Name::Session(FIRST));
        assert_eq!(live(&aliases, "a"), [FIRST]);
        aliases.remove("a", Name::Session(FIRST));
        assert_eq!(live(&aliases, "a"), Vec::new());
    }

    #[test]
    fn restores_are_told_in_the_order_in_which_they_were_asked_until_they_end() {
        let mut aliases = Aliases::default();
        for call in [5, 3, 9] {
            aliases.begin_restore("a", "x:a", CallId(call));
        }
        aliases.begin_restore("b", "x:b", CallId(4));
        assert_eq!(restores(&aliases, "a"), [3, 5, 9]);
        assert_eq!(restores(&aliases, "b"), [4]);
        assert_eq!(restores(&aliases, "c"), [0; 0]);
        aliases.end_restore("a", "x:a", CallId(5));
        aliases.end_restore("a", "x:a", CallId(4));
        aliases.end_restore("c", "x:c", CallId(4));
        assert_eq!(restores(&aliases, "a"), [3, 9]);
        assert_eq!(restores(&aliases, "b"), [4]);
    }

    #[test]
    fn of_a_conversation_that_is_not_restored_any_more_nothing_is_left() {
        let mut aliases = Aliases::default();
        aliases.begin_restore("a", "x:a", CallId(1));
        assert!(aliases.are_all(|call| call == CallId(1)));
        assert!(!aliases.are_all(|call| call == CallId(2)));
        aliases.end_restore("a", "x:a", CallId(1));
        assert!(aliases.are_all(|_| false));
        assert!(aliases.restoring.is_empty() && aliases.on_their_way.is_empty());
    }

    #[test]
    fn an_id_is_known_while_it_is_live_or_on_its_way() {
        let mut aliases = Aliases::default();
        aliases.begin_restore("a", "agent:a", CallId(1));
        assert!(aliases.is_known("agent:a") && !aliases.is_known("a"));
        aliases.end_restore("a", "agent:a", CallId(1));
        assert!(!aliases.is_known("agent:a"));
        aliases.insert("agent:a", Name::Session(FIRST));
        assert!(aliases.is_known("agent:a"));
    }

    #[test]
    fn one_prefix_is_taken_off_and_only_one_of_ours() {
        for (id, rest) in [("~1~a", "a"), ("~12~~3~a", "~3~a"), ("~1~", ""), ("~0~~", "~")] {
            assert_eq!(stripped(id), Some(rest), "{id}");
        }
        for id in ["a", "~a", "~1a", "~~a", "~x~a", "1~a", "~1", "a~1~", "~-1~a", ""] {
            assert_eq!(stripped(id), None, "{id}");
        }
    }

    #[test]
    fn an_alias_is_numbered_until_it_is_free_and_leads_back_to_the_id() {
        let named = |id: &str, taken: &[&str]| free(id, |id| taken.contains(&id));
        assert_eq!(&*named("a", &[]), "a");
        assert_eq!(&*named("a", &["a"]), "~1~a");
        assert_eq!(&*named("a", &["a", "~1~a", "~3~a"]), "~2~a");
        assert_eq!(&*named("~1~a", &[]), "~1~~1~a");
        for id in ["a", "~1~a", "~1~~1~a", "", "~", "~9~"] {
            let public = named(id, &[id]);
            assert_eq!(stripped(&public), Some(id));
        }
    }
}
