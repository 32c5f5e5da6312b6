//! One client: a connection that speaks ACP as a client.

use std::collections::BTreeSet;

use crate::bridge::books::ended_sessions::Ended;
use crate::bridge::books::id_set::Ids;
use crate::bridge::id::{AgentId, CallId, ChannelId, FanoutId, PoolId, QuestionId, SessionKey};
use crate::wire::Frame;

/// Requests that one peer may have open at once.
pub const MAX_PENDING: usize = 1024;

/// A row: one connection that speaks ACP as a client.
#[derive(Clone, Debug)]
pub struct Client {
    /// The agent that it was given.
    pub agent: AgentId,
    /// The directory it was started in.
    pub cwd: Box<str>,
    /// The pool that its `initialize` led to.
    pub pool: Option<PoolId>,
    /// Its `initialize` was answered.
    pub initialized: bool,
    /// It wants the notifications of our extension.
    pub wants_events: bool,
    /// What it offers to agents.
    pub offers: Offers,
    /// Sessions it is attached to.
    pub sessions: BTreeSet<SessionKey>,
    /// Its requests that are open.
    pub calls: Ids<CallId>,
    /// Its requests that several channels answer together.
    pub fanouts: BTreeSet<FanoutId>,
    /// Questions that it really has open.
    pub questions: Ids<QuestionId>,
    /// The channel that last served it.
    pub served_by: Option<ChannelId>,
    /// Sessions that ended while it was attached, and why.
    pub ended: Ended,
    /// Its outbox is over the mark.
    pub saturated: bool,
}

/// What a client offers to agents in `clientCapabilities`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Offers {
    /// `fs.readTextFile`.
    pub read: bool,
    /// `fs.writeTextFile`.
    pub write: bool,
    /// `terminal`.
    pub terminal: bool,
    /// `elicitation`.
    pub elicitation: bool,
}

impl Offers {
    /// Reads them from the params of an `initialize`.
    pub fn of(initialize: &Frame) -> Self {
        let has = |path: &[&str]| {
            initialize
                .find(path)
                .is_some_and(|place| !matches!(place.of(initialize.bytes()), b"null" | b"false"))
        };
        Offers {
            read: has(&["clientCapabilities", "fs", "readTextFile"]),
            write: has(&["clientCapabilities", "fs", "writeTextFile"]),
            terminal: has(&["clientCapabilities", "terminal"]),
            elicitation: has(&["clientCapabilities", "elicitation"]),
        }
    }
}

impl Client {
    /// A client that just connected.
    pub fn new(agent: AgentId, cwd: Box<str>) -> Self {
        Client {
            agent,
            cwd,
            pool: None,
            initialized: false,
            wants_events: false,
            offers: Offers::default(),
            sessions: BTreeSet::new(),
            calls: Ids::default(),
            fanouts: BTreeSet::new(),
            questions: Ids::default(),
            served_by: None,
            ended: Ended::default(),
            saturated: false,
        }
    }
}
