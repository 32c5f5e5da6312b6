//! Nothing too early, nothing too late, and the end.

use drawbridge::bridge::config::{BackgroundWork, IdlePolicy};
use drawbridge::bridge::time::Limit;
use drawbridge::bridge::{ChannelId, ClientId, Moment};
use drawbridge::wire::Method;

use super::passing::Passing;
use super::{Asked, Channel, Model, Rung, Session, Verdict};

/// A channel that nobody has used yet is kept for this long.
const FIRST_USE: u64 = 60_000;
/// An open is answered within this time, whatever stands in its way.
const LONGEST_OPEN: u64 = 2_000;

impl Model {
    /// When `limit` is over, if ever; not while the host's pause counts.
    fn over_at(&self, since: u64, limit: Limit) -> Option<u64> {
        let at = Moment::from_millis(since).plus(limit)?.as_millis();
        Some(at.max(self.paused_until))
    }

    /// An open is refused because its agent did not answer it in time: the agent had that time,
    /// and could work.
    pub(super) fn has_timed_out(&self, now: u64, mark: u64) -> Verdict {
        let asked = self.asked.get(&mark).ok_or("it was never asked")?;
        let Some((channel, call)) = asked.sent.last() else { return Ok(()) };
        let row = self.channels.get(channel).filter(|row| !row.exited);
        let Some(row) = row else { return Ok(()) };
        let Some(sent) = row.pending.get(call) else { return Ok(()) };
        if row.paused || !row.asks.is_empty() {
            return Err(format!("{channel} could not work when its time for an open was over"));
        }
        match self.over_at(sent.at, self.config.agent.session_open_timeout) {
            Some(at) if at > now => Err(format!("{channel} has time for it until {at} ms")),
            _ => Ok(()),
        }
    }

    /// The reaper took a session: it had been idle for long enough.
    pub(super) fn was_due(&self, now: u64, session: &Session) -> Verdict {
        let never = Limit::Never;
        let detached = self.config.agent.session_idle_timeout.zero_is_never();
        let interval = self.config.limits.session_reap_interval.zero_is_never();
        if detached == never || interval == never || self.ending.is_some() {
            return Err("there is no reaper".to_owned());
        }
        let attached = match self.config.agent.idle_policy {
            IdlePolicy::Detached | IdlePolicy::Restorable => never,
            IdlePolicy::All => self.config.agent.attached_idle_timeout.zero_is_never(),
        };
        let first = [detached, attached]
            .into_iter()
            .filter_map(|limit| self.over_at(session.seen, limit))
            .min();
        match first {
            Some(at) if at <= now => Ok(()),
            _ => Err(format!("it was of use at {} ms", session.seen)),
        }
    }

    /// A channel is stopped for want of work: it has none.
    pub(super) fn was_idle(&self, now: u64, channel: ChannelId) -> Verdict {
        let row = self.channels.get(&channel).ok_or("a channel that never was")?;
        let fail = |what: &str| Err(format!("{channel} is stopped as idle: {what}"));
        if row.sessions.values().any(|session| session.live) {
            return fail("sessions live on it");
        }
        let is_there = |client: &Option<ClientId>| {
            client.is_some_and(|client| self.clients.contains_key(&client))
        };
        if self.clients.values().any(|client| client.passthrough == Some(channel)) {
            return fail("its client is there");
        }
        let mut passing = row.passing.values();
        let may_hold = |row: &Passing| {
            let is_of_client = row.parents.is_empty() && is_there(&row.lessee);
            row.is_of_agent && is_of_client && !row.has_ended
        };
        if passing.any(may_hold) {
            return fail("it may hold something for a client");
        }
        let mut waits = row.pending.values().filter_map(|sent| self.asked.get(&sent.mark?));
        // A request for every process gives up each of them for itself.
        let limit = self.config.agent.session_open_timeout;
        let is_given_up = |asked: &Asked| {
            asked.method == Method::ProvidersList
                && self.over_at(asked.at, limit).is_some_and(|at| at <= now)
        };
        if waits.any(|asked| {
            !asked.done
                && !asked.outlived_it
                && self.clients.contains_key(&asked.client)
                && !is_given_up(asked)
        }) {
            return fail("it was asked something");
        }
        match self.over_at(row.served_at, self.config.agent.channel_idle_timeout) {
            Some(at) if at <= now => Ok(()),
            _ => fail("it had work a moment ago"),
        }
    }

    /// The bridge looked at its deadlines: nothing is overdue.
    pub fn is_punctual(&self, now: u64) -> Verdict {
        if self.over {
            return Ok(());
        }
        for (id, row) in self.channels.iter().filter(|(_, row)| !row.exited) {
            self.channel_is_punctual(now, row).map_err(|what| format!("{id}: {what}"))?;
            if self.ending.is_some() {
                continue;
            }
            for (session, facts) in row.sessions.iter().filter(|(_, facts)| facts.live) {
                self.reaper_is_punctual(now, &(*id, session.clone()), facts)?;
            }
        }
        let forgotten = self.asked.values().find(|asked| {
            matches!(asked.method, Method::SessionNew | Method::SessionLoad | Method::SessionResume)
                && !asked.done
                && !asked.passthrough
                && asked.place.is_none()
                && self.clients.contains_key(&asked.client)
                && self.could_be_opened_since(now, asked) + LONGEST_OPEN <= now
        });
        match forgotten {
            Some(asked) => Err(format!("{:?} of {} ms is not answered", asked.method, asked.at)),
            None => Ok(()),
        }
    }

    /// From when on nothing stood in the way of an open.
    fn could_be_opened_since(&self, now: u64, asked: &Asked) -> u64 {
        let is_meant = |channel: &ChannelId| {
            // An open that was not sent may wait for any of them.
            asked.sent.is_empty() || asked.sent.iter().any(|(sent, _)| sent == channel)
        };
        let stood_at = |row: &Channel| {
            let stands = row.paused || !row.asks.is_empty();
            if stands && !row.exited { now } else { row.stood_at }
        };
        // What waits behind a close or a detach begins when that is done.
        let begins = match asked.sent.last() {
            _ if !asked.waits_behind => asked.at,
            Some((channel, call)) => {
                let row = self.channels.get(channel).and_then(|row| row.pending.get(call));
                row.map_or(now, |sent| sent.at)
            }
            None => now,
        };
        let channels = self.channels.iter().filter(|(id, _)| is_meant(id));
        let stood_at = channels.map(|(_, row)| stood_at(row)).max().unwrap_or_default();
        let ready = self.clients.get(&asked.client).map_or(0, |row| row.ready_since);
        begins.max(ready).max(self.paused_until).max(stood_at)
    }

    fn channel_is_punctual(&self, now: u64, row: &Channel) -> Verdict {
        let is_over = |since: u64, limit: Limit| {
            Moment::from_millis(since).plus(limit).is_some_and(|at| at.as_millis() <= now)
        };
        match row.rung {
            Rung::StdinClosed if is_over(row.since, self.config.agent.stdin_grace) => {
                return Err("it should have got SIGTERM".to_owned());
            }
            Rung::Terminated if is_over(row.since, self.config.agent.term_grace) => {
                return Err("it should have got SIGKILL".to_owned());
            }
            Rung::Serving => {}
            _ => return Ok(()),
        }
        if self.ending.is_some() {
            return Ok(());
        }
        let is_clock_standing = row.paused || !row.asks.is_empty();
        let silent = !is_clock_standing
            && row.pending.values().any(|sent| {
                sent.method == Method::Initialize
                    && self
                        .over_at(sent.at.max(row.stood_at), self.config.agent.initialize_timeout)
                        .is_some_and(|at| at <= now)
            });
        if silent {
            return Err("it never answered initialize, and is not stopped".to_owned());
        }
        // A passthrough agent may hold sessions that nobody sees from outside.
        if row.passthrough {
            return Ok(());
        }
        let has_work = !row.initialized
            || row.leased
            || !row.pending.is_empty()
            || row.sessions.values().any(|session| session.live);
        if has_work {
            return Ok(());
        }
        if row.draining {
            return Err("it is draining, has no work, and is not stopped".to_owned());
        }
        let limit = match self.config.agent.channel_idle_timeout {
            Limit::After(millis) if !row.used || row.logged_in => {
                Limit::After(millis.max(FIRST_USE))
            }
            limit => limit,
        };
        match self.over_at(row.busy_at, limit) {
            Some(at) if at <= now => Err("it has been idle for too long".to_owned()),
            _ => Ok(()),
        }
    }

    fn reaper_is_punctual(&self, now: u64, place: &super::Place, session: &Session) -> Verdict {
        let detached = self.config.agent.session_idle_timeout.zero_is_never();
        let Limit::After(interval @ 1..) = self.config.limits.session_reap_interval else {
            return Ok(());
        };
        let limit = match (self.attached_to(place), self.config.agent.idle_policy) {
            // While its processes are looked at, a session that is due waits.
            (_, IdlePolicy::All) if self.config.agent.background_work == BackgroundWork::Keep => {
                return Ok(());
            }
            (false, _) => detached,
            (true, IdlePolicy::All) => self.config.agent.attached_idle_timeout.zero_is_never(),
            (true, IdlePolicy::Detached | IdlePolicy::Restorable) => return Ok(()),
        };
        let is_busy = self.is_busy(place) || self.may_work_in(place);
        if detached == Limit::Never || limit == Limit::Never || is_busy {
            return Ok(());
        }
        let Some(idle) = Moment::from_millis(session.maybe_seen).plus(limit) else { return Ok(()) };
        let tick = idle.as_millis().div_ceil(interval) * interval;
        if tick.max(self.paused_until) <= now {
            return Err(format!(
                "{place:?} was last of use at {} ms and should have been reaped",
                session.maybe_seen
            ));
        }
        Ok(())
    }

    /// The bridge says that it is over.
    pub(super) fn exits(&mut self, now: u64, survivors: &[ChannelId]) -> Verdict {
        self.over = true;
        let since = self.ending.as_ref().ok_or("it ends although nobody asked")?.since;
        let Limit::After(kill_grace) = self.config.agent.kill_grace else { return Ok(()) };
        if now > since + self.config.limits.shutdown_timeout + kill_grace + 10 {
            return Err(format!("the shutdown took {} ms", now - since));
        }
        let left = self.channels.iter().find(|(id, row)| !row.exited && !survivors.contains(id));
        if let Some((id, _)) = left {
            return Err(format!("it ends, and {id} is forgotten"));
        }
        Ok(())
    }

    /// The end of the history: everybody has an answer.
    pub fn ended(&self, _now: u64) -> Verdict {
        for (id, row) in &self.clients {
            if let Some((token, _)) = row.open.first_key_value() {
                return Err(format!("request {token} of {id} was never answered"));
            }
        }
        Ok(())
    }
}
