//! The world around bridges that follow one another: time, processes that hold sessions, and
//! clients that stay.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use drawbridge::bridge::restore::{Known, Pair, Record};
use drawbridge::bridge::{
    AgentId, Bridge, ChannelId, ClientId, Config, EarlierBridges, Effect, Environment,
    EnvironmentId, Event, Exit, ExitStatus, Moment, Notice,
};
use drawbridge::wire::{Frame, OutgoingFrame};
use serde_json::{Value, json};

use super::Story;
use super::agent::{Fails, Manners, Modes, Process, Store, answer, failure, modes, update};
use super::client::{Asked, Prompt, Seat, Session};

pub type Outcome = Result<(), String>;

/// A process, by the number of its bridge and its channel.
pub type Pid = (u64, ChannelId);

/// An event to come.
#[derive(Clone, Debug)]
enum Later {
    Says(Pid, Value),
    EndTurn(Pid, String, u64),
    Exit(Pid),
}

/// The world.
pub struct World {
    bridge: Bridge,
    config: Config,
    pub manners: Manners,
    pub now: u64,
    pub seats: BTreeMap<u8, Seat>,
    pub sessions: BTreeMap<String, Session>,
    pub prompts: BTreeMap<String, Prompt>,
    pub store: Store,
    pub processes: BTreeMap<Pid, Process>,
    /// The number of the bridge.
    bridges: u64,
    events: VecDeque<Event>,
    agenda: BTreeMap<(u64, u64), Later>,
    entries: u64,
    clients: u64,
    pub words: u64,
    pairs: Vec<Pair>,
    /// The experience with the one version of the agent.
    experience: Option<Record>,
    /// Whether the agents take too much memory.
    pub is_heavy: bool,
    /// Whether the agents do from now on what they should.
    pub is_good: bool,
    /// The sessions that an agent has refused to bring back, or lost.
    pub excused: BTreeSet<String>,
}

impl World {
    pub fn new(story: &Story) -> Result<World, String> {
        let mut world = World {
            bridge: Bridge::new(story.config.clone()),
            config: story.config.clone(),
            manners: story.manners,
            now: 1_000,
            seats: (0..3).map(|seat| (seat, Seat::default())).collect(),
            sessions: BTreeMap::new(),
            prompts: BTreeMap::new(),
            store: Store::default(),
            processes: BTreeMap::new(),
            bridges: 0,
            events: VecDeque::new(),
            agenda: BTreeMap::new(),
            entries: 0,
            clients: 0,
            words: 0,
            pairs: Vec::new(),
            experience: None,
            is_heavy: false,
            is_good: false,
            excused: BTreeSet::new(),
        };
        world.connect(0)?;
        Ok(world)
    }

    /// Somebody comes to a seat, or its connection finds another bridge.
    pub fn connect(&mut self, seat: u8) -> Outcome {
        self.clients += 1;
        let client = ClientId(self.clients);
        self.seat(seat).client = Some(client);
        let (agent, environment) = (AgentId(0), Environment::empty(EnvironmentId(0)));
        let cwd = "/work".to_owned();
        self.event(Event::ClientConnected { client, agent, environment, cwd })?;
        let params = json!({
            "protocolVersion": 1,
            "clientCapabilities": { "_meta": { "drawbridge": { "events": true } } },
        });
        self.request(seat, Asked::Initialize, "initialize", &params)
    }

    pub fn seat(&mut self, seat: u8) -> &mut Seat {
        self.seats.entry(seat).or_default()
    }

    /// A client asks for something.
    pub fn request(&mut self, seat: u8, asked: Asked, method: &str, params: &Value) -> Outcome {
        self.words += 1;
        let id = self.words;
        let row = self.seat(seat);
        let Some(client) = row.client else { return Ok(()) };
        row.waits.insert(id, asked);
        let line = json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params });
        let frame = Frame::parse(line.to_string().into());
        self.event(Event::ClientFrame { client, frame })
    }

    pub fn notify(&mut self, seat: u8, method: &str, params: &Value) -> Outcome {
        let Some(client) = self.seat(seat).client else { return Ok(()) };
        let line = json!({ "jsonrpc": "2.0", "method": method, "params": params });
        let frame = Frame::parse(line.to_string().into());
        self.event(Event::ClientFrame { client, frame })
    }

    /// Something happens, and everything that follows from it at once.
    pub fn event(&mut self, event: Event) -> Outcome {
        self.events.push_back(event);
        self.settle()
    }

    fn settle(&mut self) -> Outcome {
        while let Some(event) = self.events.pop_front() {
            self.bridge.handle(Moment::from_millis(self.now), event);
            self.after()?;
        }
        Ok(())
    }

    /// Time passes.
    pub fn wait(&mut self, millis: u64) -> Outcome {
        let target = self.now + millis;
        let mut again = 0;
        loop {
            let due = self.agenda.first_key_value().map(|((at, _), _)| *at);
            let wanted = self.bridge.poll_timeout().map(Moment::as_millis);
            let is_due = due.is_some_and(|due| wanted.is_none_or(|at| due <= at));
            let Some(at) = (if is_due { due } else { wanted }).filter(|at| *at <= target) else {
                break;
            };
            again = if at > self.now { 0 } else { again + 1 };
            if again > 1_000 {
                // The core wants to be woken for nothing.
                return Err("woken again and again".to_owned());
            }
            self.now = self.now.max(at);
            if let Some((_, later)) = is_due.then(|| self.agenda.pop_first()).flatten() {
                self.comes_due(later);
            } else {
                self.bridge.handle_timeout(Moment::from_millis(self.now));
                self.after()?;
            }
            self.settle()?;
        }
        self.now = target;
        Ok(())
    }

    fn later(&mut self, millis: u64, what: Later) {
        self.entries += 1;
        self.agenda.insert((self.now + millis, self.entries), what);
    }

    fn comes_due(&mut self, later: Later) {
        match later {
            Later::Says(pid, line) => self.says(pid, &line),
            Later::EndTurn(pid, id, call) => self.end_turn(pid, &id, call, "end_turn"),
            Later::Exit(pid) => self.exit(pid, 0),
        }
    }

    /// A process says a line, if it is still there.
    fn says(&mut self, pid: Pid, line: &Value) {
        if self.processes.contains_key(&pid) && pid.0 == self.bridges {
            let frame = Frame::parse(line.to_string().into());
            self.events.push_back(Event::ChannelFrame { channel: pid.1, frame });
        }
    }

    fn end_turn(&mut self, pid: Pid, id: &str, call: u64, reason: &str) {
        let Some(process) = self.processes.get_mut(&pid) else { return };
        let Some(turns) = process.turns.get_mut(id) else { return };
        let Some(place) = turns.iter().position(|(of, _)| *of == call) else { return };
        let (_, word) = turns.remove(place);
        let said = self.store.say(id);
        self.says(pid, &said);
        let result = json!({ "stopReason": reason, "_meta": { "word": word } });
        self.says(pid, &answer(&call.into(), &result));
    }

    /// A process is gone.
    pub fn exit(&mut self, pid: Pid, code: i32) {
        if self.processes.remove(&pid).is_none() {
            return;
        }
        if pid.0 == self.bridges {
            let status = ExitStatus::Code(code);
            let exit = Exit { status, stderr_tail: String::new(), half_line: 0 };
            self.events.push_back(Event::ChannelExited { channel: pid.1, exit });
        } else if self.processes.keys().all(|(bridge, _)| *bridge == self.bridges) {
            self.events.push_back(Event::EarlierBridges(EarlierBridges::default()));
        }
    }

    /// The bridge is gone, and another one comes; its agents live on for a while.
    pub fn die(&mut self, millis: u64) -> Outcome {
        self.events.clear();
        self.bridge = Bridge::new(self.config.clone());
        self.bridges += 1;
        let old: Vec<Pid> = self.processes.keys().copied().collect();
        let are_ending = !old.is_empty();
        self.event(Event::EarlierBridges(EarlierBridges { are_ending, held: Vec::new() }))?;
        old.into_iter().for_each(|pid| self.later(millis, Later::Exit(pid)));
        let pairs = self.pairs.clone();
        self.event(Event::Pairs { agent: AgentId(0), pairs })?;
        let there: Vec<u8> = self.seats.keys().copied().collect();
        for seat in there {
            let row = self.seat(seat);
            if row.client.is_none() {
                continue;
            }
            // The connection has answered every request with the loss.
            row.waits.clear();
            let kept = std::mem::take(&mut row.kept);
            let has = row.has.clone();
            self.connect(seat)?;
            if let Some(without) = has.iter().find(|id| !kept.contains_key(*id)) {
                return Err(format!("the connection of seat {seat} does not keep {without}"));
            }
            let texts = kept.iter().map(|(id, text)| text.clone().unwrap_or_else(|| id.clone()));
            let sessions = texts.collect();
            self.seat(seat).kept = kept.clone();
            let gone = kept.iter().filter(|(_, text)| text.is_none()).map(|(id, _)| id.clone());
            self.excused.extend(gone);
            if let Some(client) = self.seats[&seat].client {
                self.event(Event::Adopted { client, sessions })?;
            }
        }
        Ok(())
    }

    fn after(&mut self) -> Outcome {
        while let Some(effect) = self.bridge.poll_effect() {
            let told = format!("{effect:?}");
            self.perform(effect).map_err(|what| format!("{told}: {what}"))?;
        }
        self.bridge.check()
    }

    fn seat_of(&self, client: ClientId) -> Option<u8> {
        let seat = self.seats.iter().find(|(_, row)| row.client == Some(client));
        seat.map(|(seat, _)| *seat)
    }

    fn perform(&mut self, effect: Effect) -> Outcome {
        match effect {
            Effect::Spawn { channel, .. } => {
                self.processes.insert((self.bridges, channel), Process::default());
                self.events.push_back(Event::ChannelSpawned { channel, pid: 7 });
            }
            Effect::ToChannel { channel, frame } => return self.agent_hears(channel, &frame),
            Effect::ToClient { client, frame, .. } => {
                let Some(seat) = self.seat_of(client) else { return Ok(()) };
                let bytes = frame.to_bytes();
                let mut lines = bytes.split(|byte| *byte == b'\n');
                return lines.try_for_each(|line| self.client_hears(seat, line));
            }
            Effect::Keep { client, session, keepsake, .. } => {
                let text = keepsake.map(|kept| kept.text());
                if let Some(seat) = self.seat_of(client) {
                    self.seat(seat).kept.insert(session.into(), text);
                }
            }
            Effect::Forget { client, session, .. } => {
                if let Some(seat) = self.seat_of(client) {
                    self.seat(seat).kept.remove(&*session);
                }
            }
            Effect::RememberPair { pair, .. } => {
                let row = self.sessions.get_mut(&*pair.known_as).ok_or("nobody opened it")?;
                row.agent_id = pair.agent_id.to_string();
                self.pairs.push(pair);
            }
            Effect::Experienced { record, .. } => {
                self.experience.get_or_insert_default().add(record);
            }
            Effect::Recall { agent, version } => {
                let known = |learned| Known { learned, ..Known::default() };
                let known = self.experience.map(known);
                self.events.extend(known.map(|known| Event::Recalled { agent, version, known }));
            }
            Effect::LookForEditor(client) => {
                self.events.push_back(Event::EditorSeen { client, lives: false });
            }
            Effect::CloseStdin(channel) => {
                let pid = (self.bridges, channel);
                if let Some(process) = self.processes.get_mut(&pid) {
                    process.is_ending = true;
                }
                self.later(self.manners.exit_millis, Later::Exit(pid));
            }
            Effect::Survey(channel) => {
                let processes = Some(Vec::new());
                self.events.push_back(Event::Surveyed { channel, processes, worked: None });
            }
            Effect::Weigh => {
                let bytes = if self.is_heavy { 200 << 20 } else { 0 };
                self.events.push_back(Event::Weighed { bytes, stalls: false });
            }
            Effect::Publish(Notice::RestoreDistrusted { .. }) => {
                let may =
                    self.manners.fails == Fails::Loses || self.manners.modes == Modes::Refused;
                self.excused.extend(self.sessions.keys().cloned());
                return if may { Ok(()) } else { Err("it has refused nothing".to_owned()) };
            }
            Effect::DropClient { .. } | Effect::Exit { .. } => return Err("why?".to_owned()),
            _ => {}
        }
        Ok(())
    }

    /// An agent gets a line.
    fn agent_hears(&mut self, channel: ChannelId, frame: &OutgoingFrame) -> Outcome {
        let line: Value = serde_json::from_slice(&frame.to_bytes()).map_err(|e| e.to_string())?;
        let pid = (self.bridges, channel);
        let Some(process) = self.processes.get_mut(&pid) else { return Ok(()) };
        let (id, params) = (&line["id"], &line["params"]);
        let session = params["sessionId"].as_str().unwrap_or_default().to_owned();
        let is_held = process.held.contains_key(&session);
        match line["method"].as_str() {
            Some("initialize") => {
                let mut of_sessions = json!({ "delete": {} });
                for (name, is_offered) in
                    [("close", self.manners.closes), ("resume", self.manners.resumes)]
                {
                    if is_offered {
                        of_sessions[name] = json!({});
                    }
                }
                let result = json!({
                    "protocolVersion": 1,
                    "agentInfo": { "name": "a", "version": "1" },
                    "agentCapabilities": {
                        "loadSession": self.manners.loads, "sessionCapabilities": of_sessions,
                    },
                });
                self.says(pid, &answer(id, &result));
            }
            Some("session/new") => {
                let opened = self.store.open();
                let mode = self.store.sessions[&opened].mode.clone();
                let result = json!({ "sessionId": opened, "modes": modes(&mode) });
                self.process(pid)?.held.insert(opened, mode);
                self.later(self.open_millis(), Later::Says(pid, answer(id, &result)));
            }
            Some(method @ ("session/load" | "session/resume")) => {
                return self.restores(pid, method, id, &session);
            }
            Some("session/prompt") if is_held => return self.is_prompted(pid, &line, &session),
            Some("session/set_mode") if is_held => {
                let mode = params["modeId"].as_str().unwrap_or_default().to_owned();
                let of = params["_meta"]["of"].as_str();
                if of.is_none() && self.manners.modes == Modes::Refused && !self.is_good {
                    self.says(pid, &failure(id, -32603));
                    return Ok(());
                }
                process.held.insert(session.clone(), mode.clone());
                if let Some(stored) = self.store.sessions.get_mut(&session) {
                    stored.mode.clone_from(&mode);
                }
                if let Some(row) = of.and_then(|of| self.sessions.get_mut(of)) {
                    row.mode = mode;
                }
                self.says(pid, &answer(id, &json!({})));
            }
            Some("session/cancel") => {
                let turns = process.turns.get(&session).cloned().unwrap_or_default();
                turns.iter().for_each(|(call, _)| self.end_turn(pid, &session, *call, "cancelled"));
            }
            Some("session/close") => {
                process.held.remove(&session);
                process.turns.remove(&session);
                self.says(pid, &answer(id, &json!({})));
            }
            Some("session/delete") => {
                process.held.remove(&session);
                self.store.sessions.remove(&session);
                self.says(pid, &answer(id, &json!({})));
            }
            Some(method) if !id.is_null() => {
                let code = if is_held { -32601 } else { -32002 };
                self.says(pid, &failure(id, code));
                // A client may write about one that it has just deleted.
                let is_gone = !self.store.sessions.contains_key(&session);
                let is_known = !method.starts_with("session/") || is_held || is_gone;
                return if is_known { Ok(()) } else { Err("it does not hold that".to_owned()) };
            }
            _ => {}
        }
        Ok(())
    }

    fn process(&mut self, pid: Pid) -> Result<&mut Process, String> {
        self.processes.get_mut(&pid).ok_or_else(|| "the process is gone".to_owned())
    }

    fn open_millis(&self) -> u64 {
        if self.is_good { 0 } else { self.manners.open_millis }
    }

    /// An agent restores a session: no other process may hold it.
    fn restores(&mut self, pid: Pid, method: &str, id: &Value, session: &str) -> Outcome {
        let others = self.processes.iter().filter(|(other, _)| **other != pid);
        if let Some((other, _)) = others.into_iter().find(|(_, it)| it.held.contains_key(session)) {
            return Err(format!("{other:?} holds it, too"));
        }
        let fails = !self.is_good && self.manners.fails != Fails::Never && self.store.is_next_bad();
        match self.manners.fails {
            _ if !self.store.has_record(session) => {
                self.says(pid, &failure(id, -32002));
                return Ok(());
            }
            Fails::Dies if fails => {
                self.exit(pid, 3);
                return Ok(());
            }
            Fails::WantsLogin if fails => {
                self.says(pid, &failure(id, -32000));
                return Ok(());
            }
            Fails::Loses if fails => {
                self.store.sessions.remove(session);
                let known_as = self.sessions.iter().find(|(_, row)| row.agent_id == session);
                let known_as = known_as.map(|(id, _)| id.clone());
                self.excused.extend(known_as);
                self.says(pid, &failure(id, -32002));
                return Ok(());
            }
            _ => {}
        }
        let stored = self.store.sessions[session].clone();
        let is_there = self.processes[&pid].held.get(session).cloned();
        let mode = match (is_there, self.manners.modes) {
            (Some(mode), _) => mode,
            (None, Modes::Kept) => stored.mode,
            (None, _) => super::agent::FIRST_MODE.to_owned(),
        };
        let result = match self.manners.modes {
            Modes::Silent => json!({}),
            _ => json!({ "modes": modes(&mode) }),
        };
        self.process(pid)?.held.insert(session.to_owned(), mode);
        let (opens, said) = (self.open_millis(), Later::Says(pid, answer(id, &result)));
        let mut replay: Vec<Later> = Vec::new();
        if method == "session/load" {
            let lines = stored.texts.iter().map(|text| update(session, text));
            replay.extend(lines.map(|line| Later::Says(pid, line)));
        }
        if self.manners.is_late {
            self.later(opens, said);
            for (place, line) in replay.into_iter().enumerate() {
                self.later(opens + 20 * (1 + place as u64), line);
            }
        } else {
            replay.into_iter().for_each(|line| self.later(opens, line));
            self.later(opens, said);
        }
        Ok(())
    }

    /// A prompt reaches an agent: once, in order, and in the mode that its session has.
    fn is_prompted(&mut self, pid: Pid, line: &Value, session: &str) -> Outcome {
        let word = line["params"]["prompt"][0]["text"].as_str().unwrap_or_default().to_owned();
        let call = line["id"].as_u64().ok_or("its id is no number")?;
        let prompt = self.prompts.get_mut(&word).ok_or("nobody wrote that")?;
        if std::mem::replace(&mut prompt.has_arrived, true) {
            return Err("it has arrived before".to_owned());
        }
        let row = self.sessions.get_mut(&prompt.session).ok_or("nobody opened that")?;
        let number: u64 = word[1..].parse().map_err(|_| "it has no number")?;
        let last = row.reached.insert(prompt.seat, number);
        if last.is_some_and(|last| last > number) {
            return Err(format!("p{last:?} came before it"));
        }
        let process = self.processes.get_mut(&pid).ok_or("the process is gone")?;
        if process.held[session] != row.mode {
            return Err(format!("it is in {}, not in {}", process.held[session], row.mode));
        }
        process.turns.entry(session.to_owned()).or_default().push((call, word.clone()));
        if let Some(stored) = self.store.sessions.get_mut(session) {
            stored.texts.push(word);
        }
        let said = self.store.say(session);
        self.says(pid, &said);
        self.later(self.manners.turn_millis, Later::EndTurn(pid, session.to_owned(), call));
        Ok(())
    }
}
