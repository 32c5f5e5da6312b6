//! Room: what the limits on sessions and channels still allow, and who gives way for a
//! newcomer.

use crate::bridge::books::call::Stage;
use crate::bridge::books::channel::{Channel, ChannelState};
use crate::bridge::channels::{retirement, stop};
use crate::bridge::id::CallId;
use crate::bridge::notice::StopReason;
use crate::bridge::refusal::Refusal;
use crate::bridge::sessions::reaper;
use crate::bridge::sessions::reaper::Eviction;
use crate::bridge::step::Step;

/// Why there is no room for a newcomer.
pub enum NoRoom {
    /// There will be: somebody is about to leave.
    Yet,
    /// The newcomer is refused.
    AtAll(Refusal),
}

/// Room for one more channel. At the limit the longest-idle one makes room.
pub fn for_channel(step: &mut Step<'_>) -> Result<(), NoRoom> {
    // One that nothing can end counts against no limit.
    let counts = |row: &&Channel| !row.is_stuck();
    let count = step.books.channels().values().filter(counts).count();
    if step.books.limits.max_channels == 0 || count < step.books.limits.max_channels {
        return Ok(());
    }
    let will_leave = |row: &Channel| row.is_stopping() || step.books.is_only_closing(row);
    if step.books.channels().values().filter(counts).any(will_leave) {
        return Err(NoRoom::Yet);
    }
    let idle = step
        .books
        .channels()
        .iter()
        .filter(|(_, row)| row.state == ChannelState::Ready && step.books.is_without_work(row))
        .filter(|(id, _)| !step.books.is_carried(**id))
        .min_by_key(|(_, row)| row.clock.idle_since())
        .map(|(id, _)| *id);
    match idle {
        Some(channel) => {
            stop::begin(step, channel, StopReason::MakeRoom);
            Err(NoRoom::Yet)
        }
        None => Err(NoRoom::AtAll(Refusal::ChannelLimit { count })),
    }
}

/// At the limit of sessions, the longest-idle one that the policy allows gives way.
pub fn for_session(step: &mut Step<'_>, id: CallId) -> Result<(), NoRoom> {
    if step.books.limits.max_sessions == 0 {
        return Ok(());
    }
    // Those that came later do not count against this one.
    let opening = step.books.calls().iter().filter(|(other, call)| {
        **other <= id && call.opening().is_some() && call.stage != Stage::Overdue
    });
    let count = step.books.sessions().len() + opening.count();
    if count <= step.books.limits.max_sessions {
        return Ok(());
    }
    match reaper::evict(step) {
        Eviction::From(channel) => {
            // The newcomer must not go where one husk too many was left for it.
            retirement::retire(step, channel);
            Ok(())
        }
        Eviction::Looking => Err(NoRoom::Yet),
        Eviction::Impossible => Err(NoRoom::AtAll(Refusal::SessionLimit { count: count - 1 })),
    }
}
