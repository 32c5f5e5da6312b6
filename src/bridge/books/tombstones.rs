//! Sessions that were closed on a channel: late frames of them are dropped, and
//! it is known what the agent still holds of them.
//!
//! What an agent holds changes only by [`Hold::after`], the one table of
//! transitions. Every question about the closed sessions of a channel is answered
//! from an index, so that it costs the same among a thousand of them.

use std::collections::{BTreeMap, BTreeSet};

use foldhash::HashMap;

use crate::bridge::books::id_set::Ids;
use crate::bridge::books::table::Table;
use crate::bridge::id::{CallId, SessionKey};
use crate::bridge::time::Moment;

/// Tombstones kept per channel.
pub const MAX_TOMBSTONES: usize = 1024;
/// How long a tombstone that fences nothing is kept (ms).
pub const TOMBSTONE_AGE: u64 = 600_000;

/// What an agent holds of a session that was closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// It was asked to close it (or to cancel its turn) and has not answered:
    /// this call is open.
    Closing(CallId),
    /// It was asked while it showed a question, and did not answer in time: it
    /// is asked again when no question of the channel is open.
    AskAgain,
    /// It cannot close sessions: it holds it until it exits, and could go on with it.
    Husk,
    /// It did not answer the close: it holds it, nobody knows how.
    Unanswered,
    /// Nothing: it answered the close.
    Nothing,
}

/// What is heard of an agent and a session that was closed on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// It was asked to close it, or, if it cannot, to end what it does in it.
    Asked(CallId),
    /// It cannot close it, and does nothing in it.
    CannotClose,
    /// It answered the close.
    Answered,
    /// It cannot close it, and what it had left to say was said.
    Quiet,
    /// The close has timed out.
    TimedOut {
        /// Some agents answer nothing while a question of theirs is open.
        behind_question: bool,
    },
    /// It refused to restore it, after the restore had timed out.
    RestoreRefused,
}

impl Hold {
    /// What an agent holds after this was heard of it.
    fn after(self, heard: Heard, can_close: bool) -> Hold {
        match (self, heard) {
            (_, Heard::Asked(call)) => Hold::Closing(call),
            (_, Heard::CannotClose) => Hold::Husk,
            (Hold::Closing(_), Heard::Answered) => Hold::Nothing,
            (Hold::Closing(_), Heard::Quiet | Heard::TimedOut { .. }) if !can_close => Hold::Husk,
            (Hold::Closing(_), Heard::TimedOut { behind_question: true }) => Hold::AskAgain,
            (Hold::Closing(_), Heard::TimedOut { behind_question: false }) => Hold::Unanswered,
            (Hold::Unanswered, Heard::RestoreRefused) => Hold::Nothing,
            // What is heard of an earlier close says nothing about this one.
            (held, _) => held,
        }
    }

    /// Whether the agent may still go on with the session.
    pub fn fences(self) -> bool {
        self != Hold::Nothing
    }
}

/// Which tombstone: of this session, and 0 for the session itself or the number of a
/// sub-agent in it.
type Place = (SessionKey, usize);

/// The memory of a session that was closed on this channel.
#[derive(Clone, Debug)]
pub struct Tombstone {
    place: Place,
    /// Its id as the agent knew it.
    pub agent_id: Box<str>,
    /// Its id as clients knew it, if they knew it by another.
    alias: Option<Box<str>>,
    since: Moment,
    hold: Hold,
    calls: Ids<CallId>,
}

impl Tombstone {
    /// Of a session that clients knew by `id`, with what they still wait for.
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

    /// Of a sub-agent in that session, which holds nothing of its own.
    pub fn of_sub_agent(key: SessionKey, number: usize, id: Box<str>, now: Moment) -> Self {
        let (hold, calls) = (Hold::Nothing, Ids::default());
        Tombstone { place: (key, number), agent_id: id, alias: None, since: now, hold, calls }
    }

    /// The key that the session had.
    pub fn key(&self) -> SessionKey {
        self.place.0
    }

    /// Its id as clients knew it.
    pub fn id(&self) -> &str {
        self.alias.as_deref().unwrap_or(&self.agent_id)
    }

    /// Its id as clients knew it, if they knew it by another than the agent.
    pub fn alias(&self) -> Option<&str> {
        self.alias.as_deref()
    }

    /// What the agent still holds of it.
    pub fn hold(&self) -> Hold {
        self.hold
    }

    /// What clients still wait for, in the order in which they asked.
    pub fn calls(&self) -> &Ids<CallId> {
        &self.calls
    }
}

/// The closed sessions of one channel.
#[derive(Clone, Debug, Default)]
pub struct Tombstones {
    rows: Table<Place, Tombstone>,
    by_agent_id: HashMap<Box<str>, Place>,
    by_alias: BTreeMap<Box<str>, Place>,
    /// Those that may give way, the oldest of those that fence nothing first.
    giving_way: BTreeSet<(bool, Moment, Place)>,
    husks: BTreeSet<Place>,
    to_ask_again: BTreeSet<Place>,
    unanswered: BTreeSet<Place>,
}

impl Tombstones {
    /// The one with this id, as the agent knows it.
    pub fn get(&self, agent_id: &str) -> Option<&Tombstone> {
        self.rows.get(self.by_agent_id.get(agent_id)?)
    }

    /// Whether a session with this id, as the agent knows it, was closed here.
    pub fn contains(&self, agent_id: &str) -> bool {
        self.by_agent_id.contains_key(agent_id)
    }

    /// The tombstone of the session that had this key.
    pub fn of(&self, key: SessionKey) -> Option<&Tombstone> {
        self.rows.get(&(key, 0))
    }

    /// The one that clients knew by this id.
    pub fn named(&self, id: &str) -> Option<&Tombstone> {
        let by_agent_id = self.get(id).filter(|row| row.alias.is_none());
        by_agent_id.or_else(|| self.rows.get(self.by_alias.get(id)?))
    }

    /// Whether the agent may still hold this session although it is closed.
    pub fn fences(&self, agent_id: &str) -> bool {
        self.get(agent_id).is_some_and(|row| row.hold.fences())
    }

    /// Closed sessions that the agent cannot free.
    pub fn husks(&self) -> usize {
        self.husks.len()
    }

    /// Whether the agent left a close, or a restore, without an answer.
    pub fn has_unanswered(&self) -> bool {
        !self.unanswered.is_empty()
    }

    /// Whether there are such whose close must be sent once more.
    pub fn wants_asking_again(&self) -> bool {
        !self.to_ask_again.is_empty()
    }

    /// Those whose close must be sent once more, by the agent's ids.
    pub fn to_ask_again(&self) -> impl Iterator<Item = &str> {
        self.to_ask_again.iter().filter_map(|place| Some(&*self.rows.get(place)?.agent_id))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Tombstone> {
        self.rows.values()
    }

    /// Remembers a closed session. Old tombstones that fence nothing and wait
    /// for nothing make room; says how many did. They are looked through each time
    /// that there are twice as many, so that a close costs the same among many.
    pub fn bury(&mut self, tombstone: Tombstone) -> usize {
        let before = self.rows.len();
        if before.is_power_of_two() {
            self.forget_old(tombstone.since);
        }
        while self.rows.len() >= MAX_TOMBSTONES {
            // One that fences is given up only if all do: its agent is long past its limit.
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
        self.put_in_order(place);
        thrown
    }

    fn forget_old(&mut self, now: Moment) {
        while let Some((false, since, place)) = self.giving_way.first()
            && now.since(*since) >= TOMBSTONE_AGE
        {
            self.take(*place);
        }
    }

    /// It is open again, or nobody needs to remember it.
    pub fn remove(&mut self, agent_id: &str) {
        if let Some(place) = self.by_agent_id.get(agent_id) {
            self.take(*place);
        }
    }

    /// Something is heard of what the agent holds; says what it holds now.
    pub fn heard(&mut self, agent_id: &str, heard: Heard, can_close: bool) -> Option<Hold> {
        self.change(agent_id, |row| {
            row.hold = row.hold.after(heard, can_close);
            row.hold
        })
    }

    /// What clients wait for is about to be answered.
    pub fn take_calls(&mut self, agent_id: &str) -> Ids<CallId> {
        self.change(agent_id, |row| std::mem::take(&mut row.calls)).unwrap_or_default()
    }

    /// A call in the session that this row was is over.
    pub fn drop_call(&mut self, key: SessionKey, call: CallId) {
        let Some(row) = self.rows.get_mut(&(key, 0)) else { return };
        if row.calls.remove(&call) && row.calls.is_empty() {
            self.put_in_order((key, 0));
        }
    }

    fn change<R>(&mut self, agent_id: &str, change: impl FnOnce(&mut Tombstone) -> R) -> Option<R> {
        let place = *self.by_agent_id.get(agent_id)?;
        self.take_out_of_order(place);
        let result = self.rows.get_mut(&place).map(change);
        self.put_in_order(place);
        result
    }

    fn take(&mut self, place: Place) {
        self.take_out_of_order(place);
        let Some(row) = self.rows.swap_remove(&place) else { return };
        self.by_agent_id.remove(&row.agent_id);
        if let Some(alias) = row.alias
            && self.by_alias.get(&alias) == Some(&place)
        {
            self.by_alias.remove(&alias);
        }
    }

    fn put_in_order(&mut self, place: Place) {
        let Some(row) = self.rows.get(&place) else { return };
        if row.calls.is_empty() {
            self.giving_way.insert((row.hold.fences(), row.since, place));
        }
        match row.hold {
            Hold::Husk => self.husks.insert(place),
            Hold::AskAgain => self.to_ask_again.insert(place),
            Hold::Unanswered => self.unanswered.insert(place),
            Hold::Closing(_) | Hold::Nothing => false,
        };
    }

    fn take_out_of_order(&mut self, place: Place) {
        let Some(row) = self.rows.get(&place) else { return };
        self.giving_way.remove(&(row.hold.fences(), row.since, place));
        match row.hold {
            Hold::Husk => self.husks.remove(&place),
            Hold::AskAgain => self.to_ask_again.remove(&place),
            Hold::Unanswered => self.unanswered.remove(&place),
            Hold::Closing(_) | Hold::Nothing => false,
        };
    }

    /// Whether every index says what the rows say.
    pub fn is_sound(&self) -> bool {
        let holds = |hold| self.rows.values().filter(|row| row.hold == hold).count();
        let is_found = |(place, row): (&Place, &Tombstone)| {
            let waits = !row.calls.is_empty();
            self.by_agent_id.get(&row.agent_id) == Some(place)
                && self.giving_way.contains(&(row.hold.fences(), row.since, *place)) != waits
        };
        let waiting = self.rows.values().filter(|row| !row.calls.is_empty()).count();
        self.rows.iter().all(is_found)
            && self.by_agent_id.len() == self.rows.len()
            && self.giving_way.len() + waiting == self.rows.len()
            && self.husks.len() == holds(Hold::Husk)
            && self.to_ask_again.len() == holds(Hold::AskAgain)
            && self.unanswered.len() == holds(Hold::Unanswered)
            && self.by_alias.iter().all(|(alias, place)| {
                self.rows.get(place).is_some_and(|row| row.alias.as_deref() == Some(alias))
            })
    }
}

#[cfg(test)]
mod tests;
