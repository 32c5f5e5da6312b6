//! How a channel ends: draining, the stop ladder, its exit.
//!
//! A channel that enters Stopping has nothing open any more after that same
//! step (I3). Its row goes with its exit and with nothing else (I5): asking to
//! stop is not having stopped, and the last SIGKILL always finds the row.

use crate::bridge::books::call::{Asker, Purpose, Stage};
use crate::bridge::books::channel::{Rung, State};
use crate::bridge::books::session::Audience;
use crate::bridge::event::{Exit, ExitStatus};
use crate::bridge::id::{CallId, ChannelId, ClientId, PoolId, SessionKey};
use crate::bridge::notice::{EndReason, Notice, StopReason};
use crate::bridge::refusal::Refusal;
use crate::bridge::time::Moment;
use crate::bridge::{Bridge, Effect};

impl Bridge {
    /// Takes a channel out of service: no new sessions; those it has go on, and
    /// what was not sent yet goes to a successor.
    pub(in crate::bridge) fn drain(&mut self, channel: ChannelId, reason: StopReason) {
        let Some(row) = self.registry.channel_mut(channel) else { return };
        if row.state != State::Ready {
            return;
        }
        row.state = State::Draining { reason: reason.clone() };
        for id in self.calls_on(channel) {
            let waits = self.registry.calls.get(&id).is_some_and(|call| {
                call.opening().is_some() && matches!(call.stage, Stage::Held(_))
            });
            if waits {
                self.registry.move_call(id, None);
            }
        }
        self.publish(Notice::ChannelDraining { channel, reason });
    }

    /// Begins the stop ladder.
    pub(in crate::bridge) fn stop(&mut self, channel: ChannelId, reason: StopReason, now: Moment) {
        let Some(row) = self.registry.channel(channel) else { return };
        if row.is_stopping() {
            return;
        }
        let was_starting = matches!(row.state, State::Starting { .. });
        self.publish(Notice::ChannelStopping { channel, reason: reason.clone() });
        let refusal = self.stop_refusal(&reason);
        if was_starting && reason.is_fault() {
            self.crashed(reason.to_string(), now);
        }
        let end =
            if reason == StopReason::Shutdown { EndReason::Shutdown } else { EndReason::Killed };
        self.settle_accounts(channel, end, &refusal, now);
        if let Some(row) = self.registry.channel_mut(channel) {
            row.state = State::Stopping { reason, rung: Rung::ClosingStdin, since: now };
            row.idle_since = None;
        }
        self.effects.push_back(Effect::CloseStdin(channel));
        #[cfg(feature = "seeded-bugs")]
        if crate::bridge::seeded::is(crate::bridge::seeded::Bug::ForgetRowOnStop) {
            self.registry.remove_channel(channel);
        }
    }

    fn stop_refusal(&self, reason: &StopReason) -> Refusal {
        let agent = self.agent_name();
        match (reason, self.config.agent.initialize_timeout) {
            (StopReason::Shutdown, _) => Refusal::ShuttingDown,
            (StopReason::HandshakeTimeout, crate::bridge::Limit::After(millis)) => {
                Refusal::HandshakeTimeout { agent, millis }
            }
            _ => Refusal::AgentStopped { agent, reason: reason.to_string() },
        }
    }

    /// Everything that is open on a channel ends now: its sessions, the requests
    /// on it, and the questions of its agent.
    fn settle_accounts(
        &mut self,
        channel: ChannelId,
        reason: EndReason,
        refusal: &Refusal,
        now: Moment,
    ) {
        let Some(row) = self.registry.channel(channel) else { return };
        let sessions: Vec<SessionKey> = row.sessions.iter().copied().collect();
        for key in sessions {
            self.end_session(key, reason, None, Some(refusal), now);
        }
        for id in self.calls_on(channel) {
            self.end_call(id, refusal, now);
        }
        let questions = self.registry.channel(channel).map(|row| row.questions.clone());
        for id in questions.unwrap_or_default() {
            self.withdraw(id);
        }
        if let Some(row) = self.registry.channel_mut(channel) {
            self.counters.early_frames += row.early.clear() as u64;
            row.leases.clear();
        }
    }

    /// A call whose channel will not answer it.
    fn end_call(&mut self, id: CallId, refusal: &Refusal, now: Moment) {
        let Some(call) = self.registry.calls.get(&id) else { return };
        match call.purpose.clone() {
            // Closed is what it is now.
            Purpose::Close(_) => self.answer_call(id, b"{}").map(drop),
            Purpose::Part(fanout) => {
                self.registry.take_call(id);
                self.part_failed(fanout, refusal, now);
                None
            }
            #[cfg(feature = "seeded-bugs")]
            Purpose::Open(_)
                if crate::bridge::seeded::is(crate::bridge::seeded::Bug::LoseWaitingOpen)
                    && matches!(call.stage, Stage::Held(_)) =>
            {
                self.registry.take_call(id).map(drop)
            }
            #[cfg(feature = "seeded-bugs")]
            _ if crate::bridge::seeded::is(crate::bridge::seeded::Bug::LoseAnswersOnExit) => {
                self.registry.take_call(id).map(drop)
            }
            _ => self.refuse_call(id, refusal).map(drop),
        };
    }

    /// The grace of a rung is over, or somebody is in a hurry.
    pub(in crate::bridge) fn next_rung(&mut self, channel: ChannelId, now: Moment) {
        let Some(row) = self.registry.channel_mut(channel) else { return };
        let State::Stopping { rung, since, .. } = &mut row.state else { return };
        *since = now;
        match *rung {
            Rung::ClosingStdin => {
                *rung = Rung::Terminated;
                self.effects.push_back(Effect::Terminate(channel));
                self.publish(Notice::ChannelTerminated { channel });
            }
            Rung::Terminated => {
                *rung = Rung::Killed;
                self.effects.push_back(Effect::Kill(channel));
                self.publish(Notice::ChannelKilled { channel });
            }
            Rung::Killed => {
                *rung = Rung::Stuck;
                self.publish(Notice::ChannelStuck { channel });
            }
            Rung::Stuck => {}
        }
    }

    /// SIGKILL at once.
    pub(in crate::bridge) fn kill(&mut self, channel: ChannelId, now: Moment) {
        self.stop(channel, StopReason::Shutdown, now);
        let Some(row) = self.registry.channel_mut(channel) else { return };
        if let State::Stopping { rung, since, .. } = &mut row.state
            && *rung < Rung::Killed
        {
            *rung = Rung::Killed;
            *since = now;
            self.effects.push_back(Effect::Kill(channel));
            self.publish(Notice::ChannelKilled { channel });
        }
    }

    /// A channel's process is gone: the one event that removes its row.
    pub(in crate::bridge) fn channel_exited(
        &mut self,
        channel: ChannelId,
        exit: Exit,
        now: Moment,
    ) {
        let Some(row) = self.registry.channel(channel) else { return };
        self.counters.half_line_bytes += exit.half_line;
        let expected = row.is_stopping();
        let in_handshake = matches!(row.state, State::Starting { .. });
        let had_work = !self.is_without_work(row);
        let refusal = Refusal::AgentExited {
            agent: self.agent_name(),
            status: exit.status,
            stderr_tail: exit.stderr_tail.clone(),
            in_handshake,
        };
        let is_crash = !expected && (had_work || exit.status != ExitStatus::Code(0));
        if is_crash {
            self.crashed(refusal.message(), now);
        }
        self.settle_accounts(channel, EndReason::ChannelClosed, &refusal, now);
        self.registry.remove_channel(channel);
        let (status, tail) = (exit.status, exit.stderr_tail);
        self.publish(Notice::ChannelExited { channel, status, is_crash, tail });
    }

    /// The process could not be started at all.
    pub(in crate::bridge) fn spawn_failed(
        &mut self,
        channel: ChannelId,
        error: String,
        now: Moment,
    ) {
        let refusal = Refusal::SpawnFailed { agent: self.agent_name(), error: error.clone() };
        self.settle_accounts(channel, EndReason::ChannelClosed, &refusal, now);
        self.registry.remove_channel(channel);
        self.publish(Notice::SpawnFailed { channel, error });
    }

    fn crashed(&mut self, how: String, now: Moment) {
        self.restarts.crashed(now, self.config.agent.restart_window, how);
    }

    /// A client's connection is over. Nobody can tell a quit from a crash, so
    /// its sessions stay; prompts go on, questions go to others or wait.
    pub(in crate::bridge) fn client_gone(&mut self, client: ClientId, now: Moment) {
        let Some(row) = self.registry.clients.get(&client) else { return };
        let (calls, pool) = (row.calls.clone(), row.pool);
        for id in row.fanouts.clone() {
            if let Some(fanout) = self.registry.fanouts.get_mut(&id) {
                fanout.asker = Asker::Nobody;
            }
        }
        let sessions: Vec<SessionKey> = row.sessions.iter().copied().collect();
        for id in calls {
            let waits = self.registry.calls.get(&id).is_some_and(|call| {
                matches!(call.stage, Stage::Held(_)) && call.waits_for_channel()
            });
            if waits {
                self.registry.take_call(id);
            } else {
                self.registry.disown_call(id);
            }
        }
        for key in sessions {
            self.registry.detach(client, key, Audience::Lost);
        }
        self.unask(client, None, now);
        let channels: Vec<ChannelId> = self
            .registry
            .channels
            .iter()
            .filter(|(_, row)| row.leases.contains(&client) || row.pool == pool)
            .map(|(id, _)| *id)
            .collect();
        self.registry.remove_client(client);
        for channel in channels {
            if let Some(row) = self.registry.channel_mut(channel) {
                row.leases.remove(&client);
            }
        }
        self.end_carried(pool, now);
    }

    /// The one client that a channel was carried for has left its pool.
    pub(in crate::bridge) fn end_carried(&mut self, pool: Option<PoolId>, now: Moment) {
        for channel in self.all_channels() {
            let its = self.registry.channel(channel).is_some_and(|row| row.pool == pool);
            if its && self.is_carried(channel) {
                self.stop(channel, StopReason::ClientGone, now);
            }
        }
    }
}
