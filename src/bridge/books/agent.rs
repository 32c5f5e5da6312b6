//! One agent: its limits, and the ids of its conversations. An id of one agent says
//! nothing about another one.

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
    /// How often its processes crashed lately.
    pub restarts: Restarts,
}

impl Agent {
    /// An agent without a conversation.
    pub fn new(config: AgentConfig) -> Self {
        let aliases = Aliases::new(&config.name);
        Agent { config, aliases, restarts: Restarts::default() }
    }
}
