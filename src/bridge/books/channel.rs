//! One channel: a running agent process, its state, and what it holds.

use std::collections::{BTreeMap, BTreeSet};

use crate::bridge::books::channel_clock::ChannelClock;
use crate::bridge::books::early_frames::Early;
use crate::bridge::books::handles::Handles;
use crate::bridge::books::id_set::Ids;
use crate::bridge::books::session_names::SessionNames;
use crate::bridge::books::tombstones::Tombstones;
use crate::bridge::environment::Origin;
use crate::bridge::event::Process;
use crate::bridge::id::{
    AgentId, CallId, ChannelId, ClientId, PassingKey, PoolId, QuestionId, SessionKey,
};
use crate::bridge::reason::StopReason;
use crate::bridge::time::Moment;

/// The most bytes of notifications that are sent to an agent while it does not read:
/// enough for a cancel, but bounded.
pub const MAX_UNREAD: usize = 1024 * 1024;

/// The most calls that are remembered because they were ended before they were answered.
const MAX_FORSAKEN: usize = 256;

/// The state of a channel between its start and its exit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChannelState {
    /// The process is being started or runs; `initialize` was not sent yet.
    Spawned,
    /// `initialize` was sent; the handshake timeout runs.
    Starting {
        /// When it was sent.
        since: Moment,
        /// Whether a notice told that the handshake takes long.
        slow: bool,
        /// The lines that the agent wrote so far.
        wrote: Wrote,
    },
    /// In service.
    Ready,
    /// Takes no new sessions; ends when the last work is gone.
    Draining {
        /// The reason.
        reason: StopReason,
        /// Since when.
        since: Moment,
    },
    /// The stop ladder runs.
    Stopping {
        /// The reason.
        reason: StopReason,
        /// The rung that is reached.
        rung: Rung,
        /// When that rung was reached.
        since: Moment,
        /// When the ladder began.
        began: Moment,
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
    /// The process is still there after SIGKILL and its grace.
    Stuck,
}

/// The lines that an agent wrote before it answered `initialize`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrote {
    /// None.
    Nothing,
    /// None that is a message.
    Prose {
        /// When the last one came.
        at: Moment,
    },
    /// At least one message, so it is an agent.
    Messages,
}

/// How long the answer to `initialize` may come after a line that is no message (ms).
pub const LONGEST_PROSE: u64 = 20_000;

impl Wrote {
    /// Whether it wrote lines that are no messages, and then nothing for so long that it
    /// counts as no agent.
    pub fn is_prose_until(self, now: Moment) -> bool {
        self.prose_ends_at().is_some_and(|at| at <= now)
    }

    /// When it counts as no agent, if nothing more comes.
    pub fn prose_ends_at(self) -> Option<Moment> {
        match self {
            Wrote::Prose { at } => Some(at.plus_millis(LONGEST_PROSE)),
            Wrote::Nothing | Wrote::Messages => None,
        }
    }

    /// Notes a line; `is_message`: whether it is one.
    pub fn add(&mut self, is_message: bool, now: Moment) {
        match (is_message, *self) {
            (true, _) => *self = Wrote::Messages,
            (false, Wrote::Messages) => {}
            (false, _) => *self = Wrote::Prose { at: now },
        }
    }
}

/// The state of the agent's login on this channel, as far as it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Login {
    /// Nothing is known.
    Unknown,
    /// The agent refused an open with "authentication required".
    Wanted,
    /// The login of the pool was repeated here, and is not answered yet.
    Repeated,
    /// A login of the pool was sent here ahead of every open, and did not succeed so far: it is
    /// not repeated.
    Tried,
    /// A client authenticated here, or its login was repeated here with success.
    Done {
        /// The time of the login.
        at: Moment,
    },
}

/// The capabilities that an agent offers, as far as the bridge must know them.
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
    /// `sessionCapabilities.status`.
    pub status: bool,
}

impl Capabilities {
    /// The names of the offered capabilities, for messages to people.
    pub fn names(self) -> String {
        let all = [
            (self.load, "load"),
            (self.resume, "resume"),
            (self.fork, "fork"),
            (self.list, "list"),
            (self.close, "close"),
            (self.delete, "delete"),
            (self.status, "status"),
        ];
        let offered: Vec<&str> =
            all.iter().filter(|(has, _)| *has).map(|(_, name)| *name).collect();
        if offered.is_empty() { "nothing".to_owned() } else { offered.join(", ") }
    }
}

/// A row: one process, from before its start until its exit.
#[derive(Clone, Debug)]
pub struct Channel {
    /// Where the channel stands between its start and its exit.
    pub state: ChannelState,
    /// The agent whose process it is.
    pub agent: AgentId,
    /// The place that it was started from.
    pub origin: Origin,
    /// The pool that the channel belongs to; `None` until `initialize` is sent.
    pub pool: Option<PoolId>,
    /// The working directory of all its sessions. `None`: no session was placed here yet,
    /// or sessions with different directories may share a channel (`Share::Agent`).
    pub shared_cwd: Option<Box<str>>,
    /// The number of sessions that were opened here.
    pub opened: usize,
    /// Whether it was started for one session, which has ended the process that it was restored in
    /// before: no other one is placed here.
    pub is_for_one: bool,
    /// Whether its agent repeats the prompts of a turn as messages of the user.
    pub echoes: bool,
    /// Its agent and the version of that, as the answer to `initialize` names them.
    pub agent_version: Box<str>,
    /// The capabilities in its agent's answer to `initialize`.
    pub capabilities: Capabilities,
    /// The state of its login, as far as that is known.
    pub login: Login,
    /// Its live sessions.
    pub sessions: BTreeSet<SessionKey>,
    /// The ids of its live sessions and its passing ids, as the agent writes them.
    pub names: SessionNames,
    /// Its passing ids, the oldest first.
    pub passing: Ids<PassingKey>,
    /// The public ids of sessions that are being opened and that its agent has named before
    /// it answered the open, by the agent's ids.
    pub expected: BTreeMap<Box<str>, Box<str>>,
    /// The handles that its agent has: ids of terminals, connections and the like.
    pub handles: Handles,
    /// The tombstones of sessions that were closed here.
    pub tombstones: Tombstones,
    /// Early frames of its agent.
    pub early: Early,
    /// Calls that are on the channel: sent, or waiting for it to become ready.
    pub calls: Ids<CallId>,
    /// The opens among `calls` that have timed out: no client waits for them any more.
    pub overdue: Ids<CallId>,
    /// The last calls that were ended here although its agent had not answered them: its
    /// answers are late, and not stray.
    pub forsaken: Ids<CallId>,
    /// Open questions of its agent.
    pub questions: Ids<QuestionId>,
    /// Clients that have a lease on the channel: its agent answered an extension request
    /// of theirs without a session.
    pub leases: BTreeSet<ClientId>,
    /// Bytes of notifications that were sent to the agent since its outbox went over the
    /// high mark; `None`: the agent reads.
    pub unread: Option<usize>,
    /// Whether the bridge does not read the agent, because a client that gets its frames
    /// is slow.
    pub paused: bool,
    /// Since when the channel is idle, since when its agent is waited for, and when the
    /// agent last wrote a line.
    pub clock: ChannelClock,
    /// The last survey of its process tree.
    pub survey: Survey,
    /// The process that is started to take its place.
    pub succession: Succession,
    /// The reason why a process that is started now would be a better one; `None`: it would not,
    /// as far as is known.
    pub outdated: Option<StopReason>,
    /// When the current window of stray lines began, and how many came in it.
    pub stray: (Moment, u32),
    /// The warnings that were given and are given once only.
    pub said: BTreeSet<Said>,
}

/// The knowledge of a channel's process tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Survey {
    /// Nothing.
    Unknown,
    /// A survey is under way.
    Asked,
    /// The last survey found these processes.
    Seen {
        /// When its result came.
        at: Moment,
        /// The processes of the tree, without the agent itself.
        processes: Vec<Process>,
    },
}

/// The succession of a channel that must be replaced while it is in service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Succession {
    /// No successor was started.
    None,
    /// This channel was started to take its place, and is not ready yet.
    By(ChannelId),
    /// The successor could not be started, so the channel is kept.
    Failed,
}

/// A warning that is given once for each channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Said {
    /// The agent answers under ids that are strings.
    TextIds,
    /// A message of the agent goes to no client, because several may be meant.
    NoAddressee,
    /// A passing id gave way to a newer one.
    PassingIds,
}

impl Channel {
    /// A row for a process that is about to be started.
    pub fn new(agent: AgentId, origin: Origin, now: Moment) -> Self {
        Channel {
            state: ChannelState::Spawned,
            agent,
            origin,
            pool: None,
            shared_cwd: None,
            opened: 0,
            is_for_one: false,
            echoes: false,
            agent_version: Box::default(),
            capabilities: Capabilities::default(),
            login: Login::Unknown,
            sessions: BTreeSet::new(),
            names: SessionNames::default(),
            passing: Ids::default(),
            expected: BTreeMap::new(),
            handles: Handles::default(),
            tombstones: Tombstones::default(),
            early: Early::default(),
            calls: Ids::default(),
            overdue: Ids::default(),
            forsaken: Ids::default(),
            questions: Ids::default(),
            leases: BTreeSet::new(),
            unread: None,
            paused: false,
            clock: ChannelClock::new(now),
            survey: Survey::Unknown,
            succession: Succession::None,
            outdated: None,
            stray: (now, 0),
            said: BTreeSet::new(),
        }
    }

    /// Remembers a call that was ended before the agent has answered it.
    pub fn forsake(&mut self, id: CallId) {
        self.forsaken.insert(id);
        if self.forsaken.len() > MAX_FORSAKEN {
            self.forsaken.pop_first();
        }
    }

    /// Whether the process is still there after SIGKILL: the bridge can do no more.
    pub fn is_stuck(&self) -> bool {
        matches!(self.state, ChannelState::Stopping { rung: Rung::Stuck, .. })
    }

    /// Whether the handshake runs.
    pub fn is_starting(&self) -> bool {
        matches!(self.state, ChannelState::Starting { .. })
    }

    /// Whether the stop ladder runs.
    pub fn is_stopping(&self) -> bool {
        matches!(self.state, ChannelState::Stopping { .. })
    }

    /// Whether any session id of its agent has an alias, or may come to have one.
    pub fn has_aliases(&self) -> bool {
        self.names.has_aliases() || !self.expected.is_empty() || self.tombstones.has_aliases()
    }

    /// Whether messages of its agent may hold an id that a client knows by another one.
    pub fn exchanges_ids(&self) -> bool {
        self.has_aliases() || self.handles.has_aliases()
    }

    /// Whether there may be a reason to retire it: its agent left an open or a close unanswered,
    /// holds husks, or is outdated.
    pub fn may_have_to_retire(&self) -> bool {
        let closed = &self.tombstones;
        self.is_outdated()
            || !self.overdue.is_empty()
            || closed.has_unanswered()
            || closed.has_close_to_resend()
            || closed.husks() > 0
    }

    /// Whether its agent answered `initialize`, so that it may be sent requests.
    pub fn is_open(&self) -> bool {
        matches!(self.state, ChannelState::Ready | ChannelState::Draining { .. })
    }

    /// Whether new sessions go to another channel, if there is or can be one.
    pub fn is_outdated(&self) -> bool {
        self.outdated.is_some()
    }
}
