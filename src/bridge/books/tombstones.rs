//! Tombstones of the sessions that were closed on a channel: they tell late frames, which
//! are dropped, and say what the agent still holds of each session.
//!
//! The hold of an agent on a session changes only by [`Hold::after`], the one table of
//! transitions.
//! Every query is answered from an index, so that its cost does not grow with the number
//! of tombstones.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use foldhash::HashMap;

use crate::bridge::books::id_set::Ids;
use crate::bridge::books::session::HuskCost;
use crate::bridge::books::table::Table;
use crate::bridge::id::{CallId, SessionKey};
use crate::bridge::reason::EndReason;
use crate::bridge::time::Moment;

/// The most tombstones that a channel keeps. Only those with open calls are kept beyond it.
pub const MAX_TOMBSTONES: usize = 1024;

/// The hold of an agent on a session that was closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// The close is under way, and this is its call. The agent has not answered
    /// `session/close`, or, if it cannot close sessions, not yet the calls in the session.
    Closing(CallId),
    /// The agent did not answer the close in time, but could not work then: the close is sent
    /// again when it can.
    ResendClose,
    /// The agent cannot close sessions: it holds the session until it exits, and can go on
    /// with it.
    Husk,
    /// Unknown: the agent did not answer a close or a restore of the session in time, or was
    /// not asked to close it.
    Unanswered,
    /// Nothing: the agent answered the close, or refused the restore.
    Nothing,
}

/// News about a closed session at its agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// The close began, and this is its call: the agent was asked to close the session, or,
    /// if it cannot, the open calls in the session are waited for.
    Asked(CallId),
    /// The agent cannot close sessions, and no call is open in this one.
    CannotClose,
    /// The agent answered the close.
    Answered,
    /// The agent cannot close sessions, and the last open call in this one was answered.
    Quiet,
    /// The close has timed out.
    TimedOut {
        /// Whether the agent could not work for some of the time: some agents answer nothing
        /// while they ask.
        is_excused: bool,
    },
    /// The agent refused to restore the session, after the restore had timed out.
    RestoreRefused,
}

impl Hold {
    /// The hold of the agent after `heard`; `can_close`: it can close sessions.
    fn after(self, heard: Heard, can_close: bool) -> Hold {
        match (self, heard) {
            (_, Heard::Asked(call)) => Hold::Closing(call),
            (_, Heard::CannotClose) => Hold::Husk,
            (Hold::Closing(_), Heard::Answered) => Hold::Nothing,
            (Hold::Closing(_), Heard::Quiet | Heard::TimedOut { .. }) if !can_close => Hold::Husk,
            (Hold::Closing(_), Heard::TimedOut { is_excused: true }) => Hold::ResendClose,
            (Hold::Closing(_), Heard::TimedOut { is_excused: false }) => Hold::Unanswered,
            (Hold::Unanswered, Heard::RestoreRefused) => Hold::Nothing,
            // News of an earlier close says nothing about this one.
            (held, _) => held,
        }
    }

    /// Whether the agent may still go on with the session.
    pub fn fences(self) -> bool {
        self != Hold::Nothing
    }
}

/// The thing that a tombstone remembers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Buried {
    /// A session.
    Session,
    /// A sub-agent.
    SubAgent,
    /// A passing id of a client without a session: another client may mean something by it.
    Lease,
}

/// The memory of a session that was closed on this channel, or of a passing id that ended.
#[derive(Clone, Debug)]
pub struct Tombstone {
    key: SessionKey,
    /// The thing that it remembers.
    pub of: Buried,
    /// The agent id of the session.
    pub agent_id: Box<str>,
    /// The public id of the session, if it is an alias.
    alias: Option<Box<str>>,
    since: Moment,
    hold: Hold,
    calls: Ids<CallId>,
    /// The directory of the session; empty: it is not known.
    pub cwd: Arc<str>,
    /// Why the session ended; `None`: no client ever had it.
    pub reason: Option<EndReason>,
    /// The cost of the session for its agent, as a husk.
    pub husk: HuskCost,
}

impl Tombstone {
    /// The tombstone of a session with the public id `id`; `calls` are still open in it.
    pub fn new(
        key: SessionKey,
        id: &str,
        agent_id: Box<str>,
        hold: Hold,
        calls: Ids<CallId>,
        now: Moment,
    ) -> Self {
        let alias = (*agent_id != *id).then(|| id.into());
        let (of, reason, husk) = (Buried::Session, None, HuskCost::default());
        let cwd = Arc::default();
        Tombstone { key, of, agent_id, alias, since: now, hold, calls, cwd, reason, husk }
    }

    /// When the session ended.
    pub fn since(&self) -> Moment {
        self.since
    }

    /// The key of the closed session; for a passing id, of its parent.
    pub fn key(&self) -> SessionKey {
        self.key
    }

    /// The public id of the session.
    pub fn id(&self) -> &str {
        self.alias.as_deref().unwrap_or(&self.agent_id)
    }

    /// The public id of the session, if it is an alias.
    pub fn alias(&self) -> Option<&str> {
        self.alias.as_deref()
    }

    /// The hold of the agent on the session.
    pub fn hold(&self) -> Hold {
        self.hold
    }

    /// The calls that are still open in the session, the oldest first.
    pub fn calls(&self) -> &Ids<CallId> {
        &self.calls
    }
}

/// The closed sessions of one channel.
#[derive(Clone, Debug, Default)]
pub struct Tombstones {
    rows: Table<SessionKey, Tombstone>,
    by_agent_id: HashMap<Box<str>, SessionKey>,
    by_alias: BTreeMap<Box<str>, SessionKey>,
    /// The tombstones without open calls, in the order in which they give way: first those
    /// that fence nothing, then those that fence, the oldest first.
    giving_way: BTreeSet<(bool, Moment, SessionKey)>,
    husks: BTreeSet<SessionKey>,
    closes_to_resend: BTreeSet<SessionKey>,
    unanswered: BTreeSet<SessionKey>,
}

impl Tombstones {
    /// The tombstone of the session with this agent id.
    pub fn get(&self, agent_id: &str) -> Option<&Tombstone> {
        self.rows.get(self.by_agent_id.get(agent_id)?)
    }

    /// Whether there is a tombstone of a session with this agent id.
    pub fn contains(&self, agent_id: &str) -> bool {
        self.by_agent_id.contains_key(agent_id)
    }

    /// The tombstone of the session that had this key.
    pub fn of(&self, key: SessionKey) -> Option<&Tombstone> {
        self.rows.get(&key)
    }

    /// The tombstone of the session with this public id.
    pub fn named(&self, id: &str) -> Option<&Tombstone> {
        let by_agent_id = self.get(id).filter(|row| row.alias.is_none());
        by_agent_id.or_else(|| self.rows.get(self.by_alias.get(id)?))
    }

    /// Whether the agent may still go on with the closed session with this agent id.
    pub fn fences(&self, agent_id: &str) -> bool {
        self.get(agent_id).is_some_and(|row| row.hold.fences())
    }

    /// The number of husks.
    pub fn husks(&self) -> usize {
        self.husks.len()
    }

    /// Whether the agent left a close, or a restore, without an answer.
    pub fn has_unanswered(&self) -> bool {
        !self.unanswered.is_empty()
    }

    /// Whether a close must be sent once more.
    pub fn has_close_to_resend(&self) -> bool {
        !self.closes_to_resend.is_empty()
    }

    /// The agent ids of the sessions whose close must be sent once more.
    pub fn closes_to_resend(&self) -> impl Iterator<Item = &str> {
        self.closes_to_resend.iter().filter_map(|key| Some(&*self.rows.get(key)?.agent_id))
    }

    /// The number of tombstones.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Every tombstone, in an order without meaning.
    pub fn iter(&self) -> impl Iterator<Item = &Tombstone> {
        self.rows.values()
    }

    /// Adds a tombstone; returns how many others gave way for it at the limit, in the order
    /// of `giving_way`. None gives way for its age: a session that is forgotten could speak
    /// again.
    pub fn bury(&mut self, tombstone: Tombstone) -> usize {
        self.remove(&tombstone.agent_id);
        let before = self.rows.len();
        while self.rows.len() >= MAX_TOMBSTONES {
            // A tombstone that fences gives way only if all others fence, too, or have open
            // calls: the bound (I10) goes before the fence.
            let Some((_, _, key)) = self.giving_way.first() else { break };
            self.take(*key);
        }
        let thrown = before - self.rows.len();
        let key = tombstone.key;
        self.by_agent_id.insert(tombstone.agent_id.clone(), key);
        if let Some(alias) = &tombstone.alias {
            self.by_alias.insert(alias.clone(), key);
        }
        self.rows.insert(key, tombstone);
        self.index(key);
        thrown
    }

    /// Forgets the closed session with this agent id.
    pub fn remove(&mut self, agent_id: &str) {
        if let Some(key) = self.by_agent_id.get(agent_id) {
            self.take(*key);
        }
    }

    /// Notes what the bridge learned about a closed session; returns what the agent holds of
    /// it now. `None`: there is no such tombstone.
    pub fn heard(&mut self, agent_id: &str, heard: Heard, can_close: bool) -> Option<Hold> {
        self.change(agent_id, |row| {
            row.hold = row.hold.after(heard, can_close);
            row.hold
        })
    }

    /// Takes the open calls out of a tombstone, because they are about to be answered.
    pub fn take_calls(&mut self, agent_id: &str) -> Ids<CallId> {
        self.change(agent_id, |row| std::mem::take(&mut row.calls)).unwrap_or_default()
    }

    /// Takes a call that is over out of the tombstone of the session that had this key;
    /// says whether it was the last one there.
    pub fn drop_call(&mut self, key: SessionKey, call: CallId) -> bool {
        let Some(row) = self.rows.get_mut(&key) else { return false };
        let is_last = row.calls.remove(&call) && row.calls.is_empty();
        if is_last {
            self.index(key);
        }
        is_last
    }

    /// The tombstones of husks.
    pub fn husk_rows(&self) -> impl Iterator<Item = &Tombstone> {
        self.husks.iter().filter_map(|key| self.rows.get(key))
    }

    /// Whether any session has an alias.
    pub fn has_aliases(&self) -> bool {
        !self.by_alias.is_empty()
    }

    /// Notes, for each husk, how many processes that were born in its turns still run.
    pub fn count_processes(&mut self, births: &[Moment]) {
        for key in &self.husks {
            if let Some(row) = self.rows.get_mut(key) {
                row.husk.count_processes(births);
            }
        }
    }

    fn change<R>(&mut self, agent_id: &str, change: impl FnOnce(&mut Tombstone) -> R) -> Option<R> {
        let key = *self.by_agent_id.get(agent_id)?;
        self.unindex(key);
        let result = self.rows.get_mut(&key).map(change);
        self.index(key);
        result
    }

    fn take(&mut self, key: SessionKey) {
        self.unindex(key);
        let Some(row) = self.rows.swap_remove(&key) else { return };
        self.by_agent_id.remove(&row.agent_id);
        if let Some(alias) = row.alias
            && self.by_alias.get(&alias) == Some(&key)
        {
            self.by_alias.remove(&alias);
        }
    }

    fn index(&mut self, key: SessionKey) {
        let Some(row) = self.rows.get(&key) else { return };
        if row.calls.is_empty() {
            self.giving_way.insert((row.hold.fences(), row.since, key));
        }
        match row.hold {
            Hold::Husk => self.husks.insert(key),
            Hold::ResendClose => self.closes_to_resend.insert(key),
            Hold::Unanswered => self.unanswered.insert(key),
            Hold::Closing(_) | Hold::Nothing => false,
        };
    }

    fn unindex(&mut self, key: SessionKey) {
        let Some(row) = self.rows.get(&key) else { return };
        self.giving_way.remove(&(row.hold.fences(), row.since, key));
        match row.hold {
            Hold::Husk => self.husks.remove(&key),
            Hold::ResendClose => self.closes_to_resend.remove(&key),
            Hold::Unanswered => self.unanswered.remove(&key),
            Hold::Closing(_) | Hold::Nothing => false,
        };
    }

    /// Whether every index says what the rows say.
    pub fn is_sound(&self) -> bool {
        let holds = |hold| self.rows.values().filter(|row| row.hold == hold).count();
        let is_found = |(key, row): (&SessionKey, &Tombstone)| {
            let waits = !row.calls.is_empty();
            self.by_agent_id.get(&row.agent_id) == Some(key)
                && self.giving_way.contains(&(row.hold.fences(), row.since, *key)) != waits
        };
        let waiting = self.rows.values().filter(|row| !row.calls.is_empty()).count();
        self.rows.iter().all(is_found)
            && self.by_agent_id.len() == self.rows.len()
            && self.giving_way.len() + waiting == self.rows.len()
            && self.husks.len() == holds(Hold::Husk)
            && self.closes_to_resend.len() == holds(Hold::ResendClose)
            && self.unanswered.len() == holds(Hold::Unanswered)
            && self.by_alias.iter().all(|(alias, key)| {
                self.rows.get(key).is_some_and(|row| row.alias.as_deref() == Some(alias))
            })
    }
}

#[cfg(test)]
mod tests;
