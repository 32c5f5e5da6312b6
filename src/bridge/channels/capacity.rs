//! Room: what the caps on sessions, channels and requests still allow, and who
//! gives way for a newcomer.

use crate::bridge::Bridge;
use crate::bridge::books::call::{Purpose, Stage};
use crate::bridge::books::channel::{Channel, Rung, State};
use crate::bridge::books::client::{Client, MAX_PENDING};
use crate::bridge::channels::placement::Placement;
use crate::bridge::config::Share;
use crate::bridge::id::{CallId, ClientId};
use crate::bridge::notice::StopReason;
use crate::bridge::refusal::Refusal;
use crate::bridge::sessions::reaper::Eviction;
use crate::bridge::time::Moment;

impl Bridge {
    /// Sessions on a channel, live and opening.
    pub(in crate::bridge) fn load(&self, row: &Channel) -> usize {
        let opening = row
            .calls
            .iter()
            .filter_map(|id| self.registry.calls.get(id))
            .filter(|call| call.opening().is_some() && call.stage != Stage::Overdue);
        row.sessions.len() + opening.count()
    }

    pub(in crate::bridge) fn has_room(&self, row: &Channel) -> bool {
        let cap = match self.config.agent.share {
            // What cannot be closed is still there: such a process is not shared either.
            Share::Session if row.husks() > 0 => return false,
            Share::Session => 1,
            Share::Agent | Share::Cwd => self.config.agent.sessions_per_channel,
        };
        cap == 0 || self.load(row) < cap
    }

    pub(in crate::bridge) fn make_channel_room(&mut self, now: Moment) -> Result<(), Placement> {
        let stuck =
            |row: &&Channel| !matches!(row.state, State::Stopping { rung: Rung::Stuck, .. });
        let count = self.registry.channels.values().filter(stuck).count();
        if self.config.limits.max_channels == 0 || count < self.config.limits.max_channels {
            return Ok(());
        }
        let will_leave = |row: &Channel| row.is_stopping() || self.is_only_closing(row);
        if self.registry.channels.values().filter(stuck).any(will_leave) {
            return Err(Placement::Wait);
        }
        let idle = self
            .registry
            .channels
            .iter()
            .filter(|(_, row)| row.state == State::Ready && self.is_without_work(row))
            .filter(|(id, _)| !self.is_carried(**id))
            .min_by_key(|(_, row)| row.idle_since)
            .map(|(id, _)| *id);
        match idle {
            Some(channel) => {
                self.stop(channel, StopReason::MakeRoom, now);
                Err(Placement::Wait)
            }
            None => Err(Placement::Refuse(Refusal::ChannelLimit { count })),
        }
    }

    /// Whether all that keeps a channel is the answer to a close.
    pub(in crate::bridge) fn is_only_closing(&self, row: &Channel) -> bool {
        let mut calls = row.calls.iter().filter_map(|id| self.registry.calls.get(id));
        row.is_open()
            && row.sessions.is_empty()
            && !row.calls.is_empty()
            && calls.all(|call| matches!(call.purpose, Purpose::Close(_)))
    }

    /// At the cap of sessions, the longest-idle one that the policy allows gives way.
    pub(in crate::bridge) fn make_session_room(
        &mut self,
        id: CallId,
        now: Moment,
    ) -> Option<Placement> {
        if self.config.limits.max_sessions == 0 {
            return None;
        }
        // Those that came later do not count against this one.
        let opening = self.registry.calls.iter().filter(|(other, call)| {
            **other <= id && call.opening().is_some() && call.stage != Stage::Overdue
        });
        let count = self.registry.sessions.len() + opening.count();
        if count <= self.config.limits.max_sessions {
            return None;
        }
        match self.evict(now) {
            Eviction::Done => None,
            Eviction::Looking => Some(Placement::Wait),
            Eviction::Impossible => {
                Some(Placement::Refuse(Refusal::SessionLimit { count: count - 1 }))
            }
        }
    }

    /// Whether a client has as many requests open as it may have.
    pub(in crate::bridge) fn is_at_pending_cap(&self, client: ClientId) -> bool {
        let open = |row: &Client| row.calls.len() + row.fanouts.len();
        self.registry.clients.get(&client).is_none_or(|row| open(row) >= MAX_PENDING)
    }
}
