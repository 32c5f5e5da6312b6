//! Questions: requests of agents to clients.
//!
//! A permission goes to the client whose prompt runs, or to all; everything
//! else to exactly one client. A question that nobody can see waits for
//! somebody, within a limit. The bridge never says "allow" of its own.

use crate::wire::{Frame, Kind, Method, Token, json};

use crate::bridge::Bridge;
use crate::bridge::books::call::{Asker, Question};
use crate::bridge::books::client::MAX_PENDING;
use crate::bridge::books::deadlines::Due;
use crate::bridge::books::session::{Audience, Session};
use crate::bridge::config::PermissionPolicy;
use crate::bridge::id::{ChannelId, ClientId, QuestionId, SessionKey};
use crate::bridge::outgoing::compose;
use crate::bridge::outgoing::translate::{question_for_client, with_request_id};
use crate::bridge::refusal::Refusal;
use crate::bridge::time::Moment;

/// How long `fs/*` and elicitations wait for a client (ms).
pub const UNATTENDED_LIMIT: u64 = 30_000;
/// How long a client has to settle a question itself after `session/cancel` (ms).
pub const CANCEL_GRACE: u64 = 1_000;

impl Bridge {
    /// A request of an agent.
    pub(in crate::bridge) fn agent_request(
        &mut self,
        channel: ChannelId,
        frame: &Frame,
        now: Moment,
    ) {
        let Some(row) = self.registry.channel(channel) else { return };
        // An agent that is being stopped may wait for an answer before it can leave.
        if row.is_stopping() {
            return self.turn_away(channel, frame, &Refusal::Cancelled);
        }
        if row.questions.len() >= MAX_PENDING {
            return self.turn_away(channel, frame, &Refusal::TooManyRequests);
        }
        if self.is_carried(channel) {
            return self.carry_question(channel, frame, now);
        }
        let Some(named) = frame.session() else {
            return self.ask_without_session(channel, frame, now);
        };
        if let Some(key) = row.names.get(&named) {
            return self.ask_in_session(channel, key, frame, now);
        }
        let is_buried = row.tombstones.contains_key(&*named);
        let opening = self.open_in_flight(channel, Some(&named)).filter(|id| {
            let call = self.registry.calls.get(id);
            let restores = call.and_then(|call| call.opening()?.restores());
            !is_buried || restores == Some(&*named)
        });
        let opener =
            opening.and_then(|id| self.registry.calls.get(&id)).and_then(|call| call.client());
        match opener {
            Some(client) => {
                #[cfg(feature = "seeded-bugs")]
                if crate::bridge::seeded::is(crate::bridge::seeded::Bug::HoldEarlyRequest) {
                    if let Some(row) = self.registry.channel_mut(channel) {
                        row.early.hold(&named, frame);
                    }
                    return;
                }
                let id = named.into_owned().into_boxed_str();
                self.ask(channel, None, Some(id), frame, vec![client], now);
            }
            None => {
                let id = named.into_owned();
                self.turn_away(channel, frame, &Refusal::UnknownSession { id });
            }
        }
    }

    /// Answers a request that no client will see.
    fn turn_away(&mut self, channel: ChannelId, frame: &Frame, refusal: &Refusal) {
        self.counters.refused += 1;
        let answer = match Question::withdrawal(frame.method) {
            Some(result) => compose::success(&frame.id(), &result),
            None => compose::failure(&frame.id(), refusal),
        };
        self.send_to_channel(channel, answer);
    }

    fn ask_in_session(&mut self, channel: ChannelId, key: SessionKey, frame: &Frame, now: Moment) {
        let Some(session) = self.registry.session_mut(key) else { return };
        session.last_seen = now;
        let Some(session) = self.registry.sessions.get(&key) else { return };
        let asked = self.whom_to_ask(session, frame.method);
        // Who left on purpose does not come back to answer.
        let is_left = session.audience == Audience::Left;
        if is_left || (asked.is_empty() && !may_wait(frame.method)) {
            let method = frame.method_name().into_owned();
            return self.turn_away(channel, frame, &Refusal::NobodyToAsk { method });
        }
        self.ask(channel, Some(key), None, frame, asked, now);
    }

    /// The clients that a question in a session goes to.
    fn whom_to_ask(&self, session: &Session, method: Method) -> Vec<ClientId> {
        let attached = session.clients();
        let originator = self
            .running_prompts(session.key)
            .filter_map(|call| call.client())
            .find(|client| attached.contains(client));
        let to_all = self.config.agent.permission_policy == PermissionPolicy::All;
        match (method, originator) {
            (Method::RequestPermission, Some(client)) if !to_all => vec![client],
            (Method::RequestPermission, _) => attached.to_vec(),
            (_, Some(client)) => vec![client],
            (_, None) => {
                let able = attached.iter().find(|client| self.can_answer(**client, method));
                able.or(attached.first().filter(|_| attached.len() == 1))
                    .copied()
                    .into_iter()
                    .collect()
            }
        }
    }

    fn can_answer(&self, client: ClientId, method: Method) -> bool {
        let Some(row) = self.registry.clients.get(&client) else { return false };
        match method {
            Method::FsRead => row.offers.read,
            Method::FsWrite => row.offers.write,
            Method::TerminalCreate
            | Method::TerminalOutput
            | Method::TerminalWait
            | Method::TerminalKill
            | Method::TerminalRelease => row.offers.terminal,
            Method::ElicitationCreate => row.offers.elicitation,
            _ => true,
        }
    }

    fn ask_without_session(&mut self, channel: ChannelId, frame: &Frame, now: Moment) {
        // An elicitation may belong to a request of a client instead of a session.
        if let Some((request, _)) = frame.request()
            && frame.method == Method::ElicitationCreate
        {
            let number =
                std::str::from_utf8(request.as_bytes()).ok().and_then(|id| id.parse().ok());
            let call =
                number.and_then(|id| self.registry.calls.get(&crate::bridge::id::CallId(id)));
            let asker = call.filter(|call| call.channel == Some(channel)).map(|call| &call.asker);
            return match asker {
                Some(Asker::Client(client, token)) => {
                    let (client, token) = (*client, token.clone());
                    let question = Question::new(channel, frame, vec![client], now);
                    let id = self.registry.add_question(question);
                    let number = Some(Token::number(id.0));
                    self.send_to_client(client, with_request_id(frame, number, token.as_bytes()));
                }
                _ => self.turn_away(channel, frame, &Refusal::Cancelled),
            };
        }
        match self.client_behind(channel) {
            Some(client) => self.ask(channel, None, None, frame, vec![client], now),
            None => {
                let method = frame.method_name().into_owned();
                self.turn_away(channel, frame, &Refusal::NobodyToAsk { method });
            }
        }
    }

    /// The client that something without a session is for: one with a session
    /// on the channel, otherwise one that it served last, otherwise any of its pool.
    pub(in crate::bridge) fn client_behind(&self, channel: ChannelId) -> Option<ClientId> {
        let row = self.registry.channel(channel)?;
        let with_session = row
            .sessions
            .iter()
            .filter_map(|key| self.registry.sessions.get(key))
            .find_map(|session| session.clients().first().copied());
        let clients = &self.registry.clients;
        let of_pool = || clients.iter().filter(|(_, client)| client.pool == row.pool);
        with_session
            .or_else(|| {
                of_pool().find(|(_, client)| client.served_by == Some(channel)).map(|(id, _)| *id)
            })
            .or_else(|| of_pool().next().map(|(id, _)| *id))
    }

    fn ask(
        &mut self,
        channel: ChannelId,
        session: Option<SessionKey>,
        opening: Option<Box<str>>,
        frame: &Frame,
        asked: Vec<ClientId>,
        now: Moment,
    ) {
        let mut question = Question::new(channel, frame, asked.clone(), now);
        question.session = session;
        question.opening = opening;
        let id = self.registry.add_question(question);
        for client in asked {
            self.show(id, client);
        }
        self.watch(Due::Question(id));
    }

    /// Sends an open question to a client that is among those asked.
    fn show(&mut self, id: QuestionId, client: ClientId) {
        let Some(question) = self.registry.questions.get(&id) else { return };
        let number = Token::number(id.0);
        let session = question.session.and_then(|key| self.registry.sessions.get(&key));
        let outgoing = match session {
            Some(session) => question_for_client(session, &question.frame, number),
            None => question.frame.with_id(number),
        };
        self.send_to_client(client, outgoing);
    }

    /// A client answered a question.
    pub(in crate::bridge) fn client_answer(
        &mut self,
        client: ClientId,
        frame: &Frame,
        now: Moment,
    ) {
        let id = frame.number().map(QuestionId);
        let open = id.filter(|id| {
            self.registry.questions.get(id).is_some_and(|question| question.asked.contains(&client))
        });
        let Some(id) = open else {
            self.counters.stray_answers += 1;
            return;
        };
        let Some(question) = self.registry.questions.get(&id) else { return };
        if question.asked.len() > 1 && !is_decisive(question, frame) {
            // Others were asked too: this one only says that it cannot answer.
            return self.unask_one(id, client, Some(frame), now);
        }
        self.settle_question(id, Some(client), frame, now);
    }

    /// Gives the agent its answer; clients other than the winner are told.
    fn settle_question(
        &mut self,
        id: QuestionId,
        winner: Option<ClientId>,
        answer: &Frame,
        now: Moment,
    ) {
        let Some(question) = self.registry.take_question(id) else { return };
        for client in &question.asked {
            if Some(*client) != winner {
                self.send_to_client(*client, compose::cancel_request(id.0));
            }
        }
        self.send_to_channel(question.channel, answer.with_id(question.token.clone()));
        if let Some(session) = question.session.and_then(|key| self.registry.session_mut(key)) {
            session.last_seen = now;
        }
        self.ask_again(question.channel, now);
    }

    /// One of several clients cannot or will not answer.
    fn unask_one(&mut self, id: QuestionId, client: ClientId, error: Option<&Frame>, now: Moment) {
        if let Some(row) = self.registry.clients.get_mut(&client) {
            row.questions.remove(&id);
        }
        let Some(question) = self.registry.questions.get_mut(&id) else { return };
        question.asked.retain(|other| *other != client);
        if let Some(error) = error {
            question.last_error = Some(error.detached());
        }
        if !question.asked.is_empty() {
            return;
        }
        let Some(question) = self.registry.questions.get(&id) else { return };
        let session = question.session.and_then(|key| self.registry.sessions.get(&key));
        let others: Vec<ClientId> = session.map_or_else(Vec::new, |session| {
            let asked = self.whom_to_ask(session, question.method);
            asked.into_iter().filter(|other| *other != client).collect()
        });
        if let Some(error) = question.last_error.clone() {
            return self.settle_question(id, None, &error, now);
        }
        let can_wait = question.session.is_some() && may_wait(question.method);
        if others.is_empty() && !can_wait {
            let channel = question.channel;
            self.withdraw(id);
            return self.ask_again(channel, now);
        }
        if let Some(question) = self.registry.questions.get_mut(&id) {
            question.alone_since = others.is_empty().then_some(now);
        }
        self.ask_these(id, others);
        self.watch(Due::Question(id));
    }

    fn ask_these(&mut self, id: QuestionId, clients: Vec<ClientId>) {
        for client in clients {
            let Some(question) = self.registry.questions.get_mut(&id) else { return };
            if question.asked.contains(&client) {
                continue;
            }
            question.asked.push(client);
            question.alone_since = None;
            if let Some(row) = self.registry.clients.get_mut(&client) {
                row.questions.insert(id);
            }
            self.show(id, client);
        }
    }

    /// A client leaves: of one session, or altogether. Its questions go to
    /// others, or wait.
    pub(in crate::bridge) fn unask(
        &mut self,
        client: ClientId,
        session: Option<SessionKey>,
        now: Moment,
    ) {
        let Some(row) = self.registry.clients.get(&client) else { return };
        let open: Vec<QuestionId> = row.questions.iter().copied().collect();
        for id in open {
            let question = self.registry.questions.get(&id);
            if question.is_some_and(|question| session.is_none() || question.session == session) {
                if session.is_some() {
                    self.send_to_client(client, compose::cancel_request(id.0));
                }
                self.unask_one(id, client, None, now);
            }
        }
    }

    /// A client is attached: questions that wait for somebody are put to it,
    /// and permissions that all are asked for.
    pub(in crate::bridge) fn attach(&mut self, client: ClientId, key: SessionKey) {
        self.registry.attach(client, key);
        let Some(session) = self.registry.sessions.get(&key) else { return };
        let open: Vec<QuestionId> = session.questions.iter().copied().collect();
        for id in open {
            let Some(question) = self.registry.questions.get(&id) else { continue };
            let for_all = question.method == Method::RequestPermission
                && self.config.agent.permission_policy == PermissionPolicy::All;
            if question.asked.is_empty() || for_all {
                self.ask_these(id, vec![client]);
            }
        }
    }

    /// A question's limit is over.
    pub(in crate::bridge) fn question_timed_out(&mut self, id: QuestionId, now: Moment) {
        let Some(question) = self.registry.questions.get(&id) else { return };
        let (channel, session) = (question.channel, question.session);
        let was_cancelled = question.cancelled_at.is_some();
        let is_permission = question.method == Method::RequestPermission;
        self.withdraw(id);
        // Its agent goes on now.
        if let Some(session) = session.and_then(|key| self.registry.session_mut(key)) {
            session.last_seen = now;
        }
        // A permission that nobody gave in time ends the turn, so that it is true.
        if is_permission
            && !was_cancelled
            && let Some(session) = session.and_then(|key| self.registry.sessions.get(&key))
        {
            let agent_id = session.agent_id.clone();
            self.cancel_turn_at_agent(channel, &agent_id);
        }
        self.ask_again(channel, now);
    }

    /// An agent withdraws a request of its own.
    pub(in crate::bridge) fn agent_cancels(
        &mut self,
        channel: ChannelId,
        frame: &Frame,
        now: Moment,
    ) {
        let Some((token, _)) = frame.request() else { return };
        let Some(row) = self.registry.channel(channel) else { return };
        let found = row.questions.iter().copied().find(|id| {
            self.registry.questions.get(id).is_some_and(|question| question.token == token)
        });
        let Some(id) = found else {
            self.counters.unrouted += 1;
            return;
        };
        let Some(question) = self.registry.questions.get(&id) else { return };
        let asked = question.asked.clone();
        let number = Token::number(id.0);
        for client in &asked {
            self.send_to_client(*client, with_request_id(frame, None, number.as_bytes()));
        }
        if asked.is_empty()
            && let Some(question) = self.registry.take_question(id)
        {
            let answer = compose::failure(&question.token, &Refusal::Cancelled);
            self.send_to_channel(question.channel, answer);
            self.ask_again(channel, now);
        }
    }

    /// Whom a notification without a session is for: all clients of the channel's pool.
    pub(in crate::bridge) fn clients_of(&self, channel: ChannelId) -> Vec<ClientId> {
        let pool = self.registry.channel(channel).and_then(|row| row.pool);
        let clients = self.registry.clients.iter();
        clients
            .filter(|(_, row)| pool.is_some() && row.pool == pool && row.initialized)
            .map(|(id, _)| *id)
            .collect()
    }
}

/// Whether a question in a session waits while nobody is there to answer it.
fn may_wait(method: Method) -> bool {
    matches!(
        method,
        Method::RequestPermission | Method::ElicitationCreate | Method::FsRead | Method::FsWrite
    )
}

/// Whether an answer settles a question that several clients were asked: a
/// result, and for a permission one that was offered, or a "cancelled" where
/// the turn is being cancelled.
fn is_decisive(question: &Question, answer: &Frame) -> bool {
    if answer.kind != Kind::Success {
        return false;
    }
    if question.method != Method::RequestPermission {
        return true;
    }
    match answer.find_text(&["outcome", "optionId"]) {
        Some(chosen) => {
            let text = question.frame.bytes();
            let options = question.frame.find(&["options"]);
            options.is_some_and(|options| {
                json::elements(text, options).into_iter().any(|option| {
                    json::find(text, option, &["optionId"])
                        .is_some_and(|id| json::is(text, id, &chosen))
                })
            })
        }
        None => question.cancelled_at.is_some(),
    }
}

/// The child session that an update of a sub-agent announces.
pub(in crate::bridge) fn announced_child(frame: &Frame) -> Option<Box<str>> {
    let child = frame.child_session()?;
    (frame.update_kind()? == "subagent_update").then(|| child.into())
}
