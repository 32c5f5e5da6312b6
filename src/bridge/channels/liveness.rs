//! Liveness: an agent that is waited for and gives no sign of life.
//!
//! Silence is no proof: a model may think for minutes, and a person may leave a
//! question open. So an agent is looked at only while a request is on it and no
//! question of its own is open, and it strikes out only on evidence: for a whole
//! interval not a byte came from it, and its process tree did no work. After
//! `--liveness-strikes` of them in a row it is replaced.
//!
//! A tree that cannot be looked at gives no evidence. Nor does the time while the
//! host stood still.

use crate::bridge::channels::stop;
use crate::bridge::effect::Effect;
use crate::bridge::id::ChannelId;
use crate::bridge::notice::{Notice, StopReason};
use crate::bridge::step::Step;

/// An interval of silence is over: is there any sign of life?
pub fn listen_closely(step: &mut Step<'_>, id: ChannelId) {
    let Some(row) = step.books.channel_mut(id) else { return step.books.absent(id) };
    row.clock.look();
    step.effect(Effect::Survey(id));
}

/// A channel was looked at; its tree has `worked` so long in all.
pub fn listened(step: &mut Step<'_>, id: ChannelId, worked: Option<u64>) {
    let now = step.now;
    // It may have exited while it was looked at.
    let Some(row) = step.books.channel_mut(id) else { return };
    let (agent, silent_ms) = (row.agent, row.clock.silent_for(now));
    // Nobody asked for this look, or it saw a sign of life or no evidence.
    let Some(strikes) = row.clock.looked(worked, now) else { return };
    // It may have been answered, or have asked something, while it was looked at.
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
