//! Requests that await an answer: calls go to agents, questions to clients.
//!
//! Each keeps the asker's own spelling of its id, gets a number of the bridge
//! for the other wire, and is answered exactly once (I4).

use bytes::Bytes;

use crate::bridge::books::id_set::Ids;
use crate::bridge::books::session::Session;
use crate::bridge::id::{AgentId, CallId, ChannelId, ClientId, FanoutId, PoolId, SessionKey};
use crate::bridge::time::Moment;
use crate::wire::{Frame, Method, Token};

/// Who wants the answer to a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asker {
    /// A client, under its own id.
    Client(ClientId, Token),
    /// The bridge itself; or the client that asked is gone or was refused meanwhile.
    Nobody,
}

/// How far a call has come.
#[derive(Clone, Debug, PartialEq)]
pub enum Stage {
    /// Not sent: it waits for a channel, for its handshake, or for a turn's end.
    Held(Box<Frame>),
    /// Sent at this moment.
    Sent(Moment),
    /// Its timeout has passed and the asker was answered; the agent's answer, if it
    /// ever comes, is recognised.
    Overdue,
}

impl Stage {
    /// Waits here, in memory of its own.
    pub fn held(frame: &Frame) -> Stage {
        Stage::Held(Box::new(frame.detached()))
    }
}

/// The four ways to open a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenKind {
    /// `session/new`.
    New,
    /// `session/load`.
    Load,
    /// `session/resume`.
    Resume,
    /// `session/fork`.
    Fork,
}

impl OpenKind {
    /// How a method opens a session, if it does.
    pub fn of(method: Method) -> Option<OpenKind> {
        match method {
            Method::SessionNew => Some(OpenKind::New),
            Method::SessionLoad => Some(OpenKind::Load),
            Method::SessionResume => Some(OpenKind::Resume),
            Method::SessionFork => Some(OpenKind::Fork),
            _ => None,
        }
    }
}

/// A session that is being opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opening {
    /// How.
    pub kind: OpenKind,
    /// The stored conversation that is restored or copied, as the agent knows it.
    pub source: Option<Box<str>>,
    /// The id by which the client names it.
    pub public: Option<Box<str>>,
    /// Its working directory; empty if it was not said.
    pub cwd: Box<str>,
}

impl Opening {
    /// The id that it will have, where that is known before the answer.
    pub fn restores(&self) -> Option<&str> {
        match self.kind {
            OpenKind::Load | OpenKind::Resume => self.source.as_deref(),
            OpenKind::New | OpenKind::Fork => None,
        }
    }

    /// The ids of a stored conversation that is restored: the agent's, and the clients'.
    pub fn restored_ids(&self) -> Option<(&str, &str)> {
        let source = self.restores()?;
        Some((source, self.public.as_deref().unwrap_or(source)))
    }
}

/// What a call is for.
#[derive(Clone, Debug, PartialEq)]
pub enum Purpose {
    /// The handshake.
    Initialize,
    /// What every further channel must hear before its first session.
    SetUpReplay {
        /// Whether no session may be opened if it is refused.
        needed: bool,
    },
    /// A new session.
    Open(Opening),
    /// A turn.
    Prompt,
    /// The end of a session; the agent's id of it.
    Close(Box<str>),
    /// A login; the request, if it is to be repeated on further channels.
    Login(Option<Box<Frame>>),
    /// The stored conversations; `first` page or not.
    List {
        /// Whether it asked for the first page.
        first: bool,
        /// The directory it asked for.
        cwd: Option<Box<str>>,
    },
    /// One of several channels' answers.
    Part(FanoutId),
    /// What every channel must hear, on the only one that there is.
    Shared(Box<Frame>),
    /// Something about a stored conversation.
    Stored {
        /// The agent's id of it.
        id: Box<str>,
        /// The channel that had it last, if that is there.
        home: Option<ChannelId>,
    },
    /// A load or resume of a session that is live.
    Reload {
        /// Whether it attached the client: a refusal ends that again.
        attached: bool,
    },
    /// Anything else in a session.
    Session,
    /// Anything else without a session.
    Connection {
        /// Whether the method is unknown, so that the agent may hold something
        /// for this client.
        unknown: bool,
    },
}

/// A row: a request on its way to an agent.
#[derive(Clone, Debug)]
pub struct Call {
    /// Who wants the answer.
    pub asker: Asker,
    /// What it is for.
    pub purpose: Purpose,
    /// The agent that it is for.
    pub agent: AgentId,
    /// The channel it is on; none: it waits for one.
    pub channel: Option<ChannelId>,
    /// The session it belongs to, live or closed meanwhile.
    pub session: Option<SessionKey>,
    /// When it was asked.
    pub asked_at: Moment,
    /// How far it has come.
    pub stage: Stage,
}

impl Call {
    /// A request of a client in a live session.
    pub fn in_session(
        session: &Session,
        asker: Asker,
        purpose: Purpose,
        stage: Stage,
        now: Moment,
    ) -> Self {
        Call {
            asker,
            purpose,
            agent: session.agent,
            channel: Some(session.channel),
            session: Some(session.key),
            asked_at: now,
            stage,
        }
    }

    /// A request on a channel that belongs to no session.
    pub fn on_channel(
        (agent, channel): (AgentId, ChannelId),
        asker: Asker,
        purpose: Purpose,
        stage: Stage,
        now: Moment,
    ) -> Self {
        let channel = Some(channel);
        Call { asker, purpose, agent, channel, session: None, asked_at: now, stage }
    }

    /// The same request, about a session.
    pub fn of_session(self, key: SessionKey) -> Self {
        Call { session: Some(key), ..self }
    }

    /// The client that waits for it.
    pub fn client(&self) -> Option<ClientId> {
        match self.asker {
            Asker::Client(client, _) => Some(client),
            Asker::Nobody => None,
        }
    }

    /// It still waits for a channel to be ready, and not for a turn or a prompt to end.
    pub fn waits_for_channel(&self) -> bool {
        self.is_unsent() && !matches!(self.purpose, Purpose::Prompt | Purpose::Close(_))
    }

    /// It was sent and is neither answered nor overdue.
    pub fn is_sent(&self) -> bool {
        matches!(self.stage, Stage::Sent(_))
    }

    /// It still waits here. A close that is only waited for counts as sent.
    pub fn is_unsent(&self) -> bool {
        matches!(self.stage, Stage::Held(_))
    }

    /// What is being opened, if something is.
    pub fn opening(&self) -> Option<&Opening> {
        match &self.purpose {
            Purpose::Open(opening) => Some(opening),
            _ => None,
        }
    }
}

/// A request of a client that several channels answer together.
#[derive(Clone, Debug)]
pub struct Fanout {
    /// Who wants the answer.
    pub asker: Asker,
    /// Whose channels they are.
    pub pool: PoolId,
    /// What they were asked.
    pub request: Frame,
    /// The channels that were told.
    pub told: Vec<ChannelId>,
    /// Those of their answers that are still to come.
    pub parts: Ids<CallId>,
    /// The answer so far: the first failure, otherwise the first success.
    pub answer: Option<Frame>,
}

/// A row: a request of an agent, on its way to clients.
#[derive(Clone, Debug)]
pub struct Question {
    /// The channel whose agent asks.
    pub channel: ChannelId,
    /// Its id, as the agent spells it.
    pub token: Token,
    /// What it asks.
    pub method: Method,
    /// The session it belongs to.
    pub session: Option<SessionKey>,
    /// The session id it names, while that session is being opened.
    pub opening: Option<Box<str>>,
    /// The request itself, for those who come later.
    pub frame: Frame,
    /// The clients that have it open.
    pub asked: Vec<ClientId>,
    /// The last error of a client that could not answer.
    pub last_error: Option<Frame>,
    /// Since when nobody is there to answer it.
    pub alone_since: Option<Moment>,
    /// When the turn was cancelled in which it was asked.
    pub cancelled_at: Option<Moment>,
}

impl Question {
    /// A question that belongs to no session, yet or at all.
    pub fn new(channel: ChannelId, frame: &Frame, asked: Vec<ClientId>, now: Moment) -> Self {
        Question {
            channel,
            token: frame.id(),
            method: frame.method,
            session: None,
            opening: None,
            frame: frame.detached(),
            alone_since: asked.is_empty().then_some(now),
            asked,
            last_error: None,
            cancelled_at: None,
        }
    }

    /// The result that ends a question of this kind without anybody's consent.
    /// `None`: it is ended by an error.
    pub fn withdrawal(method: Method) -> Option<Bytes> {
        let result: &'static [u8] = match method {
            Method::RequestPermission => br#"{"outcome":{"outcome":"cancelled"}}"#,
            Method::ElicitationCreate => br#"{"action":"cancel"}"#,
            Method::TerminalRelease | Method::TerminalKill => b"{}",
            _ => return None,
        };
        Some(Bytes::from_static(result))
    }
}
