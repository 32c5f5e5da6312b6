//! The world around a bridge: processes, connections, and time.
//!
//! What a peer writes stands in a pipe of its own and arrives in its order,
//! the end of the peer behind its last frame; which pipe is read next, when
//! several have something, the history's seed decides. Time jumps to the next
//! thing that happens. Everything that goes in and comes out passes the
//! [`Model`], and the bridge is checked after every event.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use drawbridge::bridge::{
    AgentId, Bridge, ChannelId, ClientId, Config, Effect, Environment, EnvironmentId, Event, Exit,
    Moment, Process, ShutdownCause,
};
use drawbridge::wire::{Frame, Method};

use super::agent::{Agent, Output, nth};
use super::client::{Client, Wish, reply};
use super::history::{History, Manners};
use super::model::Model;
use super::sights::Sight;

/// More turns than any history needs.
const TOO_MANY_TURNS: usize = 200_000;

/// What a run showed.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// The things that happened.
    pub sights: BTreeSet<Sight>,
    /// How many events the bridge was given.
    pub events: usize,
}

type Outcome = Result<(), String>;
type Pipe = VecDeque<(u64, Event)>;

/// Whose turn it is.
#[derive(Clone, Copy)]
enum Next {
    Process(ChannelId),
    Channel(ChannelId),
    Client(ClientId),
    Deadline,
}

/// The world.
pub struct World {
    bridge: Bridge,
    pub(super) model: Model,
    config: Config,
    now: u64,
    dice: u64,
    lag: u64,
    obliging: bool,
    manners: Vec<Manners>,
    pub(super) agents: BTreeMap<ChannelId, Agent>,
    outputs: BTreeMap<ChannelId, Pipe>,
    pub(super) clients: BTreeMap<ClientId, Client>,
    inputs: BTreeMap<ClientId, Pipe>,
    paused: BTreeSet<ChannelId>,
    /// Every session id that a client ever saw.
    pub(super) names: Vec<String>,
    /// The directory of each.
    pub(super) directories: BTreeMap<String, String>,
    started: usize,
    connected: u64,
    marks: u64,
    pub(super) spawn_fails: bool,
    exit_overtakes: bool,
    narrates: bool,
    /// How often in a row the bridge wanted to be woken again at once.
    woken_again: u32,
    ready: Vec<Next>,
    seen: Seen,
}

/// Runs a history; says what went wrong, and when.
pub fn run(history: &History) -> Result<Seen, String> {
    World::new(history).run(history)
}

/// The same, telling what goes in and out.
pub fn narrate(history: &History) -> Result<Seen, String> {
    let mut world = World::new(history);
    world.narrates = true;
    world.run(history)
}

/// The same, with a runtime that reports an exit before the frames that precede it.
#[cfg(feature = "seeded-bugs")]
pub fn run_with_hasty_exits(history: &History) -> Result<Seen, String> {
    let mut world = World::new(history);
    world.exit_overtakes = true;
    world.run(history)
}

impl World {
    fn new(history: &History) -> Self {
        World {
            bridge: Bridge::new(history.config.clone()),
            model: Model::new(history.config.clone()),
            config: history.config.clone(),
            now: 1_000,
            dice: history.seed,
            lag: history.lag,
            obliging: history.obliging,
            manners: history.agents.clone(),
            agents: BTreeMap::new(),
            outputs: BTreeMap::new(),
            clients: BTreeMap::new(),
            inputs: BTreeMap::new(),
            paused: BTreeSet::new(),
            names: Vec::new(),
            directories: BTreeMap::new(),
            started: 0,
            connected: 0,
            marks: 0,
            spawn_fails: false,
            exit_overtakes: false,
            narrates: false,
            woken_again: 0,
            ready: Vec::new(),
            seen: Seen::default(),
        }
    }

    fn run(mut self, history: &History) -> Result<Seen, String> {
        for _ in 0..history.clients {
            self.connect();
        }
        for (place, step) in history.steps.iter().enumerate() {
            if self.model.is_over() {
                break;
            }
            let pause = self.roll(2);
            let then = self.now + pause;
            self.take(step)
                .and_then(|()| self.run_until(then))
                .map_err(|what| format!("at {} ms, step {place} {step:?}: {what}", self.now))?;
        }
        self.finish().map_err(|what| format!("at {} ms, at the end: {what}", self.now))?;
        self.seen.sights = self.model.sights();
        Ok(self.seen)
    }

    /// Ends the bridge if no step did, and waits for it.
    fn finish(&mut self) -> Outcome {
        if !self.model.is_ending() {
            self.event(Event::Shutdown(ShutdownCause::Signal("SIGTERM")))?;
        }
        let bound = self.config.limits.shutdown_timeout + 1_000;
        for _ in 0..bound / 10 {
            if self.model.is_over() {
                return self.model.ended(self.now);
            }
            self.run_until(self.now + 10)?;
        }
        Err("the bridge does not end".to_owned())
    }

    /// A number below `sides`.
    fn roll(&mut self, sides: u64) -> u64 {
        self.dice = self.dice.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.dice;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % sides
    }

    /// Lets everything happen that happens until `target`.
    pub(super) fn run_until(&mut self, target: u64) -> Outcome {
        for _ in 0..TOO_MANY_TURNS {
            if self.model.is_over() {
                self.now = target;
                return Ok(());
            }
            let soonest = self.look_around();
            if self.ready.is_empty() {
                if soonest > target {
                    self.now = self.now.max(target);
                    return Ok(());
                }
                self.now = soonest;
                continue;
            }
            let place = self.roll(self.ready.len() as u64) as usize;
            match self.ready[place] {
                Next::Process(channel) => self.act(channel),
                Next::Channel(channel) => {
                    let next = self.outputs.get_mut(&channel).and_then(Pipe::pop_front);
                    self.event(next.map(|(_, event)| event).ok_or("an empty pipe")?)?;
                }
                Next::Client(client) => {
                    let next = self.inputs.get_mut(&client).and_then(Pipe::pop_front);
                    self.event(next.map(|(_, event)| event).ok_or("an empty pipe")?)?;
                }
                Next::Deadline => self.timeout()?,
            }
        }
        Err("the bridge and its world go round and round".to_owned())
    }

    /// Collects what can happen now; gives back when something can.
    fn look_around(&mut self) -> u64 {
        self.ready.clear();
        let mut soonest = u64::MAX;
        let (now, ready) = (self.now, &mut self.ready);
        let mut note = |at: u64, next: Next| {
            soonest = soonest.min(at);
            if at <= now {
                ready.push(next);
            }
        };
        for (channel, agent) in &self.agents {
            if let Some(at) = agent.due() {
                note(at, Next::Process(*channel));
            }
        }
        for (channel, pipe) in &self.outputs {
            if let Some((at, _)) = pipe.front().filter(|_| !self.paused.contains(channel)) {
                note(*at, Next::Channel(*channel));
            }
        }
        for (client, pipe) in &self.inputs {
            if let Some((at, _)) = pipe.front() {
                note(*at, Next::Client(*client));
            }
        }
        if let Some(at) = self.bridge.poll_timeout() {
            note(at.as_millis().saturating_add(self.lag), Next::Deadline);
        }
        soonest
    }

    /// A process does what it has to do next.
    fn act(&mut self, channel: ChannelId) {
        let Some(output) = self.agents.get_mut(&channel).and_then(|agent| agent.act(self.now))
        else {
            return;
        };
        match output {
            Output::Says(draft) => {
                let number = self.model.written(channel, draft.about);
                let text = format!(r#"{{"jsonrpc":"2.0",{},"n":{number}}}"#, draft.body);
                let frame = Frame::parse(text.into());
                self.put_out(channel, Event::ChannelFrame { channel, frame });
            }
            Output::Raves(line) => {
                let frame = Frame::parse(line.into());
                self.put_out(channel, Event::ChannelFrame { channel, frame });
            }
            Output::Exits(status) => {
                self.agents.remove(&channel);
                let half_line = self.roll(2) * 5;
                let exit = Exit { status, stderr_tail: "last words".to_owned(), half_line };
                self.put_out(channel, Event::ChannelExited { channel, exit });
                if self.exit_overtakes {
                    self.outputs.entry(channel).or_default().rotate_right(1);
                }
            }
        }
    }

    fn put_out(&mut self, channel: ChannelId, event: Event) {
        let at = self.now + self.roll(3);
        push(self.outputs.entry(channel).or_default(), at, event);
    }

    /// A client writes something.
    pub(super) fn put_in(&mut self, client: ClientId, event: Event) {
        let at = self.now + self.roll(3);
        push(self.inputs.entry(client).or_default(), at, event);
    }

    /// A client writes a line.
    pub(super) fn line(&mut self, client: ClientId, text: String) {
        let frame = Frame::parse(text.into());
        self.put_in(client, Event::ClientFrame { client, frame });
    }

    /// A client connects and initializes.
    pub(super) fn connect(&mut self) -> Option<ClientId> {
        if self.clients.len() >= 4 {
            return None;
        }
        self.connected += 1;
        let client = ClientId(self.connected);
        self.clients.insert(client, Client::default());
        let cwd = format!("/home/{}", self.connected % 2);
        let (agent, environment) = (AgentId(0), Environment::empty(EnvironmentId(0)));
        self.put_in(client, Event::ClientConnected { client, agent, environment, cwd });
        self.initialize(client);
        Some(client)
    }

    pub(super) fn initialize(&mut self, client: ClientId) {
        // Most clients are alike, so that they get the same processes.
        let read = client.0 % 4 < 3;
        let params = format!(
            r#""protocolVersion":1,"clientCapabilities":{{"subagents":{{}},"fs":{{"readTextFile":{read}}}}},"clientInfo":{{"name":"one"}}"#
        );
        self.request(client, Method::Initialize.name(), None, &params);
    }

    /// A client asks for something. `params` are more of them, without braces.
    pub(super) fn request(
        &mut self,
        client: ClientId,
        method: &str,
        session: Option<&str>,
        params: &str,
    ) {
        let Some(row) = self.clients.get_mut(&client) else { return };
        let token = row.token();
        let cwd = params.split_once(r#""cwd":""#).and_then(|(_, rest)| rest.split_once('"'));
        let cwd = cwd.map(|(cwd, _)| cwd.to_owned());
        let session_id = session.map(str::to_owned);
        let wish = Wish { method: Method::named(method), session: session_id, cwd };
        row.open.insert(token.clone(), wish);
        self.marks += 1;
        let params = with_session(session, params);
        let text = format!(
            r#"{{"jsonrpc":"2.0","id":{token},"method":"{method}","params":{{{params}}},"mark":{}}}"#,
            self.marks
        );
        self.line(client, text);
    }

    /// A client says something.
    pub(super) fn notify(
        &mut self,
        client: ClientId,
        method: &str,
        session: Option<&str>,
        params: &str,
    ) {
        self.marks += 1;
        let params = with_session(session, params);
        let text = format!(
            r#"{{"jsonrpc":"2.0","method":"{method}","params":{{{params}}},"mark":{}}}"#,
            self.marks
        );
        self.line(client, text);
    }

    /// Something happens to the bridge.
    pub(super) fn event(&mut self, event: Event) -> Outcome {
        self.seen.events += 1;
        if self.narrates {
            println!("{:>6} <- {event:?}", self.now);
        }
        let now = Moment::from_millis(self.now);
        self.model.happens(self.now, &event)?;
        self.bridge.handle(now, event);
        self.after()
    }

    /// The bridge's deadline is served.
    pub(super) fn timeout(&mut self) -> Outcome {
        self.seen.events += 1;
        if self.narrates {
            println!("{:>6} <- its deadline", self.now);
        }
        let now = Moment::from_millis(self.now);
        self.model.is_woken(self.now);
        self.bridge.handle_timeout(now);
        self.after()?;
        // What a clock that runs again makes due may be served in a step of its own.
        let again = self.bridge.poll_timeout().is_some_and(|at| at <= now);
        self.woken_again = if again { self.woken_again + 1 } else { 0 };
        if self.woken_again > 3 {
            return Err(format!("busy: after handle_timeout({now:?}) it wants another at once"));
        }
        match again {
            true => Ok(()),
            false => self.model.is_punctual(self.now),
        }
    }

    fn after(&mut self) -> Outcome {
        while let Some(effect) = self.bridge.poll_effect() {
            self.perform(effect)?;
        }
        self.model.settled(self.now)?;
        self.bridge.check()
    }

    fn perform(&mut self, effect: Effect) -> Outcome {
        if self.narrates {
            println!("{:>6} -> {effect:?}", self.now);
        }
        self.model.observe(self.now, &effect)?;
        match effect {
            Effect::Spawn { channel, .. } => {
                if std::mem::take(&mut self.spawn_fails) {
                    let error = "no such file".to_owned();
                    self.put_out(channel, Event::SpawnFailed { channel, error });
                    return Ok(());
                }
                let manners = self.manners[self.started % self.manners.len()].clone();
                self.started += 1;
                self.agents.insert(channel, Agent::new(manners, self.started));
                self.put_out(channel, Event::ChannelSpawned { channel, pid: 7 });
            }
            Effect::ToChannel { channel, frame } => {
                let frame = parsed(&frame)?;
                self.model.channel_gets(self.now, channel, &frame)?;
                if let Some(agent) = self.agents.get_mut(&channel) {
                    agent.hear(self.now, &frame);
                }
            }
            Effect::ToClient { client, lane, frame } => {
                let frame = parsed(&frame)?;
                self.model.is_in_its_lane(lane, &frame)?;
                self.model.client_gets(self.now, client, &frame)?;
                self.client_hears(client, &frame);
            }
            Effect::DropClient { client, .. } => {
                self.clients.remove(&client);
                self.inputs.remove(&client);
                self.model.client_gone(client);
            }
            Effect::CloseStdin(channel) => self.tell(channel, Agent::stdin_closed),
            Effect::Terminate(channel) => self.tell(channel, Agent::terminated),
            Effect::Kill(channel) => self.tell(channel, Agent::killed),
            Effect::Pause(channel) => drop(self.paused.insert(channel)),
            Effect::Resume(channel) => drop(self.paused.remove(&channel)),
            Effect::Survey(channel) => {
                let born = Moment::from_millis(self.now - self.now.min(self.roll(400)));
                let process = Process { pid: 8, name: "sleep".to_owned(), born };
                let processes = if self.roll(3) == 0 { vec![process] } else { vec![] };
                // Now and then it has worked, or nobody can tell.
                let worked = Some(self.roll(2)).filter(|_| self.roll(4) > 0);
                let processes = worked.map(|_| processes);
                self.put_out(channel, Event::Surveyed { channel, processes, worked });
            }
            Effect::Conceal { .. }
            | Effect::Fence { .. }
            | Effect::ForgetEnvironment(_)
            | Effect::LookForEditor(_)
            | Effect::NoteFiles(_)
            | Effect::Keep { .. }
            | Effect::Forget { .. }
            | Effect::Attached { .. }
            | Effect::Weigh
            | Effect::Recall { .. }
            | Effect::Experienced { .. }
            | Effect::RememberPair { .. }
            | Effect::NoAgent { .. }
            | Effect::Publish(_)
            | Effect::Exit { .. } => {}
        }
        Ok(())
    }

    fn tell(&mut self, channel: ChannelId, what: impl Fn(&mut Agent, u64)) {
        if let Some(agent) = self.agents.get_mut(&channel) {
            what(agent, self.now);
        }
    }

    fn client_hears(&mut self, client: ClientId, frame: &Frame) {
        let Some(row) = self.clients.get_mut(&client) else { return };
        let before = row.sessions.len();
        let token = String::from_utf8_lossy(frame.id().as_bytes()).into_owned();
        let cwd = row.open.get(&token).and_then(|wish| wish.cwd.clone());
        let home = format!("/home/{}", client.0 % 2);
        let question = row.hear(frame);
        if row.sessions.len() > before
            && let Some(id) = row.sessions.last()
        {
            self.directories.insert(id.clone(), cwd.unwrap_or(home));
            if !self.names.contains(id) {
                self.names.push(id.clone());
            }
        }
        if let Some(id) = question.filter(|_| self.obliging) {
            self.answer(client, id, 0);
        }
    }

    /// A client answers a question.
    pub(super) fn answer(&mut self, client: ClientId, id: u64, how: u8) {
        let Some(row) = self.clients.get_mut(&client) else { return };
        let Some(method) = row.questions.remove(&id) else { return };
        let text = reply(id, method, how);
        if how == 6 {
            self.line(client, text.clone());
        }
        self.line(client, text);
    }

    /// The session that a client means by a number: mostly one of its own.
    pub(super) fn session_of(&self, client: ClientId, which: u8) -> Option<String> {
        let own = &self.clients.get(&client)?.sessions;
        if which < 6 && !own.is_empty() {
            return nth(own.iter(), which).cloned();
        }
        nth(self.names.iter(), which).cloned()
    }

    pub(super) fn now(&self) -> u64 {
        self.now
    }
}

fn parsed(frame: &drawbridge::wire::OutgoingFrame) -> Result<Frame, String> {
    let bytes = frame.to_bytes();
    Frame::parse(bytes.clone()).map_err(|what| format!("it sends {bytes:?}: {what:?}"))
}

/// Behind everything that is in the pipe.
fn push(pipe: &mut Pipe, at: u64, event: Event) {
    let last = pipe.back().map_or(0, |(at, _)| *at);
    pipe.push_back((at.max(last), event));
}

fn with_session(session: Option<&str>, params: &str) -> String {
    match session {
        Some(id) if params.is_empty() => format!(r#""sessionId":"{id}""#),
        Some(id) => format!(r#""sessionId":"{id}",{params}"#),
        None => params.to_owned(),
    }
}
