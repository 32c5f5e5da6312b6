//! Capacity: whether the limits allow one more session or channel, and which one gives
//! way for it.

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

/// Checks that the open `id` is within `max_sessions`. At the limit the longest-idle
/// session that the idle policy allows is evicted.
pub fn for_session(step: &mut Step<'_>, id: CallId) -> Result<(), Obstacle> {
    if step.books.limits.max_sessions == 0 {
        return Ok(());
    }
    // Opens that were asked later do not count against this one.
    let opening =
        step.books.calls().iter().filter(|(other, call)| {
            **other <= id && call.opening().is_some() && !call.is_overdue()
        });
    let count = step.books.sessions().len() + opening.count();
    if count <= step.books.limits.max_sessions {
        return Ok(());
    }
    match reaper::evict(step) {
        Eviction::Done => Ok(()),
        Eviction::Looking => Err(Obstacle::Wait),
        Eviction::Impossible => Err(Obstacle::Refuse(Refusal::SessionLimit { count: count - 1 })),
    }
}
