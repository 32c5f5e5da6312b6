//! One agent: its limits, and the ids of its conversations. The same session id of two
//! agents means two conversations.

use crate::bridge::books::aliases::Aliases;
use crate::bridge::books::pairs::Pairs;
use crate::bridge::books::restarts::Restarts;
use crate::bridge::books::trust::Trust;
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
    /// The sessions that it knows by other ids than clients do, because they were opened anew.
    pub pairs: Pairs,
    /// The trust in it to restore sessions.
    pub trust: Trust,
}

impl Agent {
    /// An agent without a conversation.
    pub fn new(config: AgentConfig) -> Self {
        let (aliases, restarts) = (Aliases::default(), Restarts::default());
        Agent { config, aliases, restarts, pairs: Pairs::default(), trust: Trust::default() }
    }
}
