//! The deadline of a row: a function of the facts in the books and of the limits, and of
//! nothing else. It is computed again when the row comes up, and if the row is not due any
//! more, nothing is done.

use crate::bridge::books::Books;
use crate::bridge::books::call::{Call, Purpose, SentAt, Stage};
use crate::bridge::books::channel::{Channel, ChannelState, Login, Rung};
use crate::bridge::books::deadlines::Due;
use crate::bridge::books::parent::Parent;
use crate::bridge::books::phase::Phase;
use crate::bridge::books::session::{Background, Session};
use crate::bridge::config::IdlePolicy;
use crate::bridge::event::ShutdownCause;
use crate::bridge::id::{AgentId, CallId, ChannelId, PoolId, QuestionId};
use crate::bridge::reason::StopReason;
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

/// The bound of the shutdown after an `initialize` for which there was no agent (ms): the
/// exit follows within 250.
const LEFT_FOR_NO_AGENT: u64 = 150;

/// How long `initialize` may be unanswered until a notice says so (ms).
const SLOW_HANDSHAKE: u64 = 20_000;

/// A reason to keep a channel without work for longer than its idle timeout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Indulgence {
    /// It was started ahead, and is not used yet.
    Preheat,
    /// No session was opened on it yet, and a client is there that may do so.
    FirstUse,
    /// A client has just logged in there.
    Login,
}

impl Books {
    /// When a row is due, as the facts stand now. `None`: never.
    pub fn deadline(&self, due: Due) -> Option<Moment> {
        match due {
            Due::Channel(id) => self.channel_deadline(id),
            Due::Call(id) => self.call_deadline(id),
            Due::Question(id) => self.not_in_pause(self.question_deadline(id)?),
            Due::Session(key) => self.session_deadline(self.sessions.get(&key)?),
            Due::Silence(id) => self.liveness_deadline(id),
            Due::Slow(id) => self.slow_deadline(id),
            Due::Start(id) => self.start_deadline(id),
            Due::Memory => {
                // Without an agent nobody looks.
                let is_wanted = self.limits.memory_high_mb > 0 && !self.channels.is_empty();
                (is_wanted && !self.is_ending()).then(|| self.memory.next_look())?
            }
            Due::Tenure => self.tenure_deadline(),
            Due::Shutdown => match self.phase {
                Phase::Ending { since, forced: false, .. } => {
                    Some(since.plus_millis(self.shutdown_bound()))
                }
                _ => None,
            },
            Due::Orphan(id) => match self.clients.get(&id)?.parent {
                Parent::Gone { since } => {
                    self.not_in_pause(since.plus(self.limits.orphan_timeout)?)
                }
                Parent::Unheard | Parent::Present | Parent::Launcher => None,
            },
        }
    }

    /// The bound of the shutdown that is under way (ms).
    fn shutdown_bound(&self) -> u64 {
        let bound = self.limits.shutdown_timeout;
        match self.phase {
            // An editor waits no longer for the sentence that says what is wrong.
            Phase::Ending { cause: ShutdownCause::InitializeFailed, .. } => {
                bound.min(LEFT_FOR_NO_AGENT)
            }
            Phase::Ending { .. } | Phase::Running | Phase::Over => bound,
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

    /// When the bridge ends by itself; `None`: not as the facts stand.
    fn tenure_deadline(&self) -> Option<Moment> {
        if self.is_ending() {
            return None;
        }
        let unused = self.tenure.unused_until(self.limits.daemon_idle_timeout);
        let unused = unused.and_then(|at| self.not_in_pause(at));
        unused.into_iter().chain(self.tenure.left_since()).min()
    }

    /// The moment `at`, or the end of the pause after the host stood still, in which clients
    /// and agents have time to wake up: the later one.
    pub fn not_in_pause(&self, at: Moment) -> Option<Moment> {
        Some(at.max(self.paused_until))
    }

    fn channel_deadline(&self, id: ChannelId) -> Option<Moment> {
        let row = self.channel(id)?;
        match &row.state {
            ChannelState::Spawned | ChannelState::Draining { .. } => None,
            ChannelState::Starting { since, slow, .. } => {
                let slow = (!slow && !self.is_ending()).then(|| since.plus_millis(SLOW_HANDSHAKE));
                let slow = slow.and_then(|at| self.not_in_pause(at));
                slow.into_iter().chain(self.handshake_end(row)).min()
            }
            ChannelState::Ready => {
                let idle = row.clock.idle_since();
                let idle = idle.and_then(|since| since.plus(self.idle_limit(row)));
                // A passthrough agent may hold sessions that the books do not know.
                let idle = idle.filter(|_| !self.is_passthrough(id));
                self.not_in_pause(idle.into_iter().chain(self.worn_out_at(id, row)).min()?)
            }
            ChannelState::Stopping { rung, since, began, .. } => {
                since.plus(self.grace(row.agent, *rung, *began)?)
            }
        }
    }

    /// When the handshake of a channel fails if nothing more comes from its agent; `None`: no
    /// handshake runs, or its clock stands.
    pub fn handshake_end(&self, row: &Channel) -> Option<Moment> {
        let ChannelState::Starting { since, wrote, .. } = &row.state else { return None };
        if self.is_ending() {
            return self.last_answers_at();
        }
        let limit = self.agent(row.agent).config.initialize_timeout;
        let lost = row.clock.lost_if_running();
        let late = lost.and_then(|lost| since.plus_millis(lost).plus(limit));
        let ends = late.into_iter().chain(wrote.prose_ends_at()).min();
        self.not_in_pause(ends?)
    }

    /// How long a channel is kept without work.
    pub fn idle_limit(&self, row: &Channel) -> Limit {
        let limit = self.agent(row.agent).config.channel_idle_timeout;
        if row.outdated == Some(StopReason::WornOut) {
            return Limit::After(0);
        }
        match (limit, self.indulgence(row)) {
            (Limit::Never, _) | (_, Some(Indulgence::Preheat)) => Limit::Never,
            (Limit::After(millis), Some(Indulgence::FirstUse | Indulgence::Login)) => {
                Limit::After(millis.max(FIRST_USE_GRACE))
            }
            (limit, None) => limit,
        }
    }

    /// The reason to keep a channel without work for longer than its idle timeout.
    pub fn indulgence(&self, row: &Channel) -> Option<Indulgence> {
        let idle_since = row.clock.idle_since().unwrap_or(row.clock.born);
        let just_logged_in = matches!(
            row.login,
            Login::Done { at } if idle_since.since(at) < FIRST_USE_GRACE
        );
        // A first use is to be expected only of a client.
        let clients = self.clients.values();
        let is_expected =
            row.pool.is_none() || clients.map(|client| client.pool).any(|pool| pool == row.pool);
        if row.opened == 0 && is_expected && self.limits.preheat {
            Some(Indulgence::Preheat)
        } else if row.opened == 0 && is_expected {
            Some(Indulgence::FirstUse)
        } else {
            just_logged_in.then_some(Indulgence::Login)
        }
    }

    fn call_deadline(&self, id: CallId) -> Option<Moment> {
        let call = self.calls.get(&id)?;
        let config = &self.agent(call.agent).config;
        if matches!(call.purpose, Purpose::BehindOpen(_)) {
            // It ends with that open; a client waits for a close no longer than its timeout.
            let is_close = matches!(&call.stage, Stage::Held(frame)
                if frame.method == Method::SessionClose);
            let limit = Some(config.session_close_timeout).filter(|_| is_close)?;
            return self.not_in_pause(call.asked_at.plus(limit)?);
        }
        if call.channel.is_none() {
            return self.not_in_pause(call.asked_at.plus(config.session_open_timeout)?);
        }
        let SentAt { at, lost } = call.sent_at()?;
        let limit = match call.purpose {
            Purpose::Open(_)
            | Purpose::Reload { .. }
            | Purpose::Reapply(_)
            | Purpose::SetUpReplay { .. }
            | Purpose::RepeatedLogin { .. }
            | Purpose::Part(_)
            | Purpose::FanoutOfOne(_) => config.session_open_timeout,
            _ if call.is_turn() => config.prompt_timeout,
            _ if call.is_close() => config.session_close_timeout,
            _ => Limit::Never,
        };
        // A client waits for a close no longer than its timeout; every other request of
        // an agent that cannot work has its time.
        let lost = match call.is_close() {
            true => Some(0),
            false => self.lost_since(call.channel, lost),
        };
        let over = lost.and_then(|lost| at.plus_millis(lost).plus(limit));
        match self.last_answers_at() {
            // A shutdown closes every session: calls in a tombstone end with its close.
            Some(_) if call.session.is_some() && !matches!(call.purpose, Purpose::Close(_)) => None,
            Some(end) => Some(over.map_or(end, |over| over.min(end))),
            None => self.not_in_pause(over?),
        }
    }

    /// The time that a channel's agent has lost since it had lost `before` (ms). `None`: its
    /// clock stands.
    fn lost_since(&self, channel: Option<ChannelId>, before: u64) -> Option<u64> {
        #[cfg(feature = "seeded-bugs")]
        if seeded::is(seeded::Bug::BlameWaitingAgent) {
            return Some(0);
        }
        let Some(row) = channel.and_then(|id| self.channel(id)) else { return Some(0) };
        row.clock.lost_if_running().map(|lost| lost.saturating_sub(before))
    }

    /// The stage of a call that is sent to a channel's agent now.
    pub fn sent_now(&self, channel: ChannelId, now: Moment) -> Stage {
        Stage::sent(now, self.channel(channel).map_or(0, |row| row.clock.lost(now)))
    }

    /// Whether an agent had less than its time for a call, because it could not work.
    pub fn is_excused(&self, id: CallId, now: Moment) -> bool {
        let call = self.calls.get(&id);
        let sent = call.and_then(|call| Some((self.channel(call.channel?)?, call.sent_at()?)));
        sent.is_some_and(|(row, sent)| row.clock.stands() || row.clock.lost(now) > sent.lost)
    }

    /// When a shutdown stops waiting for answers: after a quarter of its bound. `None`: no
    /// shutdown is under way.
    fn last_answers_at(&self) -> Option<Moment> {
        match self.phase {
            Phase::Ending { since, .. } => {
                Some(since.plus_millis(ladder::closes_share(self.shutdown_bound())))
            }
            Phase::Running | Phase::Over => None,
        }
    }

    fn question_deadline(&self, id: QuestionId) -> Option<Moment> {
        let question = self.questions.get(&id)?;
        let cancelled = question.cancelled.map(|(at, _)| at.plus_millis(CANCEL_GRACE));
        let alone = question.alone_since.and_then(|since| {
            since.plus(match question.method {
                Method::RequestPermission => self.limits.permission_timeout,
                _ => Limit::After(UNATTENDED_LIMIT),
            })
        });
        cancelled.into_iter().chain(alone).min()
    }

    /// When something is to be done about a session: by the reaper, or because no client is
    /// attached.
    pub fn session_deadline(&self, session: &Session) -> Option<Moment> {
        let duty = self.duty(session).map(|(at, _)| at);
        let replay = session.restoring.as_ref().and_then(|row| row.replay_ends_at());
        let moves = self.moves_on_at(session).and_then(|at| self.not_in_pause(at));
        self.reap_deadline(session).into_iter().chain(duty).chain(replay).chain(moves).min()
    }

    /// When the reaper may close a session: at the first multiple of the reap interval at
    /// which the session has been idle for long enough.
    pub fn reap_deadline(&self, session: &Session) -> Option<Moment> {
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
            Background::Asked { .. } => return None,
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
            (false, _) if detached == Limit::Never => return None,
            (false, IdlePolicy::Restorable) if !self.is_safe_to_end(session) => return None,
            (false, IdlePolicy::Restorable | IdlePolicy::All) => {
                config.attached_idle_timeout.zero_is_never()
            }
        };
        (limit != Limit::Never).then_some(limit)
    }

    /// The grace of a rung of a ladder that began at `began`; `None`: no rung follows.
    fn grace(&self, agent: AgentId, rung: Rung, began: Moment) -> Option<Limit> {
        let config = &self.agent(agent).config;
        let graces = [config.stdin_grace, config.term_grace, config.kill_grace];
        let index = match rung {
            Rung::ClosingStdin => 0,
            Rung::Terminated => 1,
            Rung::Killed => 2,
            Rung::Stuck => return None,
        };
        let Phase::Ending { since, .. } = self.phase else { return Some(graces[index]) };
        let left = self.shutdown_bound().saturating_sub(began.since(since));
        Some(Limit::After(ladder::fitted(graces.map(Limit::millis), left)[index]))
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
