//! A script of events, played to the core.
//!
//! A script begins with its [`limits`], and a digit that says whether killed
//! processes never exit, and whether the bridge is one for many clients. Then come words: a letter, and behind it the digits and
//! letters that it needs (behind `b` and `B`, the rest of the line). A digit names
//! the n-th of the peers, modulo their number. Time is virtual.
//!
//! | file | words |
//! |---|---|
//! | this one | the time, processes that start, and several steps in one word |
//! | `of_clients` | what a client does |
//! | `of_agents` | what an agent and its process do |
//! | `in_scopes` | what an agent says that names no session |

mod in_scopes;
mod limits;
mod marks;
mod of_agents;
mod of_clients;
mod open;
mod text;
mod words;
mod world;

use bytes::Bytes;
use drawbridge::bridge::{
    AgentId, ChannelId, ClientId, Environment, EnvironmentId, Event, ShutdownCause,
};
use drawbridge::wire::frame::Glimpse;
use drawbridge::wire::{Frame, Malformed, Method, Token};

use limits::limits;
use text::{Text, nth};
use words::{KIDS, SESSIONS};
use world::{Channel, Sent, World};

/// The steps in time that a script can choose from (ms).
const WAITS: [u64; 12] = [1, 5, 20, 40, 110, 250, 600, 1_600, 2_500, 61_000, 10_000_000, 1 << 40];
/// The most clients that are connected at the same time.
const MANY_CLIENTS: usize = 6;

/// Plays the script, and ends the bridge after its last word.
pub fn core(file: &[u8]) {
    let mut text = Text(file);
    let mut limits = limits(&mut text);
    let (deaf, is_for_many) =
        text.choose(&[(false, false), (true, false), (false, true), (true, true)]);
    if is_for_many {
        limits::for_many_clients(&mut limits.limits);
    }
    let mut script = Script { world: World::new(limits), text, requests: 0, counts: false };
    while let Some(word) = script.text.word() {
        script.play(word);
    }
    script.world.finish(deaf);
}

struct Script<'a> {
    world: World,
    text: Text<'a>,
    /// How many ids `id` has made, for all peers together.
    requests: u64,
    /// Whether agents count their session ids, each process for itself.
    counts: bool,
}

impl Script<'_> {
    fn play(&mut self, word: u8) {
        match word {
            b'c' => drop(self.connect()),
            b'v' | b'V' => {
                let how = self.text.digit();
                self.arrives(word == b'V', how);
            }
            b'm' => self.counts = self.text.choose(&[false, true]),
            b'C' => self.all_is_well(),
            b'W' => self.all_are_answered(),
            b'T' => self.world.timeout(),
            b'p' => self.world.pause(0),
            b'h' => {
                let millis = self.text.choose(&WAITS);
                self.world.pause(millis);
            }
            b'J' => {
                let millis = self.text.choose(&WAITS);
                self.world.event(Event::LoopLate { millis });
            }
            b'P' => {
                if let Some(client) = self.world.clients.keys().next().copied() {
                    self.world.event(Event::Preheat { client });
                }
            }
            b't' | b'j' => {
                let millis = self.text.choose(&WAITS);
                if word == b't' { self.world.wait(millis) } else { self.world.leap(millis) }
            }
            b'E' => {
                let cause = self
                    .text
                    .choose(&[ShutdownCause::StdinEnded, ShutdownCause::Signal("SIGTERM")]);
                self.world.event(Event::Shutdown(cause));
            }
            b's' | b'f' => {
                let starting = self.channels(|row| !row.is_running && !row.is_gone);
                let Some(channel) = nth(&starting, self.text.digit()).copied() else { return };
                let error = "no such file".to_owned();
                self.world.event(match word {
                    b's' => Event::ChannelSpawned { channel, pid: 7 },
                    _ => Event::SpawnFailed { channel, error },
                });
            }
            b'r' | b'n' | b'd' | b'a' | b'w' | b'g' | b'b' | b'L' | b'S' | b'R' | b'K' | b'N'
            | b'Z' => {
                let clients: Vec<ClientId> = self.world.clients.keys().copied().collect();
                if let Some(client) = nth(&clients, self.text.digit()) {
                    self.client(word, *client);
                }
            }
            // The core must bear events of a channel whose exit it knows.
            b'z' => {
                let gone = self.channels(|row| row.is_gone);
                let word = self.text.byte().unwrap_or_default();
                if let Some(channel) = nth(&gone, self.text.digit()) {
                    self.agent(word, *channel);
                }
            }
            _ => {
                let running = self.channels(|row| row.is_running);
                if let Some(channel) = nth(&running, self.text.digit()) {
                    self.agent(word, *channel);
                }
            }
        }
    }

    fn channels(&self, which: impl Fn(&Channel) -> bool) -> Vec<ChannelId> {
        let rows = self.world.channels.iter().filter(|(_, row)| which(row));
        rows.map(|(id, _)| *id).collect()
    }

    /// Connects a client, unless there are very many.
    fn connect(&mut self) -> Option<ClientId> {
        if self.world.clients.len() >= MANY_CLIENTS {
            return None;
        }
        self.world.connected += 1;
        let client = ClientId(self.world.connected);
        self.world.event(Event::ClientConnected {
            client,
            agent: AgentId(0),
            environment: Environment::empty(EnvironmentId(0)),
            cwd: "/home".to_owned(),
        });
        Some(client)
    }

    /// A client connects and opens a session, and everybody does well. A `carried` one speaks
    /// another protocol version, and so does its agent.
    fn arrives(&mut self, carried: bool, how: usize) {
        let Some(client) = self.connect() else { return };
        self.request(client, Method::Initialize, None, if carried { 10 } else { 0 });
        if carried {
            self.all_start();
            for channel in self.channels(|row| row.is_running) {
                let row = &self.world.channels[&channel];
                let first = row.pending.iter().position(|sent| sent.method == Method::Initialize);
                let Some(sent) = first.and_then(|at| self.take_pending(channel, at)) else {
                    continue;
                };
                self.agent_says(channel, &answer(sent.id, words::version(3)));
            }
        }
        self.all_is_well();
        self.request(client, Method::SessionNew, None, how);
        self.all_is_well();
    }

    /// Starts all processes that are starting.
    fn all_start(&mut self) {
        for channel in self.channels(|row| !row.is_running && !row.is_gone) {
            self.world.event(Event::ChannelSpawned { channel, pid: 7 });
        }
    }

    /// Starts all processes and lets agents answer all requests well, eight times over: answers
    /// bring new requests.
    fn all_is_well(&mut self) {
        for round in 0..8 {
            self.all_start();
            for channel in self.channels(|row| row.is_running) {
                let mut turns = 0;
                while let Some(sent) = self.take_pending(channel, 0) {
                    turns += 1;
                    // Each answer may bring a new request, but not for ever.
                    assert!(turns < 1_000, "{channel} is asked for {} for ever", sent.name);
                    let name = (channel.0 as usize + round) % 8;
                    let which = if sent.method == Method::Initialize { 0 } else { name };
                    let result = self.good_result(channel, &sent, which);
                    self.agent_says(channel, &answer(sent.id, &result));
                    self.finished(channel, &sent);
                }
            }
        }
    }

    /// Lets clients answer all questions well.
    fn all_are_answered(&mut self) {
        let clients: Vec<ClientId> = self.world.clients.keys().copied().collect();
        for client in clients {
            while let Some(row) = self.world.clients.get_mut(&client) {
                let Some(question) = row.questions.pop() else { break };
                self.replies(client, question, 0);
            }
        }
    }

    /// A good result of an agent; `which` selects the version, or the id of a session.
    fn good_result(&mut self, channel: ChannelId, sent: &Sent, which: usize) -> String {
        if sent.method == Method::Initialize {
            return words::version(which).to_owned();
        }
        let opens = matches!(sent.method, Method::SessionNew | Method::SessionFork);
        let brings = words::brings_session(&sent.name);
        let session = match self.world.channels.get_mut(&channel) {
            Some(row) if self.counts && (opens || brings) => {
                row.counted += 1;
                format!("s{}", row.counted)
            }
            _ if brings => KIDS[which % KIDS.len()].to_owned(),
            _ => SESSIONS[which].to_owned(),
        };
        let waits = sent.asked.is_some_and(|asked| self.world.is_open(asked));
        let marks = &mut self.world.marks;
        let opened = opens.then_some(&*session);
        let mark = marks.answer(channel, sent.asked, opened, waits);
        if brings {
            marks.brings(channel, sent.asked.filter(|_| waits), &session);
        }
        words::result(sent.method, &sent.name, &session, &marks::of_message(mark))
    }

    fn client_says(&mut self, client: ClientId, line: &[u8]) {
        let frame = Frame::parse(Bytes::copy_from_slice(line));
        self.world.event(Event::ClientFrame { client, frame });
    }

    fn agent_says(&mut self, channel: ChannelId, line: &str) {
        self.agent_writes(channel, line.as_bytes());
    }

    fn agent_writes(&mut self, channel: ChannelId, line: &[u8]) {
        let frame = Frame::parse(Bytes::copy_from_slice(line));
        self.world.event(Event::ChannelFrame { channel, frame });
    }

    /// Takes the `which`-th request that an agent has not answered, and notes it as answered.
    fn take_pending(&mut self, channel: ChannelId, which: usize) -> Option<Sent> {
        let row = self.world.channels.get_mut(&channel)?;
        if row.pending.is_empty() {
            return None;
        }
        let sent = row.pending.remove(which % row.pending.len());
        row.answered.push(sent.id);
        Some(sent)
    }

    /// Notes a request as answered with a message, so that it is surely over.
    fn finished(&mut self, channel: ChannelId, sent: &Sent) {
        if let Some(row) = self.world.channels.get_mut(&channel) {
            row.finished.push(sent.id);
        }
    }

    /// A session id, or `None` for the digit `f`; and the digit that named it.
    fn session(&mut self) -> (Option<String>, usize) {
        let which = self.text.digit();
        let told = self.world.names.get(which).filter(|_| which < 8).cloned();
        let name = told.unwrap_or_else(|| SESSIONS[which].to_owned());
        ((which < 15).then_some(name), which)
    }

    /// A fresh request id, in one of four spellings.
    fn id(&mut self) -> String {
        self.requests += 1;
        match self.requests % 4 {
            0 => format!("\"{}\"", self.requests),
            1 => self.requests.to_string(),
            2 => format!("{}.0", self.requests),
            _ => format!("\"\\u00e9{}-an-id-of-more-than-22-bytes\"", self.requests),
        }
    }
}

/// A line over the limit; `asked` is the id of a request that the peer was sent.
fn too_long(how: usize, asked: u64) -> Malformed {
    let id = Token::new(b"\"long\"");
    let glimpse = match how % 3 {
        _ if is_answer(how) => Glimpse::Answer(Token::number(asked)),
        0 => Glimpse::Nothing,
        _ if how > 7 => Glimpse::Request(id),
        _ => Glimpse::Answer(id),
    };
    Malformed::TooLong { length: 1 << 25, glimpse }
}

/// Whether `how` makes a line over the limit the answer to the request that the peer was sent.
fn is_answer(how: usize) -> bool {
    how < 8 && how % 3 == 1
}

/// The answer of an agent with this result.
fn answer(id: u64, result: &str) -> String {
    format!(r#"{{"id":{id},"result":{result}}}"#)
}

/// Whether a line holds a mark: then it would be taken for another message.
fn holds_mark(line: &[u8]) -> bool {
    line.windows(marks::MARK.len()).any(|part| part == marks::MARK)
}
