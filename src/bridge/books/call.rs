//! Calls: requests to agents that await an answer.
//!
//! Each request keeps its id as the asker spelled it, gets a number of the bridge as
//! its id on the other wire, and is answered exactly once (I4).

mod open_kind;
mod opening;
mod sent_at;

pub use self::open_kind::OpenKind;
pub use self::opening::{Opening, RepeatLogin};
pub use self::sent_at::SentAt;
use crate::bridge::books::id_set::Ids;
use crate::bridge::books::session::Session;
use crate::bridge::id::{AgentId, CallId, ChannelId, ClientId, FanoutId, PoolId, SessionKey};
use crate::bridge::reason::EndReason;
use crate::bridge::settings::Setting;
use crate::bridge::time::Moment;
use crate::wire::{Frame, Method, Token};

/// The one that gets the answer to a call or a fan-out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asker {
    /// A client; the token is the id that the client gave its request.
    Client(ClientId, Token),
    /// The bridge itself, to bring a session back for this client.
    Revival(ClientId),
    /// No client: the bridge itself made the request, or the client that made it is gone
    /// or was refused meanwhile.
    Nobody,
}

impl Asker {
    /// The client, if it is one.
    pub fn client(&self) -> Option<ClientId> {
        match self {
            Asker::Client(client, _) | Asker::Revival(client) => Some(*client),
            Asker::Nobody => None,
        }
    }
}

/// How far a call has come.
#[derive(Clone, Debug, PartialEq)]
pub enum Stage {
    /// Not sent yet, and kept here: the call waits for a channel, for the channel to be
    /// ready, or for a turn to end.
    Held(Box<Frame>),
    /// Sent.
    Sent(SentAt),
    /// An open that has timed out: the asker was answered, and the row is kept so that a
    /// late answer of the agent is recognised.
    Overdue {
        /// The client whose open it is; `None`: it was gone before.
        client: Option<ClientId>,
    },
}

impl Stage {
    /// The stage of a call that is sent at this moment, when its agent has lost this time.
    pub const fn sent(at: Moment, lost: u64) -> Stage {
        Stage::Sent(SentAt { at, lost })
    }

    /// The stage of a call that is not sent yet. Copies the frame into an allocation of
    /// its own.
    pub fn held(frame: &Frame) -> Stage {
        Stage::Held(Box::new(frame.detached()))
    }
}

/// The kinds of requests that are passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PassedOn {
    /// A turn.
    Prompt,
    /// Success ends what has the id, also a session, for this reason.
    End(EndReason),
    /// Success ends the edit suggestions that have the id.
    EndSuggestions,
    /// Any other.
    Other,
}

impl PassedOn {
    /// Whether success ends what has the id.
    pub fn ends(self) -> bool {
        matches!(self, PassedOn::End(_) | PassedOn::EndSuggestions)
    }
}

/// The kind of open that a request waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Behind {
    /// One that its client has asked for.
    Open,
    /// One by which the bridge brings a session back: prompts that wait for it go to the agent one
    /// after the other.
    Revival,
}

/// The purpose of a call.
#[derive(Clone, Debug, PartialEq)]
pub enum Purpose {
    /// The handshake.
    Initialize,
    /// A request of the set-up replay.
    SetUpReplay {
        /// Whether the channel may open no session if the agent refuses the request.
        needed: bool,
    },
    /// An open of any kind.
    Open(Opening),
    /// A turn.
    Prompt,
    /// The close of a session, with the agent's id of the session.
    Close(Box<str>),
    /// A login, with the request, which may have to be repeated on further channels.
    Login(Box<Frame>),
    /// A page of the list of stored conversations.
    List,
    /// The part of a fan-out that one channel answers.
    Part(FanoutId),
    /// A request that every channel of the pool must hear, made while none was open: one
    /// channel answers it. Carries the request, for the other channels.
    FanoutOfOne(Box<Frame>),
    /// A request about a stored conversation, such as `session/delete`.
    Stored {
        /// The parked session that ends with success.
        ends: Option<SessionKey>,
        /// The agent's id of the conversation.
        id: Box<str>,
        /// The channel that had the conversation last.
        home: Option<ChannelId>,
    },
    /// A request about a passing id, or about an id that the books do not know.
    PassedOn {
        /// The agent's id.
        id: Box<str>,
        /// The channel that had the id last.
        home: Option<ChannelId>,
        /// The kind of the request.
        kind: PassedOn,
    },
    /// A request about a conversation that another call restores: it is handled when that
    /// call is over.
    BehindOpen(Behind),
    /// The delete or archive of a live session, which ends with success.
    Removal,
    /// A login that the bridge repeats for an open that was refused for want of one.
    RepeatedLogin {
        /// That open.
        open: CallId,
    },
    /// A load or resume of a session that is live.
    Reload {
        /// Whether the request attached the client: if it fails, the client is detached
        /// again.
        attached: bool,
    },
    /// The change of a setting of a session, by this request.
    Setting(Box<Frame>),
    /// A setting of a session that was restored is made what it was.
    Reapply(Box<Setting>),
    /// Any other request in a session.
    InSession,
    /// Any other request without a session.
    WithoutSession {
        /// Whether the bridge does not know the method: the agent may then hold something
        /// for the client, so that success gives the client a lease.
        unknown: bool,
    },
}

impl Purpose {
    /// The method of such a request, for messages to people.
    pub const fn method(&self) -> &'static str {
        match self {
            Purpose::Initialize => Method::Initialize.name(),
            Purpose::Prompt => Method::SessionPrompt.name(),
            Purpose::Close(_) => Method::SessionClose.name(),
            Purpose::Login(_) => Method::Authenticate.name(),
            Purpose::List => Method::SessionList.name(),
            Purpose::Open(Opening { kind, .. }) => match kind {
                OpenKind::New => Method::SessionNew.name(),
                OpenKind::Load => Method::SessionLoad.name(),
                OpenKind::Resume => Method::SessionResume.name(),
                OpenKind::Fork => Method::SessionFork.name(),
            },
            Purpose::Reload { .. } => Method::SessionLoad.name(),
            Purpose::Reapply(_) => "a setting of a restored session",
            Purpose::SetUpReplay { .. } | Purpose::Part(_) | Purpose::FanoutOfOne(_) => {
                "a request for every process of the agent"
            }
            _ => "a request of a client",
        }
    }
}

/// A row: a request on its way to an agent.
#[derive(Clone, Debug)]
pub struct Call {
    /// The one that gets the answer.
    pub asker: Asker,
    /// The purpose, which decides what the answer brings about.
    pub purpose: Purpose,
    /// The agent that the request goes to.
    pub agent: AgentId,
    /// The channel that the call is on; `None`: it waits for one.
    pub channel: Option<ChannelId>,
    /// The session that the call belongs to, live or closed meanwhile.
    pub session: Option<SessionKey>,
    /// When the call was made.
    pub asked_at: Moment,
    /// How far the call has come.
    pub stage: Stage,
}

impl Call {
    /// A call in a live session, on that session's channel.
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

    /// A call on a channel that belongs to no session.
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

    /// The same call, belonging to a session.
    pub fn of_session(self, key: SessionKey) -> Self {
        Call { session: Some(key), ..self }
    }

    /// The client that waits for the answer.
    pub fn client(&self) -> Option<ClientId> {
        self.asker.client()
    }

    /// Whether the call is a prompt, of a session or under a passing id.
    pub fn is_turn(&self) -> bool {
        let purpose = &self.purpose;
        matches!(purpose, Purpose::Prompt | Purpose::PassedOn { kind: PassedOn::Prompt, .. })
    }

    /// Whether the call is a `session/close`, of a session or under a passing id.
    pub fn is_close(&self) -> bool {
        const CLOSE: PassedOn = PassedOn::End(EndReason::ClientClose);
        matches!(self.purpose, Purpose::Close(_) | Purpose::PassedOn { kind: CLOSE, .. })
    }

    /// Whether the call is an open that has timed out.
    pub fn is_overdue(&self) -> bool {
        matches!(self.stage, Stage::Overdue { .. })
    }

    /// Whether the call opens a session on a channel that it has found.
    pub fn takes_place(&self) -> bool {
        self.channel.is_some() && self.opening().is_some() && !self.is_overdue()
    }

    /// Whether the call waits to be placed on a channel, or for its channel to be ready.
    /// A prompt that is not sent waits for a turn to end instead.
    pub fn waits_for_channel(&self) -> bool {
        self.is_unsent() && !matches!(self.purpose, Purpose::Prompt | Purpose::Close(_))
    }

    /// When the call was sent; `None`: it was not, or is overdue.
    pub fn sent_at(&self) -> Option<SentAt> {
        match self.stage {
            Stage::Sent(sent) => Some(sent),
            Stage::Held(_) | Stage::Overdue { .. } => None,
        }
    }

    /// Whether the call was sent and is neither answered nor overdue.
    pub fn is_sent(&self) -> bool {
        matches!(self.stage, Stage::Sent(_))
    }

    /// Whether the call is not sent yet. A close for an agent that cannot close counts as
    /// sent, although the agent never gets it.
    pub fn is_unsent(&self) -> bool {
        matches!(self.stage, Stage::Held(_))
    }

    /// The session id that a held call names, as its client wrote it.
    pub fn held_session(&self) -> Option<String> {
        let Stage::Held(frame) = &self.stage else { return None };
        frame.session().map(Into::into)
    }

    /// The session that the call opens; `None`: it is no open.
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
    /// The one that gets the answer.
    pub asker: Asker,
    /// The pool of the channels.
    pub pool: PoolId,
    /// The client's request.
    pub request: Frame,
    /// The channels that the request was sent to.
    pub told: Vec<ChannelId>,
    /// The parts of the fan-out that are not answered yet.
    pub parts: Ids<CallId>,
    /// The answer so far: the first failure, otherwise the first success.
    pub answer: Option<Frame>,
}
