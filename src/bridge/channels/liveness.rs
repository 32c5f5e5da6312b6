//! Liveness: an agent that is waited for and gives no sign of life.
//!
//! Silence is no proof: a model may think for minutes, and a person may leave a
//! question open. So an agent is looked at only while a request is on it and no
//! question of its own is open, and it strikes out only on evidence: for a whole
//! interval not a byte came from it, and its process tree did no work. After
//! `--liveness-strikes` of them in a row it is replaced.
//!
//! A tree that cannot be looked at gives no evidence. Nor does the time while the
//! host stood still.

use crate::bridge::Bridge;
use crate::bridge::books::call::Call;
use crate::bridge::books::channel::Channel;
use crate::bridge::id::{CallId, ChannelId};
use crate::bridge::notice::{Notice, StopReason};
use crate::bridge::time::{Limit, Moment};

/// A tree that used less than this part of an interval has done no work: timers
/// of a runtime tick even when nothing is done.
const WORK_PART: u64 = 1_000;

/// What is known of an agent that is silent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Silence {
    /// Nothing: it was not looked at.
    #[default]
    Unknown,
    /// The runtime is looking; with what was seen before.
    Asked(Option<Look>),
    /// It was looked at.
    Seen(Look),
}

/// A look at a silent agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// When.
    pub at: Moment,
    /// The time that its tree has spent on the processor until then (ms), if
    /// that could be seen.
    pub worked: Option<u64>,
    /// Intervals without a sign of life until then, in a row.
    pub strikes: usize,
}

impl Bridge {
    /// When a channel is to be looked at: after an interval of silence.
    pub(in crate::bridge) fn liveness_deadline(&self, id: ChannelId) -> Option<Moment> {
        let Limit::After(interval @ 1..) = self.config.agent.liveness_interval else { return None };
        let row = self.registry.channel(id)?;
        let since = row.heard_at.max(row.waited_for_since?);
        let since = match row.silence {
            Silence::Asked(_) => return None,
            Silence::Seen(look) => since.max(look.at),
            Silence::Unknown => since,
        };
        self.not_in_pause(since.plus_millis(interval))
    }

    /// Whether a request is on a channel that its agent can answer by itself.
    pub(in crate::bridge) fn is_waited_for(&self, id: ChannelId, row: &Channel) -> bool {
        let is_sent = |id: &CallId| self.registry.calls.get(id).is_some_and(Call::is_sent);
        self.config.agent.liveness_interval.zero_is_never() != Limit::Never
            && row.is_open()
            && row.questions.is_empty()
            && !self.is_carried(id)
            && row.calls.iter().any(is_sent)
    }

    /// An interval of silence is over: is there any sign of life?
    pub(in crate::bridge) fn listen_closely(&mut self, id: ChannelId) {
        let Some(row) = self.registry.channel_mut(id) else { return };
        // What was seen before it was waited for says nothing.
        let since = row.waited_for_since.map_or(row.heard_at, |since| since.max(row.heard_at));
        let before = match row.silence {
            Silence::Seen(look) if look.at > since => Some(look),
            _ => None,
        };
        row.silence = Silence::Asked(before);
        self.survey(id);
    }

    /// A channel was looked at; its tree has `worked` so long in all.
    pub(in crate::bridge) fn listened(&mut self, id: ChannelId, worked: Option<u64>, now: Moment) {
        let (limit, interval) =
            (self.config.agent.liveness_strikes, self.config.agent.liveness_interval);
        let Some(row) = self.registry.channel_mut(id) else { return };
        let Silence::Asked(before) = row.silence else { return };
        let before = before.filter(|look| look.at > row.heard_at);
        let so_far = before.map_or(0, |look| look.strikes);
        let strikes = match (before, worked) {
            (Some(Look { at, worked: Some(then), .. }), Some(worked)) => {
                // Less than before: somebody has ended, so there was life.
                let idle =
                    worked.checked_sub(then).filter(|work| *work <= now.since(at) / WORK_PART);
                idle.map_or(0, |_| so_far + 1)
            }
            _ => so_far,
        };
        row.silence = Silence::Seen(Look { at: now, worked, strikes });
        let silent_ms = now.since(row.heard_at);
        // A look without evidence repeats no strike; and it may have been answered,
        // or have asked something, while it was looked at.
        if strikes <= so_far || self.liveness_deadline(id).is_none() {
            return;
        }
        self.counters.strikes += 1;
        self.publish(Notice::NoSignOfLife { channel: id, silent_ms, strikes, limit });
        if limit > 0 && strikes >= limit {
            self.stop(id, StopReason::Lifeless { strikes, interval }, now);
        }
    }

    /// The host stood still: nobody could give a sign of life.
    pub(in crate::bridge) fn forget_silence(&mut self) {
        for row in self.registry.channels.values_mut() {
            row.silence = match row.silence {
                Silence::Asked(_) => Silence::Asked(None),
                Silence::Seen(_) | Silence::Unknown => Silence::Unknown,
            };
        }
        self.registry.touched_channels.extend(self.registry.channels.keys().copied());
    }
}
