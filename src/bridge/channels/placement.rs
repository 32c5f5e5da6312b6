//! Which channel a call goes to. The one place where "the current channel" is
//! asked for; it is computed from facts and stored nowhere (I2).
//!
//! A call that cannot be placed yet stays unplaced and is looked at again at
//! the end of every step: for want of room, because an agent that crashed is
//! given a pause, or because another channel may still hold the conversation.

use std::cmp::Reverse;

use crate::bridge::books::call::{Call, OpenKind, Opening, Purpose, Stage};
use crate::bridge::books::channel::{Channel, Hold, Login, State};
use crate::bridge::books::deadlines::Due;
use crate::bridge::books::fence::Fence;
use crate::bridge::config::Share;
use crate::bridge::id::{CallId, ChannelId, ClientId, PoolId};
use crate::bridge::notice::{Notice, StopReason};
use crate::bridge::refusal::Refusal;
use crate::bridge::time::Moment;
use crate::bridge::{Bridge, Effect};

/// Where a call goes.
pub(in crate::bridge) enum Placement {
    /// To this channel, now or when it is ready.
    On(ChannelId),
    /// Nowhere yet.
    Wait,
    /// Nowhere.
    Refuse(Refusal),
    /// What it wants to open is open: it is no call for a channel any more.
    AlreadyLive,
}

impl Bridge {
    /// Tries to place every call that waits, in the order in which they came.
    pub(in crate::bridge) fn place_waiting(&mut self, now: Moment) {
        let waiting: Vec<CallId> = self.registry.unplaced.iter().copied().collect();
        for id in waiting {
            self.place(id, now);
        }
    }

    fn place(&mut self, id: CallId, now: Moment) {
        let Some(call) = self.registry.calls.get(&id) else { return };
        let Some((client, pool)) = call
            .client()
            .and_then(|client| Some((client, self.registry.clients.get(&client)?.pool?)))
        else {
            // Nobody waits for it any more.
            self.registry.take_call(id);
            return;
        };
        let placement = match call.purpose.clone() {
            Purpose::Initialize => self.place_handshake(id, client, pool, now),
            Purpose::Open(opening) => self.place_open(id, &opening, client, pool, now),
            Purpose::Stored { id, home } => self.place_stored(&id, home, client, pool, now),
            Purpose::Login(_) => self.place_login(client, pool, now),
            _ => self.place_anywhere(client, pool, now),
        };
        match placement {
            Placement::On(channel) if self.is_clogged(channel) => {
                let agent = self.agent_name();
                self.refuse_call(id, &Refusal::AgentNotReading { agent });
            }
            Placement::On(channel) => {
                self.registry.move_call(id, Some(channel));
                if let Some(row) = self.registry.clients.get_mut(&client) {
                    row.served_by = Some(channel);
                }
                self.send_when_ready(id, now);
            }
            Placement::Wait => {
                self.watch(Due::Call(id));
            }
            Placement::Refuse(refusal) => {
                self.refuse_call(id, &refusal);
            }
            Placement::AlreadyLive => self.reopen(id, now),
        }
    }

    fn place_handshake(
        &mut self,
        id: CallId,
        client: ClientId,
        pool: PoolId,
        now: Moment,
    ) -> Placement {
        let mut of_pool = self.registry.channels.iter().filter(|(_, row)| row.pool == Some(pool));
        if let Some((channel, _)) =
            of_pool.find(|(_, row)| row.is_open() || matches!(row.state, State::Starting { .. }))
        {
            return Placement::On(*channel);
        }
        let cwd = self.client_cwd(client);
        match self.process(&cwd, now) {
            Ok(channel) => {
                self.begin_handshake(channel, pool, Some(id), now);
                Placement::On(channel)
            }
            Err(other) => other,
        }
    }

    fn place_open(
        &mut self,
        id: CallId,
        opening: &Opening,
        client: ClientId,
        pool: PoolId,
        now: Moment,
    ) -> Placement {
        // A copy of a live session is made where it lives.
        let mut home = self.owner(opening).filter(|_| opening.kind == OpenKind::Fork);
        if let Some(source) = opening.restores() {
            if opening.public.as_ref().is_some_and(|id| self.registry.public.contains_key(id)) {
                return Placement::AlreadyLive;
            }
            let same = self.registry.restoring.get(source).into_iter().flatten();
            let mut before = same
                .take_while(|other| **other < id)
                .filter_map(|other| self.registry.calls.get(other))
                .filter(|other| other.stage != Stage::Overdue);
            match before.next().and_then(Call::opening) {
                Some(other) if other.kind == opening.kind => return Placement::Wait,
                Some(_) => {
                    return Placement::Refuse(Refusal::RestoreUnderWay { id: source.into() });
                }
                None => {}
            }
            match self.fence(source, opening.public.as_deref()) {
                Fence::Open => {}
                Fence::Reinstate(channel) => home = Some(channel),
                Fence::Soon(channel) => {
                    self.hurry(id, channel, now);
                    return Placement::Wait;
                }
                Fence::Shut(channel) => {
                    self.close_again(channel, source, now);
                    return Placement::Refuse(Refusal::SessionFenced { id: source.into() });
                }
                Fence::Live => {
                    return Placement::Refuse(Refusal::SessionFenced { id: source.into() });
                }
            }
        }
        if let Some(refused) = self.make_session_room(id, now) {
            return refused;
        }
        if let Some(channel) = home {
            return Placement::On(channel);
        }
        let cwd: Box<str> = if opening.cwd.is_empty() || self.config.agent.share == Share::Agent {
            self.client_cwd(client)
        } else {
            opening.cwd.clone()
        };
        let key = (self.config.agent.share != Share::Agent).then(|| cwd.clone());
        self.current(pool, key, &cwd, now)
    }

    /// A request about a stored conversation that is not live: to the channel
    /// that had it, once that has let go of it.
    fn place_stored(
        &mut self,
        stored: &str,
        home: Option<ChannelId>,
        client: ClientId,
        pool: PoolId,
        now: Moment,
    ) -> Placement {
        let at_home = home.and_then(|id| Some((id, self.registry.channel(id)?)));
        if let Some((channel, row)) = at_home.filter(|(_, row)| row.is_open()) {
            let is_closing = row
                .tombstones
                .get(stored)
                .is_some_and(|tomb| matches!(tomb.hold, Hold::Closing(_) | Hold::AskAgain));
            return if is_closing { Placement::Wait } else { Placement::On(channel) };
        }
        match self.fence(stored, None) {
            Fence::Reinstate(channel) => Placement::On(channel),
            Fence::Soon(_) => Placement::Wait,
            // Under another name it is another conversation, which must not suffer.
            Fence::Live => Placement::Refuse(Refusal::SessionFenced { id: stored.to_owned() }),
            Fence::Open | Fence::Shut(_) => self.place_anywhere(client, pool, now),
        }
    }

    /// A login goes to a channel that wants one, or that at least had none.
    fn place_login(&mut self, client: ClientId, pool: PoolId, now: Moment) -> Placement {
        let wanting = self
            .registry
            .channels
            .iter()
            .filter(|(_, row)| row.pool == Some(pool) && row.is_open())
            .filter(|(_, row)| !matches!(row.login, Login::Done { .. }))
            .max_by_key(|(id, row)| (row.login == Login::Wanted, Reverse(**id)));
        match wanting {
            Some((channel, _)) => Placement::On(*channel),
            None => self.place_anywhere(client, pool, now),
        }
    }

    /// A request without a session: to the channel that served this client
    /// last, otherwise to any.
    fn place_anywhere(&mut self, client: ClientId, pool: PoolId, now: Moment) -> Placement {
        let serves = |row: &Channel| row.pool == Some(pool) && !row.is_stopping();
        let last = self.registry.clients.get(&client).and_then(|row| row.served_by);
        let channels = &self.registry.channels;
        if let Some(channel) = last.filter(|id| channels.get(id).is_some_and(serves)) {
            return Placement::On(channel);
        }
        let best = channels
            .iter()
            .filter(|(_, row)| serves(row))
            .max_by_key(|(id, row)| (row.is_open(), Reverse(**id)));
        if let Some((channel, _)) = best {
            return Placement::On(*channel);
        }
        let cwd = self.client_cwd(client);
        self.start(pool, None, &cwd, now)
    }

    /// The channel that new sessions of this pool and key go to: the fullest
    /// ready one with room, the lowest id among equals; else one that is
    /// starting; else a new one.
    fn current(
        &mut self,
        pool: PoolId,
        key: Option<Box<str>>,
        cwd: &str,
        now: Moment,
    ) -> Placement {
        self.retire_login_seekers(pool);
        let found = self
            .registry
            .channels
            .iter()
            .filter(|(_, row)| row.pool == Some(pool) && may_be_joined(row))
            .filter(|(_, row)| row.key.is_none() || row.key == key)
            .filter(|(_, row)| self.has_room(row))
            .max_by_key(|(id, row)| (row.is_open(), self.load(row), Reverse(**id)));
        if let Some((channel, _)) = found {
            let channel = *channel;
            if let Some(row) = self.registry.channel_mut(channel) {
                row.key = key;
            }
            return Placement::On(channel);
        }
        self.start(pool, key, cwd, now)
    }

    /// Channels that refused an open for want of a login are asked no more: the
    /// login may have been made elsewhere, and a new process sees it.
    fn retire_login_seekers(&mut self, pool: PoolId) {
        let seekers: Vec<ChannelId> = self
            .registry
            .channels
            .iter()
            .filter(|(_, row)| row.pool == Some(pool) && row.state == State::Ready)
            .filter(|(_, row)| row.login == Login::Wanted)
            .map(|(id, _)| *id)
            .collect();
        for channel in seekers {
            self.drain(channel, StopReason::LoginElsewhere);
        }
    }

    /// A new channel whose handshake the bridge itself begins.
    fn start(&mut self, pool: PoolId, key: Option<Box<str>>, cwd: &str, now: Moment) -> Placement {
        match self.process(cwd, now) {
            Ok(channel) => {
                if let Some(row) = self.registry.channel_mut(channel) {
                    row.key = key;
                }
                self.begin_handshake(channel, pool, None, now);
                Placement::On(channel)
            }
            Err(other) => other,
        }
    }

    /// A process without a handshake: one that was preheated, or a new one.
    fn process(&mut self, cwd: &str, now: Moment) -> Result<ChannelId, Placement> {
        let spawned = self.registry.channels.iter().find(|(_, row)| row.state == State::Spawned);
        if let Some((channel, _)) = spawned {
            return Ok(*channel);
        }
        let (limit, window) = (self.config.agent.restart_limit, self.config.agent.restart_window);
        if let Some(retry_after_ms) = self.restarts.refused_for(now, limit, window) {
            let (agent, last) = (self.agent_name(), self.restarts.last.clone());
            return Err(Placement::Refuse(Refusal::RestartLimit { agent, last, retry_after_ms }));
        }
        if now < self.restarts.not_before() {
            self.watch(Due::Placing);
            return Err(Placement::Wait);
        }
        self.make_channel_room(now)?;
        Ok(self.spawn(cwd, now))
    }

    fn spawn(&mut self, cwd: &str, now: Moment) -> ChannelId {
        // The row is there before the process: a kill in between finds it.
        let channel = self.registry.add_channel(Channel::new(State::Spawned, None, now));
        self.publish(Notice::ChannelSpawning { channel });
        self.effects.push_back(Effect::Spawn { channel, cwd: cwd.to_owned() });
        channel
    }

    /// Starts the process that is wanted before any client asks.
    pub(in crate::bridge) fn preheat(&mut self, cwd: &str, now: Moment) {
        if !self.is_ending() && self.registry.channels.is_empty() {
            self.spawn(cwd, now);
        }
    }

    /// Sends a call as soon as its channel is ready for it.
    pub(in crate::bridge) fn send_when_ready(&mut self, id: CallId, now: Moment) {
        let Some(call) = self.registry.calls.get(&id) else { return };
        let Some(channel) = call.channel else { return };
        let Some(row) = self.registry.channel(channel) else { return };
        if call.purpose == Purpose::Initialize {
            if row.is_open() {
                self.answer_from_memory(id);
            }
        } else if row.is_open() && !self.is_rehearsing(row) {
            self.send(id, now);
        }
    }

    /// Whether further channels' first words are still unanswered on this one.
    pub(in crate::bridge) fn is_rehearsing(&self, row: &Channel) -> bool {
        row.calls
            .iter()
            .filter_map(|id| self.registry.calls.get(id))
            .any(|call| matches!(call.purpose, Purpose::Rehearse { .. }))
    }

    /// Sends everything that waited for this channel to become ready.
    pub(in crate::bridge) fn send_held(&mut self, channel: ChannelId, now: Moment) {
        for id in self.calls_on(channel) {
            let waits = self.registry.calls.get(&id).is_some_and(|call| {
                matches!(call.stage, Stage::Held(_)) && call.waits_for_channel()
            });
            if waits {
                self.send_when_ready(id, now);
            }
        }
    }

    /// The calls on a channel, in the order in which they were asked.
    pub(in crate::bridge) fn calls_on(&self, channel: ChannelId) -> Vec<CallId> {
        self.registry
            .channel(channel)
            .map_or_else(Vec::new, |row| row.calls.iter().copied().collect())
    }

    pub(in crate::bridge) fn client_cwd(&self, client: ClientId) -> Box<str> {
        self.registry.clients.get(&client).map_or_else(Default::default, |row| row.cwd.clone())
    }
}

fn may_be_joined(row: &Channel) -> bool {
    #[cfg(feature = "seeded-bugs")]
    if crate::bridge::seeded::is(crate::bridge::seeded::Bug::JoinStoppingChannel)
        && row.is_stopping()
        || crate::bridge::seeded::is(crate::bridge::seeded::Bug::JoinDrainingChannel)
            && row.is_open()
    {
        return true;
    }
    match row.state {
        State::Ready => row.login != Login::Wanted,
        State::Starting { .. } => true,
        State::Spawned | State::Draining { .. } | State::Stopping { .. } => false,
    }
}
