//! Lines of an agent that are no messages.

use crate::bridge::id::{CallId, ChannelId};
use crate::bridge::notice::Notice;
use crate::bridge::outgoing::compose;
use crate::bridge::refusal::Refusal;
use crate::bridge::sessions::open;
use crate::bridge::step::Step;
use crate::wire::frame::OverlongHead;
use crate::wire::{Frame, Malformed};

/// How many stray lines of a channel are reported within [`STRAY_WINDOW`].
const STRAY_REPORTS: u32 = 3;

/// The window for [`STRAY_REPORTS`] (ms).
const STRAY_WINDOW: u64 = 60_000;

/// Handles a line of an agent that is no message. Returns the failure that takes the
/// place of an answer that was too long; `None`: nothing is left to handle.
pub fn line(step: &mut Step<'_>, channel: ChannelId, malformed: Malformed) -> Option<Frame> {
    let what = match malformed {
        Malformed::TooLong { length, glimpse } => {
            step.outgoing.counters.overlong_lines += 1;
            step.publish(Notice::OverlongLine { from: channel.to_string(), length });
            return overlong(step, channel, length, &glimpse);
        }
        Malformed::Batch => "a batch".to_owned(),
        Malformed::NotMessage { .. } => "JSON, but no message".to_owned(),
        Malformed::NotJson { beginning } => format!("{beginning:?}"),
    };
    let now = step.now;
    step.outgoing.counters.stray_lines += 1;
    let row = step.books.channel_in_passing(channel)?;
    if now.since(row.stray.0) >= STRAY_WINDOW {
        row.stray = (now, 0);
    }
    row.stray.1 += 1;
    if row.stray.1 <= STRAY_REPORTS {
        step.publish(Notice::StrayLine { channel, what });
    }
    None
}

/// Handles a line of an agent that was too long. A request is refused; for an answer,
/// returns the failure that takes its place, unless the open was ended here.
fn overlong(
    step: &mut Step<'_>,
    channel: ChannelId,
    length: u64,
    glimpse: &OverlongHead,
) -> Option<Frame> {
    let token = glimpse.id.as_ref()?;
    if glimpse.has_method {
        let refusal = Refusal::TooLong { length };
        step.send_to_channel(channel, compose::failure(token, &refusal));
        return None;
    }
    let refusal = Refusal::AnswerTooLong { length };
    let frame = compose::missing_answer(token, &refusal)?;
    let call = frame.number().map(CallId).filter(|id| {
        step.books.call(*id).is_some_and(|call| {
            let restores = call.opening().is_some_and(|row| row.restores().is_some());
            call.channel == Some(channel) && call.is_sent() && restores
        })
    });
    // It is not known whether the restore succeeded: the agent may hold the session.
    if let Some(id) = call {
        open::timed_out(step, id, &refusal);
        return None;
    }
    Some(frame)
}
