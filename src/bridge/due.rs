//! The action for each kind of row that is due.

use crate::bridge::books::call::Purpose;
use crate::bridge::books::channel::ChannelState;
use crate::bridge::books::deadlines::Due;
use crate::bridge::channels::{
    capacity, liveness, pressure, retirement, set_up_replay, stop, waiting,
};
use crate::bridge::id::{CallId, ChannelId, SessionKey};
use crate::bridge::notice::Notice;
use crate::bridge::outgoing::answer;
use crate::bridge::reason::{NotAcp, StopReason};
use crate::bridge::refusal::Refusal;
use crate::bridge::routing::{connection, pass_on, released};
use crate::bridge::sessions::{
    absence, attach, close_call, opened, question_end, reaper, reapply, repeated_login, turn,
};
use crate::bridge::shutdown;
use crate::bridge::step::Step;

/// Does what follows from `due`, which is due as the facts stand now.
pub fn act(step: &mut Step<'_>, due: Due) {
    match due {
        Due::Channel(id) => channel_due(step, id),
        Due::Call(id) => call_due(step, id),
        Due::Question(id) => question_end::timed_out(step, id),
        Due::Session(key) => session_due(step, key),
        Due::Start(_) => step.books.touch_placement(),
        Due::Silence(id) => liveness::ask_survey(step, id),
        Due::Slow(id) => connection::slow(step, id),
        Due::Orphan(id) => shutdown::orphaned(step, id),
        Due::Memory => pressure::weigh(step),
        Due::Tenure => shutdown::asked(step, step.books.cause_of_end()),
        Due::Shutdown => shutdown::force(step),
    }
}

fn session_due(step: &mut Step<'_>, key: SessionKey) {
    let Some(session) = step.books.session(key) else { return step.books.absent(key) };
    let replay = session.restoring.as_ref().and_then(|row| row.replay_ends_at());
    if replay.is_some_and(|at| at <= step.now) {
        return reapply::replay_is_over(step, key);
    }
    let moves_on = step.books.moves_on_at(session).is_some_and(|at| at <= step.now);
    match step.books.duty(session).filter(|(at, _)| *at <= step.now) {
        Some((_, duty)) => absence::fulfil(step, key, duty),
        None if moves_on => reaper::move_on(step, key),
        None => reaper::reap(step, key),
    }
}

fn channel_due(step: &mut Step<'_>, id: ChannelId) {
    let now = step.now;
    let Some(agent) = step.books.agent_of_channel(id) else { return step.books.absent(id) };
    let limit = agent.config.initialize_timeout;
    let is_ending = step.books.is_ending();
    let row = step.books.channel(id);
    let is_worn_out = row.is_some_and(|row| step.books.is_worn_out(id, row, now));
    let Some(row) = step.books.channel_mut(id) else { return step.books.absent(id) };
    match &mut row.state {
        ChannelState::Starting { .. } if is_ending => stop::begin(step, id, StopReason::Shutdown),
        ChannelState::Starting { since, slow, wrote } => {
            let after_ms = now.since(*since);
            let lost = row.clock.lost(now);
            if since.plus_millis(lost).plus(limit).is_some_and(|end| end <= now) {
                stop::begin(step, id, StopReason::HandshakeTimeout);
            } else if wrote.is_prose_until(now) {
                stop::begin(step, id, StopReason::NotAcp(NotAcp::Prose));
            } else {
                *slow = true;
                step.publish(Notice::HandshakeSlow { channel: id, after_ms });
            }
        }
        ChannelState::Ready if is_worn_out => retirement::recycle(step, id),
        ChannelState::Ready => {
            let idle_for = row.clock.idle_since().map_or(0, |since| now.since(since));
            let worn_out = row.outdated.clone().filter(|reason| *reason == StopReason::WornOut);
            stop::begin(step, id, worn_out.unwrap_or(StopReason::Idle(idle_for)));
        }
        ChannelState::Stopping { .. } => stop::next_rung(step, id),
        ChannelState::Spawned | ChannelState::Draining { .. } => {}
    }
}

fn call_due(step: &mut Step<'_>, id: CallId) {
    let Some(call) = step.books.call(id) else { return step.books.absent(id) };
    match (&call.purpose, call.channel) {
        (Purpose::BehindOpen(_), _) => released::close_is_due(step, id),
        (_, None) => {
            let refusal = capacity::refusal_of_waiting(step, id);
            answer::fail(step, id, &refusal);
        }
        (Purpose::Open(_), _) => {
            let agent = step.books.agent_name_of(id);
            opened::timed_out(step, id, &Refusal::OpenTimeout { agent });
        }
        (Purpose::Reload { attached }, _) => attach::reload_timed_out(step, id, *attached),
        (Purpose::SetUpReplay { needed }, Some(channel)) => {
            set_up_replay::timed_out(step, channel, id, *needed);
        }
        (Purpose::Reapply(setting), _) => {
            let setting = setting.clone();
            reapply::timed_out(step, id, &setting);
        }
        (Purpose::Prompt, _) => turn::timed_out(step, id),
        (Purpose::Close(agent_id), Some(channel)) => {
            let agent_id = agent_id.clone();
            close_call::timed_out(step, channel, id, &agent_id);
        }
        (Purpose::RepeatedLogin { .. }, Some(channel)) => {
            repeated_login::timed_out(step, channel, id);
            waiting::send_all(step, channel);
        }
        (Purpose::PassedOn { .. }, Some(channel)) if !step.books.is_ending() => {
            pass_on::timed_out(step, channel, id);
        }
        (Purpose::Part(_) | Purpose::FanoutOfOne(_), _) if !step.books.is_ending() => {
            let agent = step.books.agent_name_of(id);
            answer::fail(step, id, &Refusal::AnswerTimeout { agent });
        }
        // Other calls have a deadline only during a shutdown.
        _ => drop(answer::fail(step, id, &Refusal::ShuttingDown)),
    }
}
