//! Messages that the bridge refuses, or that go nowhere: each is counted, and named in the log
//! at the level DEBUG, with the reason.

use std::fmt::Display;

use crate::bridge::id::{ChannelId, ClientId};
use crate::bridge::notice::Notice;
use crate::bridge::reason::DropReason;
use crate::bridge::refusal::Refusal;
use crate::bridge::step::Step;
use crate::wire::{Frame, Token};

/// The most bytes of an id or a session id that are logged.
const SHOWN: usize = 80;

/// Notes that a request is refused.
pub fn refused(
    step: &mut Step<'_>,
    from: &impl Display,
    method: &str,
    id: &Token,
    refusal: &Refusal,
) {
    step.outgoing.counters.refused += 1;
    let id = shown(&String::from_utf8_lossy(id.as_bytes()));
    let (from, method) = (from.to_string(), method.to_owned());
    step.publish(Notice::Refused { from, method, id, why: refusal.message() });
}

/// Notes that a message of a client goes nowhere.
pub fn of_client(step: &mut Step<'_>, client: ClientId, frame: &Frame, why: DropReason) {
    note(step, &client, frame, why);
}

/// Notes that a message of an agent goes nowhere.
pub fn of_agent(step: &mut Step<'_>, channel: ChannelId, frame: &Frame, why: DropReason) {
    note(step, &channel, frame, why);
}

fn note(step: &mut Step<'_>, from: &impl Display, frame: &Frame, why: DropReason) {
    let counters = &mut step.outgoing.counters;
    *match why {
        DropReason::Late => &mut counters.late_frames,
        DropReason::UnknownSession => &mut counters.unknown_session_frames,
        DropReason::Early => &mut counters.early_frames,
        DropReason::StrayAnswer => &mut counters.stray_answers,
        DropReason::OfBridge
        | DropReason::NoReceiver
        | DropReason::Ended
        | DropReason::OfOthers
        | DropReason::UnknownRequest
        | DropReason::NotReading
        | DropReason::HeldTooMuch
        | DropReason::BeforeInitialize => &mut counters.unrouted,
    } += 1;
    let session = frame.session().map(|id| shown(&id));
    let (from, method) = (from.to_string(), frame.method_name().into_owned());
    step.publish(Notice::Dropped { from, method, session, why });
}

fn shown(text: &str) -> String {
    text.chars().take(SHOWN).collect()
}
