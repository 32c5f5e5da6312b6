//! Lines of an agent that are no messages, and answers that no request waits for.
//!
//! A line that shows its id is not merely dropped: a request is refused, and an answer that
//! cannot be read fails the request that waits for it.

use crate::bridge::id::{CallId, ChannelId};
use crate::bridge::notice::{Notice, Stray};
use crate::bridge::outgoing::compose;
use crate::bridge::refusal::Refusal;
use crate::bridge::sessions::opened;
use crate::bridge::step::Step;
use crate::wire::{Frame, Glimpse, Malformed, Token};

/// How many stray lines and stray answers of a channel are reported within
/// [`STRAY_WINDOW`].
const STRAY_REPORTS: u32 = 3;

/// The window for [`STRAY_REPORTS`] (ms).
const STRAY_WINDOW: u64 = 60_000;

/// Handles a line of an agent that is no message. Returns the failure that takes the
/// place of an answer that cannot be read; `None`: nothing is left to handle.
pub fn line(step: &mut Step<'_>, channel: ChannelId, malformed: Malformed) -> Option<Frame> {
    match malformed {
        Malformed::TooLong { length, glimpse } => {
            step.outgoing.counters.overlong_lines += 1;
            step.publish(Notice::OverlongLine { from: channel.to_string(), length });
            let (request, answer) =
                (Refusal::TooLong { length }, Refusal::AnswerTooLong { length });
            seen(step, channel, &glimpse, &request, &answer)
        }
        Malformed::NotJson { beginning, is_unicode, glimpse } => {
            stray(step, channel, Stray::Text(beginning));
            let answer = Refusal::AnswerUnreadable { fault: fault(is_unicode) };
            seen(step, channel, &glimpse, &Refusal::NotJson, &answer)
        }
        Malformed::NotMessage { id } => {
            stray(step, channel, Stray::NotMessage);
            let id = id?;
            step.send_to_channel(channel, compose::failure(&id, &Refusal::NotMessage));
            None
        }
        Malformed::Batch => {
            stray(step, channel, Stray::Batch);
            None
        }
    }
}

/// The fault of an answer that cannot be read.
pub fn fault(is_unicode: bool) -> &'static str {
    if is_unicode { "is not valid JSON" } else { "is not valid UTF-8" }
}

fn stray(step: &mut Step<'_>, channel: ChannelId, what: Stray) {
    step.outgoing.counters.stray_lines += 1;
    if may_report(step, channel) {
        step.publish(Notice::StrayLine { channel, what });
    }
}

/// Handles an answer under an id that no request of the bridge has. It is reported if
/// requests wait, because it may be meant for one of them.
pub fn answer(step: &mut Step<'_>, channel: ChannelId, frame: &Frame) {
    step.outgoing.counters.stray_answers += 1;
    let row = step.books.channel_in_passing(channel);
    let number = frame.number().map(CallId);
    if number.zip(row).is_some_and(|(id, row)| row.forsaken.remove(&id)) {
        return;
    }
    let waiting = step.books.oldest_sent(channel).map(|call| call.purpose.method());
    let Some(method) = waiting else { return };
    if may_report(step, channel) {
        let id = String::from_utf8_lossy(frame.id().as_bytes()).chars().take(64).collect();
        step.publish(Notice::StrayAnswer { channel, id, method });
    }
}

fn may_report(step: &mut Step<'_>, channel: ChannelId) -> bool {
    let now = step.now;
    let Some(row) = step.books.channel_in_passing(channel) else { return false };
    if now.since(row.stray.0) >= STRAY_WINDOW {
        row.stray = (now, 0);
    }
    row.stray.1 += 1;
    row.stray.1 <= STRAY_REPORTS
}

/// Handles what can be seen of a line: refuses a request; for an answer, returns the
/// failure that takes its place, unless the open was ended here.
fn seen(
    step: &mut Step<'_>,
    channel: ChannelId,
    glimpse: &Glimpse,
    request: &Refusal,
    answer: &Refusal,
) -> Option<Frame> {
    match glimpse {
        Glimpse::Nothing => None,
        Glimpse::Request(id) => {
            step.send_to_channel(channel, compose::failure(id, request));
            None
        }
        Glimpse::Answer(id) => missing_answer(step, channel, id, answer),
    }
}

fn missing_answer(
    step: &mut Step<'_>,
    channel: ChannelId,
    id: &Token,
    refusal: &Refusal,
) -> Option<Frame> {
    let frame = compose::missing_answer(id, refusal)?;
    let call = frame.number().map(CallId).filter(|id| {
        step.books.call(*id).is_some_and(|call| {
            let restores = call.opening().is_some_and(|row| row.restores().is_some());
            call.channel == Some(channel) && call.is_sent() && restores
        })
    });
    if let Some(id) = call {
        opened::unreadable(step, channel, id, refusal);
        return None;
    }
    Some(frame)
}
