//! A running script, and the operations that its commands share.

use std::sync::Arc;
use std::time::Duration;

use crate::agent::{Agent, Interrupted};
use crate::message::{Request, chunk, update};
use crate::store::Speaker;

/// The running script of one turn.
pub(crate) struct Script<'a> {
    pub(crate) agent: &'a Arc<Agent>,
    pub(crate) turn: u64,
    pub(crate) session: String,
    /// The prompt that began the turn.
    pub(crate) request: Request,
    pub(crate) stop: String,
    pub(crate) later: Vec<(Duration, String)>,
    pub(crate) twice: bool,
}

/// Whether the line was a known command; an error if the turn ended meanwhile.
pub(crate) type Known = Result<bool, Interrupted>;

impl<'a> Script<'a> {
    pub(crate) fn new(agent: &'a Arc<Agent>, turn: u64, session: String, request: Request) -> Self {
        let stop = "end_turn".to_owned();
        Self { agent, turn, session, request, stop, later: Vec::new(), twice: false }
    }

    /// Sends a message chunk of the agent, and adds its text to the session's history.
    pub(crate) fn say(&self, text: &str) {
        self.agent.lock().store.remember(&self.session, Speaker::Agent, text);
        self.update(&chunk("agent_message_chunk", text));
    }

    /// Sends an update of this session.
    pub(crate) fn update(&self, content: &serde_json::Value) {
        self.agent.wire.send(&update(&self.session, content));
    }

    /// Puts the session id where the script says `$SESSION`, and the id of the prompt, as the
    /// client spelled it, where it says `$REQUEST`.
    pub(crate) fn fill_in(&self, text: &str) -> String {
        text.replace("$SESSION", &self.session).replace("$REQUEST", &self.request.id)
    }

    /// Returns an error if the turn is to end, so that a long command stops.
    pub(crate) fn go_on(&self) -> Result<(), Interrupted> {
        match self.agent.lock().turns.is_ending(self.turn) {
            true => Err(Interrupted),
            false => Ok(()),
        }
    }
}
