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

use crate::bridge::books::clock::{Look, Silence};
use crate::bridge::channels::stop;
use crate::bridge::id::ChannelId;
use crate::bridge::notice::{Notice, StopReason};
use crate::bridge::sessions::reaper;
use crate::bridge::step::Step;

/// A tree that used less than this part of an interval has done no work: timers
/// of a runtime tick even when nothing is done.
const WORK_PART: u64 = 1_000;

/// An interval of silence is over: is there any sign of life?
pub fn listen_closely(step: &mut Step<'_>, id: ChannelId) {
    let Some(row) = step.books.channel_mut(id) else { return };
    // What was seen before it was waited for says nothing.
    let since = row.waited_for_since.map_or(row.heard_at, |since| since.max(row.heard_at));
    let before = match row.silence {
        Silence::Seen(look) if look.at > since => Some(look),
        _ => None,
    };
    row.silence = Silence::Asked(before);
    reaper::survey(step, id);
}

/// A channel was looked at; its tree has `worked` so long in all.
pub fn listened(step: &mut Step<'_>, id: ChannelId, worked: Option<u64>) {
    let now = step.now;
    let (limit, interval) =
        (step.books.the_agent().liveness_strikes, step.books.the_agent().liveness_interval);
    let Some(row) = step.books.channel_mut(id) else { return };
    let Silence::Asked(before) = row.silence else { return };
    let before = before.filter(|look| look.at > row.heard_at);
    let so_far = before.map_or(0, |look| look.strikes);
    let strikes = match (before, worked) {
        (Some(Look { at, worked: Some(then), .. }), Some(worked)) => {
            // Less than before: somebody has ended, so there was life.
            let idle = worked.checked_sub(then).filter(|work| *work <= now.since(at) / WORK_PART);
            idle.map_or(0, |_| so_far + 1)
        }
        _ => so_far,
    };
    row.silence = Silence::Seen(Look { at: now, worked, strikes });
    let silent_ms = now.since(row.heard_at);
    // A look without evidence repeats no strike; and it may have been answered,
    // or have asked something, while it was looked at.
    if strikes <= so_far || step.books.liveness_deadline(id).is_none() {
        return;
    }
    step.outgoing.counters.strikes += 1;
    step.publish(Notice::NoSignOfLife { channel: id, silent_ms, strikes, limit });
    if limit > 0 && strikes >= limit {
        stop::begin(step, id, StopReason::Lifeless { strikes, interval });
    }
}

/// The host stood still: nobody could give a sign of life.
pub fn forget_silence(step: &mut Step<'_>) {
    for row in step.books.channels.values_mut() {
        row.silence = match row.silence {
            Silence::Asked(_) => Silence::Asked(None),
            Silence::Seen(_) | Silence::Unknown => Silence::Unknown,
        };
    }
    step.books.touched_channels.extend(step.books.channels.keys().copied());
}
