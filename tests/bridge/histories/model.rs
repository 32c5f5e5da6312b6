//! The reference model: what must be true of a bridge, judged from outside.
//!
//! It sees the events that go in and the effects that come out, in their
//! order, and keeps books of its own: who asked what and who answered, who is
//! attached to which session of which process, how far each process is down
//! the ladder, who was last heard of when. Requests of clients carry a `mark`
//! and frames of agents a number `n` beside what the protocol knows, so that
//! each can be told wherever it turns up.
//!
//! | file | rules |
//! |---|---|
//! | `clients` | what clients get: answers once, in order, of their own sessions only |
//! | `channels` | what agents get: in their time, once, nothing that crosses; the ladder |
//! | `clock` | nothing too early, nothing too late, and the end |

mod channels;
mod clients;
mod clock;

use std::collections::BTreeMap;

use drawbridge::bridge::{ChannelId, ClientId, Config, Event, Limit, ShutdownCause};
use drawbridge::wire::{Frame, FrameKind, Malformed, Method};

use super::agent::{About, Said};

/// What is found out, in words.
pub type Verdict = Result<(), String>;

/// The books.
pub struct Model {
    config: Config,
    clients: BTreeMap<ClientId, Client>,
    channels: BTreeMap<ChannelId, Channel>,
    asked: BTreeMap<u64, Asked>,
    written: Vec<Written>,
    /// The frame of an agent that the bridge is handling.
    current: Option<u64>,
    unmarked: u64,
    paused_until: u64,
    ending: Option<Ending>,
    over: bool,
}

/// A connection.
#[derive(Default)]
struct Client {
    /// Requests without an answer: by their id as it is spelled, their marks.
    open: BTreeMap<String, Vec<u64>>,
    /// Sessions it is attached to: by the id it knows, where they live.
    attached: BTreeMap<String, Place>,
    /// Questions it was asked and has not answered: by their id, the frames.
    questions: BTreeMap<u64, u64>,
    /// The last frame it got of each session: at once, and held until its opening.
    last: BTreeMap<Place, u64>,
    last_held: BTreeMap<Place, u64>,
}

/// A session, as its agent names it.
type Place = (ChannelId, String);

/// A process, from its start to its exit.
#[derive(Default)]
struct Channel {
    initialized: bool,
    exited: bool,
    draining: bool,
    rung: Rung,
    /// When that rung was reached.
    since: u64,
    /// Requests that it has not answered.
    pending: BTreeMap<u64, Sent>,
    /// Its own requests that are not answered, and their frames.
    asks: BTreeMap<String, Ask>,
    sessions: BTreeMap<String, Session>,
    /// A session was opened on it.
    used: bool,
    /// It may hold something for a client that nobody sees from outside.
    leased: bool,
    logged_in: bool,
    /// When it last had anything to do: at the latest, and at the earliest.
    busy_at: u64,
    served_at: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Rung {
    #[default]
    Serving,
    StdinClosed,
    Terminated,
    Killed,
}

/// A request on its way to an agent.
struct Sent {
    mark: Option<u64>,
    method: Method,
    session: Option<String>,
    at: u64,
}

/// A request of an agent.
struct Ask {
    number: u64,
    method: Method,
    session: Option<String>,
    shown: bool,
}

/// A session that an agent opened.
#[derive(Default)]
struct Session {
    /// A client knows it.
    live: bool,
    /// By this id.
    public: Option<String>,
    /// The agent may still hold it.
    held: bool,
    /// When it was asked to close it.
    close_sent: Option<u64>,
    /// When it was certainly of use, and when it may have been.
    seen: u64,
    maybe_seen: u64,
}

/// A request of a client.
struct Asked {
    client: ClientId,
    method: Method,
    names: Option<String>,
    at: u64,
    /// Where the session lives that it names, if the client was attached.
    place: Option<Place>,
    /// Nobody works on it or waits for it any more.
    done: bool,
    sent: Vec<(ChannelId, u64)>,
    /// The client got the news that the session ended.
    saw_end: bool,
    /// The session ended: what is left of this is no work of a later one.
    outlived_it: bool,
}

/// A frame that an agent wrote.
struct Written {
    channel: ChannelId,
    about: About,
}

/// The bridge was told to end.
struct Ending {
    since: u64,
    signals: usize,
}

impl Model {
    /// Nothing has happened yet.
    pub fn new(config: Config) -> Self {
        Model {
            config,
            clients: BTreeMap::new(),
            channels: BTreeMap::new(),
            asked: BTreeMap::new(),
            written: Vec::new(),
            current: None,
            unmarked: u64::MAX,
            paused_until: 0,
            ending: None,
            over: false,
        }
    }

    /// Whether the bridge was told to end.
    pub fn is_ending(&self) -> bool {
        self.ending.is_some()
    }

    /// Whether the bridge said that it is over.
    pub fn is_over(&self) -> bool {
        self.over
    }

    /// An agent writes a frame; gives back its number.
    pub fn written(&mut self, channel: ChannelId, about: About) -> u64 {
        self.written.push(Written { channel, about });
        self.written.len() as u64 - 1
    }

    /// The bridge is about to be told this.
    pub fn happens(&mut self, now: u64, event: &Event) -> Verdict {
        self.current = None;
        match event {
            Event::ClientConnected { client, .. } => {
                self.clients.insert(*client, Client::default());
            }
            Event::ClientFrame { client, frame: Ok(frame) } => {
                self.client_says(now, *client, frame);
            }
            Event::ClientFrame { client, frame: Err(malformed) } => {
                let token = match malformed {
                    Malformed::NotMessage { id: Some(id) } => spelled(id.as_bytes()),
                    _ => "null".to_owned(),
                };
                self.ask(now, *client, token, Method::Other, None, None);
            }
            Event::ClientGone { client } => {
                self.clients.remove(client);
                for asked in self.asked.values_mut().filter(|asked| asked.client == *client) {
                    // What was sent goes on; a prompt that waits does too.
                    let goes_on = asked.method == Method::SessionPrompt || !asked.sent.is_empty();
                    asked.done |= !goes_on;
                }
            }
            Event::ChannelFrame { channel, frame: Ok(frame) } => {
                if let Some(number) = number_after(frame, b"\"n\":") {
                    self.current = Some(number);
                    return self.agent_says(now, *channel, number, frame.kind);
                }
            }
            Event::SpawnFailed { channel, .. } | Event::ChannelExited { channel, .. } => {
                if let Some(row) = self.channels.get_mut(channel) {
                    row.exited = true;
                    row.asks.clear();
                    let marks: Vec<u64> =
                        row.pending.values().filter_map(|sent| sent.mark).collect();
                    for mark in marks {
                        self.gone_for_good(mark);
                    }
                }
            }
            Event::HostPaused => self.paused_until = now + drawbridge::bridge::PAUSE_GRACE,
            Event::Shutdown(cause) => {
                let ending = self.ending.get_or_insert(Ending { since: now, signals: 0 });
                ending.signals += usize::from(*cause == ShutdownCause::Signal);
            }
            _ => {}
        }
        Ok(())
    }

    /// Nobody waits for the answer of a request any more, if its client is gone.
    fn gone_for_good(&mut self, mark: u64) {
        if let Some(asked) = self.asked.get_mut(&mark)
            && !self.clients.contains_key(&asked.client)
        {
            asked.done = true;
        }
    }

    fn client_says(&mut self, now: u64, client: ClientId, frame: &Frame) {
        let Some(row) = self.clients.get_mut(&client) else { return };
        let names = frame.session().map(|id| id.into_owned());
        match frame.kind {
            FrameKind::Success | FrameKind::Failure => {
                let number = frame.number().and_then(|id| row.questions.remove(&id));
                let about = number.and_then(|number| self.written.get(number as usize));
                if let Some(Written { channel, about }) = about
                    && let Some(session) = about.session.clone()
                {
                    self.touch(now, &(*channel, session), false);
                }
            }
            FrameKind::Request => {
                let token = spelled(frame.id().as_bytes());
                let mark = number_after(frame, b"\"mark\":");
                self.ask(now, client, token, frame.method, names, mark);
            }
            FrameKind::Notification => {
                let place = names.and_then(|id| row.attached.get(&id).cloned());
                if let Some(place) = place {
                    self.touch(now, &place, true);
                }
            }
        }
    }

    fn ask(
        &mut self,
        now: u64,
        client: ClientId,
        token: String,
        method: Method,
        names: Option<String>,
        mark: Option<u64>,
    ) {
        let Some(row) = self.clients.get_mut(&client) else { return };
        let mark = mark.unwrap_or_else(|| {
            self.unmarked -= 1;
            self.unmarked
        });
        row.open.entry(token).or_default().push(mark);
        let attached = names.as_ref().and_then(|id| row.attached.get(id).cloned());
        let place = attached.or_else(|| self.restored_by(client, names.as_deref()?));
        // Refused requests, and those of others, may or may not count.
        if let Some(place) = place.clone().or_else(|| self.known_as(names.as_deref()?)) {
            self.touch(now, &place, false);
        }
        // What is about the stored conversation is no work of a live one.
        let is_work = !matches!(method, Method::SessionDelete | Method::SessionFork);
        let place = place.filter(|_| is_work);
        let asked = Asked {
            client,
            method,
            names,
            at: now,
            place,
            done: false,
            sent: Vec::new(),
            saw_end: false,
            outlived_it: false,
        };
        self.asked.insert(mark, asked);
    }

    fn agent_says(
        &mut self,
        now: u64,
        channel: ChannelId,
        number: u64,
        kind: FrameKind,
    ) -> Verdict {
        let Limit::After(timeout) = self.config.agent.session_close_timeout else { return Ok(()) };
        let Some(row) = self.channels.get_mut(&channel).filter(|row| !row.exited) else {
            return Err(format!("a frame of {channel} arrives after its exit"));
        };
        row.busy_at = now;
        let Some(Written { about, .. }) = self.written.get(number as usize) else {
            return Err(format!("frame {number} was never written"));
        };
        let about = about.clone();
        let sure = match &about.said {
            Said::Notification | Said::Withdrawal { .. } => true,
            Said::Request { token, method } => {
                let (method, session) = (*method, about.session.clone());
                row.asks.insert(token.clone(), Ask { number, method, session, shown: false });
                true
            }
            Said::Answer { id, opens } => {
                let Some(sent) = row.pending.remove(id) else { return Ok(()) };
                match (sent.method, &about.session) {
                    (Method::Initialize, _) => row.initialized |= kind == FrameKind::Success,
                    (Method::SessionClose, Some(session)) => {
                        if sent.at + timeout > now {
                            row.served_at = now;
                        }
                        // A refusal is an answer too. Under the same id a later session may
                        // live already.
                        if let Some(session) = row.sessions.get_mut(session) {
                            session.held &= session.live;
                        }
                    }
                    (_, Some(session)) if *opens => {
                        // What is restored has its name; what is new has none yet. A
                        // restore that its session's close outran opens nothing.
                        let is_new =
                            matches!(sent.method, Method::SessionNew | Method::SessionFork);
                        let asked = sent.mark.and_then(|mark| self.asked.get(&mark));
                        let public = asked.and_then(|row| row.names.clone()).filter(|_| !is_new);
                        let session = row.sessions.entry(session.clone()).or_default();
                        if !session.live && (is_new || sent.session.is_some()) {
                            *session = Session { public, held: true, ..Session::default() };
                        }
                    }
                    _ => {}
                }
                let asked = sent.mark.and_then(|mark| self.asked.get(&mark));
                let is_awaited = asked.is_some_and(|row| !row.done && !self.may_be_given_up(row));
                if let Some(mark) = sent.mark {
                    self.gone_for_good(mark);
                }
                sent.method == Method::SessionPrompt && is_awaited
            }
        };
        if let Some(session) = about.session {
            self.touch(now, &(channel, session), sure);
        }
        Ok(())
    }

    /// The live session that clients know by this id.
    fn known_as(&self, id: &str) -> Option<Place> {
        self.channels.iter().find_map(|(channel, row)| {
            let mut sessions = row.sessions.iter();
            let found =
                sessions.find(|(_, session)| session.live && session.public.as_deref() == Some(id));
            found.map(|(session, _)| (*channel, session.clone()))
        })
    }

    /// A session was of use: certainly, or at most.
    fn touch(&mut self, now: u64, place: &Place, surely: bool) {
        let row = self.channels.get_mut(&place.0);
        if let Some(session) = row.and_then(|row| row.sessions.get_mut(&place.1)) {
            session.maybe_seen = now;
            if surely {
                session.seen = now;
            }
        }
    }

    /// Whether somebody waits for something in a session.
    fn is_busy(&self, place: &Place) -> bool {
        let Some(row) = self.channels.get(&place.0) else { return false };
        row.asks.values().any(|ask| ask.session.as_ref() == Some(&place.1))
            || self.asked.values().any(|asked| {
                !asked.done
                    && !asked.outlived_it
                    && asked.place.as_ref() == Some(place)
                    && !self.may_be_given_up(asked)
            })
    }

    /// Nobody sees from outside that a prompt was given up whose client is gone.
    fn may_be_given_up(&self, asked: &Asked) -> bool {
        self.config.agent.prompt_timeout != Limit::Never
            && !self.clients.contains_key(&asked.client)
    }

    /// Whether its agent may still work on something in a session.
    fn may_work_in(&self, place: &Place) -> bool {
        let row = self.channels.get(&place.0);
        row.is_some_and(|row| {
            row.pending.values().any(|sent| sent.session.as_ref() == Some(&place.1))
        })
    }

    fn attached_to(&self, place: &Place) -> bool {
        self.clients.values().any(|row| row.attached.values().any(|other| other == place))
    }
}

/// The number at the end of a frame, behind `key`.
fn number_after(frame: &Frame, key: &[u8]) -> Option<u64> {
    let bytes = frame.bytes().strip_suffix(b"}")?;
    let digits = bytes.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    let (before, number) = bytes.split_at(bytes.len() - digits);
    if !before.ends_with(key) {
        return None;
    }
    std::str::from_utf8(number).ok()?.parse().ok()
}

fn spelled(token: &[u8]) -> String {
    String::from_utf8_lossy(token).into_owned()
}
