//! The client of a soak: keeps the bridge busy, and keeps a list of its open requests.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

use super::chance::Chance;
use super::deeds::{BAD, GOOD, NONSENSE};
use crate::client::Client;

/// How long a turn may run. After it, and each time that it has passed again, the turn is
/// cancelled or its session is closed, at random.
const LONG: Duration = Duration::from_secs(3);

/// The purpose of a request; a turn with its session id.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Asked {
    Open,
    Turn(String),
    Close,
    Other,
}

/// The client, its sessions, and its open requests.
pub struct SoakClient {
    client: Client,
    folders: Vec<PathBuf>,
    chance: Chance,
    sessions: Vec<String>,
    open: BTreeMap<u64, (Asked, Instant)>,
    counts: BTreeMap<String, u64>,
    stray: u64,
}

/// The counts of a soak.
pub struct SoakCounts {
    /// How often each thing happened, by its name in the report.
    pub counts: BTreeMap<String, u64>,
    /// Answers to requests that were never sent, or were answered already.
    pub stray: u64,
}

impl SoakClient {
    /// Starts the bridge and shakes hands.
    pub fn take(bridge: Command, folders: Vec<PathBuf>, chance: Chance) -> io::Result<SoakClient> {
        let client = Client::connect(bridge)?;
        let (sessions, open, counts) = Default::default();
        Ok(SoakClient { client, folders, chance, sessions, open, counts, stray: 0 })
    }

    /// The process id of the bridge.
    pub fn bridge(&self) -> u32 {
        self.client.pid()
    }

    /// Opens sessions, runs a turn in each and closes them, so that the memory and the
    /// descriptors of a first use are not taken for growth.
    pub fn warm_up(&mut self) -> io::Result<()> {
        for _ in 0..20 {
            self.ask_open()?;
        }
        self.settle(Duration::from_secs(20))?;
        for session in self.sessions.clone() {
            self.ask_turn(&session, "stream 500 300")?;
        }
        self.wind_down(Duration::from_secs(20))
    }

    /// Sends random requests and lines until `open` requests are open; opens a session only
    /// while there are fewer than `sessions`.
    pub fn keep_busy(&mut self, sessions: usize, open: usize) -> io::Result<()> {
        self.hurry()?;
        while self.open.len() < open {
            let session = self.chance.one_of(&self.sessions).cloned();
            match (self.chance.below(100), session) {
                (0..10, _) | (_, None) if self.sessions.len() < sessions => self.ask_open()?,
                (_, None) => return Ok(()),
                (0..70, Some(session)) => {
                    let script = GOOD[self.chance.below(GOOD.len())];
                    self.ask_turn(&session, script)?;
                }
                (70..78, Some(session)) => {
                    let script = BAD[self.chance.below(BAD.len())];
                    self.count(script.split(' ').take(2).collect::<Vec<_>>().join(" ").as_str());
                    self.ask_turn(&session, script)?;
                }
                (78..88, Some(session)) => self.ask_close(&session)?,
                (88..91, Some(session)) => {
                    self.sessions.retain(|other| *other != session);
                    self.ask("_drawbridge/detach", &json!({ "sessionId": session }), Asked::Other)?;
                }
                (91..94, Some(session)) => {
                    let params = json!({ "sessionId": session, "cwd": "/", "mcpServers": [] });
                    self.ask("session/load", &params, Asked::Other)?;
                }
                (94..97, Some(session)) => {
                    let params = json!({ "sessionId": session, "modeId": "code" });
                    self.ask("session/set_mode", &params, Asked::Other)?;
                }
                (97..99, _) => {
                    let params = self.open.keys().nth(self.chance.below(self.open.len().max(1)));
                    let line = json!({ "jsonrpc": "2.0", "method": "$/cancel_request",
                        "params": { "requestId": params } });
                    self.client.send(format!("{line}\n").as_bytes())?;
                }
                _ => {
                    let line = NONSENSE[self.chance.below(NONSENSE.len())];
                    self.client.send(format!("{line}\n").as_bytes())?;
                }
            }
        }
        Ok(())
    }

    /// For each turn that has run for [`LONG`], cancels it or closes its session, at random.
    fn hurry(&mut self) -> io::Result<()> {
        let mut late = Vec::new();
        for (asked, since) in self.open.values_mut() {
            if let Asked::Turn(session) = asked
                && since.elapsed() > LONG
            {
                *since = Instant::now();
                late.push(session.clone());
            }
        }
        for session in late {
            if self.chance.below(2) == 0 {
                self.ask_close(&session)?;
            } else {
                self.cancel(&session)?;
            }
        }
        Ok(())
    }

    fn cancel(&mut self, session: &str) -> io::Result<()> {
        let params = json!({ "sessionId": session });
        let line = json!({ "jsonrpc": "2.0", "method": "session/cancel", "params": params });
        self.client.send(format!("{line}\n").as_bytes())
    }

    fn ask(&mut self, method: &str, params: &Value, asked: Asked) -> io::Result<()> {
        let id = self.client.request(method, &params.to_string())?;
        self.open.insert(id, (asked, Instant::now()));
        self.count("requests");
        Ok(())
    }

    fn ask_open(&mut self) -> io::Result<()> {
        let cwd = &self.folders[self.chance.below(self.folders.len())];
        let params = json!({ "cwd": cwd, "mcpServers": [] });
        self.ask("session/new", &params, Asked::Open)
    }

    fn ask_turn(&mut self, session: &str, script: &str) -> io::Result<()> {
        let prompt = json!([{ "type": "text", "text": script }]);
        let params = json!({ "sessionId": session, "prompt": prompt });
        self.ask("session/prompt", &params, Asked::Turn(session.to_owned()))
    }

    fn ask_close(&mut self, session: &str) -> io::Result<()> {
        self.sessions.retain(|other| other != session);
        self.ask("session/close", &json!({ "sessionId": session }), Asked::Close)
    }

    /// Reads once and handles every whole line; waits at most `at_most` for something to read.
    pub fn listen(&mut self, at_most: Duration) -> io::Result<()> {
        let millis = u16::try_from(at_most.as_millis()).unwrap_or(u16::MAX);
        let mut ready = [PollFd::new(self.client.as_fd(), PollFlags::POLLIN)];
        if poll(&mut ready, PollTimeout::from(millis))? == 0 {
            return Ok(());
        }
        if !self.client.output.fill()? {
            return Err(io::Error::other("the bridge is gone"));
        }
        while let Some(line) = self.client.output.take() {
            let message: Value = serde_json::from_slice(line).map_err(io::Error::other)?;
            self.hear(&message)?;
        }
        Ok(())
    }

    fn hear(&mut self, message: &Value) -> io::Result<()> {
        match (message["method"].as_str(), message["id"].clone()) {
            (Some("session/update"), _) => self.count("updates"),
            (Some("_drawbridge/session_died"), _) => {
                let id = message["params"]["sessionId"].as_str().unwrap_or_default();
                self.sessions.retain(|session| session != id);
            }
            (Some(_), Value::Null) => {}
            (Some(method), id) => {
                self.count("questions");
                self.answer_question(method, &id)?;
            }
            (None, id) => self.hear_answer(id.as_u64(), message),
        }
        Ok(())
    }

    fn answer_question(&mut self, method: &str, id: &Value) -> io::Result<()> {
        let body = match (method, self.chance.below(4)) {
            // A quarter of the questions is never answered.
            (_, 0) => return Ok(()),
            (_, 1) => json!({ "error": { "code": -32601, "message": "cannot" } }),
            ("session/request_permission", 2) => {
                json!({ "result": { "outcome": { "outcome": "cancelled" } } })
            }
            ("session/request_permission", _) => {
                json!({ "result": { "outcome": { "outcome": "selected", "optionId": "allow" } } })
            }
            ("fs/read_text_file", _) => json!({ "result": { "content": "text" } }),
            _ => json!({ "result": {} }),
        };
        let mut line = json!({ "jsonrpc": "2.0", "id": id });
        for (key, value) in body.as_object().into_iter().flatten() {
            line[key] = value.clone();
        }
        self.client.send(format!("{line}\n").as_bytes())
    }

    fn hear_answer(&mut self, id: Option<u64>, message: &Value) {
        let Some((asked, _)) = id.and_then(|id| self.open.remove(&id)) else {
            // The refusal of a line that is no message has no id.
            if id.is_some() {
                self.stray += 1;
            }
            return;
        };
        self.count("answers");
        let error = &message["error"];
        if !error.is_null() {
            let kind = error["data"]["kind"].as_str().unwrap_or("the agent's own");
            self.count(&format!("refused: {kind}"));
            if let (Asked::Turn(session), true) = (&asked, error["code"] == -32002) {
                let gone = session.clone();
                self.sessions.retain(|session| *session != gone);
            }
        } else if asked == Asked::Open
            && let Some(session) = message["result"]["sessionId"].as_str()
        {
            self.sessions.push(session.to_owned());
            self.count("sessions opened");
        }
    }

    fn count(&mut self, what: &str) {
        *self.counts.entry(what.to_owned()).or_default() += 1;
    }

    /// Sends SIGKILL to one of these processes; `false` if there was none to kill.
    pub fn kill_one_of(&mut self, agents: &[u32]) -> bool {
        let one = self.chance.one_of(agents).and_then(|pid| i32::try_from(*pid).ok());
        one.is_some_and(|pid| kill(Pid::from_raw(pid), Signal::SIGKILL).is_ok())
    }

    /// Closes all sessions and waits for the answers, in two waits of at most `patience` each.
    pub fn wind_down(&mut self, patience: Duration) -> io::Result<()> {
        for session in self.sessions.clone() {
            self.ask_close(&session)?;
        }
        self.settle(patience)?;
        // Sessions whose open was answered meanwhile.
        for session in self.sessions.clone() {
            self.ask_close(&session)?;
        }
        self.settle(patience)
    }

    fn settle(&mut self, patience: Duration) -> io::Result<()> {
        let begun = Instant::now();
        while !self.open.is_empty() && begun.elapsed() < patience {
            self.hurry()?;
            self.listen(Duration::from_millis(50))?;
        }
        Ok(())
    }

    /// The number of requests without an answer.
    pub fn open(&self) -> usize {
        self.open.len()
    }

    /// The counts so far.
    pub fn report(&self) -> SoakCounts {
        SoakCounts { counts: self.counts.clone(), stray: self.stray }
    }

    /// Closes the bridge's stdin and returns its exit code; `None` if it does not exit in time.
    pub fn leave(mut self, patience: Duration) -> io::Result<Option<i32>> {
        self.client.hang_up();
        self.client.exit_code(patience)
    }
}
