//! Memory pressure: while the agents take more memory than they should, idle ones end before their
//! time. First the processes without work, then the longest-idle session, one after each look.

use crate::bridge::books::channel::{Channel, ChannelState};
use crate::bridge::channels::stop;
use crate::bridge::effect::Effect;
use crate::bridge::id::ChannelId;
use crate::bridge::notice::Notice;
use crate::bridge::reason::{EndReason, StopReason};
use crate::bridge::sessions::reaper;
use crate::bridge::step::Step;

/// Asks for the memory that the agents take.
pub fn weigh(step: &mut Step<'_>) {
    step.books.memory.asked();
    step.effect(Effect::Weigh);
}

/// Handles the memory that the agents take, in bytes. `stalls`: whether programs of this machine
/// wait for memory.
pub fn weighed(step: &mut Step<'_>, bytes: u64, stalls: bool) {
    let high = (step.books.limits.memory_high_mb as u64) << 20;
    let is_over = high > 0 && (bytes > high || stalls);
    if step.books.memory.seen(is_over, step.now) && is_over {
        step.publish(Notice::MemoryHigh { bytes, stalls });
    }
    if !is_over {
        return;
    }
    let is_idle = |row: &Channel| {
        row.state == ChannelState::Ready && step.books.is_without_work(row) && row.opened > 0
    };
    let idle = step.books.channels().iter().filter(|(_, row)| is_idle(row));
    let idle: Vec<ChannelId> = idle.map(|(id, _)| *id).collect();
    let idle = idle.into_iter().filter(|id| !step.books.is_passthrough(*id));
    let idle: Vec<ChannelId> = idle.collect();
    if idle.is_empty() {
        let _ = reaper::end_longest_idle(step, EndReason::MemoryPressure);
    }
    for channel in idle {
        stop::begin(step, channel, StopReason::MemoryPressure);
    }
}
