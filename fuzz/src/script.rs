//! A script of events, played to the core.
//!
//! A script begins with its [`limits`], and a digit that says whether killed
//! processes never exit. Then come words: a letter, and behind it the digits and
//! letters that it needs (behind `b` and `B`, the rest of the line). A digit names
//! the n-th of the peers, modulo their number. Time is virtual.

mod limits;
mod text;
mod words;
mod world;

use bytes::Bytes;
use drawbridge::bridge::{ChannelId, ClientId, Event, ExitStatus, Process, ShutdownCause};
use drawbridge::wire::frame::OverlongHead;
use drawbridge::wire::{Frame, Malformed, Method, Token};

use limits::limits;
use text::Text;
use words::{NOTIFICATIONS, QUESTIONS, REQUESTS, SESSIONS, params, question, reply, result};
use world::{Channel, World, nth};

/// The steps in time that a script can choose from (ms).
const WAITS: [u64; 12] = [1, 5, 20, 40, 110, 250, 600, 1_600, 2_500, 61_000, 10_000_000, 1 << 40];
/// The most clients that are connected at the same time.
const MANY_CLIENTS: usize = 6;

/// Plays the script, and ends the bridge after its last word.
pub fn core(file: &[u8]) {
    let mut text = Text(file);
    let limits = limits(&mut text);
    let deaf = text.choose(&[false, true]);
    let mut script = Script { world: World::new(limits), text, requests: 0 };
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
}

impl Script<'_> {
    fn play(&mut self, word: u8) {
        match word {
            b'c' if self.world.clients.len() < MANY_CLIENTS => {
                self.world.connected += 1;
                let client = ClientId(self.world.connected);
                self.world.event(Event::ClientConnected { client, cwd: "/home".to_owned() });
            }
            b'C' => self.all_is_well(),
            b'T' => self.world.timeout(),
            b'p' => self.world.event(Event::HostPaused),
            b'P' => self.world.event(Event::Preheat { cwd: "/a".to_owned() }),
            b't' | b'j' => {
                let millis = self.text.choose(&WAITS);
                if word == b't' { self.world.wait(millis) } else { self.world.leap(millis) }
            }
            b'E' => {
                let cause = self.text.choose(&[ShutdownCause::StdinEnded, ShutdownCause::Signal]);
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
            b'r' | b'n' | b'd' | b'a' | b'w' | b'g' | b'b' | b'L' | b'S' => {
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

    /// Starts all processes and lets agents answer all requests well, eight times over: answers
    /// bring new requests.
    fn all_is_well(&mut self) {
        for round in 0..8 {
            for channel in self.channels(|row| !row.is_running && !row.is_gone) {
                self.world.event(Event::ChannelSpawned { channel, pid: 7 });
            }
            for channel in self.channels(|row| row.is_running) {
                while let Some((id, method)) = self.take_pending(channel, 0) {
                    let name = (channel.0 as usize + round) % 8;
                    let which = if method == Method::Initialize { 0 } else { name };
                    self.agent_says(channel, &answer(id, &result(method, which)));
                }
            }
        }
    }

    fn client(&mut self, word: u8, client: ClientId) {
        match word {
            b'r' | b'd' | b'n' => {
                let method = self.text.letter(if word == b'n' { NOTIFICATIONS } else { REQUESTS });
                let (session, how) = self.session();
                let params = params(method, session.as_deref(), how);
                let id = match word {
                    b'n' => String::new(),
                    // An id that may be in use already.
                    b'd' => format!(r#""id":{},"#, ["1", "null"][how % 2]),
                    _ => format!(r#""id":{},"#, self.id()),
                };
                let name = words::name(method);
                let line = format!(r#"{{{id}"method":"{name}","params":{params}}}"#);
                self.client_says(client, line.as_bytes());
            }
            b'a' => {
                let (which, how) = (self.text.digit(), self.text.digit());
                let row = self.world.clients.get_mut(&client);
                let Some(row) = row.filter(|row| !row.questions.is_empty()) else { return };
                let at = which % row.questions.len();
                // From 8 on the question stays, so that it can be answered twice.
                let (id, method) =
                    if how < 8 { row.questions.remove(at) } else { row.questions[at] };
                let line = format!(r#"{{"id":{id},{}}}"#, reply(method, how % 8));
                self.client_says(client, line.as_bytes());
            }
            b'w' => {
                let which = self.text.digit();
                let row = self.world.clients.get(&client);
                let Some(id) = row.and_then(|row| row.open.nth(which)) else { return };
                let line =
                    format!(r#"{{"method":"$/cancel_request","params":{{"requestId":{id}}}}}"#);
                self.client_says(client, line.as_bytes());
            }
            b'g' => self.world.event(Event::ClientGone { client }),
            b'b' => {
                let line = self.text.line();
                self.client_says(client, line);
            }
            b'L' => {
                let how = self.text.digit();
                let row = self.world.clients.get(&client);
                let asked = row.and_then(|row| row.questions.first()).map_or(1, |(id, _)| *id);
                let frame = Err(too_long(how, asked));
                self.world.event(Event::ClientFrame { client, frame });
            }
            _ => {
                let over = self.text.choose(&[false, true]);
                self.world.event(Event::ClientMarkPassed { client, over });
            }
        }
    }

    fn agent(&mut self, word: u8, channel: ChannelId) {
        match word {
            b'A' => {
                let (pending, how, which) =
                    (self.text.digit(), self.text.digit(), self.text.digit());
                let Some((id, method)) = self.take_pending(channel, pending) else { return };
                let line = match how {
                    1 => format!(r#"{{"id":{id},"error":{{"code":-32000,"message":"no"}}}}"#),
                    2 => answer(id, "null"),
                    3 => answer(id, "[]"),
                    _ => answer(id, &result(method, which)),
                };
                self.agent_says(channel, &line);
                if how == 4 {
                    self.agent_says(channel, &line);
                }
            }
            b'l' => {
                let how = self.text.digit();
                let id = self.wrong_id(channel, how);
                self.agent_says(channel, &format!(r#"{{"id":{id},"result":{{}}}}"#));
            }
            b'q' => {
                let method = self.text.letter(QUESTIONS);
                let (session, how) = self.session();
                let request = self.world.channels.get(&channel);
                let request = request.and_then(|row| row.pending.first()).map(|(id, _)| *id);
                let params = question(session.as_deref(), request.filter(|_| how % 2 == 1));
                let id = if how == 14 { "1".to_owned() } else { self.id() };
                let name = words::name(method);
                let line = format!(r#"{{"id":{id},"method":"{name}","params":{params}}}"#);
                self.agent_says(channel, &line);
            }
            b'u' => {
                let kind = self.text.choose(&["agent_message_chunk", "subagent_update"]);
                let (session, how) = self.session();
                let named =
                    session.map_or_else(String::new, |id| format!(r#""sessionId":"{id}","#));
                let child = SESSIONS[how];
                let line = format!(
                    r#"{{"method":"session/update","params":{{{named}"update":{{"sessionUpdate":"{kind}","sessionId":"{child}"}}}}}}"#
                );
                self.agent_says(channel, &line);
            }
            b'x' => {
                let which = self.text.digit();
                let row = self.world.channels.get(&channel);
                let Some(id) = row.and_then(|row| row.open.nth(which)) else { return };
                let line =
                    format!(r#"{{"method":"$/cancel_request","params":{{"requestId":{id}}}}}"#);
                self.agent_says(channel, &line);
            }
            b'B' => {
                let line = Bytes::copy_from_slice(self.text.line());
                self.world.event(Event::ChannelFrame { channel, frame: Frame::parse(line) });
            }
            b'O' => {
                let (how, pending) = (self.text.digit(), self.text.digit());
                let row = self.world.channels.get(&channel);
                let asked = row.and_then(|row| nth(&row.pending, pending)).map_or(1, |(id, _)| *id);
                // A line over the limit can be the answer: then its request is no longer open.
                if is_answer(how) {
                    self.take_pending(channel, pending);
                }
                let frame = Err(too_long(how, asked));
                self.world.event(Event::ChannelFrame { channel, frame });
            }
            b'e' => {
                let status = [ExitStatus::Code(0), ExitStatus::Code(1), ExitStatus::Signal(9)];
                let status = self.text.choose(&status);
                let half_line = self.text.digit() as u64;
                self.world.exits(channel, status, half_line);
            }
            b'k' => self.world.event(Event::ChannelLost { channel }),
            b'F' => {
                let over = self.text.choose(&[false, true]);
                self.world.event(Event::ChannelMarkPassed { channel, over });
            }
            b'y' => {
                let process = Process { pid: 8, name: "sleep".to_owned(), born: self.world.now() };
                let digit = self.text.digit();
                let processes = vec![process; digit % 3];
                let worked = (digit > 2).then_some(digit as u64 / 8);
                self.world.event(Event::Surveyed { channel, processes, worked });
            }
            _ => {}
        }
    }

    fn client_says(&mut self, client: ClientId, line: &[u8]) {
        let frame = Frame::parse(Bytes::copy_from_slice(line));
        self.world.event(Event::ClientFrame { client, frame });
    }

    fn agent_says(&mut self, channel: ChannelId, line: &str) {
        let frame = Frame::parse(Bytes::copy_from_slice(line.as_bytes()));
        self.world.event(Event::ChannelFrame { channel, frame });
    }

    /// Takes the `which`-th request that an agent has not answered, and notes it as answered.
    fn take_pending(&mut self, channel: ChannelId, which: usize) -> Option<(u64, Method)> {
        let row = self.world.channels.get_mut(&channel)?;
        if row.pending.is_empty() {
            return None;
        }
        let (id, method) = row.pending.remove(which % row.pending.len());
        row.answered.push(id);
        Some((id, method))
    }

    /// The id for an answer to nothing: unknown, in another spelling, of another channel, or
    /// answered before.
    fn wrong_id(&self, channel: ChannelId, how: usize) -> String {
        let row = self.world.channels.get(&channel);
        let late = row.and_then(|row| nth(&row.answered, how)).copied().unwrap_or(0);
        let others = self.world.channels.iter().filter(|(id, _)| **id != channel);
        let foreign = others.filter_map(|(_, row)| row.pending.first()).map(|(id, _)| *id).next();
        match how {
            0 => "null".to_owned(),
            1 => "99999".to_owned(),
            2 => format!("\"{late}\""),
            3 => foreign.unwrap_or(late).to_string(),
            _ => late.to_string(),
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
    let id = match how % 3 {
        _ if is_answer(how) => Some(Token::number(asked)),
        0 => None,
        _ => Some(Token::new(b"\"long\"")),
    };
    Malformed::TooLong { length: 1 << 25, glimpse: OverlongHead { id, has_method: how > 7 } }
}

/// Whether `how` makes a line over the limit the answer to the request that the peer was sent.
fn is_answer(how: usize) -> bool {
    how < 8 && how % 3 == 1
}

fn answer(id: u64, result: &str) -> String {
    format!(r#"{{"id":{id},"result":{result}}}"#)
}
