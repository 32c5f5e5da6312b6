//! The deadline of a row: a function of the facts in the books and of the limits, and of
//! nothing else. It is computed again when the row comes up, and if the row is not due any
//! more, nothing is done.

use crate::bridge::books::Books;
use crate::bridge::books::call::{Call, Purpose, Stage};
use crate::bridge::books::channel::{Channel, ChannelState, Login, Rung};
use crate::bridge::books::deadlines::Due;
use crate::bridge::books::phase::Phase;
use crate::bridge::books::session::{Background, Session};
use crate::bridge::config::IdlePolicy;
use crate::bridge::id::{AgentId, CallId, ChannelId, PoolId, QuestionId};
#[cfg(feature = "seeded-bugs")]
use crate::bridge::seeded;
use crate::bridge::time::{Limit, Moment};
use crate::ladder;
use crate::wire::Method;

/// The least idle timeout of a channel on which no session was opened yet, or on which a
/// client has just logged in (ms).
const FIRST_USE_GRACE: u64 = 60_000;

/// How long `fs/*` and elicitations wait for a client (ms).
const UNATTENDED_LIMIT: u64 = 30_000;

/// How long a client has to settle a question itself after `session/cancel` (ms).
const CANCEL_GRACE: u64 = 1_000;

/// How long `initialize` may be unanswered until a notice says so (ms).
const SLOW_HANDSHAKE: u64 = 20_000;

impl Books {
    /// When a row is due, as the facts stand now. `None`: never.
    pub fn deadline(&self, due: Due) -> Option<Moment> {
        match due {
            Due::Channel(id) => self.channel_deadline(id),
            Due::Call(id) => self.call_deadline(id),
            Due::Question(id) => self.not_in_pause(self.question_deadline(id)?),
            Due::Session(key) => self.session_deadline(self.sessions.get(&key)?),
            Due::Silence(id) => self.liveness_deadline(id),
            Due::Start(id) => self.start_deadline(id),
            Due::Shutdown => match self.phase {
                Phase::Ending { since, forced: false, .. } => {
                    Some(since.plus_millis(self.limits.shutdown_timeout))
                }
                _ => None,
            },
        }
    }

    fn start_deadline(&self, id: PoolId) -> Option<Moment> {
        let waits = |call: &CallId| {
            let client = self.calls.get(call).and_then(Call::client);
            client.is_some_and(|client| {
                self.clients.get(&client).is_some_and(|row| row.pool == Some(id))
            })
        };
        let pool = self.pools.get(&id)?;
        let at = self.agent(pool.agent).restarts.not_before(&pool.identity);
        (at > Moment::START && self.unplaced.iter().any(waits)).then_some(at)
    }

    /// The moment `at`, or the end of the pause after the host stood still, in which clients
    /// and agents have time to wake up: the later one.
    fn not_in_pause(&self, at: Moment) -> Option<Moment> {
        Some(at.max(self.paused_until))
    }

    fn channel_deadline(&self, id: ChannelId) -> Option<Moment> {
        let row = self.channel(id)?;
        match &row.state {
            ChannelState::Spawned | ChannelState::Draining { .. } => None,
            ChannelState::Starting { .. } if self.is_ending() => self.last_answers_at(),
            ChannelState::Starting { since, slow } => {
                let late = since.plus(self.agent(row.agent).config.initialize_timeout);
                let slow = (!slow).then(|| since.plus_millis(SLOW_HANDSHAKE));
                late.into_iter().chain(slow).min().and_then(|at| self.not_in_pause(at))
            }
            ChannelState::Ready => {
                let at = row.clock.idle_since()?.plus(self.idle_limit(row))?;
                // A passthrough agent may hold sessions that the books do not know.
                if self.is_passthrough(id) { None } else { self.not_in_pause(at) }
            }
            ChannelState::Stopping { rung, since, .. } => since.plus(self.grace(row.agent, *rung)?),
        }
    }

    /// How long a channel is kept without work.
    fn idle_limit(&self, row: &Channel) -> Limit {
        let limit = self.agent(row.agent).config.channel_idle_timeout;
        let Limit::After(millis) = limit else { return limit };
        let idle_since = row.clock.idle_since().unwrap_or(row.clock.born);
        let just_logged_in = matches!(
            row.login,
            Login::Done { at } if idle_since.since(at) < FIRST_USE_GRACE
        );
        if !row.used && self.limits.preheat {
            Limit::Never
        } else if !row.used || just_logged_in {
            Limit::After(millis.max(FIRST_USE_GRACE))
        } else {
            limit
        }
    }

    fn call_deadline(&self, id: CallId) -> Option<Moment> {
        let call = self.calls.get(&id)?;
        let config = &self.agent(call.agent).config;
        if call.channel.is_none() {
            return self.not_in_pause(call.asked_at.plus(config.session_open_timeout)?);
        }
        let Stage::Sent(mut at) = call.stage else { return None };
        let limit = match call.purpose {
            // Each update of the replay shows that the agent is at work, and moves `last_seen`.
            Purpose::Reload { .. } => {
                let session = call.session.and_then(|key| self.sessions.get(&key));
                at = session.map_or(at, |session| at.max(session.last_seen));
                config.session_open_timeout
            }
            Purpose::Open(_) | Purpose::SetUpReplay { .. } => config.session_open_timeout,
            Purpose::Prompt => config.prompt_timeout,
            Purpose::Close(_) => config.session_close_timeout,
            _ => Limit::Never,
        };
        let over = at.plus(limit);
        match self.last_answers_at() {
            // A shutdown closes every session: calls in a tombstone end with its close.
            Some(_) if call.session.is_some() && !matches!(call.purpose, Purpose::Close(_)) => None,
            Some(end) => Some(over.map_or(end, |over| over.min(end))),
            None => self.not_in_pause(over?),
        }
    }

    /// When a shutdown stops waiting for answers: after a quarter of its bound. `None`: no
    /// shutdown is under way.
    fn last_answers_at(&self) -> Option<Moment> {
        match self.phase {
            Phase::Ending { since, .. } => {
                Some(since.plus_millis(ladder::closes_share(self.limits.shutdown_timeout)))
            }
            Phase::Running | Phase::Over => None,
        }
    }

    fn question_deadline(&self, id: QuestionId) -> Option<Moment> {
        let question = self.questions.get(&id)?;
        let cancelled = question.cancelled_at.map(|at| at.plus_millis(CANCEL_GRACE));
        let alone = question.alone_since.and_then(|since| {
            since.plus(match question.method {
                Method::RequestPermission => self.limits.permission_timeout,
                _ => Limit::After(UNATTENDED_LIMIT),
            })
        });
        cancelled.into_iter().chain(alone).min()
    }

    /// When the reaper may close a session: at the first multiple of the reap interval at
    /// which the session has been idle for long enough.
    pub fn session_deadline(&self, session: &Session) -> Option<Moment> {
        if self.is_ending() || self.is_busy(session) {
            return None;
        }
        let Limit::After(interval @ 1..) = self.limits.session_reap_interval else {
            return None;
        };
        let idle = session.last_seen.plus(self.session_limit(session)?)?;
        let at = match session.background {
            // The last survey found background work: the next one is an interval later.
            Background::Working { at } => idle.max(at.plus_millis(interval)),
            Background::Asked => return None,
            _ => idle,
        };
        let tick = at.as_millis().div_ceil(interval).saturating_mul(interval);
        self.not_in_pause(Moment::from_millis(tick))
    }

    fn is_busy(&self, session: &Session) -> bool {
        #[cfg(feature = "seeded-bugs")]
        if seeded::is(seeded::Bug::ReapBetweenQueuedPrompts) {
            return self.running_prompts(session.key).next().is_some();
        }
        session.is_busy()
    }

    /// How long a session may be idle until it is reaped; `None`: it is never reaped.
    fn session_limit(&self, session: &Session) -> Option<Limit> {
        let config = &self.agent(session.agent).config;
        let detached = config.session_idle_timeout.zero_is_never();
        let limit = match (session.clients().is_empty(), config.idle_policy) {
            (true, _) => detached,
            (false, IdlePolicy::Detached) => return None,
            // Where detached sessions are never reaped, attached ones are not either.
            (false, IdlePolicy::All) if detached == Limit::Never => return None,
            (false, IdlePolicy::All) => config.attached_idle_timeout.zero_is_never(),
        };
        (limit != Limit::Never).then_some(limit)
    }

    /// The grace of a rung; `None`: no rung follows.
    fn grace(&self, agent: AgentId, rung: Rung) -> Option<Limit> {
        let config = &self.agent(agent).config;
        let graces = [config.stdin_grace, config.term_grace, config.kill_grace];
        let index = match rung {
            Rung::ClosingStdin => 0,
            Rung::Terminated => 1,
            Rung::Killed => 2,
            Rung::Stuck => return None,
        };
        if !self.is_ending() {
            return Some(graces[index]);
        }
        let millis = graces.map(Limit::millis);
        Some(Limit::After(ladder::in_shutdown(millis, self.limits.shutdown_timeout)[index]))
    }

    /// When a channel is to be surveyed: after an interval of silence. `None`: its agent is
    /// not waited for, a survey is under way, or liveness is off.
    pub fn liveness_deadline(&self, id: ChannelId) -> Option<Moment> {
        let row = self.channel(id)?;
        let Limit::After(interval @ 1..) = self.agent(row.agent).config.liveness_interval else {
            return None;
        };
        self.not_in_pause(row.clock.silent_since()?.plus_millis(interval))
    }
}

#[cfg(test)]
mod tests;
