//! Turns: prompts, the queue behind a running one, and cancelling.

use crate::wire::{Frame, Method, Token};

use crate::bridge::Bridge;
use crate::bridge::books::call::{Asker, Call, Purpose, Stage};
use crate::bridge::books::deadlines::Due;
use crate::bridge::books::session::{Audience, Session};
use crate::bridge::config::PromptQueue;
use crate::bridge::id::{CallId, ClientId, SessionKey};
use crate::bridge::notice::EndReason;
use crate::bridge::outgoing::compose;
use crate::bridge::outgoing::translate::{renamed, to_agent};
use crate::bridge::refusal::Refusal;
use crate::bridge::sessions::close::CANCELLED_TURN;
use crate::bridge::time::Moment;

impl Bridge {
    /// A client's `session/prompt`.
    pub(in crate::bridge) fn client_prompt(
        &mut self,
        client: ClientId,
        key: SessionKey,
        frame: &Frame,
        now: Moment,
    ) {
        let Some(session) = self.registry.sessions.get(&key) else { return };
        let waits = self.running_in(session).any(|call| match self.config.agent.prompt_queue {
            PromptQueue::Others => call.client() != Some(client),
            PromptQueue::All => true,
        });
        if !waits && session.queue.is_empty() {
            self.turn_began(key, now);
            return self.session_call(client, key, Purpose::Prompt, frame, now);
        }
        let channel = session.channel;
        let limit = self.config.limits.max_queued_prompts;
        if session.queue.len() >= limit {
            return self.refuse(client, &frame.id(), &Refusal::PromptQueueFull { limit });
        }
        let id = self.registry.add_call(Call {
            asker: Asker::Client(client, frame.id()),
            purpose: Purpose::Prompt,
            channel: Some(channel),
            session: Some(key),
            asked_at: now,
            stage: Stage::held(frame),
        });
        if let Some(session) = self.registry.session_mut(key) {
            session.queue.push_back(id);
        }
    }

    fn turn_began(&mut self, key: SessionKey, now: Moment) {
        if let Some(session) = self.registry.session_mut(key) {
            session.last_seen = now;
            session.turn_began(now);
        }
    }

    /// A prompt was answered, or given up: the next one may run.
    pub(in crate::bridge) fn turn_over(&mut self, key: SessionKey, now: Moment) {
        let Some(session) = self.registry.session_mut(key) else { return };
        session.last_seen = now;
        session.turn_ended(now);
        if session.queue.is_empty() || self.running_prompts(key).next().is_some() {
            return;
        }
        let next = self.registry.session_mut(key).and_then(|session| session.queue.pop_front());
        if let Some(next) = next {
            self.turn_began(key, now);
            self.send(next, now);
        }
    }

    /// The prompts of a session that its agent is working on, oldest first.
    pub(in crate::bridge) fn running_prompts(
        &self,
        key: SessionKey,
    ) -> impl Iterator<Item = &Call> {
        self.registry.sessions.get(&key).into_iter().flat_map(|session| self.running_in(session))
    }

    fn running_in(&self, session: &Session) -> impl Iterator<Item = &Call> {
        let calls = session.calls.iter().filter_map(|id| self.registry.calls.get(id));
        calls.filter(|call| call.purpose == Purpose::Prompt && call.is_sent())
    }

    /// A client's `session/cancel`: it ends the running turn, and the queued
    /// prompts of that client alone.
    pub(in crate::bridge) fn client_cancel(
        &mut self,
        client: ClientId,
        key: SessionKey,
        frame: &Frame,
        now: Moment,
    ) {
        let Some(session) = self.registry.session_mut(key) else { return };
        let channel = session.channel;
        let questions: Vec<_> = session.questions.iter().copied().collect();
        let queued: Vec<CallId> = session.queue.iter().copied().collect();
        let outgoing = self.for_agent(key, frame);
        self.pass_notification(channel, outgoing);
        self.cancel_queued(client, queued);
        for id in questions {
            if let Some(question) = self.registry.questions.get_mut(&id) {
                question.cancelled_at.get_or_insert(now);
            }
            self.watch(Due::Question(id));
        }
    }

    /// Of the prompts that wait, those of this client wait no more.
    fn cancel_queued(&mut self, client: ClientId, queued: Vec<CallId>) {
        for id in queued {
            let is_own =
                self.registry.calls.get(&id).is_some_and(|call| call.client() == Some(client));
            if is_own {
                self.answer_call(id, CANCELLED_TURN);
            }
        }
    }

    /// A client leaves a session that others stay in: its own turn ends.
    pub(in crate::bridge) fn cancel_own_turn(
        &mut self,
        client: ClientId,
        key: SessionKey,
        now: Moment,
    ) {
        let Some(session) = self.registry.sessions.get(&key) else { return };
        if !self.running_prompts(key).any(|call| call.client() == Some(client)) {
            let queued = session.queue.iter().copied().collect();
            return self.cancel_queued(client, queued);
        }
        let params = compose::session_params(&session.id);
        let cancel = compose::notification(Method::SessionCancel.name(), &params);
        if let Ok(frame) = Frame::parse(cancel.to_bytes()) {
            self.client_cancel(client, key, &frame, now);
        }
    }

    /// A client's `_drawbridge/detach`: from one session, or from all.
    pub(in crate::bridge) fn client_detach(
        &mut self,
        client: ClientId,
        frame: &Frame,
        now: Moment,
    ) {
        let keys: Vec<SessionKey> = match frame.session() {
            Some(id) => match self.attached_session(client, &id) {
                Ok(key) => vec![key],
                Err(refusal) => return self.refuse(client, &frame.id(), &refusal),
            },
            None => self
                .registry
                .clients
                .get(&client)
                .map_or_else(Vec::new, |row| row.sessions.iter().copied().collect()),
        };
        for key in keys {
            self.leave(client, key, now);
        }
        self.send_to_client(client, compose::success(&frame.id(), b"{}"));
    }

    /// A client leaves a session on purpose.
    pub(in crate::bridge) fn leave(&mut self, client: ClientId, key: SessionKey, now: Moment) {
        self.unask(client, Some(key), now);
        let id = self.registry.sessions.get(&key).map(|session| session.id.clone());
        self.registry.detach(client, key, Audience::Left);
        let open = self.registry.sessions.get(&key).filter(|row| row.audience == Audience::Left);
        for question in open.map(|row| row.questions.clone()).unwrap_or_default() {
            self.withdraw(question);
        }
        let others = self.registry.sessions.get(&key).is_some_and(|row| !row.clients().is_empty());
        let reason = if others { "detached" } else { EndReason::LastClientDetached.word() };
        if let (Some(row), Some(id)) = (self.registry.clients.get_mut(&client), id) {
            row.ended.remember(&id, reason);
        }
    }

    /// A prompt's budget is over: the turn is cancelled and the asker told.
    pub(in crate::bridge) fn prompt_timed_out(&mut self, id: CallId, now: Moment) {
        let agent = self.agent_name();
        let Some(call) = self.refuse_call(id, &Refusal::PromptTimeout { agent }) else { return };
        let Some(key) = call.session else { return };
        if let Some(session) = self.registry.sessions.get(&key) {
            let (channel, agent_id) = (session.channel, session.agent_id.clone());
            self.cancel_turn_at_agent(channel, &agent_id);
        }
        self.turn_over(key, now);
    }

    /// Any other request of a client in a session.
    pub(in crate::bridge) fn session_call(
        &mut self,
        client: ClientId,
        key: SessionKey,
        purpose: Purpose,
        frame: &Frame,
        now: Moment,
    ) {
        let Some(session) = self.registry.sessions.get(&key) else { return };
        let channel = session.channel;
        let agent_id: Option<Box<str>> = renamed(session, frame).map(Into::into);
        let id = self.registry.add_call(Call {
            asker: Asker::Client(client, frame.id()),
            purpose,
            channel: Some(channel),
            session: Some(key),
            asked_at: now,
            stage: Stage::Sent(now),
        });
        self.conceal(channel, frame);
        let outgoing = to_agent(frame, Some(Token::number(id.0)), agent_id.as_deref());
        self.send_to_channel(channel, outgoing);
        self.watch(Due::Call(id));
    }
}
