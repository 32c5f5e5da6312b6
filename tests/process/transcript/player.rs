//! The client that plays a conversation and keeps what came on both sides.

use std::collections::BTreeMap;

use serde_json::json;

use super::line::{id, method};
use super::script::Step;
use crate::bridge::Bridge;

/// A request that every agent answers; it shows that all before it has arrived.
const LAST: &str = r#"{"jsonrpc":"2.0","id":"the last","method":"_acme/last"}"#;

/// The lines that the two sides received.
pub(super) struct Transcript {
    pub(super) client: Vec<String>,
    pub(super) agent: Vec<String>,
}

struct Player {
    peer: Bridge,
    answers: BTreeMap<String, String>,
    /// Lines that go out in one piece, before the client waits again.
    outgoing: String,
    received: Vec<String>,
    /// The id of the question that is left open.
    open: Option<String>,
    prompts: u32,
    /// The id of the prompt that was begun.
    begun: String,
}

/// Plays a conversation to its end. `agent` finds the process of the agent.
pub(super) fn play(peer: Bridge, agent: fn(&Bridge) -> u32, steps: &[Step]) -> Transcript {
    let mut player = Player {
        peer,
        answers: BTreeMap::new(),
        outgoing: String::new(),
        received: Vec::new(),
        open: None,
        prompts: 0,
        begun: String::new(),
    };
    for step in steps {
        player.take(step);
    }
    player.ask(LAST);
    let Player { mut peer, mut received, .. } = player;
    // Before the end: at its own end the bridge closes the sessions that are open.
    let log = peer.log_of(agent(&peer));
    let agent = log.lines().filter_map(|line| line.strip_prefix("< ")).map(str::to_owned).collect();
    peer.close_stdin();
    peer.is_gone();
    received.extend(peer.leftovers());
    Transcript { client: received, agent }
}

impl Player {
    fn take(&mut self, step: &Step) {
        match step {
            Step::Ask(line) => self.ask(line),
            Step::Send(line) => {
                let line = line.replace("$TURN", &self.begun);
                self.send(&line);
            }
            Step::Turn { session, script } => {
                let prompt = self.prompt(session, script);
                self.wait_for_answer(&prompt);
            }
            Step::Begin { session, script } => self.begun = self.prompt(session, script),
            Step::Wait(wanted) => {
                let line = self.read_until(|line| method(line).as_ref() == Some(wanted));
                if let Some(id) = id(&line) {
                    self.open = Some(id.to_owned());
                }
            }
            Step::Reply(line) => {
                let id = self.open.take().expect("a question is open");
                self.send(&line.replace("$ID", &id));
            }
            Step::Ended => {
                let begun = self.begun.clone();
                self.wait_for_answer(&begun);
            }
            Step::Answer { method, line } => {
                self.answers.insert(method.clone(), line.clone());
            }
        }
    }

    fn send(&mut self, line: &str) {
        // Shown if the test fails.
        eprintln!("client > {line}");
        self.outgoing.push_str(line);
        self.outgoing.push('\n');
    }

    fn ask(&mut self, line: &str) {
        self.send(line);
        self.wait_for_answer(id(line).expect("a request has an id"));
    }

    /// Sends a prompt; its id.
    fn prompt(&mut self, session: &str, script: &[String]) -> String {
        self.prompts += 1;
        let id = json!(format!("turn-{}", self.prompts));
        let prompt = json!([{ "type": "text", "text": script.join("\n") }]);
        let params = json!({ "sessionId": session, "prompt": prompt });
        let frame =
            json!({ "jsonrpc": "2.0", "id": id, "method": "session/prompt", "params": params });
        self.send(&frame.to_string());
        id.to_string()
    }

    fn wait_for_answer(&mut self, token: &str) {
        self.read_until(|line| method(line).is_none() && id(line) == Some(token));
    }

    /// Reads until a line is as wanted, and answers the questions that come before it.
    fn read_until(&mut self, is_wanted: impl Fn(&str) -> bool) -> String {
        self.flush();
        loop {
            let line = self.peer.incoming();
            eprintln!("client < {line}");
            self.received.push(line.clone());
            if is_wanted(&line) {
                return line;
            }
            self.answer(&line);
            self.flush();
        }
    }

    fn answer(&mut self, line: &str) {
        let (Some(method), Some(id)) = (method(line), id(line)) else { return };
        let answer = self.answers.get(&method).or_else(|| self.answers.get("*"));
        let answer = answer.unwrap_or_else(|| panic!("the script has no answer to {line}"));
        let answer = answer.replace("$ID", id);
        self.send(&answer);
    }

    fn flush(&mut self) {
        let lines = std::mem::take(&mut self.outgoing);
        self.peer.write(lines.as_bytes());
    }
}
