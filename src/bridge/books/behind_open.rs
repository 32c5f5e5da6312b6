//! Requests that wait: for an open of the session that they name, or behind a request that
//! does.
//!
//! Without a bridge the agent reads the requests of a client in their order. So it is with
//! requests about one conversation, also where some of them must wait for its open.

use crate::bridge::books::Books;
use crate::bridge::books::call::{Behind, Call, OpenKind, Purpose, Stage};
use crate::bridge::books::parked::Revival;
use crate::bridge::books::whose::Meaning;
use crate::bridge::id::{CallId, ClientId};
#[cfg(feature = "seeded-bugs")]
use crate::bridge::seeded;
use crate::wire::{Frame, Method};

/// The most bytes of the requests of one client that wait so. A lone one may be longer.
const MAX_WAITING_BYTES: usize = 16 << 20;

/// Whether a request gives sessions up: it makes room, and does not count against that.
fn is_leave(frame: &Frame) -> bool {
    matches!(frame.method, Method::SessionClose | Method::BridgeDetach)
}

impl Books {
    /// Whether a request of a client may wait for an open, or behind one that does.
    pub fn may_wait(&self, client: ClientId, frame: &Frame) -> bool {
        let others: usize = self.waiting_bytes(client).sum();
        is_leave(frame) || others == 0 || others + frame.bytes().len() <= MAX_WAITING_BYTES
    }

    /// The lengths of the requests of a client that wait so.
    fn waiting_bytes(&self, client: ClientId) -> impl Iterator<Item = usize> {
        let calls = self.clients.get(&client).into_iter().flat_map(|row| &row.calls);
        calls.filter_map(|call| match self.calls.get(call)? {
            Call { purpose: Purpose::BehindOpen(_), stage: Stage::Held(frame), .. } => {
                (!is_leave(frame)).then_some(frame.bytes().len())
            }
            _ => None,
        })
    }

    /// Whether the requests of a client that wait so are over their limit, which is a fault.
    pub fn lets_too_much_wait(&self, client: ClientId) -> bool {
        let is_lone = self.waiting_bytes(client).nth(1).is_none();
        !is_lone && self.waiting_bytes(client).sum::<usize>() > MAX_WAITING_BYTES
    }

    /// The calls that wait for an open, or behind one of these, in the order in which they
    /// came.
    pub fn calls_behind_opens(&self) -> impl Iterator<Item = CallId> {
        let waits = |id: &CallId| {
            self.calls.get(id).is_some_and(|call| matches!(call.purpose, Purpose::BehindOpen(_)))
        };
        self.unplaced.iter().copied().filter(waits)
    }

    /// The opens of a client that are to bring the session which it calls by this id.
    pub fn opens_of(&self, client: ClientId, id: &str) -> Vec<CallId> {
        let calls = self.clients.get(&client).into_iter().flat_map(|row| &row.calls);
        let brings = |call: &&CallId| {
            let call = self.calls.get(*call).filter(|call| !call.is_overdue());
            let opening = call.and_then(Call::opening);
            opening.is_some_and(|open| {
                open.revives.is_none()
                    && open.restores().is_some()
                    && open.public_id.as_deref() == Some(id)
            })
        };
        calls.filter(brings).copied().collect()
    }

    /// Whether a client's request must be handled behind one that waits: one of the same
    /// session, or a detach from all sessions. `of`: the request waits itself, under this id.
    pub fn is_behind_held(&self, client: ClientId, frame: &Frame, of: Option<CallId>) -> bool {
        let earlier = self.calls_behind_opens().take_while(|id| of.is_none_or(|of| *id < of));
        let its = earlier.filter_map(|id| self.calls.get(&id));
        let mut held = its.filter_map(|call| match &call.stage {
            Stage::Held(held) if call.client() == Some(client) => Some(held),
            _ => None,
        });
        held.any(|held| {
            let named = frame.session();
            let leaves_all = named.is_none() && frame.method == Method::BridgeDetach;
            let concerns_all = leaves_all || frame.method == Method::SessionNew;
            match held.session() {
                Some(id) => named.as_ref() == Some(&id) || leaves_all,
                None => named.is_some() || concerns_all,
            }
        })
    }

    /// Whether a request of a client must be handled behind an open of the session that it
    /// names, or, if the client leaves that session with it, behind its own load of it. The
    /// placement keeps restores in order. `named`: the meaning of the session id in it.
    pub fn is_behind_open(&self, client: ClientId, named: Option<Meaning>, frame: &Frame) -> bool {
        if self.is_behind_revival(named, frame) {
            return true;
        }
        let kind = OpenKind::of(frame.method);
        if kind.is_some_and(|kind| kind != OpenKind::Fork) || frame.method == Method::SessionList {
            return false;
        }
        let Some(named) = named else {
            let calls = self.clients.get(&client).into_iter().flat_map(|row| &row.calls);
            let mut calls = calls.filter_map(|call| self.calls.get(call));
            // It leaves every session, also one that is opened now.
            return frame.method == Method::BridgeDetach
                && calls.any(|call| {
                    let loads = matches!(call.purpose, Purpose::Reload { .. });
                    loads || (call.opening().is_some() && !call.is_overdue())
                });
        };
        let is_loaded =
            || frame.session().is_some_and(|id| !self.reloads_of(client, &id).is_empty());
        matches!(named, Meaning::Opening(_)) || (is_leave(frame) && is_loaded())
    }

    /// Whether a request waits until a session is as it was before it was parked.
    pub fn is_behind_revival(&self, named: Option<Meaning>, frame: &Frame) -> bool {
        let ends = matches!(
            frame.method,
            Method::SessionClose | Method::BridgeDetach | Method::BridgeHeartbeat
        );
        match named {
            _ if ends => false,
            Some(Meaning::Session(key)) => {
                self.sessions.get(&key).is_some_and(|session| session.restoring.is_some())
            }
            #[cfg(feature = "seeded-bugs")]
            Some(Meaning::Parked(_)) if seeded::is(seeded::Bug::RestoreTwice) => false,
            Some(Meaning::Parked(key)) => {
                self.parked(key).is_some_and(|row| row.revival != Revival::None)
            }
            _ => false,
        }
    }

    /// Whether a prompt that has waited for a revival waits for the turn before it: agents differ in
    /// what they do with a second prompt.
    pub fn is_behind_turn(&self, behind: Behind, named: Option<Meaning>, frame: &Frame) -> bool {
        let Some(Meaning::Session(key)) = named else { return false };
        let is_its = behind == Behind::Revival && frame.method == Method::SessionPrompt;
        is_its && self.running_prompts(key).next().is_some()
    }

    /// The loads of a client of a live session that it calls by this id.
    pub fn reloads_of(&self, client: ClientId, id: &str) -> Vec<CallId> {
        let calls = self.clients.get(&client).into_iter().flat_map(|row| &row.calls);
        let loads_it = |call: &&CallId| {
            let call = self.calls.get(*call);
            let call = call.filter(|call| matches!(call.purpose, Purpose::Reload { .. }));
            let session = call.and_then(|call| self.sessions.get(&call.session?));
            session.is_some_and(|session| *session.id == *id)
        };
        calls.filter(loads_it).copied().collect()
    }
}
