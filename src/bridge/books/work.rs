//! The work of a channel and of a client: their requests, the turns that run, the opens; and
//! whether one more session or request is allowed.

use crate::bridge::books::Books;
use crate::bridge::books::call::{Asker, Call, Opening, Purpose};
use crate::bridge::books::channel::{Channel, ChannelState};
use crate::bridge::books::client::{Client, MAX_PENDING};
use crate::bridge::books::handles::HandleKind;
use crate::bridge::books::passing::{Owner, PassingState};
use crate::bridge::books::pool::Treatment;
use crate::bridge::books::session::Session;
use crate::bridge::books::session_names::Name;
use crate::bridge::config::Share;
use crate::bridge::id::{CallId, ChannelId, ClientId, PassingKey, PoolId, SessionKey};
use crate::bridge::time::Limit;
use crate::wire::Frame;

impl Books {
    /// The sent open on a channel that a frame for an unknown session belongs to: the restore
    /// of `agent_id`, otherwise the oldest open that makes a new session. `None`: there is none.
    pub fn open_in_flight(&self, channel: ChannelId, agent_id: Option<&str>) -> Option<CallId> {
        let row = self.channel(channel)?;
        let mut fallback = None;
        for id in &row.calls {
            let Some(call) = self.calls.get(id).filter(|call| call.is_sent()) else {
                continue;
            };
            match call.opening().map(Opening::restores) {
                Some(Some(restored)) if Some(restored) == agent_id => return Some(*id),
                Some(None) if fallback.is_none() => fallback = Some(*id),
                _ => {}
            }
        }
        fallback
    }

    /// Whether early frames of a channel, or public ids of sessions that it opens, are kept
    /// although the opens that they were kept for are over.
    pub fn early_is_over(&self, id: ChannelId, row: &Channel) -> bool {
        let opens =
            || self.call_rows(row).filter(|call| call.is_sent() && call.opening().is_some());
        (!row.early.is_empty() && self.open_in_flight(id, None).is_none())
            || (!row.expected.is_empty() && opens().next().is_none())
    }

    /// The same as [`running_in`](Books::running_in), by the key of the session.
    pub fn running_prompts(&self, key: SessionKey) -> impl Iterator<Item = &Call> {
        self.sessions.get(&key).into_iter().flat_map(|session| self.running_in(session))
    }

    /// The prompts of a session that its agent is working on, oldest first.
    pub fn running_in(&self, session: &Session) -> impl Iterator<Item = &Call> {
        let calls = session.calls.iter().filter_map(|id| self.calls.get(id));
        calls.filter(|call| call.purpose == Purpose::Prompt && call.is_sent())
    }

    /// Whether a prompt waits in a session, and nothing is left for which it has to wait.
    pub fn is_next_due(&self, session: &Session) -> bool {
        !session.queue.is_empty()
            && self.running_in(session).next().is_none()
            && self.replay_in(session).is_none()
    }

    /// Whether a channel's agent cannot be expected to work: a question of it is open, and
    /// some agents do nothing else meanwhile, or the bridge does not read it.
    pub fn must_stand(&self, row: &Channel) -> bool {
        row.paused || !row.questions.is_empty()
    }

    /// Whether the agent of an open channel is waited for: it has a request to answer, and
    /// can be expected to work. False for passthrough, and where liveness is off.
    pub fn is_waited_for(&self, id: ChannelId, row: &Channel) -> bool {
        let is_sent = |id: &CallId| self.calls.get(id).is_some_and(Call::is_sent);
        self.agent(row.agent).config.liveness_interval.zero_is_never() != Limit::Never
            && row.is_open()
            && !self.must_stand(row)
            && !self.is_passthrough(id)
            && row.calls.iter().any(is_sent)
    }

    /// The oldest request that a channel's agent has not answered.
    pub fn oldest_sent(&self, channel: ChannelId) -> Option<&Call> {
        let mut calls = self.call_rows(self.channel(channel)?);
        calls.find(|call| call.is_sent())
    }

    /// Whether the agent of a channel does not read: its outbox went over the high mark, and
    /// is not yet under the low one.
    pub fn does_not_read(&self, channel: ChannelId) -> bool {
        self.channel(channel).is_some_and(|row| row.unread.is_some())
    }

    /// Whether the agent of a live session does not read.
    pub fn does_not_read_in(&self, key: SessionKey) -> bool {
        self.session(key).is_some_and(|session| self.does_not_read(session.channel))
    }

    /// The open channels of a client's pool that it uses: it has a session, a passing id or a
    /// lease there, or was last served there.
    pub fn channels_used_by(&self, client: ClientId) -> Vec<ChannelId> {
        let Some(its) = self.clients.get(&client) else { return Vec::new() };
        let owns = |key: &PassingKey| {
            self.passing(*key).is_some_and(|row| row.owner == Owner::Client(client))
        };
        let used = |id: &ChannelId| {
            self.channel(*id).is_some_and(|row| {
                its.served_by == Some(*id)
                    || row.leases.contains(&client)
                    || row.sessions.iter().any(|key| its.sessions.contains(key))
                    || row.passing.iter().any(owns)
            })
        };
        self.open_channels(its.pool).filter(used).collect()
    }

    /// The channel that has the handle which a client's frame names.
    pub fn channel_of_handle(&self, client: ClientId, frame: &Frame) -> Option<ChannelId> {
        let agent = self.clients.get(&client)?.agent;
        let named = |row: &Channel| {
            HandleKind::MEMBERS.iter().any(|(member, kind)| {
                let id = frame.find_text(&[member]);
                id.is_some_and(|id| row.handles.of_client(*kind, client, &id).is_some())
            })
        };
        let channels = self.channels.iter().rev();
        let mut its = channels.filter(|(_, row)| row.agent == agent && !row.handles.is_empty());
        its.find(|(_, row)| named(row)).map(|(id, _)| *id)
    }

    /// Whether a client's frame names a live session or a passing id whose agent does not read.
    pub fn names_session_not_read(&self, client: ClientId, frame: &Frame) -> bool {
        match frame.session().and_then(|id| self.meant(client, &id)) {
            Some(Name::Session(key)) => self.does_not_read_in(key),
            Some(Name::Passing(key)) => {
                self.passing(key).is_some_and(|row| self.does_not_read(row.channel))
            }
            None => false,
        }
    }

    /// The calls on a channel.
    fn call_rows<'a>(&'a self, row: &'a Channel) -> impl Iterator<Item = &'a Call> {
        row.calls.iter().filter_map(|id| self.calls.get(id))
    }

    /// The number of sessions on a channel that are live or being opened. Overdue opens do
    /// not count.
    pub fn load(&self, row: &Channel) -> usize {
        let opening =
            self.call_rows(row).filter(|call| call.opening().is_some() && !call.is_overdue());
        row.sessions.len() + opening.count()
    }

    /// Whether one more session may go to a channel.
    pub fn can_take_session(&self, row: &Channel) -> bool {
        let config = &self.agent(row.agent).config;
        if row.is_for_one {
            return false;
        }
        let limit = match config.share {
            // The agent still holds a husk: a second session would share the process with it.
            Share::Session if row.tombstones.husks() > 0 => return false,
            Share::Session => 1,
            Share::Agent | Share::Cwd => config.sessions_per_channel,
        };
        limit == 0 || self.load(row) < limit
    }

    /// Whether an open channel has no session, and no calls but unanswered closes.
    pub fn is_only_closing(&self, row: &Channel) -> bool {
        let mut calls = self.call_rows(row);
        row.is_open()
            && row.sessions.is_empty()
            && !row.calls.is_empty()
            && calls.all(|call| matches!(call.purpose, Purpose::Close(_)))
    }

    /// Whether the `initialize` of a client is under way. It is taken when no request is open,
    /// and what comes behind it is held: so it is the oldest one.
    pub fn has_initialize_open(&self, client: ClientId) -> bool {
        let oldest = self.clients.get(&client).and_then(|row| row.calls.iter().next());
        let oldest = oldest.and_then(|id| self.calls.get(id));
        oldest.is_some_and(|call| call.purpose == Purpose::Initialize)
    }

    /// Whether a client has as many requests open as it may have.
    pub fn has_too_many_requests(&self, client: ClientId) -> bool {
        let open = |row: &Client| row.calls.len() + row.fanouts.len();
        self.clients.get(&client).is_none_or(|row| open(row) >= MAX_PENDING)
    }

    /// Whether a request of the set-up replay, or a repeated login, is still unanswered on a
    /// channel.
    pub fn is_being_set_up(&self, row: &Channel) -> bool {
        self.call_rows(row).any(|call| {
            matches!(call.purpose, Purpose::SetUpReplay { .. } | Purpose::RepeatedLogin { .. })
        })
    }

    /// Whether a channel has been in service: it is ready and set up, or had a session.
    pub fn has_served(&self, row: &Channel) -> bool {
        row.opened > 0 || !(row.is_starting() || self.is_being_set_up(row))
    }

    /// Opens on a channel that were not sent yet, in the order in which they were asked.
    pub fn opens_waiting_on(&self, channel: ChannelId) -> Vec<CallId> {
        let mut calls = self.calls_on(channel);
        let waits = |call: &Call| call.opening().is_some() && call.is_unsent();
        calls.retain(|id| self.call(*id).is_some_and(waits));
        calls
    }

    /// The calls on a channel, in the order in which they were asked.
    pub fn calls_on(&self, channel: ChannelId) -> Vec<CallId> {
        self.channel(channel).map_or_else(Vec::new, |row| row.calls.iter().copied().collect())
    }

    /// The channels of a pool that may be sent requests.
    pub fn open_channels(&self, pool: Option<PoolId>) -> impl Iterator<Item = ChannelId> {
        let channels = self.channels.iter();
        channels
            .filter(move |(_, row)| pool.is_some() && row.pool == pool && row.is_open())
            .map(|(id, _)| *id)
    }

    /// Whether a channel is that of a passthrough client.
    pub fn is_passthrough(&self, channel: ChannelId) -> bool {
        let pool = self.channel(channel).and_then(|row| row.pool);
        pool.and_then(|pool| self.pools.get(&pool))
            .is_some_and(|pool| pool.treatment == Treatment::Passthrough)
    }

    /// The parts of an asker's fan-out that are not answered yet; empty without a fan-out.
    pub fn open_parts(&self, asker: &Asker) -> Vec<CallId> {
        let mut fanouts = self.fanouts.values();
        let found = fanouts.find(|fanout| fanout.asker == *asker);
        found.map_or_else(Vec::new, |fanout| fanout.parts.iter().copied().collect())
    }

    /// Whether a channel has no work: no session, no call that is not overdue, no lease.
    pub fn is_without_work(&self, row: &Channel) -> bool {
        // A lease keeps a ready channel from being idle, but not a draining one from its end.
        row.sessions.is_empty()
            && row.calls.len() == row.overdue.len()
            && !(row.state == ChannelState::Ready && self.is_leased(row))
    }

    /// Whether another channel in service can get the new sessions in place of an outdated one.
    pub fn has_successor(&self, row: &Channel) -> bool {
        let takes_over = |other: &Channel| {
            other.pool == row.pool
                && other.state == ChannelState::Ready
                && !other.is_outdated()
                && !self.is_being_set_up(other)
                && (row.shared_cwd.is_none() || other.shared_cwd == row.shared_cwd)
        };
        self.channels().values().any(takes_over)
    }

    /// Whether a client that is still there has a lease on a channel, or a passing id.
    pub fn is_leased(&self, row: &Channel) -> bool {
        !row.leases.is_empty() || self.passing_ids_of_clients(row).next().is_some()
    }

    /// The passing ids of a channel that its agent uses for a client.
    pub fn passing_ids_of_clients(&self, row: &Channel) -> impl Iterator<Item = PassingKey> {
        let is_client_s = |key: &PassingKey| {
            self.passing(*key).is_some_and(|row| {
                matches!(row.owner, Owner::Client(_)) && row.state != PassingState::Ended
            })
        };
        row.passing.iter().copied().filter(is_client_s)
    }

    /// Whether a client waits for this channel's answer to `initialize`.
    pub fn is_awaited(&self, channel: ChannelId) -> bool {
        let is_starting = self.channel(channel).is_some_and(Channel::is_starting);
        let calls = self.calls_on(channel);
        let mut askers = calls.iter().filter_map(|id| self.calls.get(id)?.client());
        is_starting && askers.next().is_some()
    }

    /// Every channel, the oldest first.
    pub fn all_channels(&self) -> Vec<ChannelId> {
        self.channels.keys().copied().collect()
    }
}
