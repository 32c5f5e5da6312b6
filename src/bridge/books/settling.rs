//! The touched rows that are left to settle, and the moments at which rows come up: the
//! methods by which other rooms use [`touched_rows`](super::touched_rows) and
//! [`deadlines`](super::deadlines).

use crate::bridge::books::Books;
use crate::bridge::books::channel::{Channel, ChannelState, Succession};
use crate::bridge::books::deadlines::Due;
use crate::bridge::books::tenure::Leaving;
use crate::bridge::config::{AgentConfig, Limits};
use crate::bridge::effect::Effect;
use crate::bridge::event::ShutdownCause;
use crate::bridge::id::{AgentId, CallId, ChannelId, ClientId, FanoutId, SessionKey};
use crate::bridge::time::Moment;
use crate::wire::Frame;

impl Books {
    /// Takes the next session to settle.
    pub fn next_touched_session(&mut self) -> Option<SessionKey> {
        let key = self.touched.sessions.pop_first()?;
        // Which session gives way for a new one depends on the sessions.
        self.touched.placement = true;
        Some(key)
    }

    /// Takes the next channel to settle.
    pub fn next_touched_channel(&mut self) -> Option<ChannelId> {
        let id = self.touched.channels.pop_first()?;
        // Where a call goes depends on the channels.
        self.touched.placement = true;
        Some(id)
    }

    /// Whether a client was attached or detached since the last call of
    /// [`Books::take_attachments`].
    pub fn has_attachments(&self) -> bool {
        !self.touched.attachments.is_empty()
    }

    /// Takes the attachments and detachments of clients since the last call, in their order.
    pub fn take_attachments(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.touched.attachments)
    }

    /// Takes the next fan-out to settle.
    pub fn next_touched_fanout(&mut self) -> Option<FanoutId> {
        self.touched.fanouts.pop_first()
    }

    /// Takes the next client whose `initialize` is over.
    pub fn next_touched_client(&mut self) -> Option<ClientId> {
        self.touched.clients.pop_first()
    }

    /// Takes the next frame that a client has sent behind its `initialize`. If there are
    /// more, the client is touched again.
    pub fn next_held(&mut self, client: ClientId) -> Option<Frame> {
        // The client may be gone.
        let row = self.clients.get_mut(&client)?;
        let frame = row.held.next()?;
        if !row.held.is_empty() {
            self.touched.clients.insert(client);
        }
        Some(frame)
    }

    /// Touches the channels that `successor` is to take the place of: they drain when the
    /// successor is ready, and are kept if it fails.
    pub fn touch_predecessors(&mut self, successor: ChannelId) {
        let row = self.channels.get(&successor).filter(|row| !row.is_outdated());
        let pool = row.and_then(|row| row.pool);
        let waits = |row: &Channel| {
            let is_outdated = row.is_outdated() && row.pool == pool;
            row.state == ChannelState::Ready
                && (is_outdated || row.succession == Succession::By(successor))
        };
        let waiting = self.channels.iter().filter(|(_, row)| waits(row));
        self.touched.channels.extend(waiting.map(|(id, _)| *id));
    }

    /// Takes the next call that is over and that questions of its channel may belong to.
    pub fn next_ended_call(&mut self) -> Option<(ChannelId, CallId)> {
        self.touched.ended_calls.pop()
    }

    /// Takes the next closed session in which no call is open any more.
    pub fn next_quiet_tombstone(&mut self) -> Option<(ChannelId, SessionKey)> {
        self.touched.quiet_tombstones.pop()
    }

    /// Whether calls that wait for a channel are to be placed. A step that changed nothing
    /// that their places depend on costs nothing, however many they are.
    pub fn take_placement_due(&mut self) -> bool {
        std::mem::take(&mut self.touched.placement) && !self.unplaced.is_empty()
    }

    /// Makes the calls that wait for a channel be placed at the end of the step.
    pub fn touch_placement(&mut self) {
        self.touched.placement = true;
    }

    /// Touches every call on a channel, because their deadlines have changed.
    pub fn touch_calls_of(&mut self, id: ChannelId) {
        let calls = self.channels.get(&id).into_iter().flat_map(|row| &row.calls);
        self.touched.rows.extend(calls.map(|id| Due::Call(*id)));
    }

    /// Notes that the bridge is to end when nobody would lose anything. The wish of a person
    /// counts more than that of another bridge.
    pub fn leave(&mut self, leaving: Leaving) {
        if self.tenure.leaving != Leaving::WhenIdle {
            self.tenure.leaving = leaving;
        }
    }

    /// The wish that the bridge ends.
    pub fn leaving(&self) -> Leaving {
        self.tenure.leaving
    }

    /// The cause of a shutdown at the end of the bridge's tenure.
    pub fn cause_of_end(&self) -> ShutdownCause {
        self.tenure.cause_of_end()
    }

    /// Notes whether the bridge is of use, and watches the end of its tenure.
    pub fn settle_tenure(&mut self, now: Moment) {
        let has_clients = !self.clients.is_empty();
        let is_unused = !has_clients && self.sessions.is_empty();
        // This is done in every step: the sessions are looked at only where they decide.
        let may_be_left = match self.tenure.leaving {
            Leaving::No => false,
            Leaving::Superseded => {
                !has_clients && self.sessions.values().all(|session| !session.is_busy())
            }
            Leaving::WhenIdle => !self.has_work_under_way(),
        };
        self.tenure.settle(is_unused, may_be_left, now);
        if is_unused || may_be_left {
            self.watch(Due::Tenure);
        }
        if self.limits.memory_high_mb > 0 {
            self.watch(Due::Memory);
        }
    }

    /// Changes the limits. Every deadline may be another one.
    pub fn reconfigure(&mut self, limits: Limits, agents: Vec<(AgentId, AgentConfig)>) {
        self.limits = limits;
        for (id, config) in agents {
            if let Some(row) = self.agents.get_mut(id.0) {
                row.config = config;
            }
        }
        self.touch_all_channels();
        self.touched.sessions.extend(self.sessions.keys().copied());
        self.touched.rows.extend(self.calls.keys().map(|id| Due::Call(*id)));
        self.touched.rows.extend(self.questions.keys().map(|id| Due::Question(*id)));
        let clients = self.clients.keys();
        self.touched.rows.extend(clients.flat_map(|id| [Due::Orphan(*id), Due::Slow(*id)]));
    }

    /// Touches the sessions of a channel.
    pub fn touch_sessions_on(&mut self, id: ChannelId) {
        let sessions = self.channels.get(&id).into_iter().flat_map(|row| &row.sessions);
        self.touched.sessions.extend(sessions.copied());
    }

    /// Touches the sessions of an agent: it has become known whether it can bring them back, so that
    /// they may be reaped.
    pub fn touch_sessions_of(&mut self, agent: AgentId) {
        let its = self.sessions.values().filter(|session| session.agent == agent);
        self.touched.sessions.extend(its.map(|session| session.key));
    }

    /// Whether nothing is left to settle.
    pub fn is_settled(&self) -> bool {
        let touched = &self.touched;
        touched.sessions.is_empty()
            && touched.channels.is_empty()
            && touched.fanouts.is_empty()
            && touched.clients.is_empty()
            && touched.ended_calls.is_empty()
            && touched.quiet_tombstones.is_empty()
            && touched.revivals.is_empty()
            && (!touched.placement || self.unplaced.is_empty())
    }

    /// Touches every channel, after a change that any of them may depend on.
    pub fn touch_all_channels(&mut self) {
        self.touched.channels.extend(self.channels.keys().copied());
    }

    /// Makes the touched rows that need no settling come up when they are due. To be called
    /// when everything is settled.
    pub fn watch_touched(&mut self) {
        for place in 0..self.touched.rows.len() {
            self.watch(self.touched.rows[place]);
        }
        self.touched.rows.clear();
    }

    /// Makes a session come up at this moment at the latest.
    pub fn watch_session(&mut self, key: SessionKey, at: Moment) {
        self.deadlines.watch(Due::Session(key), at);
    }

    /// Makes a channel come up when it is due, and when its agent has been silent for an
    /// interval.
    pub fn watch_channel(&mut self, id: ChannelId) {
        self.watch(Due::Channel(id));
        self.watch(Due::Silence(id));
    }

    fn watch(&mut self, due: Due) {
        if let Some(at) = self.deadline(due) {
            self.deadlines.watch(due, at);
        }
    }

    /// Takes the next row that is due out of the index. `None`: no row is due, or `looks`,
    /// the number of rows that may still be looked at, is used up. A row whose bound was too
    /// early gets a new bound on the way.
    pub fn next_due(&mut self, now: Moment, looks: &mut usize) -> Option<Due> {
        while *looks > 0 {
            *looks -= 1;
            let due = self.deadlines.reached(now)?;
            match self.deadline(due) {
                Some(at) if at > now => self.deadlines.postpone(due, at),
                Some(_) => {
                    self.deadlines.forget(due);
                    return Some(due);
                }
                None => self.deadlines.forget(due),
            }
        }
        None
    }

    /// Whether a row is due, as the facts stand now.
    pub fn is_due(&self, due: Due, now: Moment) -> bool {
        self.deadline(due).is_some_and(|at| at <= now)
    }

    /// The earliest bound; `None`: no row is watched.
    pub fn first_bound(&self) -> Option<Moment> {
        self.deadlines.first()
    }

    /// The bound of a row; `None`: it is not watched.
    pub fn bound(&self, due: Due) -> Option<Moment> {
        self.deadlines.bound(due)
    }
}
