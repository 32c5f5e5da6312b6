//! Questions: requests of agents, on their way to clients.
//!
//! Each keeps its id as the agent spelled it, has a number of the bridge as its id on the
//! wires of clients, and is answered exactly once (I4).

use bytes::Bytes;

use crate::bridge::id::{CallId, ChannelId, ClientId, SessionKey};
use crate::bridge::time::Moment;
use crate::wire::{Frame, Method, Token};

/// A row: a request of an agent, on its way to clients.
#[derive(Clone, Debug)]
pub struct Question {
    /// The channel whose agent asks.
    pub channel: ChannelId,
    /// The id of the request, as the agent spells it.
    pub token: Token,
    /// The method of the request.
    pub method: Method,
    /// The session that the question belongs to.
    pub session: Option<SessionKey>,
    /// The session id that the question names, while that session is being opened.
    pub opening: Option<Box<str>>,
    /// The request of a client that the question belongs to: it ends with that request.
    pub call: Option<CallId>,
    /// The id to put in place of the request that the question names.
    pub request_id: Option<Token>,
    /// The request itself, for clients that are asked later.
    pub frame: Frame,
    /// When it was asked.
    pub asked_at: Moment,
    /// The clients that have the question open.
    pub asked: Vec<ClientId>,
    /// The last error of a client that could not answer.
    pub last_error: Option<Frame>,
    /// Since when no client has the question open; `None`: one has.
    pub alone_since: Option<Moment>,
    /// When a client cancelled the turn in which it was asked, and which one.
    pub cancelled: Option<(Moment, ClientId)>,
    /// Whether the agent has withdrawn it: the clients were told.
    pub is_recalled: bool,
    /// Clients that cannot answer it.
    pub erred: Vec<ClientId>,
}

impl Question {
    /// A question without a session; the caller sets `session` or `opening` if there is
    /// one, and what request it names.
    pub fn new(channel: ChannelId, frame: &Frame, asked: Vec<ClientId>, now: Moment) -> Self {
        Question {
            channel,
            token: frame.id(),
            method: frame.method,
            session: None,
            opening: None,
            call: None,
            request_id: None,
            frame: frame.detached(),
            asked_at: now,
            alone_since: asked.is_empty().then_some(now),
            asked,
            last_error: None,
            cancelled: None,
            is_recalled: false,
            erred: Vec::new(),
        }
    }

    /// The result by which the bridge itself ends a question with this method; it permits
    /// nothing. `None`: such a question is ended by an error.
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
