//! Messages of an agent that name no session: MCP connections, elicitations, and messages of
//! its own that belong to whatever runs.

use drawbridge::bridge::ChannelId;

use super::marks::{About, Here, Kind, of_message};
use super::text::nth;
use super::words::{Id, Scope};
use super::world::Reference;
use super::{Script, words};

/// A request id that the bridge has given to nobody.
const UNKNOWN: &str = "9999999";

/// A message, without its mark.
struct Message {
    method: &'static str,
    id: Id,
    /// The members of its params, each with a comma behind it.
    body: String,
    reference: Option<Reference>,
}

impl Message {
    fn new(method: &'static str, id: Id, body: String) -> Self {
        Message { method, id, body, reference: None }
    }

    /// An elicitation that names a request.
    fn elicitation(request: &str, reference: Option<Reference>) -> Self {
        let body = format!(r#""requestId":{request},"mode":"form","message":"code?","#);
        Message { reference, ..Message::new("elicitation/create", Id::Fresh, body) }
    }
}

impl Script<'_> {
    /// Says something that leads to a client by this scope, or to none.
    pub(super) fn says_in_scope(&mut self, channel: ChannelId, scope: Scope, which: usize) {
        use Scope::*;
        let elicitation = format!("e-{}", which % 4);
        let [server, connection] = [(Kind::Server, "srv-0"), (Kind::Connection, "conn-0")]
            .map(|(kind, otherwise)| self.one_of(channel, kind, which, otherwise));
        let row = &self.world.channels[&channel];
        let pending = nth(&row.pending, which).cloned();
        let finished = nth(&row.finished, which).copied();
        let mut about = About::Nothing;
        let message = match scope {
            Connect => {
                about = About::Named(Kind::Server, &server);
                Message::new("mcp/connect", Id::Fresh, format!(r#""acpId":"{server}","#))
            }
            McpToServer => {
                about = About::Named(Kind::Server, &server);
                let body = format!(r#""serverId":"{server}","requestId":1,"method":"tools/call","#);
                Message::new("mcp/message", Id::Fresh, body)
            }
            McpRequest | McpNullId | McpNotification => {
                let kind = Kind::Connection;
                about = About::Named(kind, &connection);
                let id = match scope {
                    McpRequest => Id::Fresh,
                    McpNullId => Id::Null,
                    _ => Id::None,
                };
                if id == Id::None && !self.world.marks.knows(channel, kind, &connection) {
                    about = About::Everybody;
                }
                let body = format!(r#""connectionId":"{connection}","method":"tools/call","#);
                Message::new("mcp/message", id, body)
            }
            Elicitation => {
                let body = format!(
                    r#""mode":"url","elicitationId":"{elicitation}","url":"https://example.com/","message":"log in","#
                );
                Message::new("elicitation/create", Id::Fresh, body)
            }
            Complete => {
                let is_known = self.world.marks.knows(channel, Kind::Elicitation, &elicitation);
                about = match is_known {
                    true => About::Named(Kind::Elicitation, &elicitation),
                    false => About::Everybody,
                };
                let body = format!(r#""elicitationId":"{elicitation}","#);
                Message::new("elicitation/complete", Id::None, body)
            }
            OfPending => {
                let Some(sent) = pending else { return };
                let asked = self.open_request(&sent);
                // A request of the bridge itself may belong to anybody.
                about = asked.map_or(About::Everybody, About::Request);
                Message::elicitation(&sent.id.to_string(), asked.map(Reference::Pending))
            }
            OfFinished => {
                let Some(number) = finished else { return };
                Message::elicitation(&number.to_string(), Some(Reference::Over))
            }
            OfNull => Message::elicitation("null", Some(Reference::Verbatim("null"))),
            OfUnknown => Message::elicitation(UNKNOWN, Some(Reference::Verbatim(UNKNOWN))),
            Ask => Message::new("_vendor/ask", Id::Fresh, String::new()),
            Forged => Message::new("_drawbridge/ask", Id::Fresh, String::new()),
            Note => {
                about = About::Everybody;
                Message::new("_vendor/note", Id::None, String::new())
            }
            Login => {
                about = About::Everybody;
                Message::new("auth/status_update", Id::None, String::new())
            }
        };
        let here = self.world.here(channel);
        let number = self.world.marks.say(channel, about, &here);
        if scope == Elicitation {
            self.world.marks.name(channel, Kind::Elicitation, &elicitation, number);
        }
        let must_be_shown = matches!(scope, OfFinished | OfNull | OfUnknown);
        self.says(channel, message, number);
        if must_be_shown {
            self.is_shown(channel, number, &here);
        }
    }

    fn one_of(&self, channel: ChannelId, kind: Kind, which: usize, otherwise: &str) -> String {
        let names = self.world.marks.names_on(channel, kind);
        nth(&names, which).cloned().unwrap_or_else(|| otherwise.to_owned())
    }

    fn says(&mut self, channel: ChannelId, message: Message, number: usize) {
        let Message { method, id, body, reference } = message;
        if let Some(reference) = reference {
            self.world.references.insert(number, reference);
        }
        let id = match id {
            Id::Fresh => format!(r#""id":{},"#, self.id()),
            Id::Null => r#""id":null,"#.to_owned(),
            Id::None => String::new(),
        };
        let (method, mark) = (words::quoted(method), of_message(number));
        let line = format!(r#"{{{id}"method":{method},"params":{{{body}"mark":"{mark}"}}}}"#);
        self.agent_says(channel, &line);
    }

    /// Checks that an elicitation was not turned away because the request that it names is
    /// over or unknown: with a single client it has an addressee.
    fn is_shown(&self, channel: ChannelId, number: usize, here: &Here) {
        let row = &self.world.channels[&channel];
        let is_served = !self.world.is_ending && !row.is_leaving && !row.is_gone;
        if is_served && self.world.clients.len() == 1 && here.has_one_addressee() {
            assert!(row.open.has(number), "an elicitation is turned away for its requestId");
        }
    }
}
