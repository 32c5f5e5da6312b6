//! One client: a connection that speaks ACP as a client.

use std::collections::BTreeSet;

use crate::bridge::books::ended_sessions::Ended;
use crate::bridge::books::held_frames::HeldFrames;
use crate::bridge::books::id_set::Ids;
use crate::bridge::books::parent::Parent;
use crate::bridge::environment::Environment;
use crate::bridge::id::{AgentId, CallId, ChannelId, FanoutId, PoolId, QuestionId, SessionKey};
use crate::bridge::quirks::{Mirror, mirror};
use crate::bridge::refusal::Refusal;
use crate::bridge::time::Moment;
use crate::bridge::update::Gate;
use crate::wire::Frame;

/// Requests that one peer may have open at once.
pub const MAX_PENDING: usize = 1024;

/// A row: one connection that speaks ACP as a client.
#[derive(Clone, Debug)]
pub struct Client {
    /// The agent that the client is assigned to.
    pub agent: AgentId,
    /// Its environment.
    pub environment: Environment,
    /// The directory it was started in.
    pub cwd: Box<str>,
    /// The pool that its `initialize` led to.
    pub pool: Option<PoolId>,
    /// Whether an agent has answered its `initialize`.
    pub introduction: Introduction,
    /// When it connected.
    pub connected_at: Moment,
    /// The name and the version that it gave itself in its `initialize`.
    pub program: Program,
    /// The process that started its connection.
    pub parent: Parent,
    /// Whether it asked for the notifications of the bridge's own extension.
    pub wants_events: bool,
    /// The frames that it sent behind its `initialize`, before that was answered.
    pub held: HeldFrames,
    /// The capabilities that it offers to agents.
    pub offers: Offers,
    /// Its wishes for the notifications of its sessions.
    pub listening: Listening,
    /// Sessions it is attached to.
    pub sessions: BTreeSet<SessionKey>,
    /// Parked sessions in which it is dormant.
    pub dormant: BTreeSet<SessionKey>,
    /// Its open requests that one channel answers.
    pub calls: Ids<CallId>,
    /// Its open requests that several channels answer together.
    pub fanouts: BTreeSet<FanoutId>,
    /// Questions that were put to it and are open.
    pub questions: Ids<QuestionId>,
    /// The channel that last served it.
    pub served_by: Option<ChannelId>,
    /// Sessions that ended while it was attached or that it left, and why.
    pub ended: Ended,
    /// Its slowness: its outbox went over the high mark, and is not yet under the low one.
    pub slow: Option<Slow>,
}

/// The slowness of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slow {
    /// When it began, or when it was last seen that it holds up nobody.
    pub since: Moment,
    /// Whether its outbox has reached its limit since: nothing more may be put there.
    pub is_full: bool,
}

/// Whether an agent has answered the `initialize` of a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Introduction {
    /// No: no `initialize` was answered yet.
    Awaited,
    /// No: all that the client ever got is that the bridge failed its `initialize`.
    Failed(Box<Refusal>),
    /// No, but an agent has answered an earlier one, or refused it.
    Heard,
    /// Yes.
    Done,
}

impl Introduction {
    /// The state when the client sends `initialize` once more.
    #[must_use]
    pub fn again(&self) -> Introduction {
        match self {
            Introduction::Awaited | Introduction::Failed(_) => Introduction::Awaited,
            Introduction::Heard | Introduction::Done => Introduction::Heard,
        }
    }
}

/// The longest name and version of a client that are kept, in bytes.
const LONGEST_NAME: usize = 256;

/// The program at the other end of a connection, as it names itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Program {
    /// Its name; `None`: it gave none.
    pub name: Option<Box<str>>,
    /// Its version; `None`: it gave none.
    pub version: Option<Box<str>>,
}

impl Program {
    /// Reads the names from the params of an `initialize`.
    pub fn of(initialize: &Frame) -> Self {
        let text = |field| {
            let text = initialize.find_text(&["clientInfo", field])?;
            let fits = |(at, letter): &(usize, char)| at + letter.len_utf8() <= LONGEST_NAME;
            let kept: String = text.char_indices().take_while(fits).map(|(_, it)| it).collect();
            Some(kept.into())
        };
        Program { name: text("name"), version: text("version") }
    }
}

/// The offers of a client to agents, from `clientCapabilities`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Offers {
    /// `fs.readTextFile`.
    pub read: bool,
    /// `fs.writeTextFile`.
    pub write: bool,
    /// `terminal`.
    pub terminal: bool,
    /// `elicitation.form`; also an `elicitation` that names no mode.
    pub elicitation_by_form: bool,
    /// `elicitation.url`.
    pub elicitation_by_url: bool,
}

impl Offers {
    /// Reads the offers from the params of an `initialize`.
    pub fn of(initialize: &Frame) -> Self {
        let has = |path: &[&str]| {
            initialize
                .find(path)
                .is_some_and(|place| !matches!(place.of(initialize.bytes()), b"null" | b"false"))
        };
        Offers {
            read: has(&["clientCapabilities", "fs", "readTextFile"]),
            write: has(&["clientCapabilities", "fs", "writeTextFile"]),
            terminal: has(&["clientCapabilities", "terminal"]),
            elicitation_by_form: has(&["clientCapabilities", "elicitation", "form"])
                || (has(&["clientCapabilities", "elicitation"])
                    && !has(&["clientCapabilities", "elicitation", "url"])),
            elicitation_by_url: has(&["clientCapabilities", "elicitation", "url"]),
        }
    }
}

/// The wishes of a client for the notifications of its sessions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Listening {
    /// Whether each is to carry its sequence number.
    pub numbered: bool,
    /// The turns that it is shown.
    pub mirror: Mirror,
    /// For each of [`Gate::ALL`], whether it offered the capability.
    offered: [bool; 4],
}

impl Listening {
    /// Reads the wishes from the params of an `initialize`.
    pub fn of(initialize: &Frame) -> Self {
        let text = initialize.bytes();
        let at = |path: &[&str]| initialize.find(path).map(|place| place.of(text));
        let numbered = ["clientCapabilities", "_meta", "drawbridge", "seq"];
        let name = initialize.find_text(&["clientInfo", "name"]);
        Listening {
            numbered: at(&numbered) == Some(b"true"),
            mirror: name.map(|name| mirror(&name)).unwrap_or_default(),
            offered: Gate::ALL.map(|gate| {
                at(gate.path()).is_some_and(|value| !matches!(value, b"null" | b"false"))
            }),
        }
    }

    /// Whether the client offered the capability that an update needs.
    pub fn passes(&self, gate: Gate) -> bool {
        let place = Gate::ALL.iter().position(|other| *other == gate);
        place.is_some_and(|place| self.offered[place])
    }
}

impl Client {
    /// Whether an agent has answered its `initialize`.
    pub fn is_introduced(&self) -> bool {
        self.introduction == Introduction::Done
    }

    /// The reason why it has got nothing but a failed `initialize`; `None`: it got more, or
    /// waits.
    pub fn failure(&self) -> Option<&Refusal> {
        match &self.introduction {
            Introduction::Failed(refusal) => Some(refusal),
            Introduction::Awaited | Introduction::Heard | Introduction::Done => None,
        }
    }

    /// A client that just connected.
    pub fn new(agent: AgentId, environment: Environment, cwd: Box<str>, now: Moment) -> Self {
        Client {
            agent,
            environment,
            cwd,
            pool: None,
            introduction: Introduction::Awaited,
            connected_at: now,
            program: Program::default(),
            parent: Parent::Unheard,
            wants_events: false,
            held: HeldFrames::default(),
            offers: Offers::default(),
            listening: Listening::default(),
            sessions: BTreeSet::new(),
            dormant: BTreeSet::new(),
            calls: Ids::default(),
            fanouts: BTreeSet::new(),
            questions: Ids::default(),
            served_by: None,
            ended: Ended::default(),
            slow: None,
        }
    }
}
