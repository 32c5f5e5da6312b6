//! One agent: its limits, and the ids of its conversations. The same session id of two
//! agents means two conversations.

use crate::bridge::books::aliases::Aliases;
use crate::bridge::books::restarts::Restarts;
use crate::bridge::config::AgentConfig;

/// A row: one agent that clients may be assigned to.
#[derive(Debug)]
pub struct Agent {
    /// Its name, and the limits that are its own.
    pub config: AgentConfig,
    /// The public ids of its conversations, aliases and others.
    pub aliases: Aliases,
    /// The recent crashes of its processes.
    pub restarts: Restarts,
}

impl Agent {
    /// An agent without a conversation.
    pub fn new(config: AgentConfig) -> Self {
        Agent { config, aliases: Aliases::default(), restarts: Restarts::default() }
    }
}
