//! One channel: a running agent process, its state, and what it holds.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::wire::Frame;

use crate::bridge::books::clock::Silence;
use crate::bridge::books::id_set::Ids;
use crate::bridge::books::names::Names;
use crate::bridge::id::{CallId, ClientId, PoolId, QuestionId, SessionKey};
use crate::bridge::notice::StopReason;
use crate::bridge::time::Moment;

/// Tombstones kept per channel, and for how long (ms).
pub const MAX_TOMBSTONES: usize = 1024;
/// How long a tombstone that fences nothing is kept (ms).
pub const TOMBSTONE_AGE: u64 = 600_000;
/// Sessions for which notifications are held before their open is answered.
pub const MAX_EARLY_SESSIONS: usize = 64;
/// Notifications held per such session.
pub const MAX_EARLY_FRAMES: usize = 32;
/// Bytes held for all of them together.
pub const MAX_EARLY_BYTES: usize = 256 * 1024;

/// Notifications that an agent still gets while it does not read, in bytes: a
/// cancel gets in, a flood does not.
pub const MAX_UNREAD: usize = 1024 * 1024;

/// Where a channel stands between its start and its exit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// The process runs, `initialize` was not sent yet.
    Spawned,
    /// `initialize` was sent; the handshake budget runs.
    Starting {
        /// When it was sent.
        since: Moment,
        /// Whether a person was told that it takes long.
        slow: bool,
    },
    /// In service.
    Ready,
    /// Takes no new sessions; ends when the last work is gone.
    Draining {
        /// Why.
        reason: StopReason,
    },
    /// On its way out.
    Stopping {
        /// Why.
        reason: StopReason,
        /// How far.
        rung: Rung,
        /// When that rung was reached.
        since: Moment,
    },
}

/// The rungs of the stop ladder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rung {
    /// Its stdin is closed.
    ClosingStdin,
    /// SIGTERM was sent.
    Terminated,
    /// SIGKILL was sent.
    Killed,
    /// It is still there.
    Stuck,
}

/// What is known about the agent's login on this channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Login {
    /// Nothing.
    Unknown,
    /// It refused an open with "authentication required".
    Wanted,
    /// A client authenticated here.
    Done {
        /// When.
        at: Moment,
    },
}

/// What an agent says it can do, as far as the bridge must know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// `loadSession`.
    pub load: bool,
    /// `sessionCapabilities.resume`.
    pub resume: bool,
    /// `sessionCapabilities.fork`.
    pub fork: bool,
    /// `sessionCapabilities.list`.
    pub list: bool,
    /// `sessionCapabilities.close`.
    pub close: bool,
    /// `sessionCapabilities.delete`.
    pub delete: bool,
}

impl Capabilities {
    /// The names of what is offered, for people.
    pub fn names(self) -> String {
        let all = [
            (self.load, "load"),
            (self.resume, "resume"),
            (self.fork, "fork"),
            (self.list, "list"),
            (self.close, "close"),
            (self.delete, "delete"),
        ];
        let offered: Vec<&str> =
            all.iter().filter(|(has, _)| *has).map(|(_, name)| *name).collect();
        if offered.is_empty() { "nothing".to_owned() } else { offered.join(", ") }
    }
}

/// The memory of a session that was closed on this channel.
#[derive(Clone, Debug)]
pub struct Tombstone {
    /// The row that the session was.
    pub key: SessionKey,
    /// Its id as clients knew it.
    pub id: Box<str>,
    /// When it was closed.
    pub since: Moment,
    /// What the agent still holds of it.
    pub hold: Hold,
    /// What clients still wait for, in the order in which they asked.
    pub calls: Ids<CallId>,
}

/// What an agent holds of a session that was closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// It was asked to close it (or to cancel its turn) and has not answered:
    /// this call is open.
    Closing(CallId),
    /// It was asked while it showed a question, and did not answer in time: it
    /// is asked again when no question of the channel is open.
    AskAgain,
    /// It cannot close sessions: it holds it until it exits, and could go on with it.
    Husk,
    /// It did not answer the close: it holds it, nobody knows how.
    Unanswered,
    /// Nothing: it answered the close.
    Nothing,
}

/// Notifications that came before the answer which makes their session known.
#[derive(Clone, Debug, Default)]
pub struct Early {
    frames: BTreeMap<Box<str>, VecDeque<Frame>>,
    bytes: usize,
}

impl Early {
    /// Holds a frame; `false` if there is no room.
    pub fn hold(&mut self, id: &str, frame: &Frame) -> bool {
        let size = frame.bytes().len();
        let is_known = self.frames.contains_key(id);
        if self.bytes + size > MAX_EARLY_BYTES
            || (!is_known && self.frames.len() >= MAX_EARLY_SESSIONS)
        {
            return false;
        }
        let held = self.frames.entry(id.into()).or_default();
        if held.len() >= MAX_EARLY_FRAMES {
            return false;
        }
        held.push_back(frame.detached());
        self.bytes += size;
        true
    }

    /// Takes what is held for a session.
    pub fn take(&mut self, id: &str) -> VecDeque<Frame> {
        let frames = self.frames.remove(id).unwrap_or_default();
        self.bytes -= frames.iter().map(|frame| frame.bytes().len()).sum::<usize>();
        frames
    }

    /// Throws everything away and says how many frames that were.
    pub fn clear(&mut self) -> usize {
        let count = self.frames.values().map(VecDeque::len).sum();
        *self = Early::default();
        count
    }

    /// Whether nothing is held.
    pub fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// Whether it is within its bounds and its sum is right.
    pub fn is_sound(&self) -> bool {
        let bytes: usize = self.frames.values().flatten().map(|frame| frame.bytes().len()).sum();
        bytes == self.bytes
            && bytes <= MAX_EARLY_BYTES
            && self.frames.len() <= MAX_EARLY_SESSIONS
            && self.frames.values().all(|held| held.len() <= MAX_EARLY_FRAMES)
    }
}

/// A row: one process, from before its start until its exit.
#[derive(Clone, Debug)]
pub struct Channel {
    /// Where it stands.
    pub state: State,
    /// Whose channel it is; none while it is only a process.
    pub pool: Option<PoolId>,
    /// The working directory that its sessions share, once it has one and the
    /// sharing rule wants it.
    pub key: Option<Box<str>>,
    /// Whether a session was ever placed here.
    pub used: bool,
    /// When the row was made.
    pub born: Moment,
    /// Since when it has no work; set by `settle_channel` alone.
    pub idle_since: Option<Moment>,
    /// What its agent can do, once it said so.
    pub capabilities: Capabilities,
    /// What is known about its login.
    pub login: Login,
    /// Its live sessions.
    pub sessions: BTreeSet<SessionKey>,
    /// Session ids as the agent writes them, live ones and their children.
    pub names: Names,
    /// Sessions that were closed here.
    pub tombstones: BTreeMap<Box<str>, Tombstone>,
    /// Notifications without a session yet.
    pub early: Early,
    /// Requests that are on it, or wait for it to become ready.
    pub calls: Ids<CallId>,
    /// Requests of its agent that are open.
    pub questions: Ids<QuestionId>,
    /// Clients whose extension requests without a session it served: it may
    /// hold something for them.
    pub leases: BTreeSet<ClientId>,
    /// What its agent was notified of since its outbox is full, in bytes; `None`:
    /// it reads.
    pub unread: Option<usize>,
    /// A client that it feeds is slow: it is not read.
    pub paused: bool,
    /// When its agent last wrote a line.
    pub heard_at: Moment,
    /// Since when its agent has had something to answer and no question open; set
    /// by `settle_channel` alone, and only if somebody listens for signs of life.
    pub waited_for_since: Option<Moment>,
    /// What is known of it while it is silent and waited for.
    pub silence: Silence,
    /// When stray lines were last reported, and how many since.
    pub stray: (Moment, u32),
}

impl Channel {
    /// A row for a process that is about to be started.
    pub fn new(state: State, pool: Option<PoolId>, now: Moment) -> Self {
        Channel {
            state,
            pool,
            key: None,
            used: false,
            born: now,
            idle_since: None,
            capabilities: Capabilities::default(),
            login: Login::Unknown,
            sessions: BTreeSet::new(),
            names: Names::default(),
            tombstones: BTreeMap::new(),
            early: Early::default(),
            calls: Ids::default(),
            questions: Ids::default(),
            leases: BTreeSet::new(),
            unread: None,
            paused: false,
            heard_at: now,
            waited_for_since: None,
            silence: Silence::Unknown,
            stray: (now, 0),
        }
    }

    /// On its way out.
    pub fn is_stopping(&self) -> bool {
        matches!(self.state, State::Stopping { .. })
    }

    /// Whether its agent answered `initialize`, so that it may be sent requests.
    pub fn is_open(&self) -> bool {
        matches!(self.state, State::Ready | State::Draining { .. })
    }

    /// Closed sessions that its agent cannot free.
    pub fn husks(&self) -> usize {
        self.tombstones.values().filter(|tomb| tomb.hold == Hold::Husk).count()
    }

    /// Whether its agent may still hold this session although it is closed.
    pub fn fences(&self, id: &str) -> bool {
        self.tombstones.get(id).is_some_and(|tomb| tomb.hold != Hold::Nothing)
    }

    /// Remembers a closed session. Old tombstones that fence nothing and wait
    /// for nothing make room; says how many did. They are looked through each time
    /// that there are twice as many, so that a close costs the same among many.
    pub fn bury(&mut self, id: Box<str>, tombstone: Tombstone) -> usize {
        let now = tombstone.since;
        let before = self.tombstones.len();
        if before.is_power_of_two() {
            self.tombstones.retain(|_, old| {
                old.hold != Hold::Nothing
                    || !old.calls.is_empty()
                    || now.since(old.since) < TOMBSTONE_AGE
            });
        }
        while self.tombstones.len() >= MAX_TOMBSTONES {
            // One that fences is given up only if all do: its agent is long past its cap.
            let oldest = self
                .tombstones
                .iter()
                .filter(|(_, old)| old.calls.is_empty())
                .min_by_key(|(_, old)| (old.hold != Hold::Nothing, old.since))
                .map(|(id, _)| id.clone());
            let Some(oldest) = oldest else { break };
            self.tombstones.remove(&oldest);
        }
        let thrown = before - self.tombstones.len();
        self.tombstones.insert(id, tombstone);
        thrown
    }
}
