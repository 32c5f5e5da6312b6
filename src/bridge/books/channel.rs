//! One channel: a running agent process, its state, and what it holds.

use std::collections::BTreeSet;

use crate::bridge::books::channel_clock::ChannelClock;
use crate::bridge::books::early_frames::Early;
use crate::bridge::books::id_set::Ids;
use crate::bridge::books::session_names::SessionNames;
use crate::bridge::books::tombstones::Tombstones;
use crate::bridge::id::{AgentId, CallId, ClientId, PoolId, QuestionId, SessionKey};
use crate::bridge::notice::StopReason;
use crate::bridge::time::Moment;

/// Notifications that an agent still gets while it does not read, in bytes: a
/// cancel gets in, a flood does not.
pub const MAX_UNREAD: usize = 1024 * 1024;

/// Where a channel stands between its start and its exit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChannelState {
    /// It is being started or runs; `initialize` was not sent yet.
    Spawned,
    /// `initialize` was sent; the handshake timeout runs.
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

/// The state of the agent's login on this channel, as far as it is known.
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

/// A row: one process, from before its start until its exit.
#[derive(Clone, Debug)]
pub struct Channel {
    /// Where it stands.
    pub state: ChannelState,
    /// Whose process it is.
    pub agent: AgentId,
    /// Whose channel it is; none while it is only a process.
    pub pool: Option<PoolId>,
    /// The working directory that its sessions share, once it has one and the
    /// sharing rule wants it.
    pub key: Option<Box<str>>,
    /// Whether a session was ever placed here.
    pub used: bool,
    /// What its agent can do, once it said so.
    pub capabilities: Capabilities,
    /// What is known about its login.
    pub login: Login,
    /// Its live sessions.
    pub sessions: BTreeSet<SessionKey>,
    /// Session ids as the agent writes them, live ones and their children.
    pub names: SessionNames,
    /// Sessions that were closed here.
    pub tombstones: Tombstones,
    /// Notifications without a session yet.
    pub early: Early,
    /// Requests that are on it, or wait for it to become ready.
    pub calls: Ids<CallId>,
    /// Those of them that has timed out: nobody waits for them any more.
    pub overdue: Ids<CallId>,
    /// Requests of its agent that are open.
    pub questions: Ids<QuestionId>,
    /// Clients whose extension requests without a session it served: it may
    /// hold something for them.
    pub leases: BTreeSet<ClientId>,
    /// Notifications sent to its agent since its outbox is full, in bytes; `None`:
    /// it reads.
    pub unread: Option<usize>,
    /// A client that it feeds is slow: it is not read.
    pub paused: bool,
    /// Since when it is idle or waited for, and when its agent was heard.
    pub clock: ChannelClock,
    /// When the current window of stray lines began, and how many came in it.
    pub stray: (Moment, u32),
}

impl Channel {
    /// A row for a process that is about to be started.
    pub fn new(agent: AgentId, now: Moment) -> Self {
        Channel {
            state: ChannelState::Spawned,
            agent,
            pool: None,
            key: None,
            used: false,
            capabilities: Capabilities::default(),
            login: Login::Unknown,
            sessions: BTreeSet::new(),
            names: SessionNames::default(),
            tombstones: Tombstones::default(),
            early: Early::default(),
            calls: Ids::default(),
            overdue: Ids::default(),
            questions: Ids::default(),
            leases: BTreeSet::new(),
            unread: None,
            paused: false,
            clock: ChannelClock::new(now),
            stray: (now, 0),
        }
    }

    /// Still there after SIGKILL: nothing more can be done about it.
    pub fn is_stuck(&self) -> bool {
        matches!(self.state, ChannelState::Stopping { rung: Rung::Stuck, .. })
    }

    /// Its handshake runs.
    pub fn is_starting(&self) -> bool {
        matches!(self.state, ChannelState::Starting { .. })
    }

    /// On its way out.
    pub fn is_stopping(&self) -> bool {
        matches!(self.state, ChannelState::Stopping { .. })
    }

    /// Whether its agent left something without an answer, or holds what it cannot free.
    pub fn has_loose_ends(&self) -> bool {
        let closed = &self.tombstones;
        !self.overdue.is_empty()
            || closed.has_unanswered()
            || closed.wants_asking_again()
            || closed.husks() > 0
    }

    /// Whether its agent answered `initialize`, so that it may be sent requests.
    pub fn is_open(&self) -> bool {
        matches!(self.state, ChannelState::Ready | ChannelState::Draining { .. })
    }
}
