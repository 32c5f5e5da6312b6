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
//! | `heard` | the books of what peers write |
//! | `answers` | what the answers to clients open, close and bring |
//! | `passing` | ids of sub-agents and unknown ids: whose they are, and their names |
//! | `step` | what must be true when an event has been handled |
//! | `clock` | nothing too early, nothing too late, and the end |

mod answers;
mod channels;
mod clients;
mod clock;
mod heard;
mod passing;
mod step;

use std::collections::{BTreeMap, BTreeSet};

use drawbridge::bridge::{
    ChannelId, ClientId, Config, Event, Limit, PAUSE_GRACE, PAUSE_INTERVAL, ShutdownCause,
};
use drawbridge::wire::{Frame, Malformed, Method};

use super::agent::About;
use super::sights::Sight;
use passing::Passing;
use step::Current;

/// What is found out, in words.
pub type Verdict = Result<(), String>;

/// The books.
pub struct Model {
    config: Config,
    clients: BTreeMap<ClientId, Client>,
    channels: BTreeMap<ChannelId, Channel>,
    asked: BTreeMap<u64, Asked>,
    written: Vec<Written>,
    /// What clients notified.
    notified: BTreeMap<u64, Notified>,
    /// What the bridge is handling.
    current: Current,
    /// A login succeeded, which the bridge may repeat.
    has_login: bool,
    /// What this history showed.
    sights: BTreeSet<Sight>,
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
    /// Its `initialize` was answered.
    ready: bool,
    /// When that was.
    ready_since: u64,
    /// The channel of its own, if it speaks another protocol version than 1.
    passthrough: Option<ChannelId>,
    /// Sessions it is attached to: by the id it knows, where they live.
    attached: BTreeMap<String, Place>,
    /// The marks of the requests that attached it.
    opened_by: BTreeMap<String, u64>,
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
    /// Its agent speaks another protocol version than 1.
    passthrough: bool,
    /// The bridge does not read it.
    paused: bool,
    /// When it was last not read, or had a question open: the clocks of its agent stood.
    stood_at: u64,
    rung: Rung,
    /// When that rung was reached.
    since: u64,
    /// Requests that it has not answered.
    pending: BTreeMap<u64, Sent>,
    /// Its own requests that are not answered, and their frames.
    asks: BTreeMap<String, Ask>,
    sessions: BTreeMap<String, Session>,
    passing: BTreeMap<String, Passing>,
    /// Every session id that went over its wire.
    named: BTreeSet<String>,
    /// A session was opened on it.
    used: bool,
    /// It may hold something for a client that nobody sees from outside.
    leased: bool,
    /// The clients that it may serve so.
    lessees: BTreeSet<ClientId>,
    /// The clients that questions under ids which nobody knew may have been for, each with the
    /// sessions that it had then.
    thought: BTreeMap<String, BTreeMap<ClientId, BTreeSet<String>>>,
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
    /// The session that it is work of.
    session: Option<String>,
    /// The id that it names.
    names: Option<String>,
    /// When it succeeds, that id means nothing any more.
    ends_id: bool,
    at: u64,
}

/// A request of an agent.
struct Ask {
    number: u64,
    method: Method,
    session: Option<String>,
    shown: bool,
    /// The client's request under whose id it was shown.
    of_request: Option<u64>,
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
    /// A client may have cancelled a turn in it.
    cancelled: bool,
}

/// A request of a client.
struct Asked {
    client: ClientId,
    token: String,
    method: Method,
    names: Option<String>,
    at: u64,
    /// It names a live session that the client is not attached to.
    foreign: bool,
    /// The live session that it deletes, archives or copies.
    source: Option<Place>,
    /// What it names, if no open has brought that id.
    passing: Option<Place>,
    /// It went to the channel of a passthrough client.
    passthrough: bool,
    /// Where the session lives that it names, if the client was attached.
    place: Option<Place>,
    /// Its client has left sessions before, and that was not done yet: only then it is known
    /// what this is about.
    waits_behind: bool,
    /// Nobody works on it or waits for it any more.
    done: bool,
    sent: Vec<(ChannelId, u64)>,
    /// The client got the news that the session ended.
    saw_end: bool,
    /// It ended for another reason than a close.
    was_ended: bool,
    /// The session ended: what is left of this is no work of a later one.
    outlived_it: bool,
}

/// A notification of a client.
struct Notified {
    client: ClientId,
    names: Option<String>,
    foreign: bool,
    place: Option<Place>,
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
            notified: BTreeMap::new(),
            current: Current::default(),
            has_login: false,
            sights: BTreeSet::new(),
            unmarked: u64::MAX,
            paused_until: 0,
            ending: None,
            over: false,
        }
    }

    /// What the history showed.
    pub fn sights(&self) -> BTreeSet<Sight> {
        self.sights.clone()
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
        self.clocks_stand(now);
        self.current = Current::default();
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
                self.ask(now, *client, token, (Method::Other, None), None);
            }
            Event::ClientGone { client } => self.client_gone(*client),
            Event::ChannelFrame { channel, frame: Ok(frame) } => {
                if let Some(number) = number_after(frame, b"\"n\":") {
                    self.current.number = Some(number);
                    return self.agent_says(now, *channel, number, frame);
                }
            }
            Event::SpawnFailed { channel, .. } | Event::ChannelExited { channel, .. } => {
                if let Some(row) = self.channels.get_mut(channel) {
                    row.exited = true;
                    row.asks.clear();
                    row.passing.clear();
                    let marks: Vec<u64> =
                        row.pending.values().filter_map(|sent| sent.mark).collect();
                    for mark in marks {
                        self.gone_for_good(mark);
                    }
                }
            }
            Event::HostPaused { .. } => {
                // Such a grace comes once in a while, however often the host stands still.
                let begins = self.paused_until.saturating_sub(PAUSE_GRACE);
                if self.paused_until == 0 || now - begins >= PAUSE_INTERVAL {
                    self.paused_until = now + PAUSE_GRACE;
                }
            }
            Event::Shutdown(cause) => {
                let ending = self.ending.get_or_insert(Ending { since: now, signals: 0 });
                ending.signals += usize::from(*cause == ShutdownCause::Signal("SIGTERM"));
            }
            _ => {}
        }
        Ok(())
    }

    /// A connection is over: it was lost, or the bridge ended it.
    pub fn client_gone(&mut self, client: ClientId) {
        let row = self.clients.remove(&client);
        for place in row.iter().flat_map(|row| row.attached.values()) {
            self.may_be_cancelled(place);
        }
        for row in self.channels.values_mut() {
            row.ends_leases(client);
        }
        for asked in self.asked.values_mut().filter(|asked| asked.client == client) {
            // What was sent goes on; a prompt that waits does too.
            let goes_on = asked.method == Method::SessionPrompt || !asked.sent.is_empty();
            asked.done |= !goes_on;
        }
    }

    /// Nobody waits for the answer of a request any more, if its client is gone.
    fn gone_for_good(&mut self, mark: u64) {
        if let Some(asked) = self.asked.get_mut(&mark)
            && !self.clients.contains_key(&asked.client)
        {
            asked.done = true;
        }
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

    fn is_live(&self, place: &Place) -> bool {
        let row = self.channels.get(&place.0);
        row.and_then(|row| row.sessions.get(&place.1)).is_some_and(|session| session.live)
    }

    /// What this is about was of use: certainly, or at most.
    fn touch(&mut self, now: u64, place: &Place, surely: bool) {
        let homes = self.homes(place);
        let surely = surely && (homes.first() == Some(place) || self.has_parent(place));
        for (channel, id) in homes {
            let row = self.channels.get_mut(&channel);
            if let Some(session) = row.and_then(|row| row.sessions.get_mut(&id)) {
                session.maybe_seen = now;
                if surely {
                    session.seen = now;
                }
            }
        }
    }

    /// Whether it is certain to which session an id belongs that no open has brought.
    fn has_parent(&self, place: &Place) -> bool {
        let row = self.channels.get(&place.0).and_then(|row| row.passing.get(&place.1));
        row.is_some_and(|row| row.parent().is_some())
    }

    /// A client may have cancelled a turn of this session.
    fn may_be_cancelled(&mut self, place: &Place) {
        let row = self.channels.get_mut(&place.0);
        if let Some(session) = row.and_then(|row| row.sessions.get_mut(&place.1)) {
            session.cancelled = true;
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

    /// Nobody sees from outside that a request was given up whose client is gone.
    fn may_be_given_up(&self, asked: &Asked) -> bool {
        let may_time_out = asked.method != Method::SessionPrompt
            || self.config.agent.prompt_timeout != Limit::Never
            || self.config.limits.lost_turn_timeout != Limit::Never;
        may_time_out && !self.clients.contains_key(&asked.client)
    }

    /// Whether its agent may still work on something in a session, or in one of a sub-agent.
    fn may_work_in(&self, place: &Place) -> bool {
        let Some(row) = self.channels.get(&place.0) else { return false };
        let asks = row.asks.values().filter_map(|ask| ask.session.as_ref());
        let mut named = row.pending.values().filter_map(|sent| sent.names.as_ref()).chain(asks);
        named.any(|id| self.homes(&(place.0, id.clone())).contains(place))
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

fn protocol_version(frame: &Frame) -> Option<u64> {
    let place = frame.find(&["protocolVersion"])?;
    std::str::from_utf8(place.of(frame.bytes())).ok()?.parse().ok()
}

/// Whether a request is about the stored conversation, live or not.
fn is_about_stored(method: Method) -> bool {
    matches!(method, Method::SessionDelete | Method::SessionArchive | Method::SessionFork)
}

fn spelled(token: &[u8]) -> String {
    String::from_utf8_lossy(token).into_owned()
}
