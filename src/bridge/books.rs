//! The books: every table and its rows, the limits, and the phase of the bridge.
//!
//! A query needs the books and nothing else. Rows are found here; what changes
//! several tables at once stands in [`registry`] and [`pending`].

pub mod aliases;
pub mod audience;
pub mod call;
pub mod channel;
pub mod client;
pub mod clock;
pub mod deadlines;
pub mod fence;
pub mod id_set;
pub mod names;
pub mod pending;
pub mod registry;
pub mod session;
pub mod when_due;
pub mod work;

use std::collections::BTreeMap;

use foldhash::HashMap;
use foldhash::fast::FixedState;
use indexmap::IndexMap;

use crate::bridge::books::call::{Call, Fanout, Question};
use crate::bridge::books::channel::Channel;
use crate::bridge::books::client::{Client, Pool, Restarts};
use crate::bridge::books::deadlines::Deadlines;
use crate::bridge::books::id_set::Ids;
use crate::bridge::books::session::Session;
use crate::bridge::config::{AgentConfig, Config, Limits};
use crate::bridge::event::ShutdownCause;
use crate::bridge::id::{CallId, ChannelId, ClientId, FanoutId, PoolId, QuestionId, SessionKey};
use crate::bridge::time::Moment;

/// A table of which there may be very many rows: one is found in one step, and
/// when it grows no row is hashed again. Its order means nothing, but is the same
/// for the same history.
pub(in crate::bridge) type Table<K, V> = IndexMap<K, V, FixedState>;

/// The ids in a table, the oldest first.
pub(in crate::bridge) fn ids_of<K: Copy + Ord, V>(table: &Table<K, V>) -> Vec<K> {
    let mut ids: Vec<K> = table.keys().copied().collect();
    ids.sort_unstable();
    ids
}

/// Where the bridge stands in its own life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// In service.
    Running,
    /// Shutting down.
    Ending {
        /// When that began.
        since: Moment,
        /// Why.
        cause: ShutdownCause,
        /// Every process was sent SIGKILL already.
        forced: bool,
    },
    /// Everything is over.
    Over,
}

/// The tables, the limits, and where the bridge stands.
#[derive(Debug)]
pub struct Books {
    /// What holds for the bridge as a whole.
    pub limits: Limits,
    pub agent: AgentConfig,
    pub phase: Phase,
    /// Until then nothing is reaped or timed out, because the host stood still.
    pub paused_until: Moment,
    pub restarts: Restarts,
    pub clients: BTreeMap<ClientId, Client>,
    pub pools: BTreeMap<PoolId, Pool>,
    /// The oldest first: there are few enough to keep them so.
    pub channels: Table<ChannelId, Channel>,
    pub sessions: Table<SessionKey, Session>,
    pub calls: Table<CallId, Call>,
    pub fanouts: BTreeMap<FanoutId, Fanout>,
    pub questions: BTreeMap<QuestionId, Question>,
    /// Live sessions and their children, by the id that clients know.
    pub public: HashMap<Box<str>, SessionKey>,
    /// Calls that restore a stored conversation, by the agent's id of it.
    pub restoring: HashMap<Box<str>, Ids<CallId>>,
    /// Calls that wait for a channel.
    pub unplaced: Ids<CallId>,
    /// Which channel gave a cursor of `session/list`.
    pub cursors: BTreeMap<Box<str>, ChannelId>,
    pub deadlines: Deadlines,
    pub touched_channels: Ids<ChannelId>,
    pub touched_sessions: Ids<SessionKey>,
    pub numbers: Numbers,
}

/// The numbers that ids are made of, a row of them for each kind.
#[derive(Debug, Default)]
pub struct Numbers {
    pub pools: Counter,
    pub channels: Counter,
    pub sessions: Counter,
    pub calls: Counter,
    pub fanouts: Counter,
    pub questions: Counter,
}

/// Counts up, and gives no number twice.
#[derive(Debug, Default)]
pub struct Counter(u64);

impl Counter {
    pub fn next(&mut self) -> u64 {
        self.0 += 1;
        self.0
    }
}

impl Books {
    /// Books without a row.
    pub fn new(config: Config) -> Self {
        Books {
            limits: config.limits,
            agent: config.agent,
            phase: Phase::Running,
            paused_until: Moment::START,
            restarts: Restarts::default(),
            clients: BTreeMap::new(),
            pools: BTreeMap::new(),
            channels: Table::default(),
            sessions: Table::default(),
            calls: Table::default(),
            fanouts: BTreeMap::new(),
            questions: BTreeMap::new(),
            public: HashMap::default(),
            restoring: HashMap::default(),
            unplaced: Ids::default(),
            cursors: BTreeMap::new(),
            deadlines: Deadlines::default(),
            touched_channels: Ids::default(),
            touched_sessions: Ids::default(),
            numbers: Numbers::default(),
        }
    }

    pub fn the_agent(&self) -> &AgentConfig {
        &self.agent
    }

    /// The agent's name, for messages to people.
    pub fn agent_name(&self) -> String {
        self.the_agent().name.clone()
    }

    /// Whether the bridge shuts down or has.
    pub fn is_ending(&self) -> bool {
        self.phase != Phase::Running
    }

    /// A session is of use at this moment. That only moves its deadline later, so
    /// it does not touch the row.
    pub fn touch(&mut self, key: SessionKey, now: Moment) {
        if let Some(session) = self.sessions.get_mut(&key) {
            session.last_seen = now;
        }
    }

    pub fn channel(&self, id: ChannelId) -> Option<&Channel> {
        self.channels.get(&id)
    }

    /// A channel that is about to change: it is settled at the end of the step.
    pub fn channel_mut(&mut self, id: ChannelId) -> Option<&mut Channel> {
        self.touched_channels.insert(id);
        self.channels.get_mut(&id)
    }

    /// A session that is about to change: its deadline is looked at again.
    pub fn session_mut(&mut self, key: SessionKey) -> Option<&mut Session> {
        self.touched_sessions.insert(key);
        self.sessions.get_mut(&key)
    }
}
