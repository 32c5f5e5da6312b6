//! How a channel ends: draining, the stop ladder, its exit.
//!
//! A channel that enters Stopping has nothing open any more after that same
//! step (I3). Its row goes with its exit, or with the news that its process could not
//! be started, and with nothing else (I5): asking to stop is not having stopped, and
//! the last SIGKILL always finds the row.

use crate::bridge::books::call::Purpose;
use crate::bridge::books::channel::{ChannelState, Rung};
use crate::bridge::books::tombstones::Hold;
use crate::bridge::channels::waiting;
use crate::bridge::config::AgentConfig;
use crate::bridge::effect::Effect;
use crate::bridge::event::{Exit, ExitStatus};
use crate::bridge::id::{CallId, ChannelId, PoolId, SessionKey};
use crate::bridge::notice::Notice;
use crate::bridge::outgoing::{answer, passing_ids};
use crate::bridge::reason::{EndReason, NotAcp, StopReason};
use crate::bridge::refusal::{Refusal, Then};
#[cfg(feature = "seeded-bugs")]
use crate::bridge::seeded;
use crate::bridge::sessions::close::Ending;
use crate::bridge::sessions::{close, question_end};
use crate::bridge::step::Step;
use crate::bridge::time::Limit;

/// Takes a ready channel out of service: it gets no new sessions, its sessions go on, and
/// opens that were not sent yet go to a successor.
pub fn drain(step: &mut Step<'_>, channel: ChannelId, reason: StopReason) {
    if step.books.channel(channel).is_none_or(|row| row.state != ChannelState::Ready) {
        return;
    }
    let (reason_of_state, since) = (reason.clone(), step.now);
    step.books.set_state(channel, ChannelState::Draining { reason: reason_of_state, since });
    // Those that can may move on.
    step.books.touch_sessions_on(channel);
    for id in step.books.opens_waiting_on(channel) {
        step.books.move_call(id, None);
    }
    step.publish(Notice::ChannelDraining { channel, reason });
}

/// Begins the stop ladder.
pub fn begin(step: &mut Step<'_>, channel: ChannelId, reason: StopReason) {
    let now = step.now;
    // The loss of the stdio may be reported after the exit, when the row is gone.
    let Some(row) = step.books.channel(channel) else { return };
    if row.is_stopping() {
        return;
    }
    let was_starting = row.is_starting();
    let has_served = step.books.has_served(row);
    let refusal = stop_refusal(&step.books.agent(row.agent).config, &reason);
    step.publish(Notice::ChannelStopping { channel, reason: reason.clone() });
    if was_starting && reason.is_fault() {
        step.books.crashed(channel, &reason.to_string(), now);
    }
    if !has_served {
        waiting::give_back(step, channel);
    }
    let end = match reason {
        StopReason::Shutdown => EndReason::Shutdown,
        StopReason::Operator => EndReason::Operator,
        _ => EndReason::Killed,
    };
    end_open_work(step, channel, end, &refusal);
    step.books.set_state(
        channel,
        ChannelState::Stopping { reason, rung: Rung::ClosingStdin, since: now, began: now },
    );
    step.effect(Effect::CloseStdin(channel));
    #[cfg(feature = "seeded-bugs")]
    if seeded::is(seeded::Bug::ForgetRowOnStop) {
        step.books.remove_channel(channel);
    }
}

fn stop_refusal(config: &AgentConfig, reason: &StopReason) -> Refusal {
    let agent = config.name.clone();
    match (reason, config.initialize_timeout) {
        (StopReason::Shutdown, _) => Refusal::ShuttingDown,
        (StopReason::HandshakeTimeout, Limit::After(millis)) => {
            Refusal::HandshakeTimeout { agent, millis }
        }
        (StopReason::NotAcp(sign), _) => Refusal::NotAcpAgent { agent, sign: *sign },
        _ => Refusal::AgentStopped { agent, reason: reason.to_string(), then: Then::New },
    }
}

/// Everything that is open on a channel ends now: its sessions, the requests
/// on it, and the questions of its agent.
fn end_open_work(step: &mut Step<'_>, channel: ChannelId, reason: EndReason, refusal: &Refusal) {
    let Some(row) = step.books.channel(channel) else { return step.books.absent(channel) };
    let sessions: Vec<SessionKey> = row.sessions.iter().copied().collect();
    for key in sessions {
        close::end_session(step, key, reason, Ending::Failed(refusal));
    }
    for id in step.books.calls_on(channel) {
        end_call(step, id, refusal);
    }
    let questions = step.books.channel(channel).map(|row| row.questions.clone());
    for id in questions.unwrap_or_default() {
        question_end::withdraw(step, id);
    }
    if let Some(row) = step.books.channel_mut(channel) {
        step.outgoing.counters.early_frames += row.early.clear() as u64;
        row.leases.clear();
        row.expected.clear();
    }
    end_passing_ids(step, channel, reason);
}

/// Ends the passing ids of a channel that stops. What its agent is known to hold under one it
/// may hold until it has exited.
fn end_passing_ids(step: &mut Step<'_>, channel: ChannelId, reason: EndReason) {
    let passing = step.books.channel(channel).map(|row| row.passing.clone());
    for key in passing.unwrap_or_default() {
        passing_ids::end(step, key, Hold::Unanswered, Some(reason));
    }
}

/// Ends a call that its channel will not answer.
fn end_call(step: &mut Step<'_>, id: CallId, refusal: &Refusal) {
    // The call may have ended with another one.
    let Some(call) = step.books.call(id) else { return };
    match call.purpose.clone() {
        // The session ends with its channel, so the close has succeeded.
        Purpose::Close(_) => answer::succeed(step, id, b"{}").map(drop),
        #[cfg(feature = "seeded-bugs")]
        Purpose::Open(_) if seeded::is(seeded::Bug::LoseWaitingOpen) && call.is_unsent() => {
            step.books.take_call(id).map(drop)
        }
        #[cfg(feature = "seeded-bugs")]
        _ if seeded::is(seeded::Bug::LoseAnswersOnExit) => step.books.take_call(id).map(drop),
        _ => answer::fail(step, id, refusal).map(drop),
    };
}

/// Moves a stopping channel to the next rung of the ladder.
pub fn next_rung(step: &mut Step<'_>, channel: ChannelId) {
    let now = step.now;
    let Some(row) = step.books.channel_mut(channel) else { return step.books.absent(channel) };
    // Only a channel that stops has rungs.
    let ChannelState::Stopping { rung, since, .. } = &mut row.state else { return };
    *since = now;
    match *rung {
        Rung::ClosingStdin => {
            *rung = Rung::Terminated;
            step.effect(Effect::Terminate(channel));
            step.publish(Notice::ChannelTerminated { channel });
        }
        Rung::Terminated => {
            *rung = Rung::Killed;
            step.effect(Effect::Kill(channel));
            step.publish(Notice::ChannelKilled { channel });
        }
        Rung::Killed => {
            *rung = Rung::Stuck;
            step.publish(Notice::ChannelStuck { channel });
        }
        Rung::Stuck => {}
    }
}

/// Stops a channel with SIGKILL at once.
pub fn kill(step: &mut Step<'_>, channel: ChannelId) {
    let now = step.now;
    begin(step, channel, StopReason::Shutdown);
    let Some(row) = step.books.channel_mut(channel) else { return step.books.absent(channel) };
    if let ChannelState::Stopping { rung, since, .. } = &mut row.state
        && *rung < Rung::Killed
    {
        *rung = Rung::Killed;
        *since = now;
        step.effect(Effect::Kill(channel));
        step.publish(Notice::ChannelKilled { channel });
    }
}

/// Handles the exit of a channel: ends everything that is open on it, and removes its
/// row.
pub fn exited(step: &mut Step<'_>, channel: ChannelId, exit: Exit) {
    // A channel that could not be started has lost its row already.
    let Some(row) = step.books.channel(channel) else { return };
    step.outgoing.counters.half_line_bytes += exit.half_line;
    let stopped_for = match &row.state {
        ChannelState::Stopping { reason, .. } => Some(reason.word()),
        _ => None,
    };
    let in_handshake = row.is_starting();
    let has_served = step.books.has_served(row);
    let had_work = !step.books.is_without_work(row);
    let agent = step.books.agent_name_on(channel);
    let refusal = if in_handshake && exit.status == ExitStatus::Code(0) {
        Refusal::NotAcpAgent { agent, sign: NotAcp::Left }
    } else {
        let (status, stderr_tail) = (exit.status, exit.stderr_tail.clone());
        Refusal::AgentExited { agent, status, stderr_tail, in_handshake, then: Then::New }
    };
    let is_crash = stopped_for.is_none() && (had_work || exit.status != ExitStatus::Code(0));
    if is_crash {
        step.books.crashed(channel, &refusal.message(), step.now);
    }
    if !has_served {
        waiting::give_back(step, channel);
    }
    let unexpected = if is_crash { "crash" } else { "exited" };
    step.outgoing.measures.exited(stopped_for.unwrap_or(unexpected));
    end_open_work(step, channel, EndReason::ChannelClosed, &refusal);
    step.books.remove_channel(channel);
    let (status, tail) = (exit.status, exit.stderr_tail);
    step.publish(Notice::ChannelExited { channel, status, is_crash, tail });
}

/// Handles the news that a channel's process could not be started: removes its row.
pub fn spawn_failed(step: &mut Step<'_>, channel: ChannelId, error: String) {
    let refusal =
        Refusal::SpawnFailed { agent: step.books.agent_name_on(channel), error: error.clone() };
    waiting::give_back(step, channel);
    end_open_work(step, channel, EndReason::ChannelClosed, &refusal);
    step.books.remove_channel(channel);
    step.outgoing.measures.exited("spawn_failed");
    step.publish(Notice::SpawnFailed { channel, error });
}

/// Stops the channels of this pool if its protocol version is not 1: its one client has
/// left it.
pub fn end_passthrough(step: &mut Step<'_>, pool: Option<PoolId>) {
    for channel in step.books.all_channels() {
        let its = step.books.channel(channel).is_some_and(|row| row.pool == pool);
        if its && step.books.is_passthrough(channel) {
            begin(step, channel, StopReason::ClientGone);
        }
    }
}

/// Moves a stopping channel one rung on, because the restore `id`, asked in this step,
/// waits for its exit. Each restore does so once at most.
pub fn hurry(step: &mut Step<'_>, id: CallId, channel: ChannelId) {
    let now = step.now;
    let since = match step.books.channel(channel).map(|row| &row.state) {
        Some(ChannelState::Stopping {
            since, rung: Rung::ClosingStdin | Rung::Terminated, ..
        }) => *since,
        _ => return,
    };
    let asked_at = step.books.call(id).map(|call| call.asked_at);
    if asked_at == Some(now) && since < now {
        next_rung(step, channel);
    }
}
