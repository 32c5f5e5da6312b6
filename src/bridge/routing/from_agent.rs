//! What happens to each message of an agent.

use crate::wire::frame::Glimpse;
use crate::wire::{Frame, Kind, Malformed, Method};

use crate::bridge::books::call::{Asker, Purpose};
use crate::bridge::books::channel::{Hold, Tombstone};
use crate::bridge::books::client::Carry;
use crate::bridge::id::{CallId, ChannelId, SessionKey};
use crate::bridge::notice::Notice;
use crate::bridge::outgoing::compose;
use crate::bridge::outgoing::translate::for_client;
use crate::bridge::refusal::Refusal;
use crate::bridge::sessions::question::announced_child;
use crate::bridge::time::Moment;
use crate::bridge::{Bridge, Effect};

/// Of an agent's stray lines, this many are reported in [`STRAY_WINDOW`].
const STRAY_REPORTS: u32 = 3;
/// See [`STRAY_REPORTS`] (ms).
const STRAY_WINDOW: u64 = 60_000;

impl Bridge {
    /// A line of an agent.
    pub(in crate::bridge) fn channel_frame(
        &mut self,
        channel: ChannelId,
        frame: Result<Frame, Malformed>,
        now: Moment,
    ) {
        let Some(row) = self.registry.channels.get_mut(&channel) else { return };
        row.heard_at = now;
        let frame = match frame {
            Ok(frame) => frame,
            Err(malformed) => return self.stray_line(channel, malformed, now),
        };
        match frame.kind {
            Kind::Success | Kind::Failure => self.agent_answer(channel, &frame, now),
            Kind::Request => self.agent_request(channel, &frame, now),
            Kind::Notification => self.agent_notification(channel, frame, now),
        }
    }

    /// Whether a channel's frames are carried without books.
    pub(in crate::bridge) fn is_carried(&self, channel: ChannelId) -> bool {
        let pool = self.registry.channel(channel).and_then(|row| row.pool);
        pool.and_then(|pool| self.registry.pools.get(&pool))
            .is_some_and(|pool| pool.carry == Carry::Transparent)
    }

    fn agent_notification(&mut self, channel: ChannelId, frame: Frame, now: Moment) {
        if frame.method == Method::CancelRequest {
            return self.agent_cancels(channel, &frame, now);
        }
        let is_carried = self.is_carried(channel);
        let Some(row) = self.registry.channels.get_mut(&channel) else { return };
        if row.is_stopping() {
            self.counters.late_frames += 1;
            return;
        }
        if let Some(key) = row.names.named_in(&frame).filter(|_| !is_carried) {
            return self.deliver(key, frame, now);
        }
        match frame.session() {
            Some(named) if !is_carried => self.early_notification(channel, &named, &frame, now),
            _ => {
                let clients = self.clients_of(channel);
                if clients.is_empty() {
                    self.counters.unrouted += 1;
                }
                for client in clients {
                    self.send_to_client(client, frame.whole());
                }
            }
        }
    }

    /// A notification of a live session, for all who are attached to it.
    pub(in crate::bridge) fn deliver(&mut self, key: SessionKey, frame: Frame, now: Moment) {
        if let Some(child) = announced_child(&frame) {
            self.registry.add_child(key, &child);
        }
        let Some(session) = self.registry.sessions.get_mut(&key) else { return };
        session.last_seen = now;
        session.seq += 1;
        let Some((last, others)) = session.clients().split_last() else { return };
        let frame = for_client(session, frame);
        for client in others {
            self.effects.push_back(Effect::ToClient { client: *client, frame: frame.clone() });
        }
        self.effects.push_back(Effect::ToClient { client: *last, frame });
    }

    fn agent_answer(&mut self, channel: ChannelId, frame: &Frame, now: Moment) {
        let asked = frame.number().map(CallId).and_then(|id| {
            let call = self.registry.calls.get(&id)?;
            let is_open = call.channel == Some(channel) && !call.is_unsent();
            is_open.then(|| (id, call.purpose.clone()))
        });
        let Some((id, purpose)) = asked else {
            self.counters.stray_answers += 1;
            return;
        };
        match purpose {
            Purpose::Initialize => self.handshake_answered(channel, id, frame, now),
            Purpose::Open(_) => self.open_answered(channel, id, frame, now),
            Purpose::Close(agent_id) => self.close_answered(channel, id, &agent_id, frame),
            Purpose::Part(fanout) => {
                self.registry.take_call(id);
                self.part_answered(fanout, frame, now);
            }
            Purpose::Shared(request) => {
                self.forward_answer(id, frame);
                let pool = self.registry.channel(channel).and_then(|row| row.pool);
                if let (Kind::Success, Some(pool)) = (frame.kind, pool) {
                    self.agreed(pool, &request, &[channel], now);
                }
            }
            Purpose::Rehearse { needed } => {
                self.registry.take_call(id);
                self.rehearsed(channel, needed, frame, now);
            }
            Purpose::Prompt => self.prompt_answered(channel, id, frame, now),
            Purpose::Login(again) => {
                self.forward_answer(id, frame);
                self.logged_in(channel, again, frame, now);
            }
            Purpose::List { first, cwd } => {
                self.list_answered(channel, id, first, cwd.as_deref(), frame);
            }
            Purpose::Connection { unknown } => {
                if let Some(client) = self.forward_answer(id, frame)
                    && unknown
                    && frame.kind == Kind::Success
                    && let Some(row) = self.registry.channel_mut(channel)
                {
                    row.leases.insert(client);
                }
            }
            Purpose::Reload { attached } => self.reloaded(id, frame, attached, now),
            Purpose::Stored { .. } => drop(self.forward_answer(id, frame)),
            Purpose::Session => {
                let Some(key) = self.session_answered(channel, id, frame) else { return };
                if let Some(session) = self.registry.session_mut(key) {
                    session.last_seen = now;
                }
            }
        }
    }

    /// Ends a call with the agent's answer; gives back the client that asked, if one did.
    pub(in crate::bridge) fn forward_answer(
        &mut self,
        id: CallId,
        frame: &Frame,
    ) -> Option<crate::bridge::ClientId> {
        let call = self.registry.take_call(id)?;
        if let Asker::Client(client, token) = &call.asker {
            let outgoing = self.for_asker(&call, frame, token);
            self.send_to_client(*client, outgoing);
        }
        call.client()
    }

    fn prompt_answered(&mut self, channel: ChannelId, id: CallId, frame: &Frame, now: Moment) {
        if let Some(key) = self.session_answered(channel, id, frame) {
            self.turn_over(key, now);
        }
    }

    /// Forwards the answer to a request in a session; gives back the session if
    /// it is live.
    fn session_answered(
        &mut self,
        channel: ChannelId,
        id: CallId,
        frame: &Frame,
    ) -> Option<SessionKey> {
        let key = self.registry.calls.get(&id).and_then(|call| call.session);
        self.forward_answer(id, frame);
        let key = key?;
        if self.registry.sessions.contains_key(&key) {
            return Some(key);
        }
        // The session is closed: its tombstone may have waited for just this.
        let agent_id = self.registry.channel(channel).and_then(|row| {
            let is_its =
                |tomb: &Tombstone| tomb.key == key && matches!(tomb.hold, Hold::Closing(_));
            row.tombstones.iter().find(|(_, tomb)| is_its(tomb)).map(|(id, _)| id.clone())
        });
        if let Some(agent_id) = agent_id {
            self.conclude_if_quiet(channel, &agent_id);
        }
        None
    }

    fn stray_line(&mut self, channel: ChannelId, malformed: Malformed, now: Moment) {
        match malformed {
            Malformed::TooLong { length, glimpse } => {
                self.counters.overlong_lines += 1;
                self.publish(Notice::OverlongLine { from: channel.to_string(), length });
                self.overlong(channel, length, &glimpse, now);
            }
            other => {
                self.counters.stray_lines += 1;
                let Some(row) = self.registry.channels.get_mut(&channel) else { return };
                if now.since(row.stray.0) >= STRAY_WINDOW {
                    row.stray = (now, 0);
                }
                row.stray.1 += 1;
                if row.stray.1 <= STRAY_REPORTS {
                    let what = match other {
                        Malformed::Batch => "a batch".to_owned(),
                        Malformed::NotMessage { .. } => "JSON, but no message".to_owned(),
                        Malformed::NotJson { beginning } => format!("{beginning:?}"),
                        Malformed::TooLong { .. } => "too long".to_owned(),
                    };
                    self.publish(Notice::StrayLine { channel, what });
                }
            }
        }
    }

    /// A line of an agent was too long: whoever waits for it is told.
    fn overlong(&mut self, channel: ChannelId, length: u64, glimpse: &Glimpse, now: Moment) {
        let Some(token) = &glimpse.id else { return };
        if glimpse.has_method {
            let refusal = Refusal::TooLong { length };
            return self.send_to_channel(channel, compose::failure(token, &refusal));
        }
        let refusal = Refusal::AnswerTooLong { length };
        let Some(frame) = compose::missing_answer(token, &refusal) else { return };
        let call = frame.number().map(CallId).filter(|id| {
            self.registry.calls.get(id).is_some_and(|call| {
                let restores = call.opening().is_some_and(|row| row.restores().is_some());
                call.channel == Some(channel) && call.is_sent() && restores
            })
        });
        // Nobody can tell whether it was restored: the agent may hold it.
        if let Some(id) = call {
            return self.open_timed_out(id, &refusal, now);
        }
        self.agent_answer(channel, &frame, now);
    }
}
