//! How a channel ends: draining, the stop ladder, its exit.
//!
//! A channel that enters Stopping has nothing open any more after that same
//! step (I3). Its row goes with its exit, or with the news that its process could not
//! be started, and with nothing else (I5): asking to stop is not having stopped, and
//! the last SIGKILL always finds the row.

use crate::bridge::books::call::Purpose;
use crate::bridge::books::channel::{ChannelState, Rung};
use crate::bridge::config::AgentConfig;
use crate::bridge::effect::Effect;
use crate::bridge::event::{Exit, ExitStatus};
use crate::bridge::id::{CallId, ChannelId, PoolId, SessionKey};
use crate::bridge::notice::{EndReason, Notice, StopReason};
use crate::bridge::outgoing::answer;
use crate::bridge::refusal::Refusal;
#[cfg(feature = "seeded-bugs")]
use crate::bridge::seeded;
use crate::bridge::sessions::close::Ending;
use crate::bridge::sessions::{close, question_end};
use crate::bridge::step::Step;
use crate::bridge::time::Limit;

/// Takes a channel out of service: no new sessions; those it has go on, and
/// what was not sent yet goes to a successor.
pub fn drain(step: &mut Step<'_>, channel: ChannelId, reason: StopReason) {
    if step.books.channel(channel).is_none_or(|row| row.state != ChannelState::Ready) {
        return;
    }
    step.books.set_state(channel, ChannelState::Draining { reason: reason.clone() });
    for id in step.books.opens_waiting_on(channel) {
        step.books.move_call(id, None);
    }
    step.publish(Notice::ChannelDraining { channel, reason });
}

/// Begins the stop ladder.
pub fn begin(step: &mut Step<'_>, channel: ChannelId, reason: StopReason) {
    let now = step.now;
    // The runtime may lose its stdio and see its exit in either order.
    let Some(row) = step.books.channel(channel) else { return };
    if row.is_stopping() {
        return;
    }
    let was_starting = row.is_starting();
    let refusal = stop_refusal(&step.books.agent(row.agent).config, &reason);
    step.publish(Notice::ChannelStopping { channel, reason: reason.clone() });
    if was_starting && reason.is_fault() {
        step.books.crashed(channel, &reason.to_string(), now);
    }
    let end = if reason == StopReason::Shutdown { EndReason::Shutdown } else { EndReason::Killed };
    settle_accounts(step, channel, end, &refusal);
    step.books.set_state(
        channel,
        ChannelState::Stopping { reason, rung: Rung::ClosingStdin, since: now },
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
        _ => Refusal::AgentStopped { agent, reason: reason.to_string() },
    }
}

/// Everything that is open on a channel ends now: its sessions, the requests
/// on it, and the questions of its agent.
fn settle_accounts(step: &mut Step<'_>, channel: ChannelId, reason: EndReason, refusal: &Refusal) {
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
    }
}

/// A call whose channel will not answer it.
fn end_call(step: &mut Step<'_>, id: CallId, refusal: &Refusal) {
    // It may have ended with another one.
    let Some(call) = step.books.call(id) else { return };
    match call.purpose.clone() {
        // Closed is what it is now.
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

/// The grace of a rung is over, or somebody is in a hurry.
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

/// SIGKILL at once.
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

/// A channel's process is gone: the one event that removes its row.
pub fn exited(step: &mut Step<'_>, channel: ChannelId, exit: Exit) {
    // One that could not be started has lost its row already.
    let Some(row) = step.books.channel(channel) else { return };
    step.outgoing.counters.half_line_bytes += exit.half_line;
    let expected = row.is_stopping();
    let in_handshake = row.is_starting();
    let had_work = !step.books.is_without_work(row);
    let refusal = Refusal::AgentExited {
        agent: step.books.agent_name_on(channel),
        status: exit.status,
        stderr_tail: exit.stderr_tail.clone(),
        in_handshake,
    };
    let is_crash = !expected && (had_work || exit.status != ExitStatus::Code(0));
    if is_crash {
        step.books.crashed(channel, &refusal.message(), step.now);
    }
    settle_accounts(step, channel, EndReason::ChannelClosed, &refusal);
    step.books.remove_channel(channel);
    let (status, tail) = (exit.status, exit.stderr_tail);
    step.publish(Notice::ChannelExited { channel, status, is_crash, tail });
}

/// The process could not be started at all.
pub fn spawn_failed(step: &mut Step<'_>, channel: ChannelId, error: String) {
    let refusal =
        Refusal::SpawnFailed { agent: step.books.agent_name_on(channel), error: error.clone() };
    settle_accounts(step, channel, EndReason::ChannelClosed, &refusal);
    step.books.remove_channel(channel);
    step.publish(Notice::SpawnFailed { channel, error });
}

/// The one client that a channel was carried for has left its pool.
pub fn end_carried(step: &mut Step<'_>, pool: Option<PoolId>) {
    for channel in step.books.all_channels() {
        let its = step.books.channel(channel).is_some_and(|row| row.pool == pool);
        if its && step.books.is_carried(channel) {
            begin(step, channel, StopReason::ClientGone);
        }
    }
}

/// A waiter moves the channel that holds its conversation one rung on, once.
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
