//! From facts to due items: deadlines, idle channels, the reaper, eviction.
//!
//! A deadline is a function of what the rows say and what the configuration
//! allows; it is asked again when it comes up, and what is not due any more is
//! simply not done.

use crate::bridge::books::call::{Purpose, Stage};
use crate::bridge::books::channel::{Channel, Rung, State};
use crate::bridge::books::deadlines::Due;
use crate::bridge::books::session::{Background, Session};
use crate::bridge::channels::handshake::SLOW_HANDSHAKE;
use crate::bridge::config::{BackgroundWork, IdlePolicy};
use crate::bridge::event::Process;
use crate::bridge::id::{CallId, ChannelId, QuestionId, SessionKey};
use crate::bridge::notice::{EndReason, Notice, StopReason};
use crate::bridge::refusal::Refusal;
use crate::bridge::sessions::question::{CANCEL_GRACE, UNATTENDED_LIMIT};
use crate::bridge::time::{Limit, Moment};
use crate::bridge::{Bridge, Effect, Method, Phase};

/// A channel that a client started and has not used yet, or on which somebody
/// has just logged in, is kept for at least this long (ms).
const FIRST_USE_GRACE: u64 = 60_000;
/// For how long a look at a process tree is believed (ms).
const SURVEY_AGE: u64 = 1_000;
/// What a process gets to die of SIGKILL, however short a shutdown must be (ms).
const LEAST_KILL_GRACE: u64 = 250;

/// What came of the wish to make room for a session.
pub(in crate::bridge) enum Eviction {
    /// A session gave way.
    Done,
    /// It is being looked whether one may.
    Looking,
    /// None may.
    Impossible,
}

impl Bridge {
    /// When a row is due, as the facts stand now. `None`: never.
    pub(in crate::bridge) fn deadline(&self, due: Due) -> Option<Moment> {
        match due {
            Due::Channel(id) => self.channel_deadline(id),
            Due::Call(id) => self.call_deadline(id),
            Due::Question(id) => self.not_in_pause(self.question_deadline(id)?),
            Due::Session(key) => self.session_deadline(self.registry.sessions.get(&key)?),
            Due::Silence(id) => self.liveness_deadline(id),
            Due::Placing => {
                let waits = !self.registry.unplaced.is_empty();
                Some(self.restarts.not_before()).filter(|at| waits && *at > Moment::START)
            }
            Due::Shutdown => match self.phase {
                Phase::Ending { since, forced: false, .. } => {
                    Some(since.plus_millis(self.config.limits.shutdown_timeout))
                }
                _ => None,
            },
        }
    }

    /// After the host stood still, nothing is over before everybody had time to wake up.
    pub(in crate::bridge) fn not_in_pause(&self, at: Moment) -> Option<Moment> {
        Some(at.max(self.paused_until))
    }

    fn channel_deadline(&self, id: ChannelId) -> Option<Moment> {
        let row = self.registry.channel(id)?;
        match &row.state {
            State::Spawned | State::Draining { .. } => None,
            State::Starting { .. } if self.is_ending() => self.last_answers_at(),
            State::Starting { since, slow } => {
                let late = since.plus(self.config.agent.initialize_timeout);
                let slow = (!slow).then(|| since.plus_millis(SLOW_HANDSHAKE));
                late.into_iter().chain(slow).min().and_then(|at| self.not_in_pause(at))
            }
            // What is carried as it is may hold what nobody can see from outside.
            State::Ready if self.is_carried(id) => None,
            State::Ready => {
                let at = row.idle_since?.plus(self.idle_limit(row))?;
                self.not_in_pause(at)
            }
            State::Stopping { rung, since, .. } => since.plus(self.grace(*rung)?),
        }
    }

    /// How long a channel is kept without work.
    fn idle_limit(&self, row: &Channel) -> Limit {
        let limit = self.config.agent.channel_idle_timeout;
        let Limit::After(millis) = limit else { return limit };
        let idle_since = row.idle_since.unwrap_or(row.born);
        let just_logged_in = matches!(
            row.login,
            crate::bridge::books::channel::Login::Done { at } if idle_since.since(at) < FIRST_USE_GRACE
        );
        if !row.used && self.config.limits.preheat {
            Limit::Never
        } else if !row.used || just_logged_in {
            Limit::After(millis.max(FIRST_USE_GRACE))
        } else {
            limit
        }
    }

    fn call_deadline(&self, id: CallId) -> Option<Moment> {
        let call = self.registry.calls.get(&id)?;
        if call.channel.is_none() {
            return self.not_in_pause(call.asked_at.plus(self.config.agent.session_open_timeout)?);
        }
        let Stage::Sent(mut at) = call.stage else { return None };
        let limit = match call.purpose {
            // A replay shows that the agent is at work.
            Purpose::Reload { .. } => {
                let session = call.session.and_then(|key| self.registry.sessions.get(&key));
                at = session.map_or(at, |session| at.max(session.last_seen));
                self.config.agent.session_open_timeout
            }
            Purpose::Open(_) | Purpose::Rehearse { .. } => self.config.agent.session_open_timeout,
            Purpose::Prompt => self.config.agent.prompt_timeout,
            Purpose::Close(_) => self.config.agent.session_close_timeout,
            _ => Limit::Never,
        };
        let over = at.plus(limit);
        match self.last_answers_at() {
            // What waits in a tombstone is over with its close.
            Some(_) if call.session.is_some() && !matches!(call.purpose, Purpose::Close(_)) => None,
            Some(end) => Some(over.map_or(end, |over| over.min(end))),
            None => self.not_in_pause(over?),
        }
    }

    /// Until when a shutdown waits for answers: a quarter of its bound.
    fn last_answers_at(&self) -> Option<Moment> {
        match self.phase {
            Phase::Ending { since, .. } => {
                Some(since.plus_millis(self.config.limits.shutdown_timeout / 4))
            }
            Phase::Running | Phase::Over => None,
        }
    }

    fn question_deadline(&self, id: QuestionId) -> Option<Moment> {
        let question = self.registry.questions.get(&id)?;
        let cancelled = question.cancelled_at.map(|at| at.plus_millis(CANCEL_GRACE));
        let alone = question.alone_since.and_then(|since| {
            since.plus(match question.method {
                Method::RequestPermission => self.config.limits.permission_timeout,
                _ => Limit::After(UNATTENDED_LIMIT),
            })
        });
        cancelled.into_iter().chain(alone).min()
    }

    /// When the reaper may take a session: on its grid, at the first tick at
    /// which the session has been idle for long enough.
    pub(in crate::bridge) fn session_deadline(&self, session: &Session) -> Option<Moment> {
        if self.is_ending() || self.is_busy(session) {
            return None;
        }
        let Limit::After(interval @ 1..) = self.config.limits.session_reap_interval else {
            return None;
        };
        let idle = session.last_seen.plus(self.session_limit(session)?)?;
        let at = match session.background {
            // Something still ran when it was looked at: look again at the next tick.
            Background::Working { at } => idle.max(at.plus_millis(interval)),
            Background::Asked => return None,
            _ => idle,
        };
        let tick = at.as_millis().div_ceil(interval).saturating_mul(interval);
        self.not_in_pause(Moment::from_millis(tick))
    }

    fn is_busy(&self, session: &Session) -> bool {
        #[cfg(feature = "seeded-bugs")]
        if crate::bridge::seeded::is(crate::bridge::seeded::Bug::ReapBetweenQueuedPrompts) {
            return self.running_prompts(session.key).next().is_some();
        }
        session.is_busy()
    }

    /// How long this session may be idle, if the policy lets it be reaped at all.
    fn session_limit(&self, session: &Session) -> Option<Limit> {
        let detached = self.config.agent.session_idle_timeout.zero_is_never();
        let limit = match (session.clients().is_empty(), self.config.agent.idle_policy) {
            (true, _) => detached,
            (false, IdlePolicy::Detached) => return None,
            // Reaping is off as a whole when the first limit is.
            (false, IdlePolicy::All) if detached == Limit::Never => return None,
            (false, IdlePolicy::All) => self.config.agent.attached_idle_timeout.zero_is_never(),
        };
        (limit != Limit::Never).then_some(limit)
    }

    /// Something is due, as the facts stand now.
    pub(in crate::bridge) fn act_on(&mut self, due: Due, now: Moment) {
        match due {
            Due::Channel(id) => self.channel_due(id, now),
            Due::Call(id) => self.call_due(id, now),
            Due::Question(id) => self.question_timed_out(id, now),
            Due::Session(key) => self.reap(key, now),
            Due::Silence(id) => self.listen_closely(id),
            Due::Placing => {} // The end of the step looks at what waits.
            Due::Shutdown => self.force(now),
        }
    }

    fn channel_due(&mut self, id: ChannelId, now: Moment) {
        let limit = self.config.agent.initialize_timeout;
        let is_ending = self.is_ending();
        let Some(row) = self.registry.channel_mut(id) else { return };
        match &mut row.state {
            State::Starting { .. } if is_ending => self.stop(id, StopReason::Shutdown, now),
            State::Starting { since, slow } => {
                let after_ms = now.since(*since);
                if since.plus(limit).is_some_and(|end| end <= now) {
                    self.stop(id, StopReason::HandshakeTimeout, now);
                } else {
                    *slow = true;
                    self.publish(Notice::HandshakeSlow { channel: id, after_ms });
                }
            }
            State::Ready => {
                let idle_for = row.idle_since.map_or(0, |since| now.since(since));
                self.stop(id, StopReason::Idle(idle_for), now);
            }
            State::Stopping { .. } => self.next_rung(id, now),
            State::Spawned | State::Draining { .. } => {}
        }
    }

    fn call_due(&mut self, id: CallId, now: Moment) {
        let Some(call) = self.registry.calls.get(&id) else { return };
        match (&call.purpose, call.channel) {
            (_, None) => {
                let agent = self.agent_name();
                self.refuse_call(id, &Refusal::OpenTimeout { agent });
            }
            (Purpose::Open(_), _) => {
                let agent = self.agent_name();
                self.open_timed_out(id, &Refusal::OpenTimeout { agent }, now);
            }
            (Purpose::Reload { attached }, _) => self.reload_timed_out(id, *attached, now),
            (Purpose::Rehearse { needed }, Some(channel)) => {
                self.rehearsal_timed_out(channel, id, *needed, now);
            }
            (Purpose::Prompt, _) => self.prompt_timed_out(id, now),
            (Purpose::Close(agent_id), Some(channel)) => {
                let agent_id = agent_id.clone();
                let outcome = crate::bridge::sessions::close::CloseOutcome::TimedOut;
                self.conclude(channel, id, &agent_id, outcome, None);
            }
            // Only a shutdown gives the others a limit.
            _ => self.refuse_part_or_call(id, &Refusal::ShuttingDown, now),
        }
    }

    /// Whether processes left over from the session's turns must be looked for
    /// before it is ended by choice.
    fn must_look(&self, session: &Session, now: Moment) -> bool {
        let fresh = matches!(session.background, Background::Quiet { at }
            if now.since(at) <= SURVEY_AGE && at >= session.last_seen);
        self.config.agent.background_work == BackgroundWork::Keep
            && !session.clients().is_empty()
            && !fresh
    }

    fn look(&mut self, key: SessionKey) {
        // While the answer is awaited nothing is touched: who waits for room asks
        // again at the end of each step, and would keep that step from ending.
        let is_asked = |row: &Session| row.background == Background::Asked;
        if self.registry.sessions.get(&key).is_none_or(is_asked) {
            return;
        }
        let Some(session) = self.registry.session_mut(key) else { return };
        session.background = Background::Asked;
        let channel = session.channel;
        self.survey(channel);
    }

    pub(in crate::bridge) fn survey(&mut self, channel: ChannelId) {
        self.effects.push_back(Effect::Survey(channel));
    }

    fn reap(&mut self, key: SessionKey, now: Moment) {
        let Some(session) = self.registry.sessions.get(&key) else { return };
        if self.must_look(session, now) {
            self.look(key);
        } else {
            self.end_session(key, EndReason::IdleTimeout, None, None, now);
        }
    }

    /// The process tree of a channel was looked at.
    pub(in crate::bridge) fn surveyed(
        &mut self,
        channel: ChannelId,
        processes: &[Process],
        now: Moment,
    ) {
        let Some(row) = self.registry.channel(channel) else { return };
        let keys: Vec<SessionKey> = row.sessions.iter().copied().collect();
        for key in keys {
            let Some(session) = self.registry.session_mut(key) else { continue };
            if session.background != Background::Asked {
                continue;
            }
            let left: Vec<String> = processes
                .iter()
                .filter(|process| session.bore(process.born))
                .map(|process| format!("{} ({})", process.name, process.pid))
                .collect();
            if left.is_empty() {
                session.background = Background::Quiet { at: now };
                // Asked again in the step that closes: it may have come to life meanwhile.
                if self.deadline(Due::Session(key)).is_some_and(|at| at <= now) {
                    self.reap(key, now);
                }
            } else {
                session.background = Background::Working { at: now };
                let (session, id) = (key, session.id.to_string());
                let processes = left.join(", ");
                self.publish(Notice::BackgroundWork { session, id, processes });
            }
        }
    }

    /// The longest-idle session that the policy allows gives way.
    pub(in crate::bridge) fn evict(&mut self, now: Moment) -> Eviction {
        if self.config.limits.at_capacity == crate::bridge::config::AtCapacity::Refuse {
            return Eviction::Impossible;
        }
        let may_go = |session: &&Session| {
            let allowed =
                session.clients().is_empty() || self.config.agent.idle_policy == IdlePolicy::All;
            let works = matches!(session.background, Background::Working { at }
                if self.must_look(session, now) && now.since(at) <= FIRST_USE_GRACE);
            allowed && !session.is_busy() && !works
        };
        let oldest = self.registry.sessions.values().filter(may_go);
        let oldest = oldest.min_by_key(|row| (row.last_seen, row.key));
        let Some(session) = oldest else { return Eviction::Impossible };
        let key = session.key;
        if self.must_look(session, now) {
            self.look(key);
            return Eviction::Looking;
        }
        self.end_session(key, EndReason::Evicted, None, None, now);
        Eviction::Done
    }

    /// The rung's grace; `None`: there is nothing to wait for.
    fn grace(&self, rung: Rung) -> Option<Limit> {
        let graces = [
            self.config.agent.stdin_grace,
            self.config.agent.term_grace,
            self.config.agent.kill_grace,
        ];
        let index = match rung {
            Rung::ClosingStdin => 0,
            Rung::Terminated => 1,
            Rung::Killed => 2,
            Rung::Stuck => return None,
        };
        if !self.is_ending() {
            return Some(graces[index]);
        }
        // In a shutdown the whole ladder fits into what the closes leave.
        let bound = self.config.limits.shutdown_timeout;
        let left = bound - bound / 4;
        let millis = graces.map(|grace| match grace {
            Limit::After(millis) => millis.min(left),
            Limit::Never => left,
        });
        let whole: u64 = millis.iter().sum();
        let scaled = if whole <= left { millis[index] } else { millis[index] * left / whole };
        // Nobody dies of SIGKILL in no time: whoever is just dying is no survivor.
        let least = if rung == Rung::Killed { LEAST_KILL_GRACE } else { 0 };
        Some(Limit::After(scaled.max(least)))
    }
}
