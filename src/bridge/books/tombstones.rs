//! Tombstones of the sessions that were closed on a channel: they tell late frames, which
//! are dropped, and say what the agent still holds of each session.
//!
//! The hold of an agent on a session changes only by [`Hold::after`], the one table of
//! transitions.
//! Every query is answered from an index, so that its cost does not grow with the number
//! of tombstones.

use std::collections::{BTreeMap, BTreeSet};

use foldhash::HashMap;

use crate::bridge::books::id_set::Ids;
use crate::bridge::books::table::Table;
use crate::bridge::id::{CallId, SessionKey};
use crate::bridge::time::Moment;

/// The most tombstones that a channel keeps. Only those with open calls are kept beyond it.
pub const MAX_TOMBSTONES: usize = 1024;
/// The age from which a tombstone that fences nothing and has no open calls may give way
/// even below the limit (ms).
pub const TOMBSTONE_AGE: u64 = 600_000;

/// The hold of an agent on a session that was closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// The close is under way, and this is its call. The agent has not answered
    /// `session/close`, or, if it cannot close sessions, not yet the calls in the session.
    Closing(CallId),
    /// The agent did not answer the close in time, but had a question open then: the close
    /// is sent again when no question of the channel is open.
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
        /// Whether the agent has a question open: some agents answer nothing meanwhile.
        behind_question: bool,
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
            (Hold::Closing(_), Heard::TimedOut { behind_question: true }) => Hold::ResendClose,
            (Hold::Closing(_), Heard::TimedOut { behind_question: false }) => Hold::Unanswered,
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

/// The key of a tombstone: the session that was closed, and 0 for the session itself or the
/// number of one of its sub-agents.
type TombstoneKey = (SessionKey, usize);

/// The memory of a session that was closed on this channel.
#[derive(Clone, Debug)]
pub struct Tombstone {
    place: TombstoneKey,
    /// The agent id of the session.
    pub agent_id: Box<str>,
    /// The public id of the session, if it is an alias.
    alias: Option<Box<str>>,
    since: Moment,
    hold: Hold,
    calls: Ids<CallId>,
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
        Tombstone { place: (key, 0), agent_id, alias, since: now, hold, calls }
    }

    /// The tombstone of the sub-agent `number` (from 1 on) of the session `key`. It holds
    /// nothing: a sub-agent's session is not closed by itself.
    pub fn of_sub_agent(key: SessionKey, number: usize, id: Box<str>, now: Moment) -> Self {
        let (hold, calls) = (Hold::Nothing, Ids::default());
        Tombstone { place: (key, number), agent_id: id, alias: None, since: now, hold, calls }
    }

    /// The key of the closed session; for a sub-agent, of its parent.
    pub fn key(&self) -> SessionKey {
        self.place.0
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
    rows: Table<TombstoneKey, Tombstone>,
    by_agent_id: HashMap<Box<str>, TombstoneKey>,
    by_alias: BTreeMap<Box<str>, TombstoneKey>,
    /// The tombstones without open calls, in the order in which they give way: first those
    /// that fence nothing, then those that fence, the oldest first.
    giving_way: BTreeSet<(bool, Moment, TombstoneKey)>,
    husks: BTreeSet<TombstoneKey>,
    closes_to_resend: BTreeSet<TombstoneKey>,
    unanswered: BTreeSet<TombstoneKey>,
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
        self.rows.get(&(key, 0))
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
        self.closes_to_resend.iter().filter_map(|place| Some(&*self.rows.get(place)?.agent_id))
    }

    /// The number of tombstones.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Every tombstone, in an order without meaning.
    pub fn iter(&self) -> impl Iterator<Item = &Tombstone> {
        self.rows.values()
    }

    /// Adds a tombstone; returns how many others gave way for it. Tombstones without open
    /// calls give way: at the limit in the order of `giving_way`, and by their age
    /// ([`TOMBSTONE_AGE`]) each time that the number of tombstones is a power of two.
    pub fn bury(&mut self, tombstone: Tombstone) -> usize {
        let before = self.rows.len();
        if before.is_power_of_two() {
            self.forget_old(tombstone.since);
        }
        while self.rows.len() >= MAX_TOMBSTONES {
            // A tombstone that fences gives way only if all others fence, too, or have open
            // calls: the bound (I10) goes before the fence.
            let Some((_, _, place)) = self.giving_way.first() else { break };
            self.take(*place);
        }
        let thrown = before - self.rows.len();
        self.remove(&tombstone.agent_id);
        let place = tombstone.place;
        self.by_agent_id.insert(tombstone.agent_id.clone(), place);
        if let Some(alias) = &tombstone.alias {
            self.by_alias.insert(alias.clone(), place);
        }
        self.rows.insert(place, tombstone);
        self.index(place);
        thrown
    }

    fn forget_old(&mut self, now: Moment) {
        while let Some((false, since, place)) = self.giving_way.first()
            && now.since(*since) >= TOMBSTONE_AGE
        {
            self.take(*place);
        }
    }

    /// Forgets the closed session with this agent id.
    pub fn remove(&mut self, agent_id: &str) {
        if let Some(place) = self.by_agent_id.get(agent_id) {
            self.take(*place);
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

    /// Takes a call that is over out of the tombstone of the session that had this key.
    pub fn drop_call(&mut self, key: SessionKey, call: CallId) {
        let Some(row) = self.rows.get_mut(&(key, 0)) else { return };
        if row.calls.remove(&call) && row.calls.is_empty() {
            self.index((key, 0));
        }
    }

    fn change<R>(&mut self, agent_id: &str, change: impl FnOnce(&mut Tombstone) -> R) -> Option<R> {
        let place = *self.by_agent_id.get(agent_id)?;
        self.unindex(place);
        let result = self.rows.get_mut(&place).map(change);
        self.index(place);
        result
    }

    fn take(&mut self, place: TombstoneKey) {
        self.unindex(place);
        let Some(row) = self.rows.swap_remove(&place) else { return };
        self.by_agent_id.remove(&row.agent_id);
        if let Some(alias) = row.alias
            && self.by_alias.get(&alias) == Some(&place)
        {
            self.by_alias.remove(&alias);
        }
    }

    fn index(&mut self, place: TombstoneKey) {
        let Some(row) = self.rows.get(&place) else { return };
        if row.calls.is_empty() {
            self.giving_way.insert((row.hold.fences(), row.since, place));
        }
        match row.hold {
            Hold::Husk => self.husks.insert(place),
            Hold::ResendClose => self.closes_to_resend.insert(place),
            Hold::Unanswered => self.unanswered.insert(place),
            Hold::Closing(_) | Hold::Nothing => false,
        };
    }

    fn unindex(&mut self, place: TombstoneKey) {
        let Some(row) = self.rows.get(&place) else { return };
        self.giving_way.remove(&(row.hold.fences(), row.since, place));
        match row.hold {
            Hold::Husk => self.husks.remove(&place),
            Hold::ResendClose => self.closes_to_resend.remove(&place),
            Hold::Unanswered => self.unanswered.remove(&place),
            Hold::Closing(_) | Hold::Nothing => false,
        };
    }

    /// Whether every index says what the rows say.
    pub fn is_sound(&self) -> bool {
        let holds = |hold| self.rows.values().filter(|row| row.hold == hold).count();
        let is_found = |(place, row): (&TombstoneKey, &Tombstone)| {
            let waits = !row.calls.is_empty();
            self.by_agent_id.get(&row.agent_id) == Some(place)
                && self.giving_way.contains(&(row.hold.fences(), row.since, *place)) != waits
        };
        let waiting = self.rows.values().filter(|row| !row.calls.is_empty()).count();
        self.rows.iter().all(is_found)
            && self.by_agent_id.len() == self.rows.len()
            && self.giving_way.len() + waiting == self.rows.len()
            && self.husks.len() == holds(Hold::Husk)
            && self.closes_to_resend.len() == holds(Hold::ResendClose)
            && self.unanswered.len() == holds(Hold::Unanswered)
            && self.by_alias.iter().all(|(alias, place)| {
                self.rows.get(place).is_some_and(|row| row.alias.as_deref() == Some(alias))
            })
    }
}

#[cfg(test)]
mod tests;
