//! Parked sessions: conversations that no agent holds now and that the bridge can bring back.
//!
//! A client that was attached when its session was parked is *dormant*: the session is still its
//! own, and its next request brings it back. The table is bounded in rows and in bytes.

use std::collections::BTreeSet;
use std::sync::Arc;

use foldhash::HashMap;

use crate::bridge::books::id_set::Ids;
use crate::bridge::books::table::Table;
use crate::bridge::config::ParkedLimits;
use crate::bridge::id::{AgentId, CallId, ClientId, SessionKey};
use crate::bridge::reason::LossReason;
use crate::bridge::recipe::Recipe;
use crate::bridge::refusal::Refusal;
use crate::bridge::time::Moment;
use crate::wire::Frame;

/// The attempt to bring a parked session back.
#[derive(Clone, Debug, PartialEq)]
pub enum Revival {
    /// None is under way.
    None,
    /// This call opens it.
    Opening(CallId),
    /// The last attempt has failed; what follows is decided at the end of the step.
    Failed(Failure),
}

/// The failure of an attempt.
#[derive(Clone, Debug, PartialEq)]
pub enum Failure {
    /// The bridge gave it up.
    GivenUp(Box<Refusal>),
    /// The agent has refused it, with this answer.
    Refused(Box<Frame>),
}

/// A row: one parked session.
#[derive(Clone, Debug)]
pub struct Parked {
    /// The key that the session had.
    pub key: SessionKey,
    /// The agent that it is a conversation with.
    pub agent: AgentId,
    /// The id by which clients know it.
    pub id: Box<str>,
    /// The id by which its agent knows it.
    pub agent_id: Box<str>,
    /// Its directory.
    pub cwd: Arc<str>,
    /// The dormant clients, in the order in which they came.
    pub clients: Vec<ClientId>,
    /// Those of them that merely watch.
    pub watchers: Vec<ClientId>,
    /// Its recipe.
    pub recipe: Box<Recipe>,
    /// Why it is not live.
    pub reason: LossReason,
    /// When it was parked.
    pub since: Moment,
    /// The number of notifications for its clients so far.
    pub seq: u64,
    /// The attempt to bring it back.
    pub revival: Revival,
    /// Whether a process ended while it restored the session: from then on it is restored in a
    /// process that it has for itself.
    pub is_alone: bool,
}

impl Parked {
    /// Its size, in bytes.
    pub fn bytes(&self) -> usize {
        let texts = self.id.len() + self.agent_id.len() + self.cwd.len();
        size_of::<Parked>() + texts + self.recipe.bytes()
    }

    /// The order in which rows give way: first those that no client has, then the oldest.
    fn rank(&self) -> (bool, Moment, SessionKey) {
        (!self.clients.is_empty(), self.since, self.key)
    }
}

/// The parked sessions of all agents.
#[derive(Debug, Default)]
pub struct ParkedSessions {
    rows: Table<SessionKey, Parked>,
    /// By the id by which clients know them: one in each directory.
    by_id: HashMap<Box<str>, Ids<SessionKey>>,
    /// By the id by which their agents know them.
    by_agent_id: HashMap<Box<str>, Ids<SessionKey>>,
    giving_way: BTreeSet<(bool, Moment, SessionKey)>,
    bytes: usize,
}

impl ParkedSessions {
    /// The rows, in an order without meaning.
    pub fn rows(&self) -> &Table<SessionKey, Parked> {
        &self.rows
    }

    /// The row of a session.
    pub fn get(&self, key: SessionKey) -> Option<&Parked> {
        self.rows.get(&key)
    }

    /// The sizes of all rows together, in bytes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The sessions of an agent that clients know by this id.
    pub fn named(&self, agent: AgentId, id: &str) -> impl Iterator<Item = &Parked> {
        let keys = self.by_id.get(id).into_iter().flatten();
        keys.filter_map(|key| self.rows.get(key)).filter(move |row| row.agent == agent)
    }

    /// The sessions that an agent knows by this id.
    pub fn known_as(&self, agent: AgentId, agent_id: &str) -> impl Iterator<Item = &Parked> {
        let keys = self.by_agent_id.get(agent_id).into_iter().flatten();
        keys.filter_map(|key| self.rows.get(key)).filter(move |row| row.agent == agent)
    }

    /// Adds a row.
    pub fn insert(&mut self, row: Parked) {
        self.by_id.entry(row.id.clone()).or_default().insert(row.key);
        self.by_agent_id.entry(row.agent_id.clone()).or_default().insert(row.key);
        self.giving_way.insert(row.rank());
        self.bytes += row.bytes();
        self.rows.insert(row.key, row);
    }

    /// Removes a row.
    pub fn remove(&mut self, key: SessionKey) -> Option<Parked> {
        let row = self.rows.swap_remove(&key)?;
        self.giving_way.remove(&row.rank());
        self.bytes -= row.bytes();
        for (index, id) in [(&mut self.by_id, &row.id), (&mut self.by_agent_id, &row.agent_id)] {
            if let Some(keys) = index.get_mut(id) {
                keys.remove(&key);
                if keys.is_empty() {
                    index.remove(id);
                }
            }
        }
        Some(row)
    }

    /// Changes the clients of a row.
    pub fn change_clients(&mut self, key: SessionKey, change: impl FnOnce(&mut Parked)) {
        let Some(row) = self.rows.get_mut(&key) else { return };
        self.giving_way.remove(&row.rank());
        change(row);
        self.giving_way.insert(row.rank());
    }

    /// Changes how far the attempt is to bring a session back. `None`: it is not parked.
    pub fn revival_mut(&mut self, key: SessionKey) -> Option<(&mut Revival, &mut bool)> {
        self.rows.get_mut(&key).map(|row| (&mut row.revival, &mut row.is_alone))
    }

    /// The row that gives way at these limits; `None`: they are kept.
    pub fn next_to_give_way(&self, limits: ParkedLimits) -> Option<SessionKey> {
        let is_over = self.rows.len() > limits.rows || self.bytes > limits.bytes;
        // One that is being brought back is about to leave the table anyway.
        let may_go = |key: &SessionKey| {
            self.rows.get(key).is_some_and(|row| !matches!(row.revival, Revival::Opening(_)))
        };
        let mut order = self.giving_way.iter().map(|(_, _, key)| *key).filter(may_go);
        is_over.then(|| order.next()).flatten()
    }

    /// Whether every index says what the rows say.
    pub fn is_sound(&self) -> bool {
        let has = |index: &HashMap<Box<str>, Ids<SessionKey>>, id: &str, key: &SessionKey| {
            index.get(id).is_some_and(|keys| keys.contains(key))
        };
        let count = |index: &HashMap<Box<str>, Ids<SessionKey>>| {
            index.values().map(Ids::len).sum::<usize>() == self.rows.len()
        };
        self.rows.iter().all(|(key, row)| {
            row.key == *key
                && has(&self.by_id, &row.id, key)
                && has(&self.by_agent_id, &row.agent_id, key)
                && self.giving_way.contains(&row.rank())
        }) && count(&self.by_id)
            && count(&self.by_agent_id)
            && self.giving_way.len() == self.rows.len()
            && self.bytes == self.rows.values().map(Parked::bytes).sum::<usize>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bridge::reason::EndReason;

    const AGENT: AgentId = AgentId(0);

    fn row(key: u64, id: &str, clients: &[u64]) -> Parked {
        Parked {
            key: SessionKey(key),
            agent: AGENT,
            id: id.into(),
            agent_id: "a".into(),
            cwd: "/w".into(),
            clients: clients.iter().map(|id| ClientId(*id)).collect(),
            watchers: Vec::new(),
            recipe: Box::new(Recipe::new("{}".into(), true)),
            reason: LossReason::Ended(EndReason::IdleTimeout),
            since: Moment::from_millis(key),
            seq: 0,
            revival: Revival::None,
            is_alone: false,
        }
    }

    fn keys<'a>(rows: impl Iterator<Item = &'a Parked>) -> Vec<u64> {
        rows.map(|row| row.key.0).collect()
    }

    #[test]
    fn a_row_is_found_by_both_ids_of_its_agent_until_it_is_removed() {
        let mut parked = ParkedSessions::default();
        for row in [row(1, "s", &[]), row(2, "s", &[]), row(3, "t", &[])] {
            parked.insert(row);
        }
        assert_eq!(keys(parked.named(AGENT, "s")), [1, 2]);
        assert_eq!(keys(parked.named(AgentId(1), "s")), [0; 0]);
        assert_eq!(keys(parked.known_as(AGENT, "a")), [1, 2, 3]);
        assert!(parked.is_sound());
        assert_eq!(parked.remove(SessionKey(1)).map(|row| row.key), Some(SessionKey(1)));
        assert!(parked.remove(SessionKey(1)).is_none());
        assert_eq!(keys(parked.named(AGENT, "s")), [2]);
        assert!(parked.is_sound());
        for key in [2, 3] {
            parked.remove(SessionKey(key));
        }
        assert!(parked.is_sound() && parked.bytes() == 0 && parked.by_id.is_empty());
    }

    #[test]
    fn rows_without_a_client_give_way_first_and_then_the_oldest() {
        let mut parked = ParkedSessions::default();
        for row in [row(1, "a", &[1]), row(2, "b", &[]), row(3, "c", &[])] {
            parked.insert(row);
        }
        let at_most = |rows| ParkedLimits { rows, bytes: usize::MAX };
        assert_eq!(parked.next_to_give_way(at_most(3)), None);
        let mut gone = Vec::new();
        while let Some(key) = parked.next_to_give_way(at_most(0)) {
            gone.push(key.0);
            parked.remove(key);
        }
        assert_eq!(gone, [2, 3, 1]);
    }

    #[test]
    fn the_bytes_count_too_and_one_that_is_brought_back_stays() {
        let mut parked = ParkedSessions::default();
        for row in [row(1, "a", &[]), row(2, "b", &[])] {
            parked.insert(row);
        }
        let limits = ParkedLimits { rows: 9, bytes: parked.bytes() - 1 };
        assert_eq!(parked.next_to_give_way(limits), Some(SessionKey(1)));
        if let Some((revival, _)) = parked.revival_mut(SessionKey(1)) {
            *revival = Revival::Opening(CallId(7));
        }
        assert_eq!(parked.next_to_give_way(limits), Some(SessionKey(2)));
        parked.change_clients(SessionKey(2), |row| row.clients.push(ClientId(1)));
        assert!(parked.is_sound());
    }
}
