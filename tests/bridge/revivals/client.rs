//! Clients, and the truth about every session, by the id that clients know.

use std::collections::{BTreeMap, BTreeSet};

use drawbridge::bridge::ClientId;
use serde_json::Value;

/// A request of a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    Initialize,
    New,
    Prompt(String, String),
    SetMode(String),
    Close(String),
    Delete(String),
    /// A load or an attach: the history comes again.
    Join(String),
    Detach(String),
    Heartbeat,
}

/// The place of a client. Whoever sits there outlives a bridge.
#[derive(Debug, Default)]
pub struct Seat {
    pub client: Option<ClientId>,
    /// The sessions that it has, as it believes.
    pub has: BTreeSet<String>,
    pub waits: BTreeMap<u64, Asked>,
    /// The texts that it has got in each session.
    pub seen: BTreeSet<(String, String)>,
    /// The texts that its connection keeps for the next bridge.
    pub kept: BTreeMap<String, Option<String>>,
    /// The answer to its last prompt.
    pub last: Option<Value>,
}

impl Seat {
    /// Whether a load or an attach of a session is not answered yet.
    pub fn is_joining(&self, id: &str) -> bool {
        self.waits.values().any(|asked| matches!(asked, Asked::Join(of) if of == id))
    }

    /// Everything that it has got in a session comes again.
    pub fn forget(&mut self, id: &str) {
        self.seen.retain(|(of, _)| of != id);
    }
}

/// A session.
#[derive(Debug)]
pub struct Session {
    /// The id by which its agent knows it.
    pub agent_id: String,
    /// The mode that it must be in.
    pub mode: String,
    /// The last text of each seat that has reached an agent.
    pub reached: BTreeMap<u8, u64>,
    /// It is gone: it was deleted.
    pub is_deleted: bool,
}

/// A prompt that a client has written.
#[derive(Debug)]
pub struct Prompt {
    pub seat: u8,
    pub session: String,
    pub has_arrived: bool,
}
