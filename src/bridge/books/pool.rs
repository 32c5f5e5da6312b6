//! One pool: the channels that would do equally well for the same clients.

use bytes::Bytes;

use crate::bridge::books::channel::Capabilities;
use crate::bridge::id::AgentId;
use crate::wire::{Frame, Scanner, json};

/// Requests kept for further channels of a pool.
pub const MAX_SET_UP: usize = 64;

/// How a pool's frames are treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carry {
    /// Protocol v1: the bridge keeps the books of its sessions.
    Sessions,
    /// Any other version: one client, one channel, only ids are translated.
    Passthrough,
}

/// Which clients may join a pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// All with its identity.
    Shared,
    /// None but the one that is in it.
    Private,
}

/// A row: what channels must have in common to serve the same clients.
#[derive(Clone, Debug)]
pub struct Pool {
    /// The agent whose processes these are.
    pub agent: AgentId,
    /// Version, capabilities and name that its clients gave.
    pub identity: Box<[u8]>,
    /// Which clients may join it.
    pub access: Access,
    /// The client's `initialize`, repeated to every further channel.
    pub initialize: Frame,
    /// The agent's answer, as clients get it.
    pub answer: Option<Bytes>,
    /// The protocol version that was agreed on, as it is spelled.
    pub version: Box<[u8]>,
    /// What the agent offered in its latest answer.
    pub capabilities: Capabilities,
    /// How its frames are treated.
    pub carry: Carry,
    /// Requests that every further channel gets before its first session.
    pub set_up: Vec<Frame>,
}

impl Pool {
    /// A pool without a channel, for clients with this identity.
    pub fn new(agent: AgentId, identity: Box<[u8]>, access: Access, initialize: &Frame) -> Self {
        Pool {
            agent,
            identity,
            access,
            initialize: initialize.detached(),
            answer: None,
            version: Box::default(),
            capabilities: Capabilities::default(),
            carry: Carry::Sessions,
            set_up: Vec::new(),
        }
    }

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
