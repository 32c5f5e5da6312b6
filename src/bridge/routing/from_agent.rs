//! The treatment of each message of an agent.

use bytes::Bytes;

use crate::bridge::books::call::{Purpose, Stage};
use crate::bridge::channels::{handshake, set_up_replay};
use crate::bridge::id::{CallId, ChannelId};
use crate::bridge::outgoing::translate::with_edits;
use crate::bridge::outgoing::{answer, deliver};
use crate::bridge::routing::{fanout, passthrough, session_list, stray_lines};
use crate::bridge::sessions::{attach, close, open, question, question_end, turn};
use crate::bridge::step::Step;
use crate::wire::json::quoted;
use crate::wire::{Frame, FrameKind, Malformed, Method};

/// Handles a line of an agent.
pub fn frame(step: &mut Step<'_>, channel: ChannelId, frame: Result<Frame, Malformed>) {
    let now = step.now;
    // The channel's exit may be reported before its last lines.
    let Some(row) = step.books.channel_in_passing(channel) else { return };
    row.clock.heard(now);
    let frame = match frame {
        Ok(frame) => frame,
        Err(malformed) => match stray_lines::line(step, channel, malformed) {
            Some(missing) => missing,
            None => return,
        },
    };
    match frame.kind {
        FrameKind::Success | FrameKind::Failure => answer(step, channel, &frame),
        FrameKind::Request => request(step, channel, &frame),
        FrameKind::Notification => notification(step, channel, frame),
    }
}

fn request(step: &mut Step<'_>, channel: ChannelId, frame: &Frame) {
    if question::refused(step, channel, frame) {
        return;
    }
    if step.books.is_passthrough(channel) {
        passthrough::to_client(step, channel, frame);
    } else {
        question::asked(step, channel, frame);
    }
}

fn notification(step: &mut Step<'_>, channel: ChannelId, frame: Frame) {
    if frame.method == Method::CancelRequest {
        return question_end::withdrawn_by_agent(step, channel, &frame);
    }
    let is_passthrough = step.books.is_passthrough(channel);
    let Some(row) = step.books.channel_in_passing(channel) else {
        return step.books.absent(channel);
    };
    if row.is_stopping() {
        step.outgoing.counters.late_frames += 1;
        return;
    }
    if let Some(key) = row.names.named_in(&frame).filter(|_| !is_passthrough) {
        return deliver::update(step, key, frame);
    }
    match frame.session() {
        Some(named) if !is_passthrough => of_no_live_session(step, channel, &named, &frame),
        _ => {
            let clients = step.books.clients_of(channel);
            if clients.is_empty() {
                step.outgoing.counters.unrouted += 1;
            }
            for client in clients {
                step.send_to_client(client, frame.whole());
            }
        }
    }
}

/// Handles a notification that names no live session of its channel: it belongs to a
/// restore that is open, or is an early frame or a late frame.
fn of_no_live_session(step: &mut Step<'_>, channel: ChannelId, agent_id: &str, frame: &Frame) {
    let now = step.now;
    let is_buried =
        step.books.channel(channel).is_some_and(|row| row.tombstones.contains(agent_id));
    let Some(id) = step.books.open_in_flight(channel, Some(agent_id)) else {
        if is_buried {
            step.outgoing.counters.late_frames += 1;
        } else {
            step.outgoing.counters.unknown_session_frames += 1;
        }
        return;
    };
    let Some(call) = step.books.call_in_passing(id) else { return step.books.absent(id) };
    let restored = call.opening().filter(|opening| opening.restores().is_some()).cloned();
    match restored {
        // The agent replays the history before it answers. That shows that it works, so
        // the timeout of the restore begins anew.
        Some(opening) => {
            call.stage = Stage::Sent(now);
            // The client may be gone: then the notification is dropped.
            let Some(client) = call.client() else { return };
            let differs =
                opening.public_id.filter(|public| Some(public) != opening.agent_id.as_ref());
            let outgoing = match (differs, frame.session_place()) {
                (Some(public), Some(place)) => {
                    with_edits(frame, None, vec![(place, Bytes::from(quoted(&public)))])
                }
                _ => frame.whole(),
            };
            step.send_to_client(client, outgoing);
        }
        None => {
            let Some(row) = step.books.channel_in_passing(channel) else {
                return step.books.absent(channel);
            };
            if is_buried {
                step.outgoing.counters.late_frames += 1;
            } else if !row.early.hold(agent_id, frame) {
                step.outgoing.counters.early_frames += 1;
            }
        }
    }
}

fn answer(step: &mut Step<'_>, channel: ChannelId, frame: &Frame) {
    let now = step.now;
    let asked = frame.number().map(CallId).and_then(|id| {
        let call = step.books.call(id)?;
        let is_open = call.channel == Some(channel) && !call.is_unsent();
        is_open.then(|| (id, call.purpose.clone()))
    });
    let Some((id, purpose)) = asked else {
        step.outgoing.counters.stray_answers += 1;
        return;
    };
    match purpose {
        Purpose::Initialize => handshake::answered(step, channel, id, frame),
        Purpose::Open(_) => open::answered(step, channel, id, frame),
        Purpose::Close(agent_id) => close::answered(step, channel, id, &agent_id, frame),
        Purpose::Part(fanout) => {
            step.books.take_call(id);
            step.books.part_answered(fanout, frame);
        }
        Purpose::FanoutOfOne(request) => {
            answer::forward(step, id, frame);
            let pool = step.books.channel(channel).and_then(|row| row.pool);
            if let (FrameKind::Success, Some(pool)) = (frame.kind, pool) {
                fanout::all_succeeded(step, pool, &request, &[channel]);
            }
        }
        Purpose::SetUpReplay { needed } => {
            step.books.take_call(id);
            set_up_replay::answered(step, channel, needed, frame);
        }
        Purpose::Prompt => turn::answered(step, id, frame),
        Purpose::Login(to_repeat) => {
            answer::forward(step, id, frame);
            set_up_replay::logged_in(step, channel, to_repeat, frame);
        }
        Purpose::List { first, cwd } => {
            session_list::answered(step, channel, id, first, cwd.as_deref(), frame);
        }
        Purpose::WithoutSession { unknown } => {
            let client = answer::forward(step, id, frame).and_then(|call| call.client());
            if unknown
                && let Some(client) = client
                && frame.kind == FrameKind::Success
                && let Some(row) = step.books.channel_mut(channel)
            {
                row.leases.insert(client);
            }
        }
        Purpose::Reload { attached } => attach::reloaded(step, id, frame, attached),
        Purpose::Stored { .. } => drop(answer::forward(step, id, frame)),
        Purpose::InSession => {
            let Some(call) = answer::forward(step, id, frame) else { return step.books.absent(id) };
            match call.session.and_then(|key| step.books.session_mut(key)) {
                Some(session) => session.last_seen = now,
                None => close::last_answer(step, &call),
            }
        }
    }
}
