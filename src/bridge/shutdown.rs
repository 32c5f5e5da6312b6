//! The end of the bridge: in order, within a bound, and with nothing left.
//!
//! Sessions are ended and closed at their agents, all at once; then every
//! channel goes down the stop ladder at the same time; at the bound whatever is
//! left is killed. Hosts give little time, so everything inside is scaled to it.

use super::event::ShutdownCause;
use super::id::{CallId, ChannelId};
use super::notice::{EndReason, Notice, StopReason};
use super::refusal::Refusal;
use super::time::Moment;
use super::{Bridge, Effect, Phase};
use crate::bridge::books::call::Purpose;
use crate::bridge::books::channel::{Rung, State};
use crate::bridge::books::deadlines::Due;
use crate::bridge::books::registry::ids_of;

impl Bridge {
    /// The bridge is to end; or somebody asks again, more urgently.
    pub(in crate::bridge) fn shutdown(&mut self, cause: ShutdownCause, now: Moment) {
        match (self.phase, cause) {
            (Phase::Running, _) => self.begin_shutdown(cause, now),
            // After the editor's own way of ending, its first SIGTERM only hurries.
            (
                Phase::Ending { cause: ShutdownCause::StdinEnded, since, forced: false },
                ShutdownCause::Signal,
            ) => {
                self.phase = Phase::Ending { cause, since, forced: false };
                for channel in self.all_channels() {
                    self.stop(channel, StopReason::Shutdown, now);
                    self.next_rung(channel, now);
                }
            }
            (Phase::Ending { forced: false, .. }, ShutdownCause::Signal) => self.force(now),
            _ => {}
        }
    }

    fn begin_shutdown(&mut self, cause: ShutdownCause, now: Moment) {
        self.phase = Phase::Ending { since: now, cause, forced: false };
        self.publish(Notice::ShuttingDown {
            cause: match cause {
                ShutdownCause::StdinEnded => "the editor closed our stdin".to_owned(),
                ShutdownCause::Signal => "signal".to_owned(),
            },
            channels: self.registry.channels.len(),
            sessions: self.registry.sessions.len(),
        });
        for key in ids_of(&self.registry.sessions) {
            self.end_session(key, EndReason::Shutdown, None, None, now);
        }
        // What was not sent will not be, and a session is not opened to be closed.
        for id in ids_of(&self.registry.calls) {
            let is_vain = self.registry.calls.get(&id).is_some_and(|call| {
                let is_held = call.is_unsent() && call.purpose != Purpose::Initialize;
                call.session.is_none() && (is_held || call.opening().is_some())
            });
            if is_vain {
                self.refuse_part_or_call(id, &Refusal::ShuttingDown, now);
            } else {
                self.watch(Due::Call(id));
            }
        }
        for channel in self.all_channels() {
            let Some(row) = self.registry.channel_mut(channel) else { continue };
            row.leases.clear();
            if row.is_open() {
                self.drain(channel, StopReason::Shutdown);
            } else if !self.is_awaited(channel) {
                self.stop(channel, StopReason::Shutdown, now);
            }
            self.watch(Due::Channel(channel));
        }
        let unplaced: Vec<CallId> = self.registry.unplaced.iter().copied().collect();
        for id in unplaced {
            self.refuse_call(id, &Refusal::ShuttingDown);
        }
        self.watch(Due::Shutdown);
    }

    /// Whether a client waits for this channel's answer to `initialize`.
    fn is_awaited(&self, channel: ChannelId) -> bool {
        let is_starting = self
            .registry
            .channel(channel)
            .is_some_and(|row| matches!(row.state, State::Starting { .. }));
        let calls = self.calls_on(channel);
        let mut askers = calls.iter().filter_map(|id| self.registry.calls.get(id)?.client());
        is_starting && askers.next().is_some()
    }

    /// Refuses a call, or the request that it is a part of.
    pub(in crate::bridge) fn refuse_part_or_call(
        &mut self,
        id: CallId,
        refusal: &Refusal,
        now: Moment,
    ) {
        let fanout = match self.registry.calls.get(&id).map(|call| &call.purpose) {
            Some(Purpose::Part(fanout)) => Some(*fanout),
            _ => None,
        };
        self.refuse_call(id, refusal);
        if let Some(fanout) = fanout {
            self.part_failed(fanout, refusal, now);
        }
    }

    pub(in crate::bridge) fn all_channels(&self) -> Vec<ChannelId> {
        self.registry.channels.keys().copied().collect()
    }

    /// No more patience: SIGKILL to every process.
    pub(in crate::bridge) fn force(&mut self, now: Moment) {
        let Phase::Ending { since, cause, .. } = self.phase else { return };
        self.phase = Phase::Ending { since, cause, forced: true };
        if !self.registry.channels.is_empty() {
            self.publish(Notice::ShutdownForced);
        }
        for channel in self.all_channels() {
            self.kill(channel, now);
        }
    }

    /// The end of a step: everything is over when every process is, or will not die.
    pub(in crate::bridge) fn finish_shutdown(&mut self) {
        let Phase::Ending { .. } = self.phase else { return };
        let is_stuck = |state: &State| matches!(state, State::Stopping { rung: Rung::Stuck, .. });
        if !self.registry.channels.values().all(|row| is_stuck(&row.state)) {
            return;
        }
        let survivors = self.all_channels();
        if !survivors.is_empty() {
            self.publish(Notice::Survivors { channels: survivors.clone() });
        }
        self.phase = Phase::Over;
        self.effects.push_back(Effect::Exit { survivors });
    }
}
