//! Liveness: an agent that is waited for and gives no sign of life.
//!
//! Silence is no proof: a model may think for minutes, and a person may leave a
//! question open. So an agent is looked at only while a request is on it and no
//! question of its own is open, and a strike needs evidence: for a whole interval
//! the agent wrote no line, and its process tree did no work. After
//! `--liveness-strikes` strikes in a row its channel is stopped.
//!
//! A tree that cannot be looked at gives no evidence. Nor does the time while the
//! host was suspended.

use crate::bridge::channels::stop;
use crate::bridge::id::ChannelId;
use crate::bridge::notice::Notice;
use crate::bridge::reason::StopReason;
use crate::bridge::sessions::survey;
use crate::bridge::step::Step;

/// Asks for a survey of a channel whose agent was silent for an interval.
pub fn ask_survey(step: &mut Step<'_>, id: ChannelId) {
    let Some(row) = step.books.channel_mut(id) else { return step.books.absent(id) };
    row.clock.survey_asked();
    survey::ask(step, id);
}

/// Handles a survey of a channel. `worked` is the processor time that its tree has used
/// in all (ms); `None`: unknown.
pub fn surveyed(step: &mut Step<'_>, id: ChannelId, worked: Option<u64>) {
    let now = step.now;
    // The channel may have exited during the survey.
    let Some(row) = step.books.channel_mut(id) else { return };
    let (agent, silent_ms) = (row.agent, row.clock.silent_for(now));
    // No strike: the survey is not for liveness, or found a sign of life, or no evidence.
    let Some(strikes) = row.clock.surveyed(worked, now) else { return };
    // During the survey the agent may have answered, or asked a question.
    if step.books.liveness_deadline(id).is_none() {
        return;
    }
    let config = &step.books.agent(agent).config;
    let (limit, interval) = (config.liveness_strikes, config.liveness_interval);
    step.outgoing.counters.strikes += 1;
    step.publish(Notice::NoSignOfLife { channel: id, silent_ms, strikes, limit });
    if limit > 0 && strikes >= limit {
        stop::begin(step, id, StopReason::Lifeless { strikes, interval });
    }
}
