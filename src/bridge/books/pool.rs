//! One pool: the channels that can serve the same clients.

use crate::bridge::books::channel::Capabilities;
use crate::bridge::books::client::Client;
use crate::bridge::environment::{Environment, Origin};
use crate::bridge::id::AgentId;
use crate::bridge::time::Moment;
use crate::wire::{Frame, Method, Scanner, json};

/// The most requests that a pool keeps for the set-up replay.
pub const MAX_SET_UP: usize = 64;

/// The pause after a channel failed that was to take the place of outdated ones (ms).
const SUCCESSOR_PAUSE: u64 = 60_000;

/// How a pool's frames are treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Treatment {
    /// Protocol version 1: its sessions stand in the books.
    Sessions,
    /// Any other version: one client, one channel, only request ids are exchanged.
    Passthrough,
}

/// Which clients may join a pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Every client with the identity of the pool.
    Shared,
    /// No client but the one that is in it.
    Private,
}

/// A row: what channels must have in common to serve the same clients.
#[derive(Clone, Debug)]
pub struct Pool {
    /// The agent of its channels.
    pub agent: AgentId,
    /// The identity that its clients have in common, as `Pool::identity()` reads it.
    pub identity: Box<[u8]>,
    /// The environment of the client that joined it last.
    pub environment: Environment,
    /// The directory of that client.
    pub home: Box<str>,
    /// Which clients may join it.
    pub access: Access,
    /// An `initialize` with its identity, sent to every further channel.
    pub initialize: Frame,
    /// The agent's answer to `initialize`, as clients get it but for the id; `None`: no
    /// agent has answered yet.
    pub answer: Option<Frame>,
    /// The protocol version in the agent's first answer, as it is spelled there.
    pub version: Box<[u8]>,
    /// The agent and its version, as its latest answer names them.
    pub agent_version: Box<str>,
    /// The capabilities in the agent's latest answer.
    pub capabilities: Capabilities,
    /// The treatment of its frames.
    pub treatment: Treatment,
    /// The last login that succeeded; `None`: no client has logged in since the last logout.
    pub login: Option<Frame>,
    /// When a channel last failed that was to take the place of outdated ones; `None`: none has.
    pub successor_failed: Option<Moment>,
    /// The set-up replay: requests that every further channel gets before its first session.
    pub set_up: Vec<Frame>,
}

impl Pool {
    /// A pool without a channel, for clients like this one.
    pub fn new(client: &Client, access: Access, initialize: &Frame) -> Self {
        Pool {
            agent: client.agent,
            identity: Pool::identity(initialize, &client.environment),
            environment: client.environment.clone(),
            home: client.cwd.clone(),
            access,
            initialize: initialize.detached(),
            answer: None,
            version: Box::default(),
            agent_version: Box::default(),
            capabilities: Capabilities::default(),
            treatment: Treatment::Sessions,
            login: None,
            successor_failed: None,
            set_up: Vec::new(),
        }
    }

    /// Whether a channel may be started to take the place of outdated ones: not for a while after
    /// one has failed.
    pub fn may_try_successor(&self, now: Moment) -> bool {
        self.successor_failed.is_none_or(|at| now.since(at) >= SUCCESSOR_PAUSE)
    }

    /// Forgets every login.
    pub fn forget_logins(&mut self) {
        let is_login =
            |frame: &Frame| matches!(frame.method, Method::Authenticate | Method::AuthLogin);
        self.set_up.retain(|frame| !is_login(frame));
        self.login = None;
    }

    /// The place that its next process is started from, unless a client causes the start.
    pub fn origin(&self) -> Origin {
        Origin { environment: self.environment.id, home: self.home.clone() }
    }

    /// The identity of a client, read from its environment and its `initialize`: protocol
    /// version, capabilities, client name and `_meta`. The trace keys and the bridge's own part
    /// of `_meta` differ per connection and are left out.
    pub fn identity(initialize: &Frame, environment: &Environment) -> Box<[u8]> {
        const PER_CONNECTION: [&str; 4] = ["drawbridge", "traceparent", "tracestate", "baggage"];
        let mut identity = environment.identity_bytes();
        identity.push(b'\n');
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
            // A `_meta` that is no object adds nothing.
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
