//! The world around a bridge with many clients: seats for clients, polite agents, and time.
//!
//! Everything that a client gets is judged when it comes; the things that it must have got, at
//! the end of a step.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use drawbridge::bridge::config::PermissionPolicy;
use drawbridge::bridge::{
    AgentId, Bridge, ChannelId, ClientId, Config, Effect, EndReason, Environment, EnvironmentId,
    Event, Exit, ExitStatus, Lane, Limit, Moment, Notice,
};
use drawbridge::wire::{Frame, OutgoingFrame};
use serde_json::{Value, json};

use super::conversation::{Conversation, Item, Turn};
use crate::runs::run;

pub type Outcome = Result<(), String>;

/// The place of a client, where one after the other sits.
#[derive(Default)]
pub struct Seat {
    /// The client that is connected.
    pub client: Option<ClientId>,
    pub slow_since: Option<u64>,
    /// The last number that the person at this seat has seen, by conversation; it outlives a
    /// connection.
    pub seen: BTreeMap<String, u64>,
}

/// An update that a client got in this step.
#[derive(Clone, Debug)]
pub struct Update {
    pub text: String,
    pub is_mode: bool,
}

/// The world.
pub struct World {
    bridge: Bridge,
    pub config: Config,
    pub now: u64,
    pub seats: BTreeMap<u8, Seat>,
    pub conversations: BTreeMap<String, Conversation>,
    pub paused: BTreeSet<ChannelId>,
    events: VecDeque<Event>,
    clients: u64,
    opened: u64,
    pub words: u64,
    /// What the clients got in this step.
    pub updates: BTreeMap<u8, Vec<Update>>,
    pub answers: BTreeMap<(u8, u64), Value>,
    /// What reached an agent in this step.
    pub reached: Vec<(ChannelId, Value)>,
    /// The client that is about to be attached.
    pub joining: Option<(u8, String)>,
    /// The conversation that a client loads, and that had ended.
    pub reviving: Option<String>,
}

/// The seat whose clients do not read files.
pub const UNABLE: u8 = 4;

/// The text in place of what a ring does not have any more.
pub const MISSING: &str = "(missing)";

impl World {
    pub fn new(config: &Config) -> World {
        World {
            bridge: Bridge::new(config.clone()),
            config: config.clone(),
            now: 1_000,
            seats: (0..=UNABLE).map(|seat| (seat, Seat::default())).collect(),
            conversations: BTreeMap::new(),
            paused: BTreeSet::new(),
            events: VecDeque::new(),
            clients: 0,
            opened: 0,
            words: 0,
            updates: BTreeMap::new(),
            answers: BTreeMap::new(),
            reached: Vec::new(),
            joining: None,
            reviving: None,
        }
    }

    /// Somebody comes to a seat.
    pub fn connect(&mut self, seat: u8) -> Outcome {
        self.clients += 1;
        let client = ClientId(self.clients);
        self.seats.entry(seat).or_default().client = Some(client);
        let (agent, environment) = (AgentId(0), Environment::empty(EnvironmentId(0)));
        let cwd = "/work".to_owned();
        self.event(Event::ClientConnected { client, agent, environment, cwd })?;
        let params = json!({
            "protocolVersion": 1,
            "clientCapabilities": {
                "fs": { "readTextFile": seat != UNABLE },
                // Half of the clients get updates as they are, and so in one piece.
                "_meta": { "drawbridge": { "events": true, "seq": seat % 2 == 1 } },
            },
        });
        let token = self.request(seat, "initialize", &params)?;
        self.result(seat, token).map(drop)
    }

    /// A client asks for something; returns the id of the request.
    pub fn request(&mut self, seat: u8, method: &str, params: &Value) -> Result<u64, String> {
        self.words += 1;
        let id = self.words;
        let line = json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params });
        self.client_says(seat, &line)?;
        Ok(id)
    }

    pub fn client_says(&mut self, seat: u8, line: &Value) -> Outcome {
        let Some(client) = self.seats[&seat].client else { return Err("nobody is there".into()) };
        let frame = Frame::parse(line.to_string().into());
        self.event(Event::ClientFrame { client, frame })
    }

    /// The result that a client got in this step.
    pub fn result(&self, seat: u8, token: u64) -> Result<Value, String> {
        let answer = self.answers.get(&(seat, token)).ok_or("it was not answered")?;
        match answer.get("result") {
            Some(result) => Ok(result.clone()),
            None => Err(format!("it was refused: {answer}")),
        }
    }

    pub fn agent_says(&mut self, channel: ChannelId, line: &Value) -> Outcome {
        let frame = Frame::parse(line.to_string().into());
        self.event(Event::ChannelFrame { channel, frame })
    }

    /// An agent says these texts about a conversation, one behind the other.
    pub fn agent_streams(&mut self, channel: ChannelId, id: &str, texts: &[String]) -> Outcome {
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        self.event(Event::ChannelRun { channel, run: run(id, &texts) })
    }

    /// Something happens, and everything that follows from it at once.
    pub fn event(&mut self, event: Event) -> Outcome {
        self.events.push_back(event);
        while let Some(event) = self.events.pop_front() {
            self.bridge.handle(Moment::from_millis(self.now), event);
            self.after()?;
        }
        Ok(())
    }

    /// Time passes.
    pub fn wait(&mut self, millis: u64) -> Outcome {
        let target = self.now + millis;
        while let Some(at) = self.bridge.poll_timeout().map(Moment::as_millis)
            && at <= target
        {
            self.now = self.now.max(at);
            self.bridge.handle_timeout(Moment::from_millis(self.now));
            self.after()?;
            while let Some(event) = self.events.pop_front() {
                self.bridge.handle(Moment::from_millis(self.now), event);
                self.after()?;
            }
        }
        self.now = target;
        Ok(())
    }

    fn after(&mut self) -> Outcome {
        while let Some(effect) = self.bridge.poll_effect() {
            let told = format!("{effect:?}");
            self.perform(effect).map_err(|what| format!("{told}: {what}"))?;
        }
        self.bridge.check()
    }

    fn perform(&mut self, effect: Effect) -> Outcome {
        match effect {
            Effect::Spawn { channel, .. } => {
                self.events.push_back(Event::ChannelSpawned { channel, pid: 7 });
            }
            Effect::ToChannel { channel, frame } => return self.agent_hears(channel, &frame),
            Effect::ToClient { client, lane, frame } => {
                let seat = self.seat_of(client)?;
                return self.client_hears(seat, lane, &frame);
            }
            Effect::Publish(Notice::ClientDropped { client }) => {
                let seat = self.seat_of(client)?;
                self.is_dropped(seat)?;
                self.leave(seat);
            }
            Effect::LookForEditor(client) => {
                self.events.push_back(Event::EditorSeen { client, lives: false });
            }
            Effect::CloseStdin(channel) => {
                let status = ExitStatus::Code(0);
                let exit = Exit { status, stderr_tail: String::new(), half_line: 0 };
                self.events.push_back(Event::ChannelExited { channel, exit });
            }
            Effect::Pause(channel) => drop(self.paused.insert(channel)),
            Effect::Resume(channel) => drop(self.paused.remove(&channel)),
            Effect::Publish(Notice::SessionEnded { id, reason, .. }) => {
                return self.ended(&id, reason);
            }
            _ => {}
        }
        Ok(())
    }

    fn seat_of(&self, client: ClientId) -> Result<u8, String> {
        let seat = self.seats.iter().find(|(_, seat)| seat.client == Some(client));
        seat.map(|(seat, _)| *seat).ok_or_else(|| format!("{client} is gone"))
    }

    /// A client is gone from its seat.
    pub fn leave(&mut self, seat: u8) {
        let row = self.seats.entry(seat).or_default();
        (row.client, row.slow_since) = (None, None);
        for conversation in self.conversations.values_mut() {
            conversation.goes(seat, self.now, false);
        }
    }

    /// A client is dropped: it has been slow, and others that are not share an agent with it.
    fn is_dropped(&self, seat: u8) -> Outcome {
        let Some(since) = self.seats[&seat].slow_since else {
            return Err("it is not slow".to_owned());
        };
        if self.now < since + 100 {
            return Err(format!("it has been slow since {since} ms only"));
        }
        let others = self.seats.iter().filter(|(other, _)| **other != seat);
        let mut quick = others.filter(|(_, row)| row.client.is_some() && row.slow_since.is_none());
        match quick.next() {
            Some(_) => Ok(()),
            None => Err("nobody else waits".to_owned()),
        }
    }

    /// A session ended.
    fn ended(&mut self, id: &str, reason: EndReason) -> Outcome {
        let (now, limits) = (self.now, self.config.limits.clone());
        let row = self.conversations.get_mut(id).ok_or("nobody opened it")?;
        row.is_live = false;
        let absent = row.absent.ok_or("clients are attached")?;
        let is_due = match (reason, absent) {
            (EndReason::LastClientDetached, (_, on_purpose)) => on_purpose,
            (EndReason::ClientLost, (since, _)) => {
                let is_over = matches!(limits.lost_client_timeout,
                    Limit::After(limit) if since + limit <= now);
                is_over && (!row.is_busy() || row.is_cancelled)
            }
            _ => false,
        };
        (row.turn, row.asks) = (None, Vec::new());
        (row.attached, row.participants) = (BTreeSet::new(), BTreeSet::new());
        match is_due {
            true => Ok(()),
            false => Err(format!("{} at {now} ms, absent since {absent:?}", reason.word())),
        }
    }

    /// An agent gets a line; polite as it is, it answers at once.
    fn agent_hears(&mut self, channel: ChannelId, frame: &OutgoingFrame) -> Outcome {
        let line: Value = serde_json::from_slice(&frame.to_bytes()).map_err(|e| e.to_string())?;
        self.reached.push((channel, line.clone()));
        let session = line["params"]["sessionId"].as_str().unwrap_or_default().to_owned();
        let result = match line["method"].as_str() {
            Some("initialize") => json!({
                "protocolVersion": 1,
                "agentCapabilities": {
                    "loadSession": true,
                    "sessionCapabilities": { "close": {}, "resume": {} },
                },
            }),
            Some("session/new") => {
                self.opened += 1;
                json!({ "sessionId": format!("c{}", self.opened) })
            }
            Some("session/load") => {
                let row = self.conversations.get_mut(&session).ok_or("it has no such session")?;
                if self.reviving.take_if(|id| *id == session).is_some() {
                    row.channel = channel;
                }
                let mode = row.mode.as_ref().map(|mode| mode_line(&session, &mode.text));
                let said = row.items.iter().map(|item| item_line(&session, item));
                for line in said.chain(mode).collect::<Vec<Value>>() {
                    self.put_out(channel, &line);
                }
                json!({})
            }
            Some("session/resume" | "session/close") => json!({}),
            Some("session/cancel") => {
                let row = self.conversations.get_mut(&session).ok_or("it has no such session")?;
                row.is_cancelled = true;
                let turn = row.turn.take();
                turn.into_iter().for_each(|turn| self.end_turn(channel, turn.call, "cancelled"));
                return Ok(());
            }
            None => return self.is_answered(channel, &line),
            _ => return Ok(()),
        };
        let answer = json!({ "jsonrpc": "2.0", "id": line["id"], "result": result });
        self.put_out(channel, &answer);
        Ok(())
    }

    fn put_out(&mut self, channel: ChannelId, line: &Value) {
        let frame = Frame::parse(line.to_string().into());
        self.events.push_back(Event::ChannelFrame { channel, frame });
    }

    pub fn end_turn(&mut self, channel: ChannelId, call: u64, reason: &str) {
        let result = json!({ "stopReason": reason });
        self.put_out(channel, &json!({ "jsonrpc": "2.0", "id": call, "result": result }));
    }

    /// An agent's question is answered.
    fn is_answered(&mut self, channel: ChannelId, line: &Value) -> Outcome {
        let id = line["id"].as_str().unwrap_or_default();
        let mut rows = self.conversations.values_mut().filter(|row| row.channel == channel);
        let found = rows.find_map(|row| {
            let place = row.asks.iter().position(|ask| ask.id == id)?;
            row.is_cancelled |= row.absent.is_some();
            Some(row.asks.remove(place))
        });
        found.map(drop).ok_or_else(|| format!("{id} is not open"))
    }

    /// A client gets a line.
    fn client_hears(&mut self, seat: u8, lane: Lane, frame: &OutgoingFrame) -> Outcome {
        // It may be several messages.
        let bytes = frame.to_bytes();
        let mut lines = bytes.split(|byte| *byte == b'\n');
        lines.try_for_each(|line| self.client_hears_line(seat, lane, line))
    }

    fn client_hears_line(&mut self, seat: u8, lane: Lane, line: &[u8]) -> Outcome {
        let line: Value = serde_json::from_slice(line).map_err(|e| e.to_string())?;
        if line["method"].is_null() {
            let token = line["id"].as_u64().ok_or("an answer without an id")?;
            self.answers.insert((seat, token), line);
            return Ok(());
        }
        let params = &line["params"];
        if line["method"] == "$/cancel_request" {
            let id = params["requestId"].as_u64();
            for row in self.conversations.values_mut() {
                row.asks.iter_mut().for_each(|ask| {
                    ask.shown.retain(|of, shown| *of != seat || Some(*shown) != id);
                });
            }
            return Ok(());
        }
        let id = params["sessionId"].as_str().ok_or("it names no conversation")?.to_owned();
        let row = self.conversations.get_mut(&id).ok_or("nobody opened that")?;
        if lane != Lane::Channel(row.channel) {
            return Err(format!("its conversation lives on {}", row.channel));
        }
        let is_joining = self.joining.as_ref() == Some(&(seat, id.clone()));
        if !row.attached.contains(&seat) && !is_joining {
            return Err("it is not attached to that".to_owned());
        }
        match line["method"].as_str() {
            Some("session/update") => {
                let update = &params["update"];
                let is_mode = update["sessionUpdate"] == "current_mode_update";
                let text =
                    if is_mode { &update["currentModeId"] } else { &update["content"]["text"] };
                let text = text.as_str().ok_or("it has no text")?.to_owned();
                let seq = params["_meta"]["drawbridge"]["seq"].as_u64();
                if text.trim_start().starts_with('(') {
                    let update = Update { text: MISSING.to_owned(), is_mode };
                    self.updates.entry(seat).or_default().push(update);
                    return Ok(());
                }
                row.numbered(&text, seq)?;
                if let Some(seq) = seq {
                    let seat = self.seats.entry(seat).or_default();
                    let seen = seat.seen.entry(id.clone()).or_default();
                    *seen = (*seen).max(seq);
                }
                self.updates.entry(seat).or_default().push(Update { text, is_mode });
                Ok(())
            }
            Some("_drawbridge/turn") => Ok(()),
            Some("fs/read_text_file" | "session/request_permission") => self.asked(seat, &line),
            _ => Err("nobody said that".to_owned()),
        }
    }

    /// A client is asked something: it may decide, and can answer.
    fn asked(&mut self, seat: u8, line: &Value) -> Outcome {
        let id = line["params"]["sessionId"].as_str().unwrap_or_default();
        let policy = self.config.agent.permission_policy;
        let client = self.seats[&seat].client;
        let is_joining = self.joining.as_ref().is_some_and(|(at, of)| *at == seat && of == id);
        let row = self.conversations.get_mut(id).ok_or("nobody opened that")?;
        let (is_permission, is_able) =
            (line["method"] == "session/request_permission", seat != UNABLE);
        // Another client than the one that prompted may sit there now.
        let is_there = |turn: &&Turn| {
            let seat = &self.seats[&turn.seat];
            seat.client == Some(turn.client) && row.attached.contains(&turn.seat)
        };
        let prompter = row.turn.as_ref().filter(is_there);
        let takes_part = row.participants.contains(&seat) || row.guests.contains(&seat);
        let has_participants = row.participants.iter().any(|seat| row.attached.contains(seat));
        let may_decide = match prompter {
            _ if policy == PermissionPolicy::All => true,
            Some(turn) => Some(turn.client) == client,
            // A question that nobody has waits for somebody who comes, too.
            None => takes_part || !has_participants && (row.turn.is_none() || is_joining),
        };
        if is_permission && !may_decide {
            return Err("it merely watches".to_owned());
        }
        // The only client of an agent of its own is asked as without a bridge.
        let is_alone = row.attached.len() <= 1 && row.is_of_unable;
        if !is_permission && !is_able && !is_alone {
            return Err("it cannot answer that".to_owned());
        }
        let ask = row.asks.iter_mut().find(|ask| line["params"]["ask"] == ask.id.as_str());
        let shown = line["id"].as_u64().ok_or("its id is no number")?;
        ask.ok_or("it is answered already")?.shown.insert(seat, shown);
        Ok(())
    }
}

/// What an agent says of an item.
pub fn item_line(id: &str, item: &Item) -> Value {
    let kind = if item.is_prompt { "user_message_chunk" } else { "agent_message_chunk" };
    let content = json!({ "type": "text", "text": item.text });
    let params =
        json!({ "sessionId": id, "update": { "sessionUpdate": kind, "content": content } });
    json!({ "jsonrpc": "2.0", "method": "session/update", "params": params })
}

/// What an agent says of its mode.
pub fn mode_line(id: &str, mode: &str) -> Value {
    let update = json!({ "sessionUpdate": "current_mode_update", "currentModeId": mode });
    let params = json!({ "sessionId": id, "update": update });
    json!({ "jsonrpc": "2.0", "method": "session/update", "params": params })
}
