//! The deeds of an agent and its process.

use drawbridge::bridge::{ChannelId, Event, ExitStatus, Outdated, Process};
use drawbridge::wire::Method;

use super::marks::{About, of_message};
use super::text::nth;
use super::words::{self, KIDS, ODD, QUESTIONS, SCOPES, SESSIONS, UNREADABLE, named, quoted};
use super::world::{Reference, Sent};
use super::{Script, answer, holds_mark, is_answer, too_long};

impl Script<'_> {
    pub(super) fn agent(&mut self, word: u8, channel: ChannelId) {
        match word {
            b'A' => self.answers(channel),
            b'U' => self.answers_unreadably(channel),
            b'D' => self.answers_oddly(channel),
            b'l' => {
                let how = self.text.digit();
                let id = self.wrong_id(channel, how);
                self.agent_says(channel, &format!(r#"{{"id":{id},"result":{{}}}}"#));
            }
            b'q' => self.asks(channel),
            b'Q' => {
                let method = self.text.letter(QUESTIONS);
                let session = self.own(channel);
                let mark = self.mark(channel, About::Session(&session));
                let params = words::question(Some(&session), None, &mark);
                let (id, name) = (self.id(), words::name(method));
                let line = format!(r#"{{"id":{id},"method":"{name}","params":{params}}}"#);
                self.agent_says(channel, &line);
            }
            b'u' => {
                let kind = self.text.choose(&["agent_message_chunk", "subagent_update"]);
                let (session, how) = self.session();
                self.updates(channel, session.as_deref(), kind, SESSIONS[how]);
            }
            b'o' => {
                let session = self.own(channel);
                self.updates(channel, Some(&session), "agent_message_chunk", "");
            }
            b'G' => {
                let session = self.own(channel);
                let which = self.text.digit();
                let child = if which < 8 { KIDS[which % KIDS.len()] } else { SESSIONS[which - 8] };
                self.updates(channel, Some(&session), "subagent_update", child);
            }
            b'I' => {
                let session = self.own(channel);
                let mark = self.mark(channel, About::Update(&session));
                let named = named(Some(&session));
                let line = format!(
                    r#"{{"id":null,"method":"session/update","params":{{{named}"mark":"{mark}"}}}}"#
                );
                self.agent_says(channel, &line);
            }
            b'M' => {
                let scope = self.text.letter(SCOPES);
                let which = self.text.digit();
                self.says_in_scope(channel, scope, which);
            }
            b'x' => {
                let which = self.text.digit();
                let row = self.world.channels.get(&channel);
                let Some(id) = row.and_then(|row| row.open.nth(which)) else { return };
                let line =
                    format!(r#"{{"method":"$/cancel_request","params":{{"requestId":{id}}}}}"#);
                self.agent_says(channel, &line);
            }
            b'B' => {
                let line = self.text.line();
                if !holds_mark(line) {
                    self.agent_writes(channel, line);
                }
            }
            b'O' => {
                let (how, pending) = (self.text.digit(), self.text.digit());
                let row = self.world.channels.get(&channel);
                let asked =
                    row.and_then(|row| nth(&row.pending, pending)).map_or(1, |sent| sent.id);
                // A line over the limit can be the answer: then its request is no longer open.
                if is_answer(how) {
                    self.take_pending(channel, pending);
                }
                let frame = Err(too_long(how, asked));
                self.world.event(Event::ChannelFrame { channel, frame });
            }
            b'e' => {
                let status = [ExitStatus::Code(0), ExitStatus::Code(1), ExitStatus::Signal(9)];
                let status = self.text.choose(&status);
                let half_line = self.text.digit() as u64;
                self.world.exits(channel, status, half_line);
            }
            b'k' => self.world.event(Event::ChannelLost { channel }),
            b'H' => {
                let what = match self.text.digit() % 2 {
                    0 => Outdated::Updated { file: "/agent".to_owned() },
                    _ => Outdated::DeadHandle { name: "SSH_AUTH_SOCK".to_owned() },
                };
                self.world.event(Event::ChannelOutdated { channel, what });
            }
            b'F' => {
                let over = self.text.choose(&[false, true]);
                self.world.event(Event::ChannelMarkPassed { channel, over });
            }
            b'y' => {
                let process = Process { pid: 8, name: "sleep".to_owned(), born: self.world.now() };
                let digit = self.text.digit();
                let processes = Some(vec![process; digit % 3]);
                let worked = (digit > 2).then_some(digit as u64 / 8);
                self.world.event(Event::Surveyed { channel, processes, worked });
            }
            // A survey that fails: nothing is known of the tree.
            b'Y' => {
                self.world.event(Event::Surveyed { channel, processes: None, worked: None });
            }
            _ => {}
        }
    }

    /// The mark of a message that an agent is about to send.
    pub(super) fn mark(&mut self, channel: ChannelId, about: About<'_>) -> String {
        let here = self.world.here(channel);
        of_message(self.world.marks.say(channel, about, &here))
    }

    /// An id that the agent has used for a session, or from 8 on one that it may not have used.
    fn own(&mut self, channel: ChannelId) -> String {
        let which = self.text.digit();
        let own = self.world.marks.ids_on(channel);
        let otherwise = if which < 12 { KIDS[which % KIDS.len()] } else { SESSIONS[which - 12] };
        nth(&own, which).filter(|_| which < 8).cloned().unwrap_or_else(|| otherwise.to_owned())
    }

    /// Sends a notification about a session, or about none.
    fn updates(&mut self, channel: ChannelId, session: Option<&str>, kind: &str, child: &str) {
        let mark = self.mark(channel, session.map_or(About::Everybody, About::Update));
        if let Some(parent) = session.filter(|_| kind == "subagent_update") {
            self.world.marks.announce(channel, parent, child);
        }
        let (named, child) = (named(session), quoted(child));
        let line = format!(
            r#"{{"method":"session/update","params":{{{named}"update":{{"sessionUpdate":"{kind}","sessionId":{child},"content":{{"type":"text","text":"{mark}"}}}}}}}}"#
        );
        self.agent_says(channel, &line);
    }

    /// Asks something, in a session or under a request of a client.
    fn asks(&mut self, channel: ChannelId) {
        let method = self.text.letter(QUESTIONS);
        let (session, how) = self.session();
        let row = self.world.channels.get(&channel);
        let pending = row.and_then(|row| row.pending.first()).filter(|_| how % 2 == 1).cloned();
        let is_scope = session.is_none() && method == Method::ElicitationCreate;
        let asked = pending.as_ref().filter(|_| is_scope).map(|sent| self.open_request(sent));
        // An id that means nothing leads nowhere; the request that is named with it may.
        let is_vague = |id: &String| {
            let named = pending.is_some() && method == Method::ElicitationCreate;
            named && !self.world.marks.ids_on(channel).contains(id)
        };
        let about = match (&session, asked) {
            (Some(session), _) if is_vague(session) => About::Everybody,
            (Some(session), _) => About::Session(session),
            (None, Some(Some(asked))) => About::Request(asked),
            // A request of the bridge itself: it may belong to anybody.
            (None, Some(None)) => About::Everybody,
            (None, None) => About::Nothing,
        };
        let here = self.world.here(channel);
        let number = self.world.marks.say(channel, about, &here);
        if let Some(Some(asked)) = asked {
            self.world.references.insert(number, Reference::Pending(asked));
        }
        let request = pending.map(|sent| sent.id);
        let params = words::question(session.as_deref(), request, &of_message(number));
        let id = if how == 14 { "1".to_owned() } else { self.id() };
        let name = words::name(method);
        let line = format!(r#"{{"id":{id},"method":"{name}","params":{params}}}"#);
        self.agent_says(channel, &line);
    }

    /// The number of the client's request that an agent was sent, if the client waits for it.
    pub(super) fn open_request(&self, sent: &Sent) -> Option<usize> {
        sent.asked.filter(|asked| self.world.is_open(*asked))
    }

    /// Answers a request, well or badly.
    fn answers(&mut self, channel: ChannelId) {
        let (pending, how, which) = (self.text.digit(), self.text.digit(), self.text.digit());
        let Some(sent) = self.take_pending(channel, pending) else { return };
        let id = sent.id;
        let line = match how {
            1 => format!(r#"{{"id":{id},"error":{{"code":-32000,"message":"no"}}}}"#),
            2 => answer(id, "null"),
            3 => answer(id, "[]"),
            _ => answer(id, &self.good_result(channel, &sent, which)),
        };
        self.agent_says(channel, &line);
        if how == 4 {
            self.agent_says(channel, &line);
        }
        self.finished(channel, &sent);
    }

    /// Answers a request with a line of which only the id can be read: the asker has its
    /// answer at once, and no second one if the agent says it again, well.
    fn answers_unreadably(&mut self, channel: ChannelId) {
        let (pending, how) = (self.text.digit(), self.text.digit());
        let Some(sent) = self.take_pending(channel, pending) else { return };
        let waiting = sent.asked.filter(|asked| self.world.surely_waits(*asked));
        self.agent_writes(channel, &words::unreadable(sent.id, how));
        // An answer to these may have to wait for other channels or other requests.
        let may_wait = matches!(
            sent.method,
            Method::SessionClose
                | Method::SessionDelete
                | Method::SessionArchive
                | Method::Logout
                | Method::ProvidersSet
                | Method::ProvidersList
        );
        if let Some(asked) = waiting.filter(|_| !may_wait) {
            let waits = self.world.is_open(asked);
            assert!(!waits, "{sent:?} has no answer, for the agent's was unreadable");
        }
        if how >= UNREADABLE && !words::brings_session(&sent.name) {
            let result = self.good_result(channel, &sent, how);
            self.agent_says(channel, &answer(sent.id, &result));
        }
    }

    /// Answers a request well, in an odd dress.
    fn answers_oddly(&mut self, channel: ChannelId) {
        let (pending, how) = (self.text.digit(), self.text.digit());
        let Some(sent) = self.take_pending(channel, pending) else { return };
        let waiting = sent.asked.filter(|asked| self.world.surely_waits(*asked));
        let result = match words::is_bare(how) {
            true => String::new(),
            false => self.good_result(channel, &sent, how / ODD),
        };
        self.agent_says(channel, &words::odd(sent.id, how, &result));
        let is_simple = matches!(
            sent.method,
            Method::SessionPrompt
                | Method::SessionStatus
                | Method::SessionSetMode
                | Method::SessionSetConfigOption
                | Method::Other
        );
        if let Some(asked) = waiting.filter(|_| is_simple) {
            assert!(!self.world.is_open(asked), "the answer to {sent:?} was not understood");
        }
    }

    /// The id for an answer to nothing: unknown, in another spelling, of another channel, or
    /// answered before.
    fn wrong_id(&self, channel: ChannelId, how: usize) -> String {
        let row = self.world.channels.get(&channel);
        let late = row.and_then(|row| nth(&row.answered, how)).copied().unwrap_or(0);
        let others = self.world.channels.iter().filter(|(id, _)| **id != channel);
        let foreign = others.filter_map(|(_, row)| row.pending.first()).map(|sent| sent.id).next();
        match how {
            0 => "null".to_owned(),
            1 => "99999".to_owned(),
            2 => format!("\"{late}\""),
            3 => foreign.unwrap_or(late).to_string(),
            _ => late.to_string(),
        }
    }
}
