//! The end of the bridge: in order, within a bound, and with nothing left.
//!
//! Sessions are ended and closed at their agents, all at once; then every
//! channel goes down the stop ladder at the same time; at the bound whatever is
//! left is killed. Hosts give little time, so everything inside is scaled to it.

use crate::bridge::books::call::Purpose;
use crate::bridge::books::channel::Channel;
use crate::bridge::books::phase::Phase;
use crate::bridge::books::table::ids_of;
use crate::bridge::channels::stop;
use crate::bridge::effect::Effect;
use crate::bridge::event::ShutdownCause;
use crate::bridge::id::CallId;
use crate::bridge::notice::{EndReason, Notice, StopReason};
use crate::bridge::outgoing::answer;
use crate::bridge::refusal::Refusal;
use crate::bridge::sessions::close::{self, Ending};
use crate::bridge::step::Step;

/// The bridge is to end; or somebody asks again, more urgently.
pub fn asked(step: &mut Step<'_>, cause: ShutdownCause) {
    match (step.books.phase(), cause) {
        (Phase::Running, _) => begin(step, cause),
        // After the editor's own way of ending, its first SIGTERM only hurries.
        (
            Phase::Ending { cause: ShutdownCause::StdinEnded, since, forced: false },
            ShutdownCause::Signal,
        ) => {
            step.books.enter(Phase::Ending { cause, since, forced: false });
            for channel in step.books.all_channels() {
                stop::begin(step, channel, StopReason::Shutdown);
                stop::next_rung(step, channel);
            }
        }
        (Phase::Ending { forced: false, .. }, ShutdownCause::Signal) => force(step),
        _ => {}
    }
}

fn begin(step: &mut Step<'_>, cause: ShutdownCause) {
    let now = step.now;
    step.books.enter(Phase::Ending { since: now, cause, forced: false });
    step.publish(Notice::ShuttingDown {
        cause: match cause {
            ShutdownCause::StdinEnded => "the editor closed our stdin".to_owned(),
            ShutdownCause::Signal => "signal".to_owned(),
        },
        channels: step.books.channels().len(),
        sessions: step.books.sessions().len(),
    });
    for key in ids_of(step.books.sessions()) {
        close::end_session(step, key, EndReason::Shutdown, Ending::InOrder);
    }
    // What was not sent will not be, and a session is not opened to be closed.
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
        // The end of a session may have stopped it; it is there until it exits.
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

/// No more patience: SIGKILL to every process.
pub fn force(step: &mut Step<'_>) {
    let Phase::Ending { since, cause, .. } = step.books.phase() else { return };
    step.books.enter(Phase::Ending { since, cause, forced: true });
    if !step.books.channels().is_empty() {
        step.publish(Notice::ShutdownForced);
    }
    for channel in step.books.all_channels() {
        stop::kill(step, channel);
    }
}

/// The end of a step: everything is over when every process is, or will not die.
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
