//! The end of a step: rows that were touched are looked at, and what follows from
//! them happens.

use crate::bridge::books::channel::State;
use crate::bridge::books::deadlines::Due;
use crate::bridge::books::session::Audience;
use crate::bridge::channels::{placement, stop};
use crate::bridge::effect::Effect;
use crate::bridge::id::{ChannelId, SessionKey};
use crate::bridge::notice::{EndReason, StopReason};
use crate::bridge::sessions::close;
use crate::bridge::step::Step;
use crate::bridge::{due, shutdown};

/// What follows from the state of a channel that was touched.
enum Follows {
    /// Its idle time runs, and may be over at once.
    Timeout,
    /// It was only kept by its work.
    Stop(StopReason),
    /// Its next deadline.
    Watch,
    Nothing,
}

/// The end of a step that touched a session: one that was left on purpose
/// is closed as soon as its turn is over.
fn session(step: &mut Step<'_>, key: SessionKey) {
    let Some(session) = step.books.sessions.get(&key) else { return };
    if session.audience == Audience::Left && session.calls.is_empty() {
        close::end_session(step, key, EndReason::LastClientDetached, None, None);
    } else if let Some(at) = step.books.session_deadline(session) {
        step.books.deadlines.watch(Due::Session(key), at);
    }
}

/// Decides at the end of a step that touched a channel whether it is idle,
/// and what follows from it.
fn channel(step: &mut Step<'_>, id: ChannelId) {
    let now = step.now;
    let Some(row) = step.books.channels.get(&id) else { return };
    let is_idle = step.books.is_without_work(row);
    let is_waited_for = step.books.is_waited_for(id, row);
    let should_pause = step.books.feeds_slow_client(row);
    let lost_early = !row.early.is_empty() && step.books.open_in_flight(id, None).is_none();
    let Some(row) = step.books.channels.get_mut(&id) else { return };
    if lost_early {
        step.outgoing.counters.early_frames += row.early.clear() as u64;
    }
    if row.paused != should_pause {
        row.paused = should_pause;
        step.outgoing.effects.push_back(if should_pause {
            Effect::Pause(id)
        } else {
            Effect::Resume(id)
        });
    }
    row.idle_since = is_idle.then(|| row.idle_since.unwrap_or(now));
    row.waited_for_since = is_waited_for.then(|| row.waited_for_since.unwrap_or(now));
    let follows = match &row.state {
        State::Ready if is_idle => Follows::Timeout,
        State::Draining { reason } if is_idle => Follows::Stop(reason.clone()),
        State::Starting { .. } | State::Stopping { .. } => Follows::Watch,
        _ => Follows::Nothing,
    };
    if is_waited_for {
        step.books.watch(Due::Silence(id));
    }
    match follows {
        Follows::Timeout => match step.books.deadline(Due::Channel(id)) {
            Some(at) if at <= now => due::act(step, Due::Channel(id)),
            _ => step.books.watch(Due::Channel(id)),
        },
        Follows::Stop(reason) => stop::begin(step, id, reason),
        Follows::Watch => step.books.watch(Due::Channel(id)),
        Follows::Nothing => {}
    }
}

/// The end of every step: what was touched is settled, what waits is placed.
pub fn finish(step: &mut Step<'_>) {
    loop {
        while let Some(key) = step.books.touched_sessions.pop_first() {
            session(step, key);
        }
        while let Some(id) = step.books.touched_channels.pop_first() {
            channel(step, id);
        }
        placement::place_waiting(step);
        if step.books.touched_channels.is_empty() && step.books.touched_sessions.is_empty() {
            break;
        }
    }
    shutdown::finish(step);
}
