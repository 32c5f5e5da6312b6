//! One agent: its limits, and the ids of its conversations. An id of one agent says
//! nothing about another one.

use foldhash::HashMap;

use crate::bridge::books::id_set::Ids;
use crate::bridge::books::restarts::Restarts;
use crate::bridge::config::AgentConfig;
use crate::bridge::id::{CallId, SessionKey};

/// A row: one agent that clients may be given.
#[derive(Debug)]
pub struct Agent {
    /// Its name, and the limits that are its own.
    pub config: AgentConfig,
    /// Live sessions and their children, by the id that clients know.
    pub public: HashMap<Box<str>, SessionKey>,
    /// Calls that restore a stored conversation, by the agent's id of it.
    pub restoring: HashMap<Box<str>, Ids<CallId>>,
    /// Crashes of processes that were in no pool yet.
    pub restarts: Restarts,
}

impl Agent {
    /// An agent without a conversation.
    pub fn new(config: AgentConfig) -> Self {
        Agent {
            config,
            public: HashMap::default(),
            restoring: HashMap::default(),
            restarts: Restarts::default(),
        }
    }
}
