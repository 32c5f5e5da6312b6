//! How a step ends: touched rows are settled, calls that wait for a channel are placed,
//! and every touched row is watched, so that it comes up when it is due.
//!
//! The consequences of the state of a row are decided here, from its facts, and not
//! where it was changed.

use crate::bridge::books::channel::ChannelState;
use crate::bridge::books::deadlines::Due;
use crate::bridge::channels::{placement, retirement, stop};
use crate::bridge::effect::Effect;
use crate::bridge::id::{ChannelId, SessionKey};
use crate::bridge::notice::Notice;
use crate::bridge::reason::EndReason;
use crate::bridge::routing::{fanout, from_agent, released};
use crate::bridge::sessions::close::{self, Ending};
use crate::bridge::sessions::{close_call, question_end, revive, turn};
use crate::bridge::step::Step;
use crate::bridge::{due, shutdown};

/// Ends a step: settles until no touched row is left. To be called once, at the end of
/// every step.
pub fn finish(step: &mut Step<'_>) {
    loop {
        while let Some((channel, call)) = step.books.next_ended_call() {
            question_end::of_call(step, channel, call);
        }
        while let Some((channel, key)) = step.books.next_quiet_tombstone() {
            close_call::conclude_if_quiet(step, channel, key);
        }
        while let Some(id) = step.books.next_touched_fanout() {
            fanout::settle(step, id);
        }
        while let Some((key, failure)) = step.books.next_failed_revival() {
            revive::failed(step, key, failure);
        }
        while let Some(key) = step.books.next_touched_session() {
            session(step, key);
        }
        while let Some(id) = step.books.next_touched_channel() {
            channel(step, id);
        }
        if let Some(client) = step.books.next_touched_client() {
            released::behind_initialize(step, client);
        }
        if step.books.take_placement_due() {
            placement::place_waiting(step);
            released::behind_opens(step);
        }
        if step.books.is_settled() {
            break;
        }
    }
    step.tell_attachments();
    step.books.settle_tenure(step.now);
    step.books.watch_touched();
    for id in step.books.take_unused_environments() {
        step.effect(Effect::ForgetEnvironment(id));
    }
    for row in step.books.take_absences() {
        step.publish(Notice::RowAbsent { row });
    }
    if step.books.is_ending() {
        shutdown::finish(step);
    }
}

/// Closes a session that its last client left on purpose, as soon as no call is open in
/// it. Any other session is watched, and its next prompt is sent.
fn session(step: &mut Step<'_>, key: SessionKey) {
    // The session may have ended in this step.
    let Some(session) = step.books.session(key) else { return };
    if step.books.is_next_due(session) {
        return turn::next_queued(step, key);
    }
    if session.was_left() && session.calls.is_empty() {
        close::end_session(step, key, EndReason::LastClientDetached, Ending::InOrder);
    } else if let Some(at) = step.books.session_deadline(session) {
        step.books.watch_session(key, at);
    }
}

/// Draws the consequences of the state of a channel: it may be retired, paused or
/// stopped, and its idle time and the silence of its agent may begin or end.
fn channel(step: &mut Step<'_>, id: ChannelId) {
    let now = step.now;
    // The channel may have exited in this step.
    let Some(row) = step.books.channel(id) else { return };
    let row = if row.may_have_to_retire() {
        if retirement::retire(step, id) {
            return;
        }
        retirement::succeed(step, id);
        let Some(row) = step.books.channel(id) else { return step.books.absent(id) };
        let can_be_asked = row.is_open() && !step.books.must_stand(row) && !step.books.is_ending();
        if row.tombstones.has_close_to_resend() && can_be_asked {
            close_call::resend_blocked_closes(step, id);
        }
        let Some(row) = step.books.channel(id) else { return step.books.absent(id) };
        row
    } else {
        row
    };
    let is_idle = step.books.is_without_work(row);
    let is_waited_for = step.books.is_waited_for(id, row);
    let should_pause = step.books.feeds_slow_clients_alone(row);
    let early_is_over = step.books.early_is_over(id, row);
    if early_is_over {
        from_agent::early_is_over(step, id);
    }
    let Some(row) = step.books.channel_in_passing(id) else { return step.books.absent(id) };
    if row.paused != should_pause {
        row.paused = should_pause;
        step.outgoing.push(if should_pause { Effect::Pause(id) } else { Effect::Resume(id) });
    }
    let Some(row) = step.books.channel(id) else { return step.books.absent(id) };
    let stands = step.books.must_stand(row);
    let Some(row) = step.books.channel_in_passing(id) else { return step.books.absent(id) };
    let runs_again = row.clock.set_standing(stands, now);
    row.clock.set_idle(is_idle, now);
    row.clock.set_waited_for(is_waited_for, now);
    if runs_again {
        step.books.touch_calls_of(id);
    }
    let Some(row) = step.books.channel(id) else { return step.books.absent(id) };
    match &row.state {
        // Only its work kept the draining channel.
        ChannelState::Draining { reason, .. } if is_idle => {
            let reason = reason.clone();
            return stop::begin(step, id, reason);
        }
        ChannelState::Ready if step.books.is_worn_out(id, row, now) => {
            return retirement::recycle(step, id);
        }
        // With work, and without a wait for the agent, such a channel has no deadline.
        ChannelState::Ready | ChannelState::Draining { .. } | ChannelState::Spawned
            if !is_idle && !is_waited_for && !step.books.wears_out(row) =>
        {
            return;
        }
        _ => {}
    }
    // The idle timeout may be over at once. A rung of the ladder is left to a later step.
    let may_be_over = is_idle && row.state == ChannelState::Ready;
    if may_be_over && step.books.is_due(Due::Channel(id), now) {
        return due::act(step, Due::Channel(id));
    }
    step.books.watch_channel(id);
}
