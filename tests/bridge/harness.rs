//! A world around the core: peers that say lines, and a clock that tests turn.
//!
//! It does what the runtime does and nothing else: it hands events in and puts
//! effects where they belong, one queue per peer. After every event it checks
//! the rules of the core, that every answer belongs to a question that is open,
//! and that the core does not want to be woken for nothing. At its end nothing
//! may be left in any queue: what the core did and the test did not name is a
//! failure. Notices of WARN and above count; the quieter ones are kept in
//! [`World::notices`] for those who want to look.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt::Display;

use bytes::Bytes;
use drawbridge::bridge::config::Restore;
use drawbridge::bridge::environment::Variable;
use drawbridge::bridge::notice::Level;
use drawbridge::bridge::restore::{Pair, Record};
use drawbridge::bridge::{
    AgentId, Bridge, ChannelId, ClientId, Config, Effect, Environment, EnvironmentId, Event, Exit,
    ExitStatus, Lane, Moment, Notice, Process, ShutdownCause,
};
use drawbridge::wire::{Frame, FrameKind, Malformed};
use serde_json::Value;

pub use crate::words::*;

/// One at the other end of a wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Peer {
    Client(ClientId),
    Channel(ChannelId),
}

impl From<ClientId> for Peer {
    fn from(id: ClientId) -> Self {
        Peer::Client(id)
    }
}

impl From<ChannelId> for Peer {
    fn from(id: ChannelId) -> Self {
        Peer::Channel(id)
    }
}

/// What is done to a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    CloseStdin,
    Terminate,
    Kill,
    Pause,
    Resume,
    Survey,
}

/// What a peer gets.
#[derive(Clone, Debug, PartialEq)]
pub enum Got {
    Line(String),
    Deed(Deed),
    Concealed(Vec<Box<str>>),
}

/// The core and everything it did that the test has not looked at.
pub struct World {
    pub bridge: Bridge,
    pub now: Moment,
    /// What the agents of this world answer to `initialize`.
    pub agent: &'static str,
    /// Every notice below WARN.
    pub notices: Vec<Notice>,
    /// What was sent to clients, and the fences, each with its lane.
    pub lanes: Vec<(Lane, String)>,
    /// The clients that did not read, and were dropped.
    pub dropped: Vec<ClientId>,
    /// The clients that were told of the turns of others, and the state of the turn.
    pub turns: Vec<(ClientId, String)>,
    /// The clients whose editors were looked for.
    pub looked_for: Vec<ClientId>,
    /// The channels whose files were to be noted.
    pub noted: Vec<ChannelId>,
    /// The sessions that the connections of clients were to remember (`true`) or to forget.
    pub kept: Vec<(ClientId, Box<str>, bool)>,
    /// How often the memory of the agents was to be looked at.
    pub weighings: usize,
    /// The keepsakes that the connections of clients were to have of sessions that can be brought back.
    pub keepsakes: Vec<String>,
    /// The versions of agents that the core has asked about.
    pub recalled: Vec<(AgentId, Box<str>)>,
    /// The experience with versions of agents.
    pub experience: Vec<(Box<str>, Record)>,
    /// Sessions that their agent knows by another id than clients.
    pub pairs: Vec<Pair>,
    /// The clients for which there is no agent.
    pub without_agent: Vec<(ClientId, String, ShutdownCause)>,
    /// What was done, in order, over all peers.
    pub trace: Vec<(Peer, Got)>,
    queues: BTreeMap<Peer, VecDeque<Got>>,
    spawned: VecDeque<(ChannelId, String)>,
    pub warnings: VecDeque<Notice>,
    exit: Option<Vec<ChannelId>>,
    /// Requests of peers that are not answered yet.
    open: BTreeSet<(Peer, String)>,
    clients: u64,
    pub tokens: u64,
}

impl World {
    /// A world with the default limits.
    pub fn new() -> Self {
        World::with(|_| {})
    }

    /// A world with other limits.
    pub fn with(change: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config::default();
        // Only where a test is about it.
        config.agent.restore = Restore::None;
        change(&mut config);
        World {
            bridge: Bridge::new(config),
            now: Moment::from_millis(0),
            agent: CAPABLE,
            notices: Vec::new(),
            lanes: Vec::new(),
            dropped: Vec::new(),
            turns: Vec::new(),
            looked_for: Vec::new(),
            noted: Vec::new(),
            kept: Vec::new(),
            weighings: 0,
            keepsakes: Vec::new(),
            recalled: Vec::new(),
            experience: Vec::new(),
            pairs: Vec::new(),
            without_agent: Vec::new(),
            trace: Vec::new(),
            queues: BTreeMap::new(),
            spawned: VecDeque::new(),
            warnings: VecDeque::new(),
            exit: None,
            open: BTreeSet::new(),
            clients: 0,
            tokens: 0,
        }
    }

    // What happens.

    /// Something happened.
    #[track_caller]
    pub fn event(&mut self, event: Event) {
        self.bridge.handle(self.now, event);
        self.collect();
    }

    /// Time passes; the core is woken whenever it wants to be.
    #[track_caller]
    pub fn wait(&mut self, millis: u64) {
        let end = self.now.plus_millis(millis);
        let mut again = 0;
        while let Some(at) = self.bridge.poll_timeout().filter(|at| *at <= end) {
            again = if at > self.now { 0 } else { again + 1 };
            assert!(again < 3, "woken at {:?} again and again", self.now);
            self.now = at.max(self.now);
            self.bridge.handle_timeout(self.now);
            self.collect();
        }
        self.now = end;
    }

    /// A client connects, started in `/home`.
    #[track_caller]
    pub fn connect(&mut self) -> ClientId {
        self.connect_in("/home")
    }

    /// A client connects, started in this directory.
    #[track_caller]
    pub fn connect_in(&mut self, cwd: &str) -> ClientId {
        self.connect_as(AgentId(0), environment(&[]), cwd)
    }

    /// A client connects that wants this agent and has this environment.
    #[track_caller]
    pub fn connect_as(&mut self, agent: AgentId, environment: Environment, cwd: &str) -> ClientId {
        self.clients += 1;
        let (client, cwd) = (ClientId(self.clients), cwd.to_owned());
        self.event(Event::ClientConnected { client, agent, environment, cwd });
        client
    }

    /// A peer says a line.
    #[track_caller]
    pub fn says(&mut self, from: impl Into<Peer>, line: impl Into<Vec<u8>>) {
        let frame = Frame::parse(Bytes::from(line.into()));
        let from = from.into();
        let id = match &frame {
            Ok(frame) if frame.kind == FrameKind::Request => Some(frame.id()),
            Err(Malformed::NotMessage { id }) => id.clone(),
            _ => None,
        };
        self.open.extend(id.map(|id| (from, format!("{id:?}"))));
        self.frame(from, frame);
    }

    /// A peer says what is no message, or one that is.
    #[track_caller]
    pub fn frame(&mut self, from: impl Into<Peer>, frame: Result<Frame, Malformed>) {
        self.event(match from.into() {
            Peer::Client(client) => Event::ClientFrame { client, frame },
            Peer::Channel(channel) => Event::ChannelFrame { channel, frame },
        });
    }

    #[track_caller]
    pub fn request(&mut self, from: impl Into<Peer>, id: impl Display, method: &str, params: &str) {
        self.says(from, request(id, method, params));
    }

    #[track_caller]
    pub fn notify(&mut self, from: impl Into<Peer>, method: &str, params: &str) {
        self.says(from, notification(method, params));
    }

    #[track_caller]
    pub fn answer(&mut self, from: impl Into<Peer>, id: impl Display, result: &str) {
        self.says(from, answer(id, result));
    }

    #[track_caller]
    pub fn fail(&mut self, from: impl Into<Peer>, id: impl Display, code: i64) {
        self.says(from, failure(id, code));
    }

    /// A channel's process ends with this code.
    #[track_caller]
    pub fn exits(&mut self, channel: ChannelId, code: i32) {
        let status = ExitStatus::Code(code);
        let exit = Exit { status, stderr_tail: String::new(), half_line: 0 };
        self.event(Event::ChannelExited { channel, exit });
    }

    #[track_caller]
    pub fn gone(&mut self, client: ClientId) {
        self.event(Event::ClientGone { client });
    }

    #[track_caller]
    pub fn surveyed(&mut self, channel: ChannelId, processes: Vec<Process>) {
        self.event(Event::Surveyed { channel, processes: Some(processes), worked: None });
    }

    #[track_caller]
    pub fn shutdown(&mut self, cause: ShutdownCause) {
        self.event(Event::Shutdown(cause));
    }

    // What is expected.

    /// A process is to be started in this directory.
    #[track_caller]
    pub fn expect_spawn(&mut self, cwd: &str) -> ChannelId {
        let (channel, at) = self.spawned.pop_front().expect("no process is started");
        assert_eq!(at, cwd, "the directory of a new process");
        self.event(Event::ChannelSpawned { channel, pid: 4711 });
        channel
    }

    /// The next thing for a peer.
    #[track_caller]
    pub fn next(&mut self, peer: impl Into<Peer>) -> Got {
        let peer = peer.into();
        let got = self.queues.entry(peer).or_default().pop_front();
        got.unwrap_or_else(|| panic!("nothing more for {peer:?}"))
    }

    #[track_caller]
    pub fn next_line(&mut self, peer: impl Into<Peer>) -> String {
        match self.next(peer) {
            Got::Line(line) => line,
            other => panic!("{other:?} in place of a line"),
        }
    }

    /// Everything that is left for a peer; warnings are forgotten.
    pub fn rest(&mut self, peer: impl Into<Peer>) -> Vec<Got> {
        self.warnings.clear();
        self.queues.entry(peer.into()).or_default().drain(..).collect()
    }

    #[track_caller]
    pub fn expect(&mut self, channel: ChannelId, deed: Deed) {
        assert_eq!(self.next(channel), Got::Deed(deed));
    }

    #[track_caller]
    pub fn expect_line(&mut self, peer: impl Into<Peer>, line: &str) {
        assert_eq!(self.next_line(peer), line);
    }

    /// A request under a number of the bridge, which is given back.
    #[track_caller]
    pub fn expect_request(&mut self, peer: impl Into<Peer>, method: &str, params: &str) -> u64 {
        let line = self.next_line(peer);
        let number = Frame::parse(Bytes::from(line.clone())).unwrap().number();
        let number = number.unwrap_or_else(|| panic!("not a request of the bridge: {line}"));
        assert_eq!(line, request(number, method, params));
        number
    }

    #[track_caller]
    pub fn expect_notification(&mut self, peer: impl Into<Peer>, method: &str, params: &str) {
        self.expect_line(peer, &notification(method, params));
    }

    #[track_caller]
    pub fn expect_answer(&mut self, peer: impl Into<Peer>, id: impl Display, result: &str) {
        self.expect_line(peer, &answer(id, result));
    }

    /// The error of somebody else, passed on.
    #[track_caller]
    pub fn expect_failure(&mut self, peer: impl Into<Peer>, id: impl Display, code: i64) {
        self.expect_line(peer, &failure(id, code));
    }

    /// An error of the bridge's own; its `data` is given back.
    #[track_caller]
    pub fn expect_refusal(
        &mut self,
        peer: impl Into<Peer>,
        id: impl Display,
        code: i64,
        kind: &str,
    ) -> Value {
        let line = self.next_line(peer);
        let head = format!(r#"{{"jsonrpc":"2.0","id":{id},"error":"#);
        assert!(line.starts_with(&head), "{line} in place of a refusal of {id}");
        let value: Value = serde_json::from_str(&line).unwrap();
        let error = &value["error"];
        assert_eq!((&error["code"], &error["data"]["kind"]), (&code.into(), &kind.into()));
        assert!(error["message"].as_str().is_some_and(|text| text.len() > 10), "{line}");
        error["data"].clone()
    }

    /// A question is taken back from a client.
    #[track_caller]
    pub fn expect_withdrawn(&mut self, client: ClientId, number: u64) {
        let params = format!(r#"{{"requestId":{number}}}"#);
        self.expect_notification(client, "$/cancel_request", &params);
    }

    /// The word that a session was closed, before any frame of it was delivered.
    #[track_caller]
    pub fn expect_closed(&mut self, client: ClientId, id: &str, reason: &str) {
        let line = self.next_line(client);
        let seq = seq(&line);
        let params =
            format!(r#"{{"sessionId":"{id}","reason":"{reason}","restorable":false,"seq":{seq}}}"#);
        assert_eq!(line, notification("_drawbridge/session_closed", &params));
    }

    /// The word that a session died; `how` is what is said of the process.
    #[track_caller]
    pub fn expect_died(&mut self, client: ClientId, id: &str, reason: &str, how: &str) {
        let line = self.next_line(client);
        let seq = seq(&line);
        let params = format!(
            r#"{{"sessionId":"{id}","reason":"{reason}"{how},"restorable":false,"seq":{seq}}}"#
        );
        assert_eq!(line, notification("_drawbridge/session_died", &params));
    }

    /// The next notice of WARN or above.
    #[track_caller]
    pub fn expect_warning(&mut self, is_it: impl Fn(&Notice) -> bool) {
        let warning = self.warnings.pop_front().expect("nobody is warned");
        assert!(is_it(&warning), "{warning:?}");
    }

    /// The bridge is over, and these processes would not die.
    #[track_caller]
    pub fn expect_exit(&mut self, survivors: &[ChannelId]) {
        assert_eq!(self.exit.take().as_deref(), Some(survivors), "the end of the bridge");
        assert!(self.bridge.is_over());
    }

    /// Everything that happened was looked at.
    #[track_caller]
    pub fn assert_nothing_left(&self) {
        let left: Vec<_> = self.queues.iter().filter(|(_, queue)| !queue.is_empty()).collect();
        assert!(left.is_empty(), "not looked at: {left:#?}");
        assert!(self.spawned.is_empty(), "started: {:?}", self.spawned);
        assert!(self.warnings.is_empty(), "warned: {:?}", self.warnings);
        assert!(self.exit.is_none(), "the bridge exits");
    }

    /// Nothing more was done to this peer.
    #[track_caller]
    pub fn assert_nothing_for(&self, peer: impl Into<Peer>) {
        let left = self.queues.get(&peer.into());
        assert!(left.is_none_or(VecDeque::is_empty), "not looked at: {left:#?}");
    }

    /// Whether a peer still waits for the answer to a request of its own.
    pub fn waits(&self, peer: impl Into<Peer>, id: impl Display) -> bool {
        self.open.contains(&(peer.into(), id.to_string()))
    }

    #[track_caller]
    fn collect(&mut self) {
        while let Some(effect) = self.bridge.poll_effect() {
            match effect {
                Effect::Spawn { channel, cwd, .. } => self.spawned.push_back((channel, cwd)),
                Effect::ForgetEnvironment(_) => {}
                Effect::NoteFiles(channel) => self.noted.push(channel),
                Effect::Keep { client, session, keepsake, .. } => {
                    self.kept.push((client, session, true));
                    self.keepsakes.extend(keepsake.map(|kept| kept.text()));
                }
                Effect::Attached { .. } => {}
                Effect::Weigh => self.weighings += 1,
                Effect::Recall { agent, version } => self.recalled.push((agent, version)),
                Effect::Experienced { version, record } => self.experience.push((version, record)),
                Effect::RememberPair { pair, .. } => self.pairs.push(pair),
                Effect::Forget { client, session, .. } => self.kept.push((client, session, false)),
                Effect::DropClient { client, last } => {
                    for frame in last {
                        self.line(client.into(), frame.to_bytes());
                    }
                    self.dropped.push(client);
                }
                Effect::LookForEditor(client) => self.looked_for.push(client),
                Effect::ToChannel { channel, frame } => self.line(channel.into(), frame.to_bytes()),
                Effect::ToClient { client, lane, frame } => {
                    self.lanes.push((lane, String::from_utf8_lossy(&frame.to_bytes()).into()));
                    // It may be several messages.
                    for line in frame.to_bytes().split(|byte| *byte == b'\n') {
                        self.line(client.into(), Bytes::copy_from_slice(line));
                    }
                }
                Effect::Conceal { channel, secrets } => {
                    self.got(channel.into(), Got::Concealed(secrets));
                }
                Effect::CloseStdin(channel) => {
                    self.got(channel.into(), Got::Deed(Deed::CloseStdin));
                }
                Effect::Terminate(channel) => self.got(channel.into(), Got::Deed(Deed::Terminate)),
                Effect::Kill(channel) => self.got(channel.into(), Got::Deed(Deed::Kill)),
                Effect::Pause(channel) => self.got(channel.into(), Got::Deed(Deed::Pause)),
                Effect::Resume(channel) => self.got(channel.into(), Got::Deed(Deed::Resume)),
                Effect::Survey(channel) => self.got(channel.into(), Got::Deed(Deed::Survey)),
                Effect::Publish(notice) if matches!(notice.level(), Level::Warn | Level::Error) => {
                    self.warnings.push_back(notice);
                }
                Effect::Publish(notice) => self.notices.push(notice),
                Effect::Fence { lane, .. } => self.lanes.push((lane, "fence".to_owned())),
                Effect::NoAgent { client, sentence, cause } => {
                    self.without_agent.push((client, sentence, cause));
                }
                Effect::Exit { survivors } => {
                    assert!(self.exit.is_none(), "a second exit");
                    self.exit = Some(survivors);
                }
            }
        }
        self.bridge.check().unwrap();
    }

    #[track_caller]
    fn line(&mut self, to: Peer, bytes: Bytes) {
        let frame = Frame::parse(bytes).unwrap();
        if matches!(frame.kind, FrameKind::Success | FrameKind::Failure) {
            let id = format!("{:?}", frame.id());
            let was_open = self.open.remove(&(to, id.clone()));
            assert!(
                was_open || id == "null",
                "{to:?} gets an answer that it does not wait for: {frame:?}"
            );
        }
        if let (Peer::Client(client), "_drawbridge/turn") = (to, &*frame.method_name()) {
            let state = frame.find_text(&["state"]).unwrap_or_default().into_owned();
            return self.turns.push((client, state));
        }
        self.got(to, Got::Line(String::from_utf8(frame.bytes().to_vec()).unwrap()));
    }

    fn got(&mut self, peer: Peer, what: Got) {
        self.trace.push((peer, what.clone()));
        self.queues.entry(peer).or_default().push_back(what);
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.assert_nothing_left();
        }
    }
}

/// The environment with these variables, each with the hash of its value.
pub fn environment(variables: &[(&str, u64)]) -> Environment {
    let variable = |(name, hash): &(&str, u64)| Variable { name: (*name).into(), hash: *hash };
    let identity: Vec<Variable> = variables.iter().map(variable).collect();
    let id = EnvironmentId(variables.iter().map(|(_, hash)| hash).sum());
    Environment { id, identity: identity.into() }
}

/// How many frames of its session a client got, as a notification says.
fn seq(line: &str) -> u64 {
    let value: Value = serde_json::from_str(line).unwrap();
    value["params"]["seq"].as_u64().unwrap_or_default()
}
