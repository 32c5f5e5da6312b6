//! Channels, clients and pools enter the tables and leave them. Several tables change at once
//! only here, in [`session_rows`](crate::bridge::books::session_rows) and in
//! [`pending`](crate::bridge::books::pending).
//!
//! Every method here leaves the tables in agreement with each other; the rules
//! that they keep are checked in [`check`](crate::bridge::check). Rows that changed
//! are remembered as *touched*, so that the end of a step can settle them.

use std::collections::BTreeSet;

use crate::bridge::books::Books;
use crate::bridge::books::agent::Agent;
use crate::bridge::books::channel::Channel;
use crate::bridge::books::client::{Client, Introduction};
use crate::bridge::books::deadlines::Due;
use crate::bridge::books::parent::Parent;
use crate::bridge::books::phase::Phase;
use crate::bridge::books::pool::{Access, Pool};
use crate::bridge::books::restarts::Start;
use crate::bridge::config::AgentConfig;
use crate::bridge::environment::Environment;
use crate::bridge::id::{AgentId, ChannelId, ClientId, EnvironmentId, PoolId};
use crate::bridge::refusal::Refusal;
use crate::bridge::time::Moment;
use crate::wire::Frame;

/// Nothing is reaped or timed out for this long after the host stood still (ms).
pub const PAUSE_GRACE: u64 = 60_000;

/// The least time from one such grace to the next (ms): a host that stops often must not
/// switch off every limit.
pub const PAUSE_INTERVAL: u64 = 300_000;

/// The most cursors that are remembered, each with the channel that gave it.
const MAX_CURSORS: usize = 256;

impl Books {
    /// Adds a channel whose process is about to be started.
    pub fn add_channel(&mut self, channel: Channel) -> ChannelId {
        let id = ChannelId(self.numbers.channels.next());
        self.channels.insert(id, channel);
        self.touched.channels.insert(id);
        id
    }

    /// Removes a channel's row. Its calls, questions and sessions must be gone already.
    pub fn remove_channel(&mut self, id: ChannelId) -> Option<Channel> {
        self.deadlines.forget(Due::Channel(id));
        self.deadlines.forget(Due::Silence(id));
        self.touched.channels.remove(&id);
        let passing = self.channels.get(&id).map(|row| row.passing.clone());
        for key in passing.unwrap_or_default() {
            self.remove_passing(key);
        }
        self.touched.channels.remove(&id);
        for client in self.clients.values_mut() {
            if client.served_by == Some(id) {
                client.served_by = None;
            }
        }
        let row = self.channels.shift_remove(&id);
        self.touch_predecessors(id);
        // There is room, and what the channel held is free.
        self.touched.placement = true;
        self.forget_pools();
        self.touched.environments = true;
        row
    }

    /// Adds an agent that clients may be assigned to.
    pub fn add_agent(&mut self, config: AgentConfig) -> AgentId {
        self.agents.push(Agent::new(config));
        AgentId(self.agents.len() - 1)
    }

    /// Adds a client that connects.
    pub fn add_client(
        &mut self,
        id: ClientId,
        agent: AgentId,
        environment: Environment,
        cwd: Box<str>,
        now: Moment,
    ) {
        self.environments.insert(environment.id);
        // A slow client may hold up others from now on.
        let slow = self.slow.iter().map(|client| Due::Slow(*client));
        self.touched.rows.extend(slow);
        self.clients.insert(id, Client::new(agent, environment, cwd, now));
    }

    /// Changes the knowledge of a client's parent process.
    pub fn set_parent(&mut self, id: ClientId, change: impl FnOnce(Parent) -> Parent) {
        self.deadlines.forget(Due::Orphan(id));
        // The client may be gone.
        if let Some(row) = self.clients.get_mut(&id) {
            row.parent = change(row.parent);
            self.touched.rows.push(Due::Orphan(id));
        }
    }

    /// Notes that the bridge failed a client's `initialize`. It counts if there is no agent to
    /// answer it, and if the client has got nothing else.
    pub fn introduction_failed(&mut self, id: ClientId, refusal: &Refusal) {
        if let Some(row) = self.clients.get_mut(&id)
            && row.introduction == Introduction::Awaited
            && refusal.is_of_start()
        {
            row.introduction = Introduction::Failed(Box::new(refusal.clone()));
        }
    }

    /// Removes a client's row and its handles. No call, fan-out, question, session or passing
    /// id may name the client any more.
    pub fn remove_client(&mut self, id: ClientId) {
        for row in self.channels.values_mut() {
            row.handles.forget_client(id);
        }
        self.deadlines.forget(Due::Orphan(id));
        self.deadlines.forget(Due::Slow(id));
        self.slow.remove(&id);
        let pool = self.clients.remove(&id).and_then(|row| row.pool);
        let is_left = !self.clients.values().any(|row| row.pool == pool);
        if let Some(row) = pool.filter(|_| is_left).and_then(|id| self.pools.get_mut(&id)) {
            // A login is remembered for clients that are there.
            row.forget_logins();
        }
        self.forget_pools();
        self.touched.environments = true;
        // How long a channel is kept depends on the clients of its pool.
        self.touch_all_channels();
    }

    /// Removes the pools that have neither a client nor a channel.
    fn forget_pools(&mut self) {
        let (clients, channels) = (&self.clients, &self.channels);
        self.pools.retain(|id, _| {
            clients.values().any(|row| row.pool == Some(*id))
                || channels.values().any(|row| row.pool == Some(*id))
        });
    }

    /// Puts a client into the shared pool for clients like it, which is added if there is
    /// none. Returns the pool that it was in before.
    pub fn join_pool(&mut self, client: ClientId, initialize: &Frame) -> Option<PoolId> {
        // The client may be gone.
        let row = self.clients.get(&client)?;
        let own = Pool::new(row, Access::Shared, initialize);
        let may_join = |row: &Pool| row.agent == own.agent && row.access == Access::Shared;
        let before = row.pool;
        // The settings and credentials of others are no newcomer's.
        let is_same = |id: PoolId, row: &Pool| {
            let is_plain = row.set_up.is_empty() || before == Some(id);
            may_join(row) && row.identity == own.identity && is_plain
        };
        let known = self.pools.iter_mut().find(|(id, row)| is_same(**id, row));
        let pool = match known {
            Some((id, pool)) => {
                (pool.environment, pool.home) = (own.environment, own.home);
                *id
            }
            None => self.add_pool(own),
        };
        self.move_client(client, pool)
    }

    /// Puts a client into a pool; returns the one that it was in before.
    pub fn move_client(&mut self, client: ClientId, pool: PoolId) -> Option<PoolId> {
        // How long a channel is kept depends on the clients of its pool.
        self.touch_all_channels();
        self.clients.get_mut(&client).and_then(|row| row.pool.replace(pool))
    }

    /// Takes the environments that no client, pool or channel has any more.
    pub fn take_unused_environments(&mut self) -> Vec<EnvironmentId> {
        if !std::mem::take(&mut self.touched.environments) {
            return Vec::new();
        }
        let clients = self.clients.values().map(|row| row.environment.id);
        let pools = self.pools.values().map(|row| row.environment.id);
        let channels = self.channels.values().map(|row| row.origin.environment);
        let used: BTreeSet<EnvironmentId> = clients.chain(pools).chain(channels).collect();
        let unused: Vec<EnvironmentId> = self.environments.difference(&used).copied().collect();
        self.environments = used;
        unused
    }

    /// Adds a pool that no client is in yet.
    pub fn add_pool(&mut self, pool: Pool) -> PoolId {
        let id = PoolId(self.numbers.pools.next());
        self.pools.insert(id, pool);
        id
    }

    /// Notes that the process of a channel crashed or failed in its handshake; `how` says for
    /// people how it ended.
    pub fn crashed(&mut self, channel: ChannelId, how: &str, now: Moment) {
        let Some(row) = self.channels.get(&channel) else { return self.absent(channel) };
        let agent = &mut self.agents[row.agent.0];
        let pool = row.pool.and_then(|id| self.pools.get(&id));
        let whose = pool.map(|pool| pool.identity.clone());
        agent.restarts.crashed(now, agent.config.restart_window, whose, how);
    }

    /// Whether a process for this pool may be started. If only later, the pool is watched, so
    /// that it comes up at the end of the pause.
    pub fn may_start(&mut self, id: PoolId, now: Moment) -> Start {
        let Some(pool) = self.pools.get(&id) else {
            self.absent(id);
            return Start::Later;
        };
        let agent = &mut self.agents[pool.agent.0];
        let (limit, window) = (agent.config.restart_limit, agent.config.restart_window);
        let refused_for = agent.restarts.refused_for(&pool.identity, now, limit, window);
        if let Some(retry_after_ms) = refused_for {
            let last = agent.restarts.last(&pool.identity).to_owned();
            return Start::Refused { last, retry_after_ms };
        }
        let at = agent.restarts.not_before(&pool.identity);
        if at <= now {
            return Start::Now;
        }
        self.deadlines.watch(Due::Start(id), at);
        Start::Later
    }

    /// Puts the bridge into another phase. Channels and calls have other deadlines from then
    /// on, so all of them are touched.
    pub fn enter(&mut self, phase: Phase) {
        self.phase = phase;
        self.touch_all_channels();
        self.touched.rows.push(Due::Shutdown);
        self.touched.rows.extend(self.calls.keys().map(|id| Due::Call(*id)));
    }

    /// Notes that the bridge did not run for a time (ms): every agent gets that time back,
    /// and no agent's silence before now counts.
    pub fn give_back(&mut self, millis: u64, now: Moment) {
        for row in self.channels.values_mut() {
            row.clock.give_back(millis, now);
        }
        self.touch_all_channels();
    }

    /// Notes that the host stood still for a time (ms). For [`PAUSE_GRACE`] no session is
    /// reaped and no request, handshake or idle channel times out, but not again within
    /// [`PAUSE_INTERVAL`]; says whether it is so.
    pub fn host_paused(&mut self, millis: u64, now: Moment) -> bool {
        self.give_back(millis, now);
        let is_new = self.paused_at.is_none_or(|at| now.since(at) >= PAUSE_INTERVAL);
        if is_new {
            self.paused_at = Some(now);
            self.paused_until = now.plus_millis(PAUSE_GRACE);
        }
        is_new
    }

    /// The channel that gave a cursor of `session/list`, which may be gone; `None`: it is not
    /// remembered.
    pub fn home_of_cursor(&self, cursor: &str) -> Option<ChannelId> {
        self.cursors.get(cursor).copied()
    }

    /// Remembers that a channel gave a cursor; returns how many cursors were forgotten for it.
    pub fn remember_cursor(&mut self, cursor: &str, channel: ChannelId) -> u64 {
        // A cursor that is given again is the youngest.
        self.cursors.shift_remove(cursor);
        self.cursors.insert(cursor.into(), channel);
        if self.cursors.len() <= MAX_CURSORS {
            return 0;
        }
        // Those of channels that are gone give way first: they only explain a refusal.
        let gone = self.cursors.values().position(|channel| !self.channels.contains_key(channel));
        self.cursors.shift_remove_index(gone.unwrap_or(0));
        u64::from(gone.is_none())
    }
}
