//! A test stand for the core: it is driven in this process, without any I/O.
//!
//! There are one client, agents that answer all but prompts at once, and a clock that is set
//! by hand.

use std::hint::black_box;

use bytes::{Bytes, BytesMut};
use drawbridge::bridge::{
    AgentId, Bridge, ChannelId, ClientId, Config, Effect, Environment, EnvironmentId, Event, Moment,
};
use drawbridge::wire::{Frame, Method, OutgoingFrame};

/// The only client.
pub const CLIENT: ClientId = ClientId(1);

const INITIALIZED: &str =
    r#"{"protocolVersion":1,"agentCapabilities":{"sessionCapabilities":{"close":{}}}}"#;

/// The core, and what surrounds it.
#[derive(Debug)]
pub struct Stand {
    /// The core.
    pub bridge: Bridge,
    /// The time that the core is told.
    pub now: Moment,
    /// Every session and the channel that it is on.
    pub sessions: Vec<(ChannelId, String)>,
    /// Prompts that wait for their answer.
    pub prompts: Vec<(ChannelId, OutgoingFrame)>,
    requests: u64,
}

impl Stand {
    /// A bridge that has shaken hands with its client and its first agent.
    pub fn new(config: Config) -> Stand {
        let bridge = Bridge::new(config);
        let (sessions, prompts) = (Vec::new(), Vec::new());
        let mut stand = Stand { bridge, now: Moment::START, sessions, prompts, requests: 0 };
        stand.happens(Event::ClientConnected {
            client: CLIENT,
            agent: AgentId(0),
            environment: Environment::empty(EnvironmentId(0)),
            cwd: "/".to_owned(),
        });
        stand.ask("initialize", r#"{"protocolVersion":1,"clientCapabilities":{}}"#);
        stand
    }

    /// Opens `count` more sessions.
    pub fn open(&mut self, count: usize) {
        for _ in 0..count {
            self.ask("session/new", r#"{"cwd":"/","mcpServers":[]}"#);
        }
    }

    /// The line of a new request of the client, without its end; nothing is sent.
    pub fn request(&mut self, method: &str, params: &str) -> String {
        self.requests += 1;
        let id = self.requests;
        format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{params}}}"#)
    }

    fn ask(&mut self, method: &str, params: &str) {
        let line = self.request(method, params);
        self.happens(from_client(&line));
    }

    /// Hands an event to the core, and carries out the effects.
    pub fn happens(&mut self, event: Event) {
        self.bridge.handle(self.now, event);
        self.settle();
    }

    /// Carries out effects, agents' answers included, until there are none. Prompts are kept.
    pub fn settle(&mut self) {
        while let Some(effect) = self.bridge.poll_effect() {
            match effect {
                Effect::Spawn { channel, .. } => {
                    self.bridge.handle(self.now, Event::ChannelSpawned { channel, pid: 1 });
                }
                Effect::ToChannel { channel, frame } => self.agent_gets(channel, frame),
                other => drop(black_box(other)),
            }
        }
    }

    fn agent_gets(&mut self, channel: ChannelId, frame: OutgoingFrame) {
        let Ok(request) = Frame::parse(frame.to_bytes()) else { return };
        let result = match request.method {
            Method::Initialize => INITIALIZED.to_owned(),
            Method::SessionNew => {
                let session = format!("session-{}", self.sessions.len());
                let result = format!(r#"{{"sessionId":"{session}"}}"#);
                self.sessions.push((channel, session));
                result
            }
            Method::SessionPrompt => return self.prompts.push((channel, frame)),
            _ => "{}".to_owned(),
        };
        let id = request.id();
        let id = String::from_utf8_lossy(id.as_bytes());
        let answer = format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#);
        self.bridge.handle(self.now, from_agent(channel, &answer));
    }

    /// Takes all prompts that wait, and returns their answers.
    pub fn answers(&mut self) -> Vec<(ChannelId, String)> {
        let answer = |(channel, frame): (ChannelId, OutgoingFrame)| {
            let prompt = Frame::parse(frame.to_bytes()).ok()?;
            let id = String::from_utf8_lossy(prompt.id().as_bytes()).into_owned();
            let result = r#"{"stopReason":"end_turn"}"#;
            Some((channel, format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#)))
        };
        self.prompts.drain(..).filter_map(answer).collect()
    }
}

/// The event of a line of the client.
pub fn from_client(line: &str) -> Event {
    Event::ClientFrame { client: CLIENT, frame: Frame::parse(read(line)) }
}

/// The event of a line of an agent.
pub fn from_agent(channel: ChannelId, line: &str) -> Event {
    Event::ChannelFrame { channel, frame: Frame::parse(read(line)) }
}

/// The bytes of a line as a reader has them: a part of a larger piece of memory.
fn read(line: &str) -> Bytes {
    let mut piece = BytesMut::from(line);
    piece.split().freeze()
}
