//! Clients, and the pools of channels that would do for them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;

use crate::wire::{Frame, Scanner, json};

use crate::bridge::books::channel::Capabilities;
use crate::bridge::books::id_set::Ids;
use crate::bridge::id::{CallId, ChannelId, FanoutId, PoolId, QuestionId, SessionKey};
use crate::bridge::time::Moment;

/// Requests that one peer may have open at once.
pub const MAX_PENDING: usize = 1024;
/// Requests kept for further channels of a pool.
pub const MAX_REHEARSAL: usize = 64;
/// Ended sessions that a client is still told about.
const MAX_ENDED: usize = 256;

/// A row: one connection that speaks ACP as a client.
#[derive(Clone, Debug)]
pub struct Client {
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
    pub fn new(cwd: Box<str>) -> Self {
        Client {
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

/// The last sessions that ended, and the word for why; the oldest is forgotten first.
#[derive(Clone, Debug, Default)]
pub struct Ended {
    reasons: BTreeMap<Box<str>, &'static str>,
    order: VecDeque<Box<str>>,
}

impl Ended {
    /// Remembers one.
    pub fn remember(&mut self, id: &str, reason: &'static str) {
        if self.reasons.insert(id.into(), reason).is_none() {
            self.order.push_back(id.into());
        }
        if self.order.len() > MAX_ENDED
            && let Some(oldest) = self.order.pop_front()
        {
            self.reasons.remove(&oldest);
        }
    }

    /// It was opened again.
    pub fn forget(&mut self, id: &str) {
        if self.reasons.remove(id).is_some() {
            self.order.retain(|old| &**old != id);
        }
    }

    /// Why it ended.
    pub fn reason(&self, id: &str) -> Option<&'static str> {
        self.reasons.get(id).copied()
    }
}

/// How a pool's frames are treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carry {
    /// Protocol v1: the bridge keeps the books of its sessions.
    Sessions,
    /// Any other version: one client, one channel, only ids are translated.
    Transparent,
}

/// A row: what channels must have in common to serve the same clients.
#[derive(Clone, Debug)]
pub struct Pool {
    /// Agent, version, capabilities and name that the client gave.
    pub identity: Box<[u8]>,
    /// The client's `initialize`, repeated to every further channel.
    pub initialize: Frame,
    /// The agent's answer, as clients get it.
    pub answer: Option<Bytes>,
    /// The protocol version that was agreed on, as it is spelled.
    pub version: Box<[u8]>,
    /// What the agent offered in its first answer.
    pub capabilities: Capabilities,
    /// How its frames are treated.
    pub carry: Carry,
    /// Requests that every further channel gets before its first session.
    pub rehearsal: Vec<Frame>,
}

impl Pool {
    /// What tells one pool from another, read from a client's `initialize`: the
    /// trace keys and our own part of `_meta` differ per connection and are left out.
    pub fn identity(initialize: &Frame) -> Box<[u8]> {
        const PER_CONNECTION: [&str; 4] = ["drawbridge", "traceparent", "tracestate", "baggage"];
        let mut identity = Vec::new();
        let mut part = |bytes: &[u8]| {
            identity.extend_from_slice(bytes);
            identity.push(b'\n');
        };
        let paths: [&[&str]; 3] =
            [&["protocolVersion"], &["clientCapabilities"], &["clientInfo", "name"]];
        for path in paths {
            part(initialize.find(path).map_or(b"", |place| place.of(initialize.bytes())));
        }
        if let Some(meta) = initialize.find(&["_meta"]) {
            let text = initialize.bytes();
            // What is no object has no parts.
            let _ = Scanner::at(text, meta).object(|scanner, key| {
                let value = scanner.value()?;
                if !PER_CONNECTION.iter().any(|name| json::is(text, key, name)) {
                    part(key.of(text));
                    part(value.of(text));
                }
                Ok(())
            });
        }
        identity.into()
    }
}

/// How often an agent crashed lately, and when it may be started again.
#[derive(Clone, Debug, Default)]
pub struct Restarts {
    crashes: VecDeque<Moment>,
    /// How the last one ended, for people.
    pub last: String,
}

impl Restarts {
    /// The first pause after a crash (ms); it doubles with each further one.
    const FIRST_PAUSE: u64 = 250;
    /// The longest pause (ms).
    const LONGEST_PAUSE: u64 = 30_000;

    /// An agent crashed.
    pub fn crashed(&mut self, now: Moment, window: u64, how: String) {
        self.crashes.push_back(now);
        self.last = how;
        self.forget_old(now, window);
    }

    fn forget_old(&mut self, now: Moment, window: u64) {
        while self.crashes.front().is_some_and(|first| now.since(*first) >= window) {
            self.crashes.pop_front();
        }
        // The number is bounded by the budget; this bounds it when there is none.
        while self.crashes.len() > MAX_PENDING {
            self.crashes.pop_front();
        }
    }

    /// The first moment at which the next start may be tried.
    pub fn not_before(&self) -> Moment {
        let Some(last) = self.crashes.back() else { return Moment::START };
        let doublings = (self.crashes.len() - 1).min(16);
        last.plus_millis((Self::FIRST_PAUSE << doublings).min(Self::LONGEST_PAUSE))
    }

    /// How long starts are refused (ms), if the budget is used up.
    pub fn refused_for(&mut self, now: Moment, limit: usize, window: u64) -> Option<u64> {
        self.forget_old(now, window);
        if limit == 0 || self.crashes.len() < limit {
            return None;
        }
        let first = *self.crashes.front()?;
        Some(window.saturating_sub(now.since(first)))
    }
}
