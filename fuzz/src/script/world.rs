//! The core, and the promises that the runtime and the peers rely on.
//!
//! The world keeps the open requests of each peer and judges every effect by them:
//! an answer belongs to a request that is open, nothing is sent to a client that is
//! gone and only answers to a channel that is, and at the end no client is without
//! an answer. By the [`marks`](super::marks) it judges that a client reads only what
//! is for it.

use std::collections::BTreeMap;
use std::mem::take;

use drawbridge::bridge::{
    Bridge, ChannelId, ClientId, Config, Effect, Event, Exit, ExitStatus, Moment, Notice,
    ShutdownCause,
};
use drawbridge::wire::frame::Glimpse;
use drawbridge::wire::{Frame, FrameKind, Malformed, Method, OutgoingFrame, json};

use super::marks::{Here, Kind, Marks, messages_in, requests_in};
use super::open::{Entry, Open, wants_answer};
use super::words;

/// The most wake-ups in one wait; after them the rest of the time passes at once.
const MANY_WAKE_UPS: usize = 200;
/// How many requests behind an `initialize` the bridge must hold, in the eyes of a script.
const MANY_BEHIND: usize = 8;
/// The most ids of sub-agents that are remembered for clients to name.
const MANY_PASSING: usize = 8;

/// A client that is connected.
#[derive(Default)]
pub struct Client {
    pub open: Open,
    pub questions: Vec<Question>,
    /// Sessions that it has opened.
    pub sessions: Vec<String>,
    is_initialized: bool,
    /// Whether two of its open requests had the same id: then it is not known which of them
    /// an answer is for.
    reuses_ids: bool,
}

impl Client {
    fn asks(&mut self, mut entry: Entry) {
        let open = &mut self.open.entries;
        self.reuses_ids |= open.iter().any(|other| other.id == entry.id);
        if entry.method == Method::Initialize {
            open.iter_mut().for_each(|other| other.is_behind = false);
            // A second one that fails leaves the client without any.
            self.is_initialized = false;
        } else {
            let first = open.iter().filter(|other| other.method == Method::Initialize).count();
            let behind = open.iter().filter(|other| other.is_behind).count();
            // One that cannot be read is refused at once.
            let is_readable = !entry.name.is_empty();
            entry.is_behind = is_readable && first == 1 && behind < MANY_BEHIND;
        }
        open.push(entry);
    }

    /// Checks the answer to one of its requests: what is sent behind an `initialize` is not
    /// refused for that.
    fn hears(&self, entry: &Entry, frame: &Frame) {
        let waits = self.open.entries.iter().any(|open| open.method == Method::Initialize);
        let is_refused = entry.is_behind && frame.error_code() == Some(-32600);
        let is_served = waits || self.is_initialized;
        assert!(!(is_refused && is_served), "not held behind initialize: {frame:?}");
    }
}

/// A question that a client was asked.
#[derive(Clone, Copy)]
pub struct Question {
    pub id: u64,
    pub method: Method,
    /// Whether it asks for a connection to an MCP server.
    pub connects: bool,
    /// The number of its mark.
    pub mark: Option<usize>,
}

/// A request that an agent was sent.
#[derive(Clone, Debug)]
pub struct Sent {
    pub id: u64,
    pub method: Method,
    pub name: String,
    /// The number of the client's request that it is.
    pub asked: Option<usize>,
}

/// The request that an elicitation names, and so what its client must be shown.
pub enum Reference {
    /// The open request of a client with this number: its own id.
    Pending(usize),
    /// A request that was answered: `null`.
    Over,
    /// Anything else: as it is.
    Verbatim(&'static str),
}

/// A channel whose process the core has asked to start.
#[derive(Default)]
pub struct Channel {
    pub is_running: bool,
    pub is_gone: bool,
    pub is_leaving: bool,
    is_killed: bool,
    /// The bridge's requests that the agent has not answered.
    pub pending: Vec<Sent>,
    pub answered: Vec<u64>,
    /// Those of `answered` that were answered with a message.
    pub finished: Vec<u64>,
    pub open: Open,
    /// How many sessions the agent has counted.
    pub counted: usize,
}

/// The core and its peers.
pub struct World {
    bridge: Bridge,
    now: Moment,
    pub clients: BTreeMap<ClientId, Client>,
    pub channels: BTreeMap<ChannelId, Channel>,
    pub connected: u64,
    /// Session ids that clients were told.
    pub names: Vec<String>,
    /// Session ids that clients have only seen: those of sub-agents.
    pub passing: Vec<String>,
    pub marks: Marks,
    keeps_transcripts: bool,
    /// The parts of elicitations that clients must be shown, by the numbers of their marks.
    pub references: BTreeMap<usize, Reference>,
    pub is_ending: bool,
    survivors: Option<Vec<ChannelId>>,
    longest_end: u64,
}

impl World {
    pub fn new(config: Config) -> Self {
        World {
            longest_end: config.limits.shutdown_timeout + 1_000,
            keeps_transcripts: config.limits.replay_bytes > 0,
            bridge: Bridge::new(config),
            now: Moment::from_millis(1_000),
            clients: BTreeMap::new(),
            channels: BTreeMap::new(),
            connected: 0,
            names: Vec::new(),
            passing: Vec::new(),
            marks: Marks::default(),
            references: BTreeMap::new(),
            is_ending: false,
            survivors: None,
        }
    }

    /// Hands an event to the core, and judges its effects.
    pub fn event(&mut self, event: Event) {
        let ended = match &event {
            Event::SpawnFailed { channel, .. } | Event::ChannelExited { channel, .. } => {
                Some(*channel)
            }
            _ => None,
        };
        self.happens(&event);
        self.bridge.handle(self.now, event);
        self.collect();
        // The agent's requests may be answered in the step of its exit, not later.
        if let Some(channel) = ended {
            self.row(channel).open = Open::default();
        }
    }

    /// Notes in the rows of the peers what an event changes.
    fn happens(&mut self, event: &Event) {
        match event {
            Event::ClientConnected { client, .. } => {
                self.clients.insert(*client, Client::default());
            }
            Event::ClientFrame { client, frame } => {
                let Some(row) = self.clients.get_mut(client) else { return };
                match frame {
                    Ok(frame) if wants_answer(frame) => {
                        let mark = requests_in(frame.bytes()).first().copied();
                        row.asks(Entry::new(frame, mark));
                    }
                    Ok(_) => {}
                    // It may be an answer without a body.
                    Err(Malformed::NotMessage { id: Some(id) }) => row.open.perhaps(id.as_bytes()),
                    Err(
                        Malformed::TooLong { glimpse: Glimpse::Request(id), .. }
                        | Malformed::NotJson { glimpse: Glimpse::Request(id), .. },
                    ) => row.asks(Entry::unread(id.as_bytes())),
                    Err(Malformed::NotJson { glimpse: Glimpse::Answer(id), .. }) => {
                        row.open.perhaps(id.as_bytes());
                    }
                    Err(Malformed::NotJson { beginning, .. }) => {
                        row.open.line(beginning.as_bytes());
                    }
                    Err(Malformed::TooLong { .. }) => {}
                    // The client gets an error with the id `null`: the line was no message.
                    Err(_) => row.open.line(b""),
                }
            }
            Event::ClientGone { client } => {
                self.clients.remove(client);
                self.marks.leaves(*client);
            }
            Event::ChannelSpawned { channel, .. } => self.row(*channel).is_running = true,
            Event::ChannelFrame { channel, frame } => {
                let row = self.row(*channel);
                if row.is_gone {
                    return;
                }
                match frame {
                    Ok(frame) if wants_answer(frame) => {
                        let mark = messages_in(frame.bytes()).first().copied();
                        row.open.entries.push(Entry::new(frame, mark));
                    }
                    Ok(_) => {}
                    Err(
                        Malformed::TooLong { glimpse: Glimpse::Request(id), .. }
                        | Malformed::NotJson { glimpse: Glimpse::Request(id), .. },
                    ) => row.open.entries.push(Entry::unread(id.as_bytes())),
                    // A request that cannot be read may be refused.
                    Err(Malformed::NotMessage { id: Some(id) }) => row.open.perhaps(id.as_bytes()),
                    Err(Malformed::NotJson { beginning, .. }) => {
                        row.open.perhaps(beginning.as_bytes());
                    }
                    Err(_) => {}
                }
            }
            Event::SpawnFailed { channel, .. } | Event::ChannelExited { channel, .. } => {
                let row = self.row(*channel);
                let (open, answered) = (take(&mut row.open), take(&mut row.answered));
                let counted = row.counted;
                *row = Channel { is_gone: true, open, answered, counted, ..Channel::default() };
            }
            Event::Shutdown(_) => self.is_ending = true,
            _ => {}
        }
    }

    fn row(&mut self, channel: ChannelId) -> &mut Channel {
        self.channels.get_mut(&channel).expect("the script knows its channels")
    }

    /// Calls `handle_timeout`, whether a deadline has come or not.
    pub fn timeout(&mut self) {
        // Rungs of the ladder without a grace follow each other.
        for _ in 0..4 {
            self.bridge.handle_timeout(self.now);
            self.collect();
            if self.bridge.poll_timeout().is_none_or(|at| at > self.now) {
                return;
            }
        }
        panic!("it wants to be woken again at once");
    }

    /// Lets time pass, and wakes the core at each of its deadlines.
    pub fn wait(&mut self, millis: u64) {
        let end = self.now.plus_millis(millis);
        for _ in 0..MANY_WAKE_UPS {
            let Some(at) = self.bridge.poll_timeout().filter(|at| *at <= end) else { break };
            self.now = at.max(self.now);
            self.timeout();
        }
        self.leap(end.since(self.now));
    }

    /// The host stands still for a while, and the core is told so.
    pub fn pause(&mut self, millis: u64) {
        self.leap(millis);
        self.event(Event::HostPaused { millis });
    }

    /// Lets time pass, and does not wake the core.
    pub fn leap(&mut self, millis: u64) {
        self.now = self.now.plus_millis(millis);
    }

    pub fn now(&self) -> Moment {
        self.now
    }

    /// Whether the client that made the request with this number waits for its answer.
    pub fn is_open(&self, asked: usize) -> bool {
        let row = self.clients.get(&self.marks.asker(asked));
        row.is_some_and(|row| row.open.has(asked))
    }

    /// The same, if answers to that client can be told apart.
    pub fn surely_waits(&self, asked: usize) -> bool {
        let row = self.clients.get(&self.marks.asker(asked));
        row.is_some_and(|row| row.open.has(asked) && !row.reuses_ids)
    }

    /// The clients that are served on a channel.
    pub fn here(&self, channel: ChannelId) -> Here {
        let mut here = Here::default();
        let pending = self.channels.get(&channel).map_or(&[][..], |row| &row.pending[..]);
        for sent in pending {
            here.is_opening |= matches!(sent.method, Method::SessionNew | Method::SessionFork);
            let opens = matches!(
                sent.method,
                Method::SessionNew
                    | Method::SessionFork
                    | Method::SessionLoad
                    | Method::SessionResume
            );
            // While an open runs that no client waits for, a message may belong to that.
            here.is_unsure |= opens && !sent.asked.is_some_and(|asked| self.is_open(asked));
            let Some(asked) = sent.asked.filter(|asked| self.is_open(*asked)) else { continue };
            let client = self.marks.asker(asked);
            here.is_unsure |= !self.surely_waits(asked);
            if matches!(sent.method, Method::SessionNew | Method::SessionFork) {
                here.opening.insert(client);
            }
            match sent.method {
                Method::SessionClose
                | Method::Logout
                | Method::ProvidersList
                | Method::ProvidersSet => {}
                Method::SessionPrompt
                | Method::SessionNew
                | Method::SessionLoad
                | Method::SessionResume
                | Method::SessionFork => {
                    here.is_unsure |= self.marks.is_closing(asked);
                    here.running.insert(client);
                    here.asking.insert(client);
                }
                _ => drop(here.asking.insert(client)),
            }
        }
        here
    }

    /// Reports the exit of a channel; `half_line` is the bytes of an unfinished last line.
    pub fn exits(&mut self, channel: ChannelId, status: ExitStatus, half_line: u64) {
        let exit = Exit { status, stderr_tail: "last words".to_owned(), half_line };
        self.event(Event::ChannelExited { channel, exit });
    }

    /// Starts the processes that are still starting, orders the shutdown if the
    /// script has not, and checks that it ends in time. Killed processes exit, or
    /// with `deaf` never.
    pub fn finish(&mut self, deaf: bool) {
        let starting =
            |(id, row): (&ChannelId, &Channel)| (!row.is_running && !row.is_gone).then_some(*id);
        let starting: Vec<ChannelId> = self.channels.iter().filter_map(starting).collect();
        for channel in starting {
            self.event(Event::ChannelSpawned { channel, pid: 7 });
        }
        if !self.is_ending {
            self.event(Event::Shutdown(ShutdownCause::Signal("SIGTERM")));
        }
        for _ in 0..self.longest_end / 10 {
            self.wait(10);
            let killed = |(id, row): (&ChannelId, &Channel)| {
                (row.is_killed && !row.is_gone && !deaf).then_some(*id)
            };
            let killed: Vec<ChannelId> = self.channels.iter().filter_map(killed).collect();
            killed.into_iter().for_each(|id| self.exits(id, ExitStatus::Signal(9), 0));
            if self.survivors.is_some() {
                break;
            }
        }
        assert!(self.survivors.is_some(), "the bridge does not end");
        assert_eq!(self.bridge.poll_effect(), None);
    }

    fn collect(&mut self) {
        while let Some(effect) = self.bridge.poll_effect() {
            self.judge(effect);
        }
        self.bridge.check().unwrap_or_else(|broken| panic!("{broken}"));
        for (id, row) in self.channels.iter().filter(|(_, row)| row.is_leaving) {
            let open = row.open.unanswered();
            let is_still_open = !row.open.entries.is_empty();
            assert!(!is_still_open, "{id} is leaving and waits for {open:?}");
        }
        assert_eq!(self.bridge.is_over(), self.survivors.is_some());
        if self.survivors.is_some() {
            for (id, row) in &self.clients {
                let open = row.open.unanswered();
                assert!(open.is_empty(), "{id} has no answer to {open:?}");
            }
        }
    }

    fn judge(&mut self, effect: Effect) {
        match effect {
            Effect::Spawn { channel, .. } => {
                assert!(!self.is_ending, "{channel} is started although everything ends");
                let before = self.channels.insert(channel, Channel::default());
                assert!(before.is_none(), "{channel} is started twice");
            }
            Effect::ToChannel { channel, frame } => self.channel_gets(channel, &frame),
            Effect::DropClient { client, last } => {
                last.iter().for_each(|frame| self.client_gets(client, frame));
                let row = self.clients.remove(&client).expect("a client is dropped once");
                let open = row.open.unanswered();
                assert!(open.is_empty(), "{client} is dropped without an answer to {open:?}");
                self.marks.leaves(client);
            }
            Effect::ToClient { client, frame, .. } => self.client_gets(client, &frame),
            Effect::CloseStdin(channel) => {
                let row = self.living(channel);
                assert!(!row.is_leaving, "the stdin of {channel} is closed twice");
                row.is_leaving = true;
            }
            Effect::Kill(channel) => self.living(channel).is_killed = true,
            Effect::Terminate(channel)
            | Effect::Pause(channel)
            | Effect::Resume(channel)
            | Effect::Survey(channel)
            | Effect::Conceal { channel, .. } => drop(self.living(channel)),
            Effect::Publish(Notice::RowAbsent { row }) => panic!("a row is absent: {row}"),
            Effect::Exit { survivors } => {
                let living = |(id, row): (&ChannelId, &Channel)| (!row.is_gone).then_some(*id);
                let living: Vec<ChannelId> = self.channels.iter().filter_map(living).collect();
                assert_eq!(survivors, living, "who is left at the end");
                assert!(self.survivors.replace(survivors).is_none(), "it ends twice");
            }
            // Nothing that a peer gets, or that is done to one.
            _ => {}
        }
    }

    /// The row of the channel of an effect; panics if the channel is gone.
    fn living(&mut self, channel: ChannelId) -> &mut Channel {
        let row = self.channels.get_mut(&channel).filter(|row| !row.is_gone);
        row.unwrap_or_else(|| panic!("{channel} is not there"))
    }

    fn channel_gets(&mut self, channel: ChannelId, frame: &OutgoingFrame) {
        let frame = parsed(frame);
        let row = self.row(channel);
        match frame.kind {
            FrameKind::Success | FrameKind::Failure => {
                if let Some(entry) = row.open.answered(&frame) {
                    self.agent_hears(channel, &entry, &frame);
                }
            }
            _ if row.is_gone => panic!("{channel} is gone and gets {frame:?}"),
            _ if row.is_leaving => panic!("{channel} is leaving and gets {frame:?}"),
            FrameKind::Notification if frame.method == Method::CancelRequest => {
                let token = frame.request().map(|(token, _)| format!("{token:?}"));
                let is_open = |open: &Sent| Some(open.id.to_string()) == token;
                assert!(row.pending.iter().any(is_open), "{channel} has not: {frame:?}");
            }
            FrameKind::Notification => {}
            FrameKind::Request => {
                let number = frame.number().expect("the bridge counts its requests");
                let is_new = row.pending.iter().all(|open| open.id != number);
                assert!(is_new && !row.answered.contains(&number), "{number} is used twice");
                let asked = requests_in(frame.bytes()).first().copied();
                let name = frame.method_name().into_owned();
                row.pending.push(Sent { id: number, method: frame.method, name, asked });
                self.agent_is_asked(channel, &frame, asked);
            }
        }
    }

    /// Notes in the marks what an answer of a client gives a name to.
    fn agent_hears(&mut self, channel: ChannelId, entry: &Entry, frame: &Frame) {
        let connection = frame.find_text(&["connectionId"]);
        match (&*entry.name, entry.mark, connection) {
            ("mcp/connect", Some(mark), Some(connection)) => {
                self.marks.name(channel, Kind::Connection, &connection, mark);
            }
            ("elicitation/create", ..)
                if frame.find_text(&["action"]).as_deref() != Some("accept") =>
            {
                if let Some(name) = &entry.elicitation {
                    self.marks.forget(channel, Kind::Elicitation, name);
                }
            }
            _ => {}
        }
    }

    /// Notes in the marks which session and which servers a request names.
    fn agent_is_asked(&mut self, channel: ChannelId, frame: &Frame, asked: Option<usize>) {
        if let Some(id) = frame.session() {
            self.marks.sent((channel, id.into_owned()), frame.method, asked);
        }
        let (Some(asked), Some(servers)) = (asked, frame.find(&["mcpServers"])) else { return };
        for server in json::elements(frame.bytes(), servers) {
            for key in ["id", "serverId"] {
                let place = json::find(frame.bytes(), server, &[key]);
                if let Some(name) = place.and_then(|place| json::text(frame.bytes(), place)) {
                    self.marks.offers(channel, &name, asked);
                }
            }
        }
    }

    fn client_gets(&mut self, client: ClientId, frame: &OutgoingFrame) {
        let frame = parsed(frame);
        let row = self.clients.get_mut(&client);
        let row = row.unwrap_or_else(|| panic!("{client} is gone and gets {frame:?}"));
        // Of a bridge that keeps transcripts, the histories judge who may read them.
        if !self.keeps_transcripts {
            let is_prompt = frame.update_kind().is_some_and(|kind| kind == "user_message_chunk");
            match frame.session().filter(|_| is_prompt) {
                Some(public) => self.marks.reach_prompt(client, &public, frame.bytes()),
                None => self.marks.reach(client, frame.bytes()),
            }
        }
        let is_ours = frame.method_name().starts_with("_drawbridge/");
        let is_forged = is_ours && !messages_in(frame.bytes()).is_empty();
        assert!(!is_forged, "an agent speaks for the bridge: {frame:?}");
        match frame.kind {
            FrameKind::Success | FrameKind::Failure => {
                let Some(entry) = row.open.answered(&frame) else { return };
                row.hears(&entry, &frame);
                if frame.kind == FrameKind::Failure {
                    let is_load =
                        matches!(entry.method, Method::SessionLoad | Method::SessionResume);
                    if let Some(asked) = entry.mark.filter(|_| is_load) {
                        self.marks.refused(asked);
                    }
                    return;
                }
                row.is_initialized |= entry.method == Method::Initialize;
                let name = frame.find_text(&["sessionId"]).map(|name| name.into_owned());
                let opened = entry.mark.and_then(|asked| {
                    self.marks.answered(asked, entry.method, frame.bytes(), name.as_deref())
                });
                row.sessions.extend(opened.filter(|name| !row.sessions.contains(name)));
                self.names.extend(name.filter(|name| !self.names.contains(name)));
            }
            FrameKind::Notification if frame.method == Method::CancelRequest => {
                let token = frame.request().map(|(token, _)| format!("{token:?}"));
                row.questions.retain(|open| Some(open.id.to_string()) != token);
            }
            FrameKind::Notification => self.client_sees(&frame),
            FrameKind::Request => {
                let number = frame.number().expect("the bridge counts its questions");
                let is_new = row.questions.iter().all(|open| open.id != number);
                assert!(is_new, "{client} is asked {number} twice");
                let connects = frame.method_name() == "mcp/connect";
                let mark = messages_in(frame.bytes()).first().copied();
                row.questions.push(Question { id: number, method: frame.method, connects, mark });
                if let Some(reference) = mark.and_then(|mark| self.references.get(&mark)) {
                    is_shown_as(row, reference, &frame);
                }
                self.client_sees(&frame);
            }
        }
    }

    /// Notes the session ids under which a client is shown something.
    fn client_sees(&mut self, frame: &Frame) {
        for id in [frame.session(), frame.child_session()].into_iter().flatten() {
            self.marks.shown(frame.bytes(), &id);
            let is_known = |known: &[String]| known.iter().any(|known| *known == *id);
            let is_new = !is_known(&self.names) && !is_known(&self.passing);
            if is_new && self.passing.len() < MANY_PASSING {
                self.passing.push(id.into_owned());
            }
        }
    }
}

/// Checks the request that an elicitation names when its client is shown it.
fn is_shown_as(row: &Client, reference: &Reference, frame: &Frame) {
    let shown = frame.request().map(|(token, _)| format!("{token:?}"));
    let expected = match reference {
        Reference::Pending(asked) => {
            let own = row.open.entries.iter().find(|entry| entry.mark == Some(*asked));
            // Of a request to several agents, this one's part may be over already.
            let is_part = |entry: &&Entry| words::is_for_all(entry.method);
            let is_over = shown.as_deref() == Some("null") && own.filter(is_part).is_some();
            own.map(|entry| &*entry.id).filter(|_| !row.reuses_ids && !is_over)
        }
        Reference::Over => Some("null"),
        Reference::Verbatim(text) => Some(*text),
    };
    // The asker may have its answer by now, or may be another client.
    if expected.is_some() {
        assert_eq!(shown.as_deref(), expected, "the request that is named in {frame:?}");
    }
}

fn parsed(frame: &OutgoingFrame) -> Frame {
    Frame::parse(frame.to_bytes()).unwrap_or_else(|error| panic!("{frame:?} is sent: {error:?}"))
}
