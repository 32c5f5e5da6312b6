//! Handles: ids other than session ids that a frame may name in place of a session.
//!
//! A client makes the ids of its terminals, of its MCP servers and of connections to them;
//! an agent makes those of elicitations. Where two clients on one channel make the same
//! id, the agent gets an alias of the second one; where two agents make the same one for
//! one client, the client does.

use crate::bridge::books::aliases;
use crate::bridge::books::table::Table;
use crate::bridge::id::ClientId;
use crate::wire::{Frame, Method};

/// The most handles of one channel.
const MAX_HANDLES: usize = 1024;

/// The kind of a handle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HandleKind {
    /// A connection to an MCP server of a client.
    Connection,
    /// An MCP server of a client.
    Server,
    /// An elicitation of an agent.
    Elicitation,
    /// A terminal of a client.
    Terminal,
}

impl HandleKind {
    /// The members of a frame's params that hold handles, each with the kind of handle.
    pub const MEMBERS: [(&'static str, HandleKind); 5] = [
        ("connectionId", HandleKind::Connection),
        ("serverId", HandleKind::Server),
        ("acpId", HandleKind::Server),
        ("elicitationId", HandleKind::Elicitation),
        ("terminalId", HandleKind::Terminal),
    ];
}

/// A handle: its client, and the id that the client has for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Handle {
    /// The client.
    pub client: ClientId,
    /// The id on the client's wire.
    pub for_client: Box<str>,
}

/// The handles of one channel, by the ids that the agent has for them; the oldest first.
#[derive(Clone, Debug, Default)]
pub struct Handles {
    rows: Table<(HandleKind, Box<str>), Handle>,
    /// How many have another id on the client's wire.
    aliased: usize,
}

impl Handles {
    /// The handle that the agent means by an id.
    pub fn of_agent(&self, kind: HandleKind, id: &str) -> Option<&Handle> {
        self.rows.get(&(kind, id.into()))
    }

    /// The handle that a message of the agent names.
    pub fn named_in(&self, frame: &Frame) -> Option<&Handle> {
        let mut members = HandleKind::MEMBERS.iter().filter(|(_, kind)| {
            // An elicitation that begins has a new id, whatever had that id before.
            *kind != HandleKind::Elicitation || frame.method != Method::ElicitationCreate
        });
        if self.is_empty() {
            return None;
        }
        members.find_map(|(member, kind)| self.of_agent(*kind, &frame.find_text(&[member])?))
    }

    /// The agent's id for a handle of a client.
    pub fn of_client(&self, kind: HandleKind, client: ClientId, id: &str) -> Option<&str> {
        let is_it = |((known, _), handle): &(&(HandleKind, Box<str>), &Handle)| {
            *known == kind && handle.client == client && *handle.for_client == *id
        };
        self.rows.iter().rev().find(is_it).map(|((_, for_agent), _)| &**for_agent)
    }

    /// Binds an id that a client made; returns the agent's id for it.
    pub fn bind_of_client(&mut self, kind: HandleKind, client: ClientId, id: &str) -> Box<str> {
        if let Some(known) = self.of_client(kind, client, id) {
            return known.into();
        }
        let for_agent = aliases::free(id, |id| self.of_agent(kind, id).is_some());
        self.bind(kind, for_agent.clone(), Handle { client, for_client: id.into() });
        for_agent
    }

    /// Binds an id to a client; the oldest handle gives way if there are too many.
    pub fn bind(&mut self, kind: HandleKind, for_agent: Box<str>, handle: Handle) {
        self.forget(kind, &for_agent);
        self.aliased += usize::from(for_agent != handle.for_client);
        self.rows.insert((kind, for_agent), handle);
        if self.rows.len() > MAX_HANDLES
            && let Some(((kind, oldest), _)) = self.rows.get_index(0)
        {
            let (kind, oldest) = (*kind, oldest.clone());
            self.forget(kind, &oldest);
        }
    }

    /// Forgets a handle.
    pub fn forget(&mut self, kind: HandleKind, for_agent: &str) {
        let forgotten = self.rows.shift_remove(&(kind, for_agent.into()));
        self.aliased -= usize::from(forgotten.is_some_and(|row| *row.for_client != *for_agent));
    }

    /// Forgets the handles of a client that is gone, but for its terminals: no other client
    /// has them.
    pub fn forget_client(&mut self, client: ClientId) {
        self.rows
            .retain(|(kind, _), handle| handle.client != client || *kind == HandleKind::Terminal);
        self.aliased = self.count_aliases();
    }

    fn count_aliases(&self) -> usize {
        self.rows.iter().filter(|((_, id), handle)| *id != handle.for_client).count()
    }

    /// Whether any handle has another id on the client's wire.
    pub fn has_aliases(&self) -> bool {
        self.aliased > 0
    }

    /// Whether there are no handles.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Whether every limit is kept.
    pub fn is_sound(&self) -> bool {
        self.rows.len() <= MAX_HANDLES && self.aliased == self.count_aliases()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALICE: ClientId = ClientId(1);
    const BOB: ClientId = ClientId(2);
    const TERMINAL: HandleKind = HandleKind::Terminal;

    #[test]
    fn two_clients_with_the_same_id_have_two_handles() {
        let mut handles = Handles::default();
        assert_eq!(&*handles.bind_of_client(TERMINAL, ALICE, "t"), "t");
        assert_eq!(&*handles.bind_of_client(TERMINAL, BOB, "t"), "~1~t");
        assert_eq!(&*handles.bind_of_client(TERMINAL, BOB, "t"), "~1~t");
        assert_eq!(&*handles.bind_of_client(HandleKind::Server, BOB, "t"), "t");
        let client = |id| handles.of_agent(TERMINAL, id).map(|handle| handle.client);
        assert_eq!((client("t"), client("~1~t"), client("x")), (Some(ALICE), Some(BOB), None));
        assert_eq!(handles.of_client(TERMINAL, BOB, "t"), Some("~1~t"));
        assert!(handles.has_aliases() && handles.is_sound());
        assert_eq!(&*handles.bind_of_client(HandleKind::Server, ALICE, "s"), "s");
        handles.forget_client(ALICE);
        assert!(handles.of_agent(HandleKind::Server, "s").is_none());
        let owner = handles.of_agent(TERMINAL, "t").map(|handle| handle.client);
        assert_eq!(owner, Some(ALICE), "no other client has that terminal");
        handles.forget(TERMINAL, "~1~t");
        assert_eq!(handles.of_client(TERMINAL, BOB, "t"), None);
        assert!(!handles.is_empty() && !handles.has_aliases() && handles.is_sound());
    }

    #[test]
    fn the_oldest_gives_way() {
        let mut handles = Handles::default();
        for number in 0..=MAX_HANDLES {
            handles.bind_of_client(TERMINAL, ALICE, &format!("t{number}"));
        }
        assert!(handles.is_sound());
        assert!(handles.of_agent(TERMINAL, "t0").is_none());
        assert!(handles.of_agent(TERMINAL, "t1").is_some());
    }
}
