//! Conversations. One is known by its agent, its directory and its id: the same id in another
//! directory is another conversation, of which its clients know nothing. What a client has, or
//! had, under an id is that same conversation for it, wherever it asks for it.

use std::sync::Arc;

use crate::bridge::books::Books;
use crate::bridge::books::call::{Call, Opening};
use crate::bridge::books::channel::Channel;
use crate::bridge::books::session::Session;
use crate::bridge::books::session_names::Name;
use crate::bridge::directory::is_same_directory;
use crate::bridge::id::{CallId, ChannelId, ClientId, SessionKey};

/// The conversation that a client wants to have restored.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// The client.
    pub client: ClientId,
    /// The id by which the client knows it.
    pub public_id: &'a str,
    /// Its directory.
    pub cwd: &'a str,
}

impl<'a> Wanted<'a> {
    /// The conversation that an open restores; `None`: it restores none.
    pub fn by(client: ClientId, opening: &'a Opening) -> Option<Wanted<'a>> {
        let (_, public_id) = opening.restored_ids()?;
        Some(Wanted { client, public_id, cwd: &opening.cwd })
    }
}

impl Books {
    /// A directory for a session on a channel; the sessions there share its text.
    pub fn directory(&self, channel: ChannelId, cwd: &str) -> Arc<str> {
        let newest = self.channel(channel).and_then(|row| row.sessions.last());
        let known = newest.and_then(|key| self.session(*key)).map(|session| &session.cwd);
        known.filter(|known| ***known == *cwd).map_or_else(|| cwd.into(), Arc::clone)
    }

    /// The live session that a client means by an id: one that it is attached to, else the one
    /// in this directory.
    pub fn live(&self, client: ClientId, id: &str, cwd: &str) -> Option<SessionKey> {
        let sessions =
            || self.agent_of_client(client).into_iter().flat_map(|row| row.aliases.live(id));
        let is_there = |key: &SessionKey| {
            self.session(*key).is_some_and(|session| is_same_directory(&session.cwd, cwd))
        };
        sessions().find(|key| self.is_attached(client, *key)).or_else(|| sessions().find(is_there))
    }

    /// The live session that a client means by an id that it names without a directory: one that
    /// it is attached to, else the one in its own directory, else the only one.
    pub fn live_anywhere(&self, client: ClientId, id: &str) -> Option<SessionKey> {
        self.live(client, id, self.client_cwd(client)).or_else(|| {
            let mut sessions = self.agent_of_client(client)?.aliases.live(id);
            sessions.next().filter(|_| sessions.next().is_none())
        })
    }

    /// The meaning of an id for a client, of the several that it may have for the clients of its
    /// agent.
    pub fn meant(&self, client: ClientId, id: &str) -> Option<Name> {
        let aliases = &self.agent_of_client(client)?.aliases;
        let last = aliases.named(id)?;
        match last {
            Name::Session(_) => self.live_anywhere(client, id).map(Name::Session).or(Some(last)),
            Name::Passing(_) => {
                let own = aliases.live(id).find(|key| self.is_attached(client, *key));
                Some(own.map_or(last, Name::Session))
            }
        }
    }

    /// The names of the variables in which the environment of a client differs from that of a
    /// channel; empty: the channel's process can serve the client.
    pub fn differences(&self, client: ClientId, channel: ChannelId) -> Vec<&str> {
        let pool = self.channel(channel).and_then(|row| self.pool(row.pool?));
        let own = self.client(client).map(|row| &row.environment);
        match own.zip(pool) {
            Some((own, pool)) if !own.is_like(&pool.environment) => {
                own.differences(&pool.environment)
            }
            _ => Vec::new(),
        }
    }

    /// Whether a closed session of a channel is the conversation that a client wants.
    pub fn is_wanted_closed(&self, wanted: Wanted<'_>, channel: ChannelId, cwd: &str) -> bool {
        let had = self.client(wanted.client).and_then(|row| row.ended.channel(wanted.public_id));
        // Of what has no directory only the id is known.
        cwd.is_empty() || is_same_directory(wanted.cwd, cwd) || had == Some(channel)
    }

    /// Whether a live session is the conversation that a client wants.
    pub fn is_wanted_live(&self, wanted: Wanted<'_>, key: SessionKey) -> bool {
        let is_there = |session: &Session| is_same_directory(wanted.cwd, &session.cwd);
        self.is_attached(wanted.client, key) || self.session(key).is_some_and(is_there)
    }

    /// Whether a call restores the conversation that a client wants.
    pub fn is_restore_of(&self, wanted: Wanted<'_>, call: &Call) -> bool {
        let is_own = call.client() == Some(wanted.client);
        call.opening().is_some_and(|open| is_own || is_same_directory(wanted.cwd, &open.cwd))
    }

    /// Whether a channel has, had or opens another conversation under the agent's id of the one
    /// that a client wants: its agent could not tell them apart.
    pub fn has_another(
        &self,
        (channel, row): (ChannelId, &Channel),
        agent_id: &str,
        wanted: Wanted<'_>,
    ) -> bool {
        let live = match row.names.get(agent_id) {
            Some(Name::Session(key)) => !self.is_wanted_live(wanted, key),
            Some(Name::Passing(_)) | None => false,
        };
        let buried = row.tombstones.get(agent_id);
        let opens = |id: &CallId| {
            let call = self
                .call(*id)
                .filter(|call| call.opening().and_then(Opening::restores) == Some(agent_id));
            call.is_some_and(|call| !self.is_restore_of(wanted, call))
        };
        live || buried.is_some_and(|tomb| !self.is_wanted_closed(wanted, channel, &tomb.cwd))
            || row.calls.iter().any(opens)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bridge::books::call::{OpenKind, Purpose, Stage};
    use crate::bridge::books::tests::{
        AGENT, ALICE, BOB, add_bob, add_call, add_channel, books, bury, opening,
    };
    use crate::bridge::books::tombstones::Hold;
    use crate::bridge::time::Moment;

    fn wanted(client: ClientId, cwd: &str) -> Wanted<'_> {
        Wanted { client, public_id: "s", cwd }
    }

    #[test]
    fn a_live_conversation_is_wanted_by_those_who_have_it_and_by_its_directory() {
        let mut books = books();
        add_bob(&mut books, AGENT);
        let channel = add_channel(&mut books, AGENT);
        let key = books.next_session_key();
        let ids = ("s".into(), "s".into());
        books.add_session(Session::new(key, (AGENT, channel), ids, "/a".into(), Moment::START));
        books.attach(ALICE, key);
        for (client, cwd, is_wanted) in
            [(ALICE, "/a", true), (ALICE, "/b", true), (BOB, "/a", true), (BOB, "/b", false)]
        {
            assert_eq!(books.is_wanted_live(wanted(client, cwd), key), is_wanted, "{cwd}");
            let row = books.channel(channel).unwrap();
            let has_another = books.has_another((channel, row), "s", wanted(client, cwd));
            assert_eq!(has_another, !is_wanted, "{client} in {cwd}");
        }
    }

    #[test]
    fn a_closed_conversation_is_another_one_in_another_directory() {
        let mut books = books();
        let channel = add_channel(&mut books, AGENT);
        let has_another = |books: &Books, cwd| {
            let row = books.channel(channel).unwrap();
            books.has_another((channel, row), "s", wanted(ALICE, cwd))
        };
        bury(&mut books, channel, "s", "s", Hold::Nothing);
        assert!(!has_another(&books, "/b"), "no directory is known of it");
        let mut tombstone = books.channel(channel).unwrap().tombstones.get("s").unwrap().clone();
        tombstone.cwd = "/a".into();
        let row = books.channel_mut(channel).unwrap();
        row.tombstones.remove("s");
        row.tombstones.bury(tombstone);
        assert!(!has_another(&books, "/a") && has_another(&books, "/b"));
    }

    #[test]
    fn a_conversation_that_is_being_restored_is_another_one_in_another_directory() {
        let mut books = books();
        add_bob(&mut books, AGENT);
        let channel = add_channel(&mut books, AGENT);
        let load = Opening { cwd: "/a".into(), ..opening(OpenKind::Load, Some("s"), Some("s")) };
        let purpose = Purpose::Open(load);
        add_call(&mut books, channel, purpose, Stage::sent(Moment::START, 0));
        let row = books.channel(channel).unwrap();
        for (client, cwd, is_another) in
            [(ALICE, "/b", false), (BOB, "/a", false), (BOB, "/b", true)]
        {
            let found = books.has_another((channel, row), "s", wanted(client, cwd));
            assert_eq!(found, is_another, "{client} in {cwd}");
        }
        assert!(!books.has_another((channel, row), "other", wanted(BOB, "/b")));
    }
}
