//! The deeds of a client.

use drawbridge::bridge::{ChannelId, ClientId, Event};
use drawbridge::wire::Method;

use super::marks::of_request;
use super::words::{self, Id, KIDS, NOTIFICATIONS, RARITIES, REQUESTS, named, quoted};
use super::world::Question;
use super::{Script, holds_mark, too_long};

/// The most sessions that a client loads when it comes back.
const MANY_LOADS: usize = 4;

impl Script<'_> {
    pub(super) fn client(&mut self, word: u8, client: ClientId) {
        match word {
            b'r' => {
                let method = self.text.letter(REQUESTS);
                let (session, how) = self.session();
                self.request(client, method, session.as_deref(), how);
            }
            b'K' => {
                let method = self.text.letter(REQUESTS);
                let (session, how) = self.passing();
                self.request(client, method, Some(&session), how);
            }
            b'd' => {
                let method = self.text.letter(REQUESTS);
                let (session, how) = self.session();
                // An id that may be in use already.
                let id = ["1", "null"][how % 2].to_owned();
                self.request_under(client, &id, method, session.as_deref(), how);
            }
            b'n' => {
                let method = self.text.letter(NOTIFICATIONS);
                let (session, how) = self.session();
                let cwd = ["/a", "/b"][how % 2];
                let (name, named) = (words::name(method), named(session.as_deref()));
                let line = format!(r#"{{"method":"{name}","params":{{{named}"cwd":"{cwd}"}}}}"#);
                self.client_says(client, line.as_bytes());
            }
            b'N' => self.rarity(client),
            b'a' => {
                let (which, how) = (self.text.digit(), self.text.digit());
                let row = self.world.clients.get_mut(&client);
                let Some(row) = row.filter(|row| !row.questions.is_empty()) else { return };
                let at = which % row.questions.len();
                // From 8 on the question stays, so that it can be answered twice.
                let question = if how < 8 { row.questions.remove(at) } else { row.questions[at] };
                self.replies(client, question, how % 8);
            }
            b'Z' => self.replies_unreadably(client),
            b'w' => {
                let which = self.text.digit();
                let row = self.world.clients.get(&client);
                let Some(id) = row.and_then(|row| row.open.nth(which)) else { return };
                let line =
                    format!(r#"{{"method":"$/cancel_request","params":{{"requestId":{id}}}}}"#);
                self.client_says(client, line.as_bytes());
            }
            b'g' => self.world.event(Event::ClientGone { client }),
            b'R' => self.comes_back(client),
            b'b' => {
                let line = self.text.line();
                if !holds_mark(line) {
                    self.client_says(client, line);
                }
            }
            b'L' => {
                let how = self.text.digit();
                let row = self.world.clients.get(&client);
                let asked = row.and_then(|row| row.questions.first()).map_or(1, |open| open.id);
                let frame = Err(too_long(how, asked));
                self.world.event(Event::ClientFrame { client, frame });
            }
            _ => {
                let over = self.text.choose(&[false, true]);
                self.world.event(Event::ClientMarkPassed { client, over });
            }
        }
    }

    /// Sends a request under a fresh id; `how` selects its other params.
    pub(super) fn request(
        &mut self,
        client: ClientId,
        method: Method,
        session: Option<&str>,
        how: usize,
    ) {
        let id = self.id();
        self.request_under(client, &id, method, session, how);
    }

    fn request_under(
        &mut self,
        client: ClientId,
        id: &str,
        method: Method,
        session: Option<&str>,
        how: usize,
    ) {
        // Clients with the same `initialize` share a pool: it has no mark.
        let mark = match method {
            Method::Initialize => String::new(),
            _ => of_request(self.world.marks.ask(client, method, session)),
        };
        let server = if how < 12 { format!("srv-{}", client.0) } else { "srv-x".to_owned() };
        let params = words::params(method, session, how, &mark, &server);
        let name = words::name(method);
        let line = format!(r#"{{"id":{id},"method":"{name}","params":{params}}}"#);
        self.client_says(client, line.as_bytes());
    }

    /// The id of a sub-agent, or one that no open has brought; and the digit that named it.
    fn passing(&mut self) -> (String, usize) {
        let which = self.text.digit();
        let seen = self.world.passing.get(which).cloned();
        (seen.unwrap_or_else(|| KIDS[which % KIDS.len()].to_owned()), which)
    }

    /// Sends a message that few clients send.
    fn rarity(&mut self, client: ClientId) {
        let (name, id) = self.text.letter(RARITIES);
        let (session, how) = self.passing();
        let session = (!matches!(name, "nes/start" | "_x/import")).then_some(session);
        let row = self.world.clients.get(&client);
        let open = row.and_then(|row| row.open.nth(how)).cloned();
        let body = match name {
            "mcp/message" => format!(r#""connectionId":"conn-{}","#, client.0),
            "$/cancel_request" => format!(r#""requestId":{},"#, open.unwrap_or_default()),
            _ => named(session.as_deref()),
        };
        if name == "$/cancel_request" && body == r#""requestId":,"# {
            return;
        }
        let id = match id {
            Id::Fresh => format!(r#""id":{},"#, self.id()),
            Id::Null => r#""id":null,"#.to_owned(),
            Id::None => String::new(),
        };
        let method = if name == "nes/close" { Method::SessionClose } else { Method::named(name) };
        let session = session.filter(|_| name != "mcp/message");
        let mark = of_request(self.world.marks.ask(client, method, session.as_deref()));
        let line =
            format!(r#"{{{id}"method":{},"params":{{{body}"mark":"{mark}"}}}}"#, quoted(name));
        self.client_says(client, line.as_bytes());
    }

    /// Answers a question; `how` selects a good or a bad answer.
    pub(super) fn replies(&mut self, client: ClientId, question: Question, how: usize) {
        let Question { id, method, connects, .. } = question;
        let line = match (connects, how) {
            (true, 0) => {
                format!(r#"{{"id":{id},"result":{{"connectionId":"conn-{}"}}}}"#, client.0)
            }
            // Another client may give its connection the same name.
            (true, 5) => format!(r#"{{"id":{id},"result":{{"connectionId":"conn-x"}}}}"#),
            _ => format!(r#"{{"id":{id},{}}}"#, words::reply(method, how)),
        };
        self.client_says(client, line.as_bytes());
    }

    /// Answers a question with a line of which only the id can be read: the agent must not
    /// wait on.
    fn replies_unreadably(&mut self, client: ClientId) {
        let (which, how) = (self.text.digit(), self.text.digit());
        let row = self.world.clients.get_mut(&client);
        let Some(row) = row.filter(|row| !row.questions.is_empty()) else { return };
        let question = row.questions.remove(which % row.questions.len());
        let others = self.world.clients.values();
        let is_open = |open: &Question| open.id == question.id;
        let is_only = !others.flat_map(|row| &row.questions).any(is_open);
        let is_alone = |mark| self.world.channels.values().any(|row| row.open.has_alone(mark));
        let mark = question.mark.filter(|mark| is_only && is_alone(*mark));
        self.client_says(client, &words::unreadable(question.id, how));
        // Of a permission it only says that this client cannot answer.
        let is_final = question.method != Method::RequestPermission;
        if let Some(mark) = mark.filter(|_| is_final) {
            let waits = |channel: &ChannelId| self.world.channels[channel].open.has(mark);
            let waiting = self.channels(|row| !row.is_gone).into_iter().find(|id| waits(id));
            assert_eq!(waiting, None, "a question has no answer, for its answer was unreadable");
        }
    }

    /// The connection of a client is lost; it connects anew and loads its sessions.
    fn comes_back(&mut self, client: ClientId) {
        let row = self.world.clients.get(&client);
        let sessions = row.map_or_else(Vec::new, |row| row.sessions.clone());
        self.world.event(Event::ClientGone { client });
        let Some(again) = self.connect() else { return };
        self.request(again, Method::Initialize, None, 0);
        for session in sessions.iter().take(MANY_LOADS) {
            self.request(again, Method::SessionLoad, Some(session), 0);
        }
    }
}
