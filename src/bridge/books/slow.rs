//! Slow clients: their outboxes went over the high mark, and are not yet under the low one.
//!
//! An agent is not read while every client that its frames are for is slow: there is nowhere to
//! put them. While another client waits for the same agent, it is read on, and a client that
//! stays slow is dropped: one that does not read must not stop those that do.

use std::collections::BTreeSet;

use crate::bridge::books::Books;
use crate::bridge::books::call::Asker;
use crate::bridge::books::channel::Channel;
use crate::bridge::books::client::Slow;
use crate::bridge::books::deadlines::Due;
use crate::bridge::books::session::Session;
use crate::bridge::id::ClientId;
use crate::bridge::time::Moment;
use crate::wire::Token;

/// The shortest grace (ms): a client that reads is over its mark for a moment now and then, and
/// one that holds up nobody yet is looked at again after it.
const LEAST_GRACE: u64 = 100;

impl Books {
    /// Notes that the outbox of a client is over its high mark, or under its low mark again.
    pub fn set_slow(&mut self, client: ClientId, is_slow: bool, now: Moment) {
        // The client may be gone.
        let Some(row) = self.clients.get_mut(&client) else { return };
        row.slow = is_slow.then(|| row.slow.unwrap_or(Slow { since: now, is_full: false }));
        match is_slow {
            true => self.slow.insert(client),
            false => self.slow.remove(&client),
        };
        self.deadlines.forget(Due::Slow(client));
        self.touched.rows.push(Due::Slow(client));
        self.touch_all_channels();
    }

    /// Notes that the outbox of a client has reached its limit.
    pub fn set_full(&mut self, client: ClientId, now: Moment) {
        self.set_slow(client, true, now);
        if let Some(slow) = self.clients.get_mut(&client).and_then(|row| row.slow.as_mut()) {
            slow.is_full = true;
        }
    }

    /// The clients that the frames of a channel's agent may be for.
    fn fed_by(&self, row: &Channel) -> BTreeSet<ClientId> {
        let sessions = row.sessions.iter().filter_map(|key| self.sessions.get(key));
        let listeners = sessions.flat_map(Session::clients).copied();
        let askers = row.calls.iter().filter_map(|id| self.calls.get(id)?.client());
        let mut fed: BTreeSet<ClientId> = listeners.chain(askers).collect();
        // Without a session they go to the clients of its pool.
        if row.sessions.is_empty() && row.pool.is_some() {
            let in_pool = self.clients.iter().filter(|(_, client)| client.pool == row.pool);
            fed.extend(in_pool.map(|(id, _)| *id));
        }
        fed
    }

    /// Whether the frames of a channel's agent are for slow clients alone.
    pub fn feeds_slow_clients_alone(&self, row: &Channel) -> bool {
        if row.is_stopping() || self.slow.is_empty() {
            return false;
        }
        let fed = self.fed_by(row);
        !fed.is_empty() && fed.is_subset(&self.slow)
    }

    /// Whether a slow client shares a channel with one that is not slow, and would stop it.
    pub fn holds_up_others(&self, client: ClientId) -> bool {
        self.slow.contains(&client)
            && self.channels.values().filter(|row| !row.is_stopping()).any(|row| {
                let fed = self.fed_by(row);
                fed.contains(&client) && !fed.is_subset(&self.slow)
            })
    }

    /// When it is to be looked whether a slow client holds up others. `None`: it is not slow, or
    /// there are no others.
    pub fn slow_deadline(&self, client: ClientId) -> Option<Moment> {
        let Slow { since, is_full } = self.clients.get(&client)?.slow?;
        let grace = match is_full {
            // It has no grace when others come.
            true => LEAST_GRACE,
            false => self.limits.saturation_grace.millis()?.max(LEAST_GRACE),
        };
        let at = since.plus_millis(grace);
        (self.clients.len() > 1 && !self.is_ending()).then_some(at)
    }

    /// The ids of all requests of a client that are not answered yet.
    pub fn unanswered_by(&self, client: ClientId) -> Vec<Token> {
        let Some(row) = self.clients.get(&client) else { return Vec::new() };
        let calls = row.calls.iter().filter_map(|id| Some(&self.calls.get(id)?.asker));
        let fanouts = row.fanouts.iter().filter_map(|id| Some(&self.fanouts.get(id)?.asker));
        let tokens = calls.chain(fanouts).filter_map(|asker| match asker {
            Asker::Client(_, token) => Some(token.clone()),
            Asker::Revival(_) | Asker::Nobody => None,
        });
        tokens.chain(row.held.requests()).collect()
    }

    /// Notes that a slow client holds up nobody now: its grace begins anew.
    pub fn forbear(&mut self, client: ClientId, now: Moment) {
        if let Some(slow) = self.clients.get_mut(&client).and_then(|row| row.slow.as_mut()) {
            slow.since = now;
            self.touched.rows.push(Due::Slow(client));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bridge::books::phase::Phase;
    use crate::bridge::books::tests::{AGENT, ALICE, BOB, add_bob, at, books};

    #[test]
    fn a_slow_client_is_looked_at_while_there_are_others_and_the_bridge_goes_on() {
        let mut books = books();
        books.set_slow(ALICE, true, at(7));
        let deadline = |books: &Books| books.slow_deadline(ALICE).map(Moment::as_millis);
        assert_eq!(deadline(&books), None, "there is nobody to hold up");
        add_bob(&mut books, AGENT);
        assert_eq!(deadline(&books), Some(5_007));
        assert_eq!(books.slow_deadline(BOB), None);
        books.phase = Phase::Over;
        assert_eq!(deadline(&books), None);
    }
}
