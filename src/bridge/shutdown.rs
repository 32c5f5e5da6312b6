//! The end of the bridge: in order, within a bound, and with nothing left.
//!
//! All sessions are ended and closed at their agents at once; then all channels go down
//! the stop ladder at the same time; at the bound every process that is left gets
//! SIGKILL. Editors give little time, so the graces inside are scaled to the bound.

use crate::bridge::books::call::{Call, Purpose};
use crate::bridge::books::channel::Channel;
use crate::bridge::books::phase::Phase;
use crate::bridge::books::table::ids_of;
use crate::bridge::channels::stop;
use crate::bridge::effect::Effect;
use crate::bridge::event::ShutdownCause;
use crate::bridge::id::{CallId, ClientId};
use crate::bridge::notice::Notice;
use crate::bridge::outgoing::answer;
use crate::bridge::reason::{EndReason, StopReason};
use crate::bridge::refusal::Refusal;
use crate::bridge::sessions::close::{self, Ending};
use crate::bridge::step::Step;

/// A signal that comes within this time after the end of stdin is the same wish (ms): a
/// terminal and a client's own stop of the bridge arrive shortly after each other.
const SAME_WISH_AS_STDIN: u64 = 500;

/// A signal that comes within this time after another is the same wish (ms).
const SAME_WISH_AS_SIGNAL: u64 = 1_000;

/// So long signals may follow one another and be one wish (ms): who presses a key again and
/// again means it.
const LONGEST_WISH: u64 = 2_000;

/// Handles a cause to end the bridge: the first one begins the shutdown, a signal after
/// it that is a wish of its own hastens the shutdown.
pub fn asked(step: &mut Step<'_>, cause: ShutdownCause) {
    let now = step.now;
    let mut phase = step.books.phase();
    if phase == Phase::Running {
        return begin(step, cause);
    }
    let Phase::Ending { cause: before, wished_at, signalled_at, forced: false, .. } = &mut phase
    else {
        return;
    };
    if !cause.is_signal() {
        return;
    }
    let wish = *before;
    let follows_stdin = !wish.is_signal() && now.since(*wished_at) < SAME_WISH_AS_STDIN;
    let follows_signal = now.since(*wished_at) < LONGEST_WISH
        && signalled_at.is_some_and(|at| now.since(at) < SAME_WISH_AS_SIGNAL);
    let is_same_wish = follows_stdin || follows_signal;
    *signalled_at = Some(now);
    if !is_same_wish {
        (*before, *wished_at) = (cause, now);
    }
    step.books.enter(phase);
    if is_same_wish {
        return;
    }
    if wish.is_signal() {
        return force(step);
    }
    // After the end of stdin, which is the usual way to end the bridge, the first signal
    // only moves each channel one rung on; the next one kills.
    for channel in step.books.all_channels() {
        stop::begin(step, channel, StopReason::Shutdown);
        stop::next_rung(step, channel);
    }
}

/// Handles a client that has been silent for its whole timeout since its parent process has
/// ended: the bridge ends, unless a turn or a question of the client is open.
pub fn orphaned(step: &mut Step<'_>, client: ClientId) {
    let now = step.now;
    let Some(row) = step.books.client(client) else { return step.books.absent(client) };
    let has_turn = |id: &CallId| step.books.call(*id).is_some_and(Call::is_turn);
    if row.questions.is_empty() && !row.calls.iter().any(has_turn) {
        return asked(step, ShutdownCause::ParentGone);
    }
    step.books.set_parent(client, |parent| parent.after_work(now));
    step.publish(Notice::OrphanStays { client });
}

fn begin(step: &mut Step<'_>, cause: ShutdownCause) {
    let now = step.now;
    let signalled_at = cause.is_signal().then_some(now);
    let wished_at = now;
    step.books.enter(Phase::Ending { since: now, cause, wished_at, signalled_at, forced: false });
    step.publish(Notice::ShuttingDown {
        cause,
        channels: step.books.channels().len(),
        sessions: step.books.sessions().len(),
    });
    for key in ids_of(step.books.sessions()) {
        close::end_session(step, key, EndReason::Shutdown, Ending::InOrder);
    }
    // The connections of their clients keep them for a later bridge.
    step.books.unpark_all();
    // Outside of sessions, calls that were not sent are refused, and so are opens: their
    // sessions would only have to be closed again.
    for id in ids_of(step.books.calls()) {
        let is_vain = step.books.call(id).is_some_and(|call| {
            let is_held = call.is_unsent() && call.purpose != Purpose::Initialize;
            call.session.is_none() && (is_held || call.opening().is_some())
        });
        if is_vain {
            answer::fail(step, id, &Refusal::ShuttingDown);
        }
    }
    for channel in step.books.all_channels() {
        // The end of a session may have stopped the channel; its row is there until it
        // exits.
        let Some(row) = step.books.channel_mut(channel) else { continue };
        row.leases.clear();
        if row.is_open() {
            stop::drain(step, channel, StopReason::Shutdown);
        } else if !step.books.is_awaited(channel) {
            stop::begin(step, channel, StopReason::Shutdown);
        }
    }
    let unplaced: Vec<CallId> = step.books.unplaced().iter().copied().collect();
    for id in unplaced {
        answer::fail(step, id, &Refusal::ShuttingDown);
    }
}

/// Sends SIGKILL to every process that is left, and ends the waiting for answers.
pub fn force(step: &mut Step<'_>) {
    let mut phase = step.books.phase();
    let Phase::Ending { forced, .. } = &mut phase else { return };
    *forced = true;
    step.books.enter(phase);
    // One that survived SIGKILL cannot be forced any more.
    if !step.books.channels().values().all(Channel::is_stuck) {
        step.publish(Notice::ShutdownForced);
    }
    for channel in step.books.all_channels() {
        stop::kill(step, channel);
    }
}

/// Ends the bridge, at the end of a step, if every channel has exited or is stuck.
pub fn finish(step: &mut Step<'_>) {
    let Phase::Ending { .. } = step.books.phase() else { return };
    if !step.books.channels().values().all(Channel::is_stuck) {
        return;
    }
    let survivors = step.books.all_channels();
    if !survivors.is_empty() {
        step.publish(Notice::Survivors { channels: survivors.clone() });
    }
    step.books.enter(Phase::Over);
    step.effect(Effect::Exit { survivors });
}
