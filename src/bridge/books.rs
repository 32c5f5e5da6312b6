//! The books: every table and its rows, the limits, and the phase of the bridge.
//!
//! A query needs the books and nothing else. This file finds a row by its id. Methods
//! that change several tables at once stand in [`registry`], [`session_rows`] and [`pending`];
//! queries to several tables in [`work`], [`whose`], [`whom_to_ask`], [`fence`], [`public_id`]
//! and [`when_due`].
//!
//! Other rooms read the tables and change single rows. [`Books::channel_mut`],
//! `session_mut`, `call_mut` and `question_mut` *touch* the row that they return: at
//! the end of the step a touched channel or session is settled, and the deadline of
//! every touched row is computed again, so that no deadline can be forgotten (I6). The
//! methods `…_in_passing` do not touch the row.

pub mod absence;
pub mod addressee;
pub mod agent;
pub mod aliases;
pub mod behind_open;
pub mod call;
pub mod channel;
pub mod channel_clock;
pub mod client;
pub mod conversation;
pub mod deadlines;
pub mod duties;
pub mod earlier_bridges;
pub mod early_frames;
pub mod ended_sessions;
pub mod fence;
pub mod handles;
pub mod held_frames;
pub mod id_set;
pub mod memory;
pub mod numbers;
pub mod open_questions;
pub mod pairs;
pub mod parent;
pub mod parked;
pub mod parking;
pub mod parting;
pub mod passing;
pub mod passing_table;
pub mod pending;
pub mod phase;
pub mod pool;
pub mod public_id;
pub mod question;
pub mod recording;
pub mod registry;
pub mod replay_sum;
pub mod restarts;
pub mod restoring;
pub mod ring;
pub mod session;
pub mod session_names;
pub mod session_rows;
pub mod settling;
pub mod slow;
pub mod table;
pub mod tenure;
pub mod tombstones;
pub mod touched_rows;
pub mod transcript;
pub mod trust;
pub mod under_way;
pub mod wear;
pub mod when_due;
pub mod whom_to_ask;
pub mod whose;
pub mod work;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::panic::Location;

use crate::bridge::books::agent::Agent;
use crate::bridge::books::call::{Call, Fanout};
use crate::bridge::books::channel::{Channel, ChannelState, Said};
use crate::bridge::books::client::Client;
use crate::bridge::books::deadlines::{Deadlines, Due};
use crate::bridge::books::id_set::Ids;
use crate::bridge::books::memory::Memory;
use crate::bridge::books::numbers::Numbers;
use crate::bridge::books::parked::ParkedSessions;
use crate::bridge::books::passing::PassingId;
use crate::bridge::books::phase::Phase;
use crate::bridge::books::pool::Pool;
use crate::bridge::books::question::Question;
use crate::bridge::books::replay_sum::ReplaySum;
use crate::bridge::books::session::Session;
use crate::bridge::books::table::Table;
use crate::bridge::books::tenure::Tenure;
use crate::bridge::books::touched_rows::Touched;
use crate::bridge::books::transcript::Transcript;
use crate::bridge::config::{Config, Limits};
use crate::bridge::event::EarlierBridges;
use crate::bridge::id::{
    AgentId, CallId, ChannelId, ClientId, EnvironmentId, FanoutId, PassingKey, PoolId, QuestionId,
    SessionKey,
};
use crate::bridge::time::Moment;

/// The tables, the limits, and where the bridge stands.
#[derive(Debug)]
pub struct Books {
    /// The limits of the bridge as a whole.
    pub limits: Limits,
    phase: Phase,
    /// Before this moment no session is reaped and no request, handshake or idle
    /// channel times out, because the host stood still.
    paused_until: Moment,
    /// When the host last stood still and `paused_until` was set.
    paused_at: Option<Moment>,
    /// The index of a row is its id. No row is ever removed.
    agents: Vec<Agent>,
    clients: BTreeMap<ClientId, Client>,
    /// The clients that are slow.
    slow: BTreeSet<ClientId>,
    /// The environments that the runtime keeps.
    environments: BTreeSet<EnvironmentId>,
    pools: BTreeMap<PoolId, Pool>,
    /// The oldest first: there are few enough to keep them so.
    channels: Table<ChannelId, Channel>,
    sessions: Table<SessionKey, Session>,
    parked: ParkedSessions,
    passing: Table<PassingKey, PassingId>,
    calls: Table<CallId, Call>,
    fanouts: BTreeMap<FanoutId, Fanout>,
    questions: BTreeMap<QuestionId, Question>,
    /// Calls that wait for a channel.
    unplaced: Ids<CallId>,
    /// The channel that gave each cursor of `session/list`, the oldest first.
    cursors: Table<Box<str>, ChannelId>,
    deadlines: Deadlines,
    replay_sum: ReplaySum,
    tenure: Tenure,
    /// The memory that the agents take.
    pub memory: Memory,
    earlier: EarlierBridges,
    /// The histories that agents replay now, by the loads that asked for them.
    replays: BTreeMap<CallId, Box<Transcript>>,
    touched: Touched,
    numbers: Numbers,
    /// Rows that must exist and were missing, each with the place in the code that
    /// found it missing.
    absences: Vec<String>,
}

impl Books {
    /// Books without a row, but for the agent.
    pub fn new(config: Config) -> Self {
        let mut books = Books {
            limits: config.limits,
            phase: Phase::Running,
            paused_until: Moment::START,
            paused_at: None,
            agents: vec![Agent::new(config.agent)],
            clients: BTreeMap::new(),
            slow: BTreeSet::new(),
            environments: BTreeSet::new(),
            pools: BTreeMap::new(),
            channels: Table::default(),
            sessions: Table::default(),
            parked: ParkedSessions::default(),
            passing: Table::default(),
            calls: Table::default(),
            fanouts: BTreeMap::new(),
            questions: BTreeMap::new(),
            unplaced: Ids::default(),
            cursors: Table::default(),
            deadlines: Deadlines::default(),
            replay_sum: ReplaySum::default(),
            tenure: Tenure::default(),
            memory: Memory::default(),
            earlier: EarlierBridges::default(),
            replays: BTreeMap::new(),
            touched: Touched::default(),
            numbers: Numbers::default(),
            absences: Vec::new(),
        };
        books.settle_tenure(Moment::START);
        books
    }

    /// Where the bridge stands.
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// Whether the bridge shuts down or has.
    pub fn is_ending(&self) -> bool {
        self.phase != Phase::Running
    }

    /// Notes that a row is missing which must exist: a mistake of the core. With debug
    /// assertions this panics, so that a test fails; otherwise a notice is published at
    /// the end of the step, and the bridge goes on without what depends on that row.
    #[cold]
    #[track_caller]
    pub fn absent(&mut self, row: impl fmt::Display) {
        let absence = format!("{row}, at {}", Location::caller());
        debug_assert!(false, "a row is absent: {absence}");
        self.absences.push(absence);
    }

    /// Takes the missing rows that [`absent`](Books::absent) noted, the first one first.
    pub fn take_absences(&mut self) -> Vec<String> {
        std::mem::take(&mut self.absences)
    }

    /// The row of an agent. It always exists: only the books make agent ids, and no
    /// agent's row is removed.
    pub fn agent(&self, id: AgentId) -> &Agent {
        &self.agents[id.0]
    }

    /// The row of an agent, to change it; see [`agent`](Books::agent).
    pub fn agent_mut(&mut self, id: AgentId) -> &mut Agent {
        &mut self.agents[id.0]
    }

    /// Every agent.
    pub fn agents(&self) -> &[Agent] {
        &self.agents
    }

    /// The row of a client.
    pub fn client(&self, id: ClientId) -> Option<&Client> {
        self.clients.get(&id)
    }

    /// The row of a client, to change it. It is not touched: no deadline depends on it.
    pub fn client_mut(&mut self, id: ClientId) -> Option<&mut Client> {
        self.clients.get_mut(&id)
    }

    /// Every client, in the order of their ids.
    pub fn clients(&self) -> &BTreeMap<ClientId, Client> {
        &self.clients
    }

    /// The row of a pool.
    pub fn pool(&self, id: PoolId) -> Option<&Pool> {
        self.pools.get(&id)
    }

    /// The row of a pool, to change it. It is not touched: no deadline depends on what
    /// other rooms change in a pool.
    pub fn pool_mut(&mut self, id: PoolId) -> Option<&mut Pool> {
        self.pools.get_mut(&id)
    }

    /// The row of a channel.
    pub fn channel(&self, id: ChannelId) -> Option<&Channel> {
        self.channels.get(&id)
    }

    /// The row of a channel, to change it. It is touched: the channel is settled at the
    /// end of the step.
    pub fn channel_mut(&mut self, id: ChannelId) -> Option<&mut Channel> {
        self.touched.channels.insert(id);
        self.channels.get_mut(&id)
    }

    /// Touches a channel.
    pub fn touch_channel(&mut self, id: ChannelId) {
        self.touched.channels.insert(id);
    }

    /// Puts a channel into a state. The deadline of the state that it leaves is taken
    /// out of the index, so that an idle bridge does not wake up for it.
    pub fn set_state(&mut self, id: ChannelId, state: ChannelState) {
        self.deadlines.forget(Due::Channel(id));
        if let Some(row) = self.channel_mut(id) {
            row.state = state;
        }
    }

    /// The row of a channel, for a change that makes no deadline earlier, or after which
    /// the caller watches the channel itself. The row is not touched.
    pub fn channel_in_passing(&mut self, id: ChannelId) -> Option<&mut Channel> {
        self.channels.get_mut(&id)
    }

    /// Notes that a warning about a channel is given; `false`: it was given before.
    pub fn say_once(&mut self, id: ChannelId, warning: Said) -> bool {
        self.channel_in_passing(id).is_some_and(|row| row.said.insert(warning))
    }

    /// Every channel, the oldest first.
    pub fn channels(&self) -> &Table<ChannelId, Channel> {
        &self.channels
    }

    /// The row of a live session.
    pub fn session(&self, key: SessionKey) -> Option<&Session> {
        self.sessions.get(&key)
    }

    /// The row of a session, to change it. It is touched: the session is settled at the
    /// end of the step.
    pub fn session_mut(&mut self, key: SessionKey) -> Option<&mut Session> {
        self.touched.sessions.insert(key);
        self.sessions.get_mut(&key)
    }

    /// The row of a session, for a change that can only make its deadline later. The row
    /// is not touched.
    pub fn session_in_passing(&mut self, key: SessionKey) -> Option<&mut Session> {
        self.sessions.get_mut(&key)
    }

    /// Notes that a session is used at this moment.
    pub fn mark_seen(&mut self, key: SessionKey, now: Moment) {
        if let Some(session) = self.session_in_passing(key) {
            session.last_seen = now;
        }
    }

    /// Every live session, in an order without meaning.
    pub fn sessions(&self) -> &Table<SessionKey, Session> {
        &self.sessions
    }

    /// The row of a call.
    pub fn call(&self, id: CallId) -> Option<&Call> {
        self.calls.get(&id)
    }

    /// The row of a call, to change it. It is touched: its deadline is computed again at
    /// the end of the step.
    pub fn call_mut(&mut self, id: CallId) -> Option<&mut Call> {
        self.touched.rows.push(Due::Call(id));
        self.calls.get_mut(&id)
    }

    /// The row of a call, for a change that can only make its deadline later. The row is
    /// not touched.
    pub fn call_in_passing(&mut self, id: CallId) -> Option<&mut Call> {
        self.calls.get_mut(&id)
    }

    /// Every call, in an order without meaning.
    pub fn calls(&self) -> &Table<CallId, Call> {
        &self.calls
    }

    /// Calls that wait for a channel, in the order in which they came.
    pub fn unplaced(&self) -> &Ids<CallId> {
        &self.unplaced
    }

    /// Requests that several channels answer together.
    pub fn fanouts(&self) -> &BTreeMap<FanoutId, Fanout> {
        &self.fanouts
    }

    /// The row of a question.
    pub fn question(&self, id: QuestionId) -> Option<&Question> {
        self.questions.get(&id)
    }

    /// The row of a question, to change it. It is touched: its deadline is computed again
    /// at the end of the step.
    pub fn question_mut(&mut self, id: QuestionId) -> Option<&mut Question> {
        self.touched.rows.push(Due::Question(id));
        self.questions.get_mut(&id)
    }

    /// Every question, the oldest first.
    pub fn questions(&self) -> &BTreeMap<QuestionId, Question> {
        &self.questions
    }

    /// Whether a session has this key, or had it.
    pub fn has_named(&self, key: SessionKey) -> bool {
        (1..=self.numbers.sessions.last()).contains(&key.0)
    }

    /// A key that no session had before.
    pub fn next_session_key(&mut self) -> SessionKey {
        SessionKey(self.numbers.sessions.next())
    }
}

#[cfg(test)]
mod tests;
