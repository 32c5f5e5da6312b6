//! The opening of a session: the purpose of a new, load, resume or fork.

use bytes::Bytes;

use crate::bridge::books::call::open_kind::OpenKind;
use crate::bridge::books::call::sent_at::SentAt;
use crate::bridge::id::{PassingKey, SessionKey};
use crate::bridge::settings::Settings;
use crate::wire::Frame;

/// A session that is being opened.
#[derive(Clone, Debug, PartialEq)]
pub struct Opening {
    /// The way in which it is opened.
    pub kind: OpenKind,
    /// The agent's id of the conversation that is restored or copied; `None` for
    /// `session/new`.
    pub agent_id: Option<Box<str>>,
    /// The id by which the client names that same conversation.
    pub public_id: Option<Box<str>>,
    /// The working directory of the session; empty if the request names none.
    pub cwd: Box<str>,
    /// The MCP servers of the session that are processes of its agent.
    pub servers: usize,
    /// A hash of each part of the request that tells what the session works with, by its name.
    pub opened_with: [(&'static str, u64); 2],
    /// Its params, as JSON text.
    pub params: Bytes,
    /// The parked session that it brings back.
    pub revives: Option<SessionKey>,
    /// The part of the replay that the bridge must know.
    pub replayed: Replayed,
    /// Whether it may be sent again behind a repeated login.
    pub login: RepeatLogin,
    /// The sub-agents that the replay of a restored session has announced: they come to
    /// belong to it.
    pub children: Vec<PassingKey>,
}

/// The part of the replay of a conversation that the bridge must know.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Replayed {
    /// Whether a part of the history was in it.
    pub has_history: bool,
    /// The settings that it has told.
    pub settings: Settings,
}

/// Whether an open may be sent again behind a repeated login, once for each process.
#[derive(Clone, Debug, PartialEq)]
pub enum RepeatLogin {
    /// It was not sent to this process yet.
    Unsent,
    /// It was sent: this is the request, to be sent again if it is refused for want of a login.
    Possible(Box<Frame>),
    /// It was refused so.
    Repeated {
        /// The refusal: the client gets it if the login or the second try is in vain.
        refusal: Box<Frame>,
        /// When it was sent first: its time runs from there.
        sent: SentAt,
    },
}

impl Opening {
    /// The opening of a conversation that the agent and the client know by these ids, of which no
    /// more is known.
    pub fn of(
        kind: OpenKind,
        (agent_id, public_id): (Option<Box<str>>, Option<Box<str>>),
        cwd: Box<str>,
    ) -> Opening {
        Opening {
            kind,
            agent_id,
            public_id,
            cwd,
            servers: 0,
            opened_with: [("", 0); 2],
            params: Bytes::new(),
            revives: None,
            replayed: Replayed::default(),
            login: RepeatLogin::Unsent,
            children: Vec::new(),
        }
    }

    /// The agent's id of the conversation that is restored. `None`: the session is new or
    /// a copy, and only the answer tells its id.
    pub fn restores(&self) -> Option<&str> {
        match self.kind {
            OpenKind::Load | OpenKind::Resume => self.agent_id.as_deref(),
            OpenKind::New | OpenKind::Fork => None,
        }
    }

    /// The two ids of the conversation that is restored: the agent's, then the one that
    /// clients know. `None`: the open restores none.
    pub fn restored_ids(&self) -> Option<(&str, &str)> {
        let source = self.restores()?;
        Some((source, self.public_id.as_deref().unwrap_or(source)))
    }
}
