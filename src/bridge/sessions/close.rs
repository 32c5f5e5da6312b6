//! The close order: delete → tombstone → publish → notify the agent.
//!
//! One function, one step, whoever closes. After its first part any other
//! closer finds nothing, so nothing can close twice; publishing comes before
//! the agent is told, so subscribers see the end and the agent's own
//! cancellation frames are dropped on purpose.
//!
//! **Hazard:** where these parts were split by a wait between telling the agent
//! and deleting, three callers closed the same session twice, and a client that
//! came back meanwhile lost its conversation.

use crate::wire::json::quoted;
use crate::wire::{Frame, Kind, Method};

use crate::bridge::Bridge;
use crate::bridge::books::call::{Asker, Call, Purpose, Question, Stage};
use crate::bridge::books::channel::{Channel, Hold, State, Tombstone};
use crate::bridge::books::deadlines::Due;
use crate::bridge::books::id_set::Ids;
use crate::bridge::books::session::Session;
use crate::bridge::config::ExtensionEvents;
use crate::bridge::event::ExitStatus;
use crate::bridge::id::{CallId, ChannelId, ClientId, SessionKey};
use crate::bridge::notice::{EndReason, Notice, StopReason};
use crate::bridge::outgoing::compose;
use crate::bridge::outgoing::translate;
use crate::bridge::refusal::Refusal;
use crate::bridge::time::Moment;

/// Who wants to hear that a session is closed, and the request it made.
pub(in crate::bridge) type Closer = (Asker, Frame);

/// How the agent took the news.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::bridge) enum CloseOutcome {
    /// It answered.
    Answered,
    /// It cannot be told; what it had left to say was said.
    Quiet,
    /// Its budget is over.
    TimedOut,
}

impl Bridge {
    /// Ends a session: the four parts, in their order, in this one step.
    ///
    /// `failure` is what requests in it are answered with at once; without it
    /// they wait in the tombstone for the agent's own answer.
    pub(in crate::bridge) fn end_session(
        &mut self,
        key: SessionKey,
        reason: EndReason,
        closer: Option<Closer>,
        failure: Option<&Refusal>,
        now: Moment,
    ) {
        #[cfg(feature = "seeded-bugs")]
        if crate::bridge::seeded::is(crate::bridge::seeded::Bug::DeleteAfterNotify)
            && let Some(session) = self.registry.sessions.get(&key).cloned()
        {
            self.publish_end(&session, reason, failure);
        }

        // 1. Delete: from here on nobody else finds it.
        let Some(mut session) = self.registry.remove_session(key) else { return };

        // 2. Tombstone: what is pending moves into it, questions are settled now.
        for question in std::mem::take(&mut session.questions) {
            self.withdraw(question);
        }
        let queued: Vec<CallId> = session.queue.drain(..).collect();
        let pending: Ids<CallId> =
            session.calls.iter().copied().filter(|id| !queued.contains(id)).collect();
        self.bury(&session, pending.clone(), now);

        // 3. Publish, and with that end the attachments.
        self.publish_end(&session, reason, failure);
        for id in queued {
            match failure {
                Some(refusal) => self.refuse_call(id, refusal),
                None => self.answer_call(id, CANCELLED_TURN),
            };
        }
        for id in &pending {
            #[cfg(feature = "seeded-bugs")]
            if crate::bridge::seeded::is(crate::bridge::seeded::Bug::AnswerTwice)
                && let Some(call) = self.registry.calls.get(id).cloned()
            {
                self.answer(&call.asker, |token| compose::success(token, CANCELLED_TURN));
            }
            let purpose = self.registry.calls.get(id).map(|call| &call.purpose);
            // A load that comes back after the end would say that the session is open.
            let is_reload = matches!(purpose, Some(Purpose::Reload { .. }));
            match failure {
                Some(refusal) => drop(self.refuse_call(*id, refusal)),
                None if is_reload => drop(self.refuse_call(*id, &Refusal::SessionClosing)),
                None => {}
            }
        }

        // 4. Notify the agent, if it is there to be told.
        let is_open = self.registry.channel(session.channel).is_some_and(|row| row.is_open());
        if is_open && failure.is_none() {
            self.notify_agent(&session, &pending, closer, now);
        } else if let Some((asker, _)) = closer {
            self.answer(&asker, |token| compose::success(token, b"{}"));
        }
        if failure.is_none() {
            self.ask_again(session.channel, now);
        }
    }

    fn bury(&mut self, session: &Session, calls: Ids<CallId>, now: Moment) {
        let agent_id = &session.agent_id;
        let channel = self.tombstone_channel(session);
        self.flush_tombstone(channel, agent_id, false);
        let Some(row) = self.registry.channel_mut(channel) else { return };
        let tombstone = Tombstone {
            key: session.key,
            id: session.id.clone(),
            since: now,
            hold: Hold::Unanswered,
            calls,
        };
        let key = session.key;
        let mut thrown = row.bury(agent_id.clone(), tombstone);
        // What its sub-agents say late is dropped too; they hold nothing of their own.
        for id in &session.children {
            let hold = Hold::Nothing;
            let tombstone =
                Tombstone { key, id: id.clone(), since: now, hold, calls: Ids::default() };
            thrown += row.bury(id.clone(), tombstone);
        }
        self.counters.tombstones += thrown as u64;
    }

    fn tombstone_channel(&self, session: &Session) -> ChannelId {
        #[cfg(feature = "seeded-bugs")]
        if crate::bridge::seeded::is(crate::bridge::seeded::Bug::TombstoneOnWrongChannel) {
            let newest = self.registry.channels.iter().rev().find(|(_, row)| row.is_open());
            return newest.map_or(session.channel, |(id, _)| *id);
        }
        session.channel
    }

    fn publish_end(&mut self, session: &Session, reason: EndReason, failure: Option<&Refusal>) {
        let id = quoted(&session.id);
        let word = quoted(reason.word());
        let seq = session.seq;
        let method = if reason.is_death() {
            "_drawbridge/session_died"
        } else {
            "_drawbridge/session_closed"
        };
        let how = match failure {
            Some(Refusal::AgentExited { status: ExitStatus::Code(code), .. }) => {
                format!(",\"exitCode\":{code}")
            }
            Some(Refusal::AgentExited { status: ExitStatus::Signal(signal), .. }) => {
                format!(",\"signal\":{signal}")
            }
            _ => String::new(),
        };
        let params = format!(
            "{{\"sessionId\":{id},\"reason\":{word}{how},\"restorable\":false,\"seq\":{seq}}}"
        );
        for client in session.clients() {
            let Some(row) = self.registry.clients.get_mut(client) else { continue };
            row.ended.remember(&session.id, reason.word());
            let wants = match self.config.limits.extension_events {
                ExtensionEvents::Asked => row.wants_events,
                ExtensionEvents::On => true,
                ExtensionEvents::Off => false,
            };
            if wants {
                self.send_to_client(*client, compose::notification(method, &params));
            }
        }
        let (session, id, channel) = (session.key, session.id.to_string(), session.channel);
        self.publish(Notice::SessionEnded { session, id, channel, reason });
    }

    fn notify_agent(
        &mut self,
        session: &Session,
        pending: &Ids<CallId>,
        closer: Option<Closer>,
        now: Moment,
    ) {
        let (channel, agent_id) = (session.channel, &session.agent_id);
        let in_turn = pending
            .iter()
            .filter_map(|id| self.registry.calls.get(id))
            .any(|call| call.purpose == Purpose::Prompt);
        if in_turn {
            self.cancel_turn_at_agent(channel, agent_id);
        }
        let hold = self.tell_agent_to_close(channel, session.key, agent_id, closer, now);
        let Some(row) = self.registry.channel_mut(channel) else { return };
        if let Some(tombstone) = row.tombstones.get_mut(agent_id)
            && tombstone.key == session.key
        {
            tombstone.hold = hold;
        }
        if hold == Hold::Husk {
            self.retire_if_full_of_husks(channel);
        } else {
            self.conclude_if_quiet(channel, agent_id);
        }
    }

    /// Sends `session/cancel` for a turn of a session that the bridge ends.
    pub(in crate::bridge) fn cancel_turn_at_agent(&mut self, channel: ChannelId, agent_id: &str) {
        let params = compose::session_params(agent_id);
        self.send_to_channel(channel, compose::notification(Method::SessionCancel.name(), &params));
    }

    /// Sends `session/close`, as the client wrote it if one did. An agent that
    /// cannot close is only waited for, until what it was doing is over.
    pub(in crate::bridge) fn tell_agent_to_close(
        &mut self,
        channel: ChannelId,
        key: SessionKey,
        agent_id: &str,
        closer: Option<Closer>,
        now: Moment,
    ) -> Hold {
        let can_close = self.registry.channel(channel).is_some_and(|row| row.capabilities.close);
        let has_pending = self.registry.channel(channel).is_some_and(|row| {
            row.tombstones.get(agent_id).is_some_and(|tomb| !tomb.calls.is_empty())
        });
        let (asker, frame) = match closer {
            Some((asker, frame)) => (asker, Some(frame)),
            None => (Asker::Nobody, None),
        };
        if !can_close && !has_pending {
            self.answer(&asker, |token| compose::success(token, b"{}"));
            return Hold::Husk;
        }
        let close = Call {
            asker,
            purpose: Purpose::Close(agent_id.into()),
            channel: Some(channel),
            session: Some(key),
            asked_at: now,
            stage: Stage::Sent(now),
        };
        let id = self.registry.add_call(close);
        if can_close {
            let outgoing = match frame {
                Some(frame) => {
                    let token = crate::wire::Token::number(id.0);
                    translate::to_agent(&frame, Some(token), Some(agent_id))
                }
                None => {
                    let params = compose::session_params(agent_id);
                    compose::request(id.0, Method::SessionClose.name(), &params)
                }
            };
            self.send_to_channel(channel, outgoing);
        }
        self.watch(Due::Call(id));
        Hold::Closing(id)
    }

    /// The agent answered `session/close`.
    pub(in crate::bridge) fn close_answered(
        &mut self,
        channel: ChannelId,
        id: CallId,
        agent_id: &str,
        frame: &Frame,
    ) {
        if frame.kind == Kind::Failure {
            let code = frame.error_code().unwrap_or_default();
            self.publish(Notice::CloseRefused { channel, id: agent_id.to_owned(), code });
        }
        self.conclude(channel, id, agent_id, CloseOutcome::Answered, Some(frame));
    }

    /// The last part of a close is over: what waited in the tombstone is
    /// answered, then the one who closed.
    pub(in crate::bridge) fn conclude(
        &mut self,
        channel: ChannelId,
        id: CallId,
        agent_id: &str,
        outcome: CloseOutcome,
        answer: Option<&Frame>,
    ) {
        let is_current = self.registry.channel(channel).is_some_and(|row| {
            row.tombstones.get(agent_id).is_some_and(|tomb| tomb.hold == Hold::Closing(id))
        });
        if is_current {
            self.flush_tombstone(channel, agent_id, outcome == CloseOutcome::TimedOut);
        }
        let Some(close) = self.registry.take_call(id) else { return };
        self.answer(&close.asker, |token| match answer {
            Some(frame) if frame.kind == Kind::Success => frame.with_id(token.clone()),
            _ => compose::success(token, b"{}"),
        });
        if !is_current {
            return;
        }
        let Some(row) = self.registry.channel_mut(channel) else { return };
        let can_close = row.capabilities.close;
        // Some agents block while they show a question: then it is asked again.
        let may_be_blocked = !row.questions.is_empty();
        let hold = match outcome {
            CloseOutcome::Answered => Hold::Nothing,
            CloseOutcome::Quiet | CloseOutcome::TimedOut if !can_close => Hold::Husk,
            CloseOutcome::Quiet => Hold::Nothing,
            CloseOutcome::TimedOut if may_be_blocked => Hold::AskAgain,
            CloseOutcome::TimedOut => Hold::Unanswered,
        };
        if let Some(tombstone) = row.tombstones.get_mut(agent_id) {
            tombstone.hold = hold;
        }
        match hold {
            Hold::Husk => self.retire_if_full_of_husks(channel),
            Hold::Unanswered => {
                self.publish(Notice::CloseUnanswered { channel, id: agent_id.to_owned() });
                self.drain(channel, StopReason::CloseUnanswered);
            }
            _ => {}
        }
    }

    /// An agent that cannot close has nothing left to say: the close is over.
    pub(in crate::bridge) fn conclude_if_quiet(&mut self, channel: ChannelId, agent_id: &str) {
        let Some(row) = self.registry.channel(channel) else { return };
        if row.capabilities.close {
            return;
        }
        let Some(tombstone) = row.tombstones.get(agent_id) else { return };
        if let (Hold::Closing(id), true) = (tombstone.hold, tombstone.calls.is_empty()) {
            self.conclude(channel, id, agent_id, CloseOutcome::Quiet, None);
        }
    }

    /// Answers what waits in a tombstone: prompts as cancelled, the rest as
    /// cut off; after a shutdown's budget all of it as shutting down.
    pub(in crate::bridge) fn flush_tombstone(
        &mut self,
        channel: ChannelId,
        agent_id: &str,
        late: bool,
    ) {
        let Some(row) = self.registry.channels.get_mut(&channel) else { return };
        let Some(tombstone) = row.tombstones.get_mut(agent_id) else { return };
        for id in std::mem::take(&mut tombstone.calls) {
            let is_prompt =
                self.registry.calls.get(&id).is_some_and(|call| call.purpose == Purpose::Prompt);
            if late && self.is_ending() {
                self.refuse_call(id, &Refusal::ShuttingDown);
            } else if is_prompt {
                self.answer_call(id, CANCELLED_TURN);
            } else {
                self.refuse_call(id, &Refusal::SessionClosing);
            }
        }
    }

    /// An agent that cannot close sessions keeps them: it is replaced in time.
    pub(in crate::bridge) fn retire_if_full_of_husks(&mut self, channel: ChannelId) {
        let cap = self.config.agent.max_husks;
        let Some(row) = self.registry.channel(channel) else { return };
        if cap > 0 && row.state == State::Ready && row.husks() >= cap {
            self.drain(channel, StopReason::Husks);
        }
    }

    /// No question of the channel is open any more: closes that may have been
    /// blocked by one are sent again.
    pub(in crate::bridge) fn ask_again(&mut self, channel: ChannelId, now: Moment) {
        let Some(row) = self.registry.channel(channel) else { return };
        if !row.questions.is_empty() || !row.is_open() {
            return;
        }
        let again: Vec<Box<str>> = row
            .tombstones
            .iter()
            .filter(|(_, tombstone)| tombstone.hold == Hold::AskAgain)
            .map(|(id, _)| id.clone())
            .collect();
        for agent_id in again {
            self.close_again(channel, &agent_id, now);
        }
    }

    /// Sends a close once more that was not answered.
    pub(in crate::bridge) fn close_again(
        &mut self,
        channel: ChannelId,
        agent_id: &str,
        now: Moment,
    ) {
        // While a late answer to a restore may still come, only that one tells; and
        // an agent that cannot close is not asked.
        let is_restoring = self.calls_on(channel).into_iter().any(|id| {
            let opening = self.registry.calls.get(&id).and_then(|call| call.opening());
            opening.is_some_and(|opening| opening.restores() == Some(agent_id))
        });
        let can_tell = |row: &&Channel| row.is_open() && row.capabilities.close && !is_restoring;
        let Some(row) = self.registry.channel(channel).filter(can_tell) else { return };
        let Some(key) = row.tombstones.get(agent_id).map(|tombstone| tombstone.key) else { return };
        let hold = self.tell_agent_to_close(channel, key, agent_id, None, now);
        let Some(row) = self.registry.channel_mut(channel) else { return };
        if let Some(tombstone) = row.tombstones.get_mut(agent_id) {
            tombstone.hold = hold;
        }
    }

    /// A client's `session/close`.
    pub(in crate::bridge) fn client_close(&mut self, client: ClientId, frame: &Frame, now: Moment) {
        let Some(id) = frame.session() else {
            let refusal = Refusal::MissingField { field: "sessionId" };
            return self.refuse(client, &frame.id(), &refusal);
        };
        let key = match self.attached_session(client, &id) {
            Ok(key) => key,
            // It is closed already, and this client knew it: that is what it wants.
            Err(Refusal::SessionEnded { .. }) => {
                return self.send_to_client(client, compose::success(&frame.id(), b"{}"));
            }
            Err(refusal) => return self.refuse(client, &frame.id(), &refusal),
        };
        let Some(session) = self.registry.sessions.get(&key) else { return };
        if *session.id != *id {
            // A sub-agent's session: whether it can be closed alone is for the agent to say.
            return self.session_call(client, key, Purpose::Session, frame, now);
        }
        if session.clients().len() > 1 {
            self.cancel_own_turn(client, key, now);
            self.leave(client, key, now);
            return self.send_to_client(client, compose::success(&frame.id(), b"{}"));
        }
        let closer = (Asker::Client(client, frame.id()), frame.detached());
        self.end_session(key, EndReason::ClientClose, Some(closer), None, now);
    }

    /// Ends a question without anybody's consent, each in its own kind, and
    /// tells the clients that still show it.
    pub(in crate::bridge) fn withdraw(&mut self, id: crate::bridge::id::QuestionId) {
        let Some(question) = self.registry.take_question(id) else { return };
        for client in &question.asked {
            self.send_to_client(*client, compose::cancel_request(id.0));
        }
        let answer = match Question::withdrawal(question.method) {
            Some(result) => compose::success(&question.token, &result),
            None => compose::failure(&question.token, &Refusal::Cancelled),
        };
        self.send_to_channel(question.channel, answer);
    }
}

/// The result of a turn that the bridge ended.
pub(in crate::bridge) const CANCELLED_TURN: &[u8] = br#"{"stopReason":"cancelled"}"#;
