//! One agent: its limits, and the ids of its conversations. An id of one agent says
//! nothing about another one.

use std::collections::BTreeMap;

use crate::bridge::books::aliases::Aliases;
use crate::bridge::books::restarts::Restarts;
use crate::bridge::config::AgentConfig;

/// A row: one agent that clients may be given.
#[derive(Debug)]
pub struct Agent {
    /// Its name, and the limits that are its own.
    pub config: AgentConfig,
    /// Under which ids clients know its conversations.
    pub aliases: Aliases,
    /// Crashes of processes that were in no pool yet.
    pub restarts: Restarts,
    /// Crashes in pools that are gone, by the identity of their clients: who leaves and
    /// comes back does not start anew.
    pub past_restarts: BTreeMap<Box<[u8]>, Restarts>,
}

impl Agent {
    /// An agent without a conversation.
    pub fn new(config: AgentConfig) -> Self {
        let aliases = Aliases::new(&config.name);
        let (restarts, past_restarts) = Default::default();
        Agent { config, aliases, restarts, past_restarts }
    }
}
