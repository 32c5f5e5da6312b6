//! What happens to each message of an agent.

use crate::bridge::books::call::Purpose;
use crate::bridge::channels::{handshake, set_up};
use crate::bridge::id::{CallId, ChannelId};
use crate::bridge::outgoing::{answer, deliver};
use crate::bridge::routing::{fanout, listing, stray};
use crate::bridge::sessions::{answered, attach, close, open, question, question_end};
use crate::bridge::step::Step;
use crate::wire::{Frame, Kind, Malformed, Method};

/// A line of an agent.
pub fn frame(step: &mut Step<'_>, channel: ChannelId, frame: Result<Frame, Malformed>) {
    let now = step.now;
    let Some(row) = step.books.channels.get_mut(&channel) else { return };
    row.heard_at = now;
    let frame = match frame {
        Ok(frame) => frame,
        Err(malformed) => return stray::line(step, channel, malformed),
    };
    match frame.kind {
        Kind::Success | Kind::Failure => answer(step, channel, &frame),
        Kind::Request => question::asked(step, channel, &frame),
        Kind::Notification => notification(step, channel, frame),
    }
}

fn notification(step: &mut Step<'_>, channel: ChannelId, frame: Frame) {
    if frame.method == Method::CancelRequest {
        return question_end::withdrawn_by_agent(step, channel, &frame);
    }
    let is_carried = step.books.is_carried(channel);
    let Some(row) = step.books.channels.get_mut(&channel) else { return };
    if row.is_stopping() {
        step.outgoing.counters.late_frames += 1;
        return;
    }
    if let Some(key) = row.names.named_in(&frame).filter(|_| !is_carried) {
        return deliver::deliver(step, key, frame);
    }
    match frame.session() {
        Some(named) if !is_carried => open::early_notification(step, channel, &named, &frame),
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

pub fn answer(step: &mut Step<'_>, channel: ChannelId, frame: &Frame) {
    let now = step.now;
    let asked = frame.number().map(CallId).and_then(|id| {
        let call = step.books.calls.get(&id)?;
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
            fanout::part_answered(step, fanout, frame);
        }
        Purpose::Shared(request) => {
            answer::forward(step, id, frame);
            let pool = step.books.channel(channel).and_then(|row| row.pool);
            if let (Kind::Success, Some(pool)) = (frame.kind, pool) {
                fanout::agreed(step, pool, &request, &[channel]);
            }
        }
        Purpose::Rehearse { needed } => {
            step.books.take_call(id);
            set_up::rehearsed(step, channel, needed, frame);
        }
        Purpose::Prompt => answered::prompt(step, channel, id, frame),
        Purpose::Login(again) => {
            answer::forward(step, id, frame);
            set_up::logged_in(step, channel, again, frame);
        }
        Purpose::List { first, cwd } => {
            listing::answered(step, channel, id, first, cwd.as_deref(), frame);
        }
        Purpose::Connection { unknown } => {
            if let Some(client) = answer::forward(step, id, frame)
                && unknown
                && frame.kind == Kind::Success
                && let Some(row) = step.books.channel_mut(channel)
            {
                row.leases.insert(client);
            }
        }
        Purpose::Reload { attached } => attach::reloaded(step, id, frame, attached),
        Purpose::Stored { .. } => drop(answer::forward(step, id, frame)),
        Purpose::Session => {
            let Some(key) = answered::in_session(step, channel, id, frame) else { return };
            if let Some(session) = step.books.session_mut(key) {
                session.last_seen = now;
            }
        }
    }
}
