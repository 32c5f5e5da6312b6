//! The end of a step: rows that were touched are looked at, and what follows from
//! them happens.

use super::id::{CallId, ChannelId, SessionKey};
use super::notice::{EndReason, StopReason};
use super::time::Moment;
use super::{Bridge, Effect};
use crate::bridge::books::call::Stage;
use crate::bridge::books::channel::{Channel, State};
use crate::bridge::books::deadlines::Due;
use crate::bridge::books::session::Audience;

/// What follows from the state of a channel that was touched.
enum Follows {
    /// Its idle time runs, and may be over at once.
    Timeout,
    /// It was only kept by its work.
    Stop(StopReason),
    /// Its next deadline.
    Watch,
    Nothing,
}

impl Bridge {
    /// The end of a step that touched a session: one that was left on purpose
    /// is closed as soon as its turn is over.
    pub(in crate::bridge) fn settle_session(&mut self, key: SessionKey, now: Moment) {
        let Some(session) = self.registry.sessions.get(&key) else { return };
        if session.audience == Audience::Left && session.calls.is_empty() {
            self.end_session(key, EndReason::LastClientDetached, None, None, now);
        } else if let Some(at) = self.session_deadline(session) {
            self.registry.deadlines.watch(Due::Session(key), at);
        }
    }

    /// Decides at the end of a step that touched a channel whether it is idle,
    /// and what follows from it.
    pub(in crate::bridge) fn settle_channel(&mut self, id: ChannelId, now: Moment) {
        let Some(row) = self.registry.channels.get(&id) else { return };
        let is_idle = self.is_without_work(row);
        let is_waited_for = self.is_waited_for(id, row);
        let should_pause = self.feeds_slow_client(row);
        let lost_early = !row.early.is_empty() && self.open_in_flight(id, None).is_none();
        let Some(row) = self.registry.channels.get_mut(&id) else { return };
        if lost_early {
            self.counters.early_frames += row.early.clear() as u64;
        }
        if row.paused != should_pause {
            row.paused = should_pause;
            self.effects.push_back(if should_pause {
                Effect::Pause(id)
            } else {
                Effect::Resume(id)
            });
        }
        row.idle_since = is_idle.then(|| row.idle_since.unwrap_or(now));
        row.waited_for_since = is_waited_for.then(|| row.waited_for_since.unwrap_or(now));
        let follows = match &row.state {
            State::Ready if is_idle => Follows::Timeout,
            State::Draining { reason } if is_idle => Follows::Stop(reason.clone()),
            State::Starting { .. } | State::Stopping { .. } => Follows::Watch,
            _ => Follows::Nothing,
        };
        if is_waited_for {
            self.watch(Due::Silence(id));
        }
        match follows {
            Follows::Timeout => match self.deadline(Due::Channel(id)) {
                Some(at) if at <= now => self.act_on(Due::Channel(id), now),
                _ => self.watch(Due::Channel(id)),
            },
            Follows::Stop(reason) => self.stop(id, reason, now),
            Follows::Watch => self.watch(Due::Channel(id)),
            Follows::Nothing => {}
        }
    }

    /// Whether nothing keeps a channel: no session, nothing in flight, no lease.
    pub(in crate::bridge) fn is_without_work(&self, row: &Channel) -> bool {
        let is_waited_for = |id: &CallId| {
            self.registry.calls.get(id).is_some_and(|call| call.stage != Stage::Overdue)
        };
        // What an agent may hold for a client keeps it from being idle, not from being replaced.
        let is_leased = row.state == State::Ready && !row.leases.is_empty();
        row.sessions.is_empty() && !is_leased && !row.calls.iter().any(is_waited_for)
    }
}
