//! The public id of what an agent calls a session, and the agent's id of what clients call
//! one.

use std::collections::BTreeSet;

use crate::bridge::books::Books;
use crate::bridge::books::aliases;
use crate::bridge::books::call::Opening;
use crate::bridge::books::channel::Channel;
use crate::bridge::books::handles::HandleKind;
use crate::bridge::books::session_names::Name;
use crate::bridge::id::{AgentId, ChannelId, ClientId};

impl Books {
    /// The public id of a session that was opened. A restored conversation keeps the id by
    /// which the client named it; a new one gets the agent id, or an alias if the agent id
    /// may mean another conversation.
    pub fn public_id(
        &self,
        agent: AgentId,
        channel: ChannelId,
        opening: &Opening,
        agent_id: &str,
    ) -> Box<str> {
        if let (Some(_), Some(id)) = (opening.restores(), &opening.public_id) {
            return id.clone();
        }
        let expected = self.expected_id(channel, agent_id);
        expected.unwrap_or_else(|| self.free_public_id(agent, agent_id))
    }

    /// The public id that a session will have of which the agent has spoken before it
    /// answered the open.
    pub fn expected_id(&self, channel: ChannelId, agent_id: &str) -> Option<Box<str>> {
        self.channel(channel)?.expected.get(agent_id).cloned()
    }

    /// A public id that means nothing yet.
    pub fn free_public_id(&self, agent: AgentId, agent_id: &str) -> Box<str> {
        let channels = || self.channels.values().filter(|row| row.agent == agent);
        let is_buried = channels().any(|row| row.tombstones.contains(agent_id));
        aliases::free(agent_id, |id| {
            (is_buried && id == agent_id)
                || self.is_known(agent, id)
                || channels().any(|row| row.tombstones.named(id).is_some())
        })
    }

    /// Whether a client may mean a conversation of this agent by an id.
    fn is_known(&self, agent: AgentId, id: &str) -> bool {
        // A client that knew an ended session by this id may still name it.
        let mut clients = self.clients.values().filter(|client| client.agent == agent);
        self.agent(agent).aliases.is_known(id)
            || self.is_parked(agent, id)
            || self.agent(agent).pairs.knows(id)
            || clients.any(|client| client.ended.reason(id).is_some())
            || self.is_expected(agent, id)
    }

    /// Forgets the public ids of sessions that no open of a channel will bring any more.
    pub fn expect_no_more(&mut self, channel: ChannelId) {
        let Some(row) = self.channels.get(&channel) else { return self.absent(channel) };
        let opens = row.calls.iter().filter_map(|id| self.calls.get(id));
        let restored = opens
            .filter(|call| call.is_sent())
            .filter_map(|call| call.opening().and_then(Opening::restores).map(Box::<str>::from));
        let restored: BTreeSet<Box<str>> = restored.collect();
        if let Some(row) = self.channels.get_mut(&channel) {
            row.expected.retain(|id, _| restored.contains(id));
        }
    }

    /// Whether clients will know a session by an id whose agent has spoken of it before it
    /// answered the open.
    pub fn is_expected(&self, agent: AgentId, id: &str) -> bool {
        let mut channels = self.channels.values().filter(|row| row.agent == agent);
        channels.any(|row| row.expected.values().any(|expected| **expected == *id))
    }

    /// Whether any session id of a channel's agent has an alias.
    pub fn has_aliases(&self, channel: ChannelId) -> bool {
        self.channel(channel).is_some_and(Channel::has_aliases)
    }

    /// The id that a client is to have for a handle of an agent: the agent's own, unless
    /// the client has that one from another channel.
    pub fn free_handle(
        &self,
        client: ClientId,
        channel: ChannelId,
        kind: HandleKind,
        id: &str,
    ) -> Box<str> {
        let others = || self.channels.iter().filter(|(other, _)| **other != channel);
        aliases::free(id, |id| {
            others().any(|(_, row)| row.handles.of_client(kind, client, id).is_some())
        })
    }

    /// Whether messages of a channel's agent may hold an id that a client knows by another
    /// one.
    pub fn exchanges_ids(&self, channel: ChannelId) -> bool {
        self.channel(channel).is_some_and(Channel::exchanges_ids)
    }

    /// Whether a request about `agent_id` would reach something else on a channel than what
    /// its client means by `named`: the agent knows something by it that clients know by
    /// another id, a session has it or may come to have it, or `named` is live elsewhere.
    pub fn means_another(&self, channel: ChannelId, agent_id: &str, named: &str) -> bool {
        let Some(row) = self.channel(channel) else { return false };
        let here = row.names.get(agent_id);
        let is_expected = row.expected.contains_key(agent_id);
        let is_known = here.is_some() || row.tombstones.contains(agent_id);
        let is_other = self.alias(channel, agent_id).unwrap_or(agent_id) != named;
        let aliases = &self.agent(row.agent).aliases;
        let is_here = here.is_some_and(|name| aliases.means(named, name));
        (is_known && is_other)
            || is_expected
            || matches!(here, Some(Name::Session(_)))
            || (aliases.named(named).is_some() && !is_here)
    }

    /// The public id of what a channel's agent knows by `agent_id`; `None`: it is the same
    /// id, or nobody knows it.
    pub fn alias(&self, channel: ChannelId, agent_id: &str) -> Option<&str> {
        let row = self.channel(channel)?;
        if row.names.contains(agent_id) {
            return row.names.alias(agent_id);
        }
        let expected = row.expected.get(agent_id).map(|public| &**public);
        let expected = expected.filter(|public| *public != agent_id);
        expected.or_else(|| row.tombstones.get(agent_id)?.alias())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bridge::books::call::{OpenKind, Purpose, Stage};
    use crate::bridge::books::tests::{
        AGENT, ALICE, OTHER, add_call, add_channel, add_session, at, books, bury, opening,
    };
    use crate::bridge::books::tombstones::Hold;
    use crate::bridge::reason::LossReason;

    #[test]
    fn a_new_conversation_gets_the_agents_id_unless_that_may_mean_another() {
        let mut books = books();
        let (channel, foreign) = (add_channel(&mut books, AGENT), add_channel(&mut books, OTHER));
        let new = opening(OpenKind::New, None, None);
        let public = |books: &Books| books.public_id(AGENT, channel, &new, "s").into_string();
        add_session(&mut books, foreign, "s", "s");
        assert_eq!(public(&books), "s", "another agent's says nothing");
        add_session(&mut books, channel, "s", "s");
        assert_eq!(public(&books), "~1~s");
        bury(&mut books, channel, "~1~s", "t", Hold::Nothing);
        assert_eq!(public(&books), "~2~s");
        books.client_mut(ALICE).unwrap().ended.remember("~2~s", Some(channel), LossReason::Left);
        assert_eq!(public(&books), "~3~s");
        let restore = opening(OpenKind::Load, Some("s"), Some("~3~s"));
        let purpose = Purpose::Open(restore.clone());
        let call = add_call(&mut books, channel, purpose, Stage::sent(at(0), 0));
        assert_eq!(public(&books), "~4~s");
        books.take_call(call);
        assert_eq!(public(&books), "~3~s");
        assert_eq!(&*books.public_id(AGENT, channel, &restore, "other"), "~3~s");
        let fork = opening(OpenKind::Fork, Some("s"), Some("s"));
        assert_eq!(&*books.public_id(AGENT, channel, &fork, "v"), "v");
    }
}
