//! Capacity: whether the limits allow one more session or channel, and which one gives
//! way for it.

use crate::bridge::books::call::Call;
use crate::bridge::books::channel::{Channel, ChannelState};
use crate::bridge::channels::obstacle::Obstacle;
use crate::bridge::channels::stop;
use crate::bridge::id::CallId;
use crate::bridge::reason::StopReason;
use crate::bridge::refusal::Refusal;
use crate::bridge::sessions::reaper;
use crate::bridge::sessions::reaper::Eviction;
use crate::bridge::step::Step;

/// The channels that count for `max_channels`: one that survived SIGKILL does not.
fn counted<'a>(step: &'a Step<'_>) -> impl Iterator<Item = &'a Channel> {
    step.books.channels().values().filter(|row| !row.is_stuck())
}

/// Whether one more channel is within `max_channels`.
pub fn has_room(step: &Step<'_>) -> bool {
    let limit = step.books.limits.max_channels;
    limit == 0 || counted(step).count() < limit
}

/// Checks that one more channel is within `max_channels`. At the limit the longest-idle
/// channel is stopped, unless one is about to end anyway.
pub fn for_channel(step: &mut Step<'_>) -> Result<(), Obstacle> {
    if has_room(step) {
        return Ok(());
    }
    let will_leave = |row: &Channel| {
        let is_draining = matches!(row.state, ChannelState::Draining { .. });
        row.is_stopping()
            || step.books.is_only_closing(row)
            || (is_draining && step.books.is_without_work(row))
    };
    if counted(step).any(will_leave) {
        return Err(Obstacle::Wait);
    }
    let idle = step
        .books
        .channels()
        .iter()
        .filter(|(_, row)| row.state == ChannelState::Ready && step.books.is_without_work(row))
        .filter(|(id, _)| !step.books.is_passthrough(**id))
        .min_by_key(|(_, row)| row.clock.idle_since())
        .map(|(id, _)| *id);
    match idle {
        Some(channel) => {
            stop::begin(step, channel, StopReason::MakeRoom);
            Err(Obstacle::Wait)
        }
        None => Err(Obstacle::Refuse(Refusal::ChannelLimit { count: counted(step).count() })),
    }
}

/// The number of other sessions and earlier opens, if the open `id` is not within `max_sessions`.
fn others_at_limit(step: &Step<'_>, id: CallId) -> Option<usize> {
    let limit = step.books.limits.max_sessions;
    if limit == 0 {
        return None;
    }
    // Opens that were asked later do not count against this one, unless they have found a channel
    // while this one had to wait.
    let opening = step.books.calls().iter().filter(|(other, call)| {
        let is_earlier = **other <= id && call.opening().is_some() && !call.is_overdue();
        is_earlier || call.takes_place()
    });
    let count = step.books.sessions().len() + opening.count();
    (count > limit).then(|| count - 1)
}

/// Checks that the open `id` is within `max_sessions`. At the limit the longest-idle
/// session that the idle policy allows is evicted.
pub fn for_session(step: &mut Step<'_>, id: CallId) -> Result<(), Obstacle> {
    let Some(count) = others_at_limit(step, id) else { return Ok(()) };
    match reaper::evict(step) {
        Eviction::Done => Ok(()),
        Eviction::Looking => Err(Obstacle::Wait),
        Eviction::Impossible => Err(Obstacle::Refuse(Refusal::SessionLimit { count })),
    }
}

/// The refusal of a call that has found no channel in its time. A revival waits at the limits, where
/// another open is refused at once: it is told the limit.
pub fn refusal_of_waiting(step: &Step<'_>, id: CallId) -> Refusal {
    let opening = step.books.call(id).and_then(Call::opening);
    let is_revival = opening.is_some_and(|opening| opening.revives.is_some());
    match others_at_limit(step, id).filter(|_| is_revival) {
        Some(count) => Refusal::SessionLimit { count },
        None if is_revival && !has_room(step) => {
            Refusal::ChannelLimit { count: counted(step).count() }
        }
        None => Refusal::OpenTimeout { agent: step.books.agent_name_of(id) },
    }
}
