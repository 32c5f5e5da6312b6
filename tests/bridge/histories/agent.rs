//! A fake agent: what it does with what it hears, when it says something, and
//! how it leaves. It knows nothing of the bridge.

use std::collections::{BTreeMap, BTreeSet};

use drawbridge::bridge::ExitStatus;
use drawbridge::wire::{Frame, FrameKind, Method};

use super::history::{Answer, Early, Helpers, Ids, Leaving, Manners, Turn};

/// For so long an opening may be under way (ms).
const AT_WORK: u64 = 1_000;

/// What a frame of an agent is about, as it was meant.
#[derive(Clone, Debug)]
pub struct About {
    pub said: Said,
    pub session: Option<String>,
    /// The sub-agent that it announces.
    pub announces: Option<String>,
    /// The request to the agent that it belongs to, in place of a session.
    pub request: Option<u64>,
    /// The ids in an answer that opens nothing: of a list, or of what an unknown method began.
    pub brings: Vec<String>,
}

impl About {
    fn new(said: Said, session: Option<String>) -> Self {
        About { said, session, announces: None, request: None, brings: Vec::new() }
    }
}

/// What sort of frame it is.
#[derive(Clone, Debug, PartialEq)]
pub enum Said {
    Notification,
    Request {
        token: String,
        method: Method,
    },
    /// The answer to this id; `opens` a session.
    Answer {
        id: u64,
        opens: bool,
    },
    /// It withdraws its own request of this id.
    Withdrawal {
        token: String,
    },
}

/// A frame that is not numbered yet: all but its end.
#[derive(Clone, Debug)]
pub struct Draft {
    pub about: About,
    pub body: String,
}

/// What comes out of an agent.
pub enum Output {
    Says(Draft),
    /// Something on its stdout that is no message.
    Raves(&'static str),
    Exits(ExitStatus),
}

enum Act {
    Say(Draft),
    FinishTurn(u64, &'static str),
    Rave(&'static str),
    Exit(ExitStatus),
}

/// What an answer to one of its requests lets it go on with.
enum Then {
    Nothing,
    FinishTurn(u64),
    Say(Vec<Draft>),
}

/// One process.
pub struct Agent {
    pub manners: Manners,
    number: usize,
    todo: BTreeMap<(u64, u64), Act>,
    order: u64,
    pub sessions: BTreeSet<String>,
    /// The ids of its sub-agents, and the sessions that they work for. None is forgotten,
    /// so that none comes twice.
    helpers: BTreeMap<String, String>,
    opened: u64,
    /// When it chose an id that others may use too.
    chosen: BTreeMap<String, u64>,
    turns: BTreeMap<u64, String>,
    waiting: BTreeMap<String, Then>,
    asked: u64,
    received: u8,
    last_answer: Option<Draft>,
}

impl Agent {
    /// The process that was started as the `number`-th one.
    pub fn new(manners: Manners, number: usize) -> Self {
        Agent {
            manners,
            number,
            todo: BTreeMap::new(),
            order: 0,
            sessions: BTreeSet::new(),
            helpers: BTreeMap::new(),
            opened: 0,
            chosen: BTreeMap::new(),
            turns: BTreeMap::new(),
            waiting: BTreeMap::new(),
            asked: 0,
            received: 0,
            last_answer: None,
        }
    }

    /// When it does something next.
    pub fn due(&self) -> Option<u64> {
        self.todo.first_key_value().map(|((at, _), _)| *at)
    }

    /// Does the next thing.
    pub fn act(&mut self, now: u64) -> Option<Output> {
        match self.todo.pop_first()?.1 {
            Act::Say(draft) => {
                if let Said::Answer { .. } = draft.about.said {
                    self.last_answer = Some(draft.clone());
                }
                Some(Output::Says(draft))
            }
            Act::FinishTurn(id, reason) => {
                let session = self.turns.remove(&id)?;
                let body = format!(r#""id":{id},"result":{{"stopReason":"{reason}"}}"#);
                let draft = answer_draft(id, Some(session), body);
                self.give(now, self.manners.prompt, draft, 0);
                None
            }
            Act::Rave(line) => Some(Output::Raves(line)),
            Act::Exit(status) => {
                self.todo.clear();
                Some(Output::Exits(status))
            }
        }
    }

    fn plan(&mut self, at: u64, act: Act) {
        self.order += 1;
        self.todo.insert((at, self.order), act);
    }

    /// Gives an answer in its manner.
    fn give(&mut self, now: u64, manner: Answer, draft: Draft, late: u64) {
        let delay = match manner {
            Answer::Quick | Answer::Refuse | Answer::Twice => 1,
            Answer::Slow => 30,
            Answer::Late => 250 + late,
            Answer::Never => return,
        };
        if manner == Answer::Twice {
            self.plan(now + delay, Act::Say(draft.clone()));
        }
        self.plan(now + delay, Act::Say(draft));
    }

    /// It is spoken to.
    pub fn hear(&mut self, now: u64, frame: &Frame) {
        self.received = self.received.saturating_add(1);
        if self.received == self.manners.crash_at {
            return self.end(now, ExitStatus::Code(1));
        }
        match frame.kind {
            FrameKind::Request => self.request(now, frame),
            FrameKind::Notification => self.notification(now, frame),
            FrameKind::Success | FrameKind::Failure => {
                let token = String::from_utf8_lossy(frame.id().as_bytes()).into_owned();
                match self.waiting.remove(&token) {
                    Some(Then::FinishTurn(id)) => {
                        self.plan(now + 1, Act::FinishTurn(id, "end_turn"));
                    }
                    Some(Then::Say(drafts)) => {
                        for draft in drafts {
                            self.give(now, self.manners.open, draft, 0);
                        }
                    }
                    Some(Then::Nothing) | None => {}
                }
            }
        }
    }

    fn request(&mut self, now: u64, frame: &Frame) {
        let Some(id) = frame.number() else { return };
        let named = frame.session().map(|id| id.into_owned());
        match (frame.method, named) {
            (Method::Initialize, _) => {
                let close = if self.manners.can_close { r#""close":{},"# } else { "" };
                let version = if self.manners.passthrough { 2 } else { 1 };
                let result = format!(
                    r#"{{"protocolVersion":{version},"agentCapabilities":{{"loadSession":true,"sessionCapabilities":{{{close}"resume":{{}},"fork":{{}},"list":{{}},"delete":{{}}}}}}}}"#
                );
                self.reply(now, id, None, self.manners.initialize, &result, false);
            }
            (Method::SessionNew | Method::SessionFork, _) => self.open(now, id),
            (Method::SessionLoad | Method::SessionResume, Some(session)) => {
                // No process mixes up a stored conversation with one that it is opening.
                if self.has_just_chosen(now, &session) {
                    return self.reply(now, id, Some(session), Answer::Refuse, "{}", true);
                }
                self.sessions.insert(session.clone());
                self.say_update(now + 1, &session);
                self.reply(now, id, Some(session), self.manners.open, "{}", true);
            }
            (Method::SessionPrompt, Some(session)) => self.prompt(now, id, session),
            (Method::SessionClose, Some(session)) => {
                self.sessions.remove(&session);
                if !self.manners.headstrong {
                    self.cancel(now, &session);
                }
                if self.manners.chatty {
                    self.say_update(now + 1, &session);
                    self.say_update(now + 6, &session);
                    self.ask(now + 3, Some(session.clone()), Method::FsRead, Then::Nothing);
                    let helper = self.helpers.iter().find(|(_, of)| **of == session);
                    if let Some(helper) = helper.map(|(helper, _)| helper.clone()) {
                        self.say_update(now + 2, &helper);
                    }
                }
                self.reply(now, id, Some(session), self.manners.close, "{}", false);
            }
            (Method::SessionList, _) => {
                let known: Vec<String> =
                    self.sessions.iter().map(|id| format!(r#"{{"sessionId":"{id}"}}"#)).collect();
                let result = format!(r#"{{"sessions":[{}]}}"#, known.join(","));
                let ids = self.sessions.iter().cloned().collect();
                self.reply_with_ids(now, id, &result, ids);
            }
            (Method::Authenticate, _) if self.manners.login_asks => {
                // It does not wait for the answer.
                self.elicit(now + 1, id, Then::Nothing);
                self.reply(now, id, None, Answer::Slow, "{}", false);
            }
            (_, None) if frame.method_name() == "nes/start" => {
                let begun = self.fresh_id_at(now);
                let result = format!(r#"{{"sessionId":"{begun}"}}"#);
                self.reply_with_ids(now, id, &result, vec![begun]);
            }
            (_, session) => self.reply(now, id, session, self.manners.other, "{}", false),
        }
    }

    /// Gives an answer that holds these ids and opens no session.
    fn reply_with_ids(&mut self, now: u64, id: u64, result: &str, ids: Vec<String>) {
        let manner = self.manners.other;
        if manner == Answer::Refuse {
            return self.reply(now, id, None, manner, result, false);
        }
        let mut draft = answer_draft(id, None, format!(r#""id":{id},"result":{result}"#));
        draft.about.brings = ids;
        self.give(now, manner, draft, 100);
    }

    fn reply(
        &mut self,
        now: u64,
        id: u64,
        session: Option<String>,
        manner: Answer,
        result: &str,
        opens: bool,
    ) {
        let body = match manner {
            Answer::Refuse => format!(r#""id":{id},"error":{{"code":-32000,"message":"no"}}"#),
            _ => format!(r#""id":{id},"result":{result}"#),
        };
        let mut draft = answer_draft(id, session, body);
        draft.about.said = Said::Answer { id, opens: opens && manner != Answer::Refuse };
        self.give(now, manner, draft, 100);
    }

    fn open(&mut self, now: u64, id: u64) {
        let session = match self.manners.ids {
            Ids::Reused => {
                let free = (1..).find(|n| !self.knows(&format!("s{n}")));
                let id = format!("s{}", free.unwrap_or(0));
                self.opened = self.opened.max(free.unwrap_or(0));
                self.chosen.insert(id.clone(), now);
                id
            }
            _ => self.fresh_id_at(now),
        };
        self.sessions.insert(session.clone());
        let result = format!(r#"{{"sessionId":"{session}"}}"#);
        match self.manners.early {
            Early::Nothing => {}
            Early::Updates => {
                self.say_update(now + 1, &session);
                self.say_update(now + 1, &session);
            }
            Early::Request if self.manners.open != Answer::Refuse => {
                let body = format!(r#""id":{id},"result":{result}"#);
                let mut draft = answer_draft(id, Some(session.clone()), body);
                draft.about.said = Said::Answer { id, opens: true };
                self.say_update(now + 1, &session);
                self.ask(now + 1, Some(session), Method::FsRead, Then::Say(vec![draft]));
                return;
            }
            Early::Request => {}
        }
        self.reply(now, id, Some(session.clone()), self.manners.open, &result, true);
        // As soon as the answer is out, some agents say what they can do.
        if self.manners.chatty {
            self.say_update(now + 1, &session);
        }
    }

    /// An id that it never gave before; sub-agents and sessions are counted together.
    fn fresh_id(&mut self) -> String {
        loop {
            self.opened += 1;
            let id = match self.manners.ids {
                Ids::Unique => format!("u{}-{}", self.number, self.opened),
                Ids::Prefixed => format!("~1~s{}", self.opened),
                Ids::Counter | Ids::Reused => format!("s{}", self.opened),
            };
            if !self.knows(&id) {
                return id;
            }
        }
    }

    fn fresh_id_at(&mut self, now: u64) -> String {
        let id = self.fresh_id();
        if self.manners.ids != Ids::Unique {
            self.chosen.insert(id.clone(), now);
        }
        id
    }

    fn knows(&self, id: &str) -> bool {
        self.sessions.contains(id) || self.helpers.contains_key(id)
    }

    /// Whether an id that others may use too may still be unknown to the bridge.
    pub fn has_just_chosen(&self, now: u64, session: &str) -> bool {
        self.chosen.get(session).is_some_and(|at| now < at + AT_WORK)
    }

    fn prompt(&mut self, now: u64, id: u64, session: String) {
        if self.manners.prompt == Answer::Refuse {
            return self.reply(now, id, Some(session), Answer::Refuse, "{}", false);
        }
        self.say_update(now + 1, &session);
        self.turns.insert(id, session.clone());
        match self.manners.helpers {
            Helpers::Announced => self.help(now, &session, true),
            Helpers::Silent => self.help(now, &session, false),
            Helpers::None => {}
        }
        if self.manners.turn == Turn::Elicits {
            return self.elicit(now + 2, id, Then::FinishTurn(id));
        }
        let question = match self.manners.turn {
            Turn::Permission => Some(Method::RequestPermission),
            Turn::ReadFile => Some(Method::FsRead),
            Turn::Updates | Turn::Bare | Turn::Elicits => None,
        };
        match question {
            Some(method) => self.ask(now + 2, Some(session), method, Then::FinishTurn(id)),
            None => {
                if self.manners.turn == Turn::Updates {
                    self.say_update(now + 4, &session);
                }
                self.plan(now + 4, Act::FinishTurn(id, "end_turn"));
            }
        }
    }

    /// Its turns in a session end early; one that never answers does so now.
    fn cancel(&mut self, now: u64, session: &str) {
        let turns: Vec<u64> =
            self.turns.iter().filter(|(_, of)| *of == session).map(|(id, _)| *id).collect();
        for id in turns {
            self.say_update(now + 1, session);
            self.plan(now + 1, Act::FinishTurn(id, "cancelled"));
        }
    }

    fn notification(&mut self, now: u64, frame: &Frame) {
        match (frame.method, frame.session()) {
            (Method::SessionCancel, Some(session)) if !self.manners.headstrong => {
                self.cancel(now, &session);
            }
            (Method::CancelRequest, _) if !self.manners.headstrong => {
                let id = frame.request().and_then(|(token, _)| {
                    std::str::from_utf8(token.as_bytes()).ok()?.parse().ok()
                });
                if let Some(id) = id.filter(|id| self.turns.contains_key(id)) {
                    self.plan(now + 1, Act::FinishTurn(id, "cancelled"));
                }
            }
            _ => {}
        }
    }

    fn say_update(&mut self, at: u64, session: &str) {
        let body = format!(
            r#""method":"session/update","params":{{"sessionId":"{session}","update":{{"sessionUpdate":"plan"}}}}"#
        );
        let about = About::new(Said::Notification, Some(session.to_owned()));
        self.plan(at, Act::Say(Draft { about, body }));
    }

    /// A sub-agent begins to work for a session of its own, announced or not, and talks.
    fn help(&mut self, now: u64, session: &str, announced: bool) {
        if !self.sessions.contains(session) {
            return;
        }
        let helper = self.fresh_id_at(now);
        self.helpers.insert(helper.clone(), session.to_owned());
        if announced {
            let body = format!(
                r#""method":"session/update","params":{{"sessionId":"{session}","update":{{"sessionUpdate":"subagent_update","sessionId":"{helper}"}}}}"#
            );
            let mut about = About::new(Said::Notification, Some(session.to_owned()));
            about.announces = Some(helper.clone());
            self.plan(now + 1, Act::Say(Draft { about, body }));
        }
        self.say_update(now + 2, &helper);
        if self.opened.is_multiple_of(2) {
            self.ask(now + 3, Some(helper), Method::FsRead, Then::Nothing);
        }
    }

    /// A sub-agent begins to work in one of its turns.
    pub fn gets_help(&mut self, now: u64, which: u8, announced: bool) {
        if let Some(session) = nth(self.turns.values(), which).cloned() {
            self.help(now, &session, announced);
        }
    }

    /// The id of one of its sub-agents, whether or not its session is still open.
    pub fn helper(&self, which: u8) -> Option<String> {
        nth(self.helpers.keys(), which).cloned()
    }

    /// Asks for input, by the id of a request that it works on.
    pub fn elicits(&mut self, now: u64, which: u8) {
        if let Some(id) = nth(self.turns.keys(), which).copied() {
            self.elicit(now, id, Then::Nothing);
        }
    }

    fn elicit(&mut self, at: u64, request: u64, then: Then) {
        let token = self.next_token();
        let body = format!(
            r#""id":{token},"method":"elicitation/create","params":{{"mode":"form","requestId":{request},"message":"code?"}}"#
        );
        self.waiting.insert(token.clone(), then);
        let said = Said::Request { token, method: Method::ElicitationCreate };
        let mut about = About::new(said, None);
        about.request = Some(request);
        self.plan(at, Act::Say(Draft { about, body }));
    }

    fn next_token(&mut self) -> String {
        self.asked += 1;
        match self.asked % 3 {
            0 => format!("{}.0", self.asked),
            1 => format!("\"a{}\"", self.asked),
            _ => self.asked.to_string(),
        }
    }

    /// Says something about a session, outside a turn.
    pub fn update(&mut self, now: u64, session: &str) {
        self.say_update(now, session);
    }

    /// Asks something outside a turn.
    pub fn asks(&mut self, now: u64, session: Option<String>, method: Method) {
        self.ask(now, session, method, Then::Nothing);
    }

    fn ask(&mut self, at: u64, session: Option<String>, method: Method, then: Then) {
        let token = self.next_token();
        let named = session.as_ref().map_or_else(String::new, |id| {
            format!(r#""sessionId":"{id}","options":[{{"optionId":"yes"}},{{"optionId":"no"}}]"#)
        });
        let name = if method == Method::Other { "_x/ask" } else { method.name() };
        let body = format!(r#""id":{token},"method":"{name}","params":{{{named}}}"#);
        self.waiting.insert(token.clone(), then);
        let about = About::new(Said::Request { token, method }, session);
        self.plan(at, Act::Say(Draft { about, body }));
    }

    /// Withdraws one of the requests that it waits for.
    pub fn withdraw(&mut self, now: u64, which: u8) {
        let Some(token) = nth(self.waiting.keys(), which).cloned() else { return };
        let body = format!(r#""method":"$/cancel_request","params":{{"requestId":{token}}}"#);
        let about = About::new(Said::Withdrawal { token }, None);
        self.plan(now, Act::Say(Draft { about, body }));
    }

    /// Gives its last answer once more.
    pub fn repeat(&mut self, now: u64) {
        if let Some(draft) = self.last_answer.clone() {
            self.plan(now, Act::Say(draft));
        }
    }

    /// Writes something that is no message.
    pub fn rave(&mut self, now: u64, what: u8) {
        let lines = ["hello", "[1]", "{\"jsonrpc\":\"2.0\"}", "{\"id\":99999,\"result\":{}}", "7"];
        self.plan(now, Act::Rave(lines[usize::from(what) % lines.len()]));
    }

    /// Ends without being asked to.
    pub fn end(&mut self, now: u64, status: ExitStatus) {
        self.todo.clear();
        self.plan(now, Act::Exit(status));
    }

    /// Its stdin is closed.
    pub fn stdin_closed(&mut self, now: u64) {
        match self.manners.leaving {
            Leaving::AtOnce => self.plan(now + 1, Act::Exit(ExitStatus::Code(0))),
            Leaving::Slowly => self.plan(now + 25, Act::Exit(ExitStatus::Code(0))),
            Leaving::OnTerm | Leaving::OnKill | Leaving::Never => {}
        }
    }

    /// SIGTERM.
    pub fn terminated(&mut self, now: u64) {
        if !matches!(self.manners.leaving, Leaving::OnKill | Leaving::Never) {
            self.plan(now + 1, Act::Exit(ExitStatus::Signal(15)));
        }
    }

    /// SIGKILL.
    pub fn killed(&mut self, now: u64) {
        self.todo.clear();
        if self.manners.leaving != Leaving::Never {
            self.plan(now + 1, Act::Exit(ExitStatus::Signal(9)));
        }
    }
}

fn answer_draft(id: u64, session: Option<String>, body: String) -> Draft {
    Draft { about: About::new(Said::Answer { id, opens: false }, session), body }
}

/// The `which`-th of several, counted round.
pub fn nth<T>(mut items: impl ExactSizeIterator<Item = T>, which: u8) -> Option<T> {
    let count = items.len();
    (count > 0).then(|| usize::from(which) % count).and_then(|place| items.nth(place))
}
