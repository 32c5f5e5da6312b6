//! A login is repeated on a further process of the agent.
//!
//! Some agents keep their login in the process. A client logs in once for its connection, so
//! when a further process refuses an open of a client for want of a login, the last login of
//! the pool that succeeded is sent to that process, once, and then the open again. Opens that
//! the process refuses meanwhile wait for the same login. Nothing is repeated that no client
//! waits for: a login may open a browser.

use crate::bridge::books::call::{Asker, Call, Opening, Purpose, RepeatLogin, SentAt, Stage};
use crate::bridge::books::channel::{Channel, ChannelState, Login};
use crate::bridge::id::{CallId, ChannelId};
use crate::bridge::outgoing::{answer, send};
use crate::bridge::step::Step;
use crate::wire::{Frame, FrameKind};

/// Handles the refusal of an open for want of a login: if a login is or can be repeated here,
/// the open waits for that, within its own time. `false`: it passes to the client.
pub fn begin(step: &mut Step<'_>, channel: ChannelId, id: CallId, refusal: &Frame) -> bool {
    let Some(call) = step.books.call(id) else { return false };
    // No login is repeated for a session that the bridge brings back by itself.
    let is_waited_for = matches!(&call.asker, Asker::Client(client, _)
        if step.books.client(*client).is_some());
    let sent = call.sent_at().filter(|_| is_waited_for);
    let possible = call.opening().map(|opening| &opening.login);
    let (Some(RepeatLogin::Possible(request)), Some(sent)) = (possible, sent) else {
        return false;
    };
    let request = request.clone();
    let is_ready = |row: &&Channel| row.state == ChannelState::Ready;
    let Some(row) = step.books.channel(channel).filter(is_ready) else { return false };
    let known = row.pool.and_then(|pool| step.books.pool(pool)?.login.clone());
    match (row.login, known) {
        (Login::Unknown, Some(login)) => {
            if let Some(open) = wait(step, channel, id, (request, sent), refusal) {
                repeat(step, channel, open, (login, sent));
            }
            true
        }
        (Login::Repeated, _) => {
            wait(step, channel, id, (request, sent), refusal);
            true
        }
        // The open was on its way before the process was logged in.
        (Login::Done { at }, _) if sent.at <= at => {
            if let Some(open) = wait(step, channel, id, (request, sent), refusal) {
                send::held(step, open);
            }
            true
        }
        _ => false,
    }
}

/// Makes a refused open wait on its channel, under another number: the one that it had has
/// its answer.
fn wait(
    step: &mut Step<'_>,
    channel: ChannelId,
    id: CallId,
    (request, sent): (Box<Frame>, SentAt),
    refusal: &Frame,
) -> Option<CallId> {
    let replay = step.books.take_replay(id);
    let call = step.books.take_call(id)?;
    let Purpose::Open(opening) = call.purpose else { return None };
    let login = RepeatLogin::Repeated { refusal: Box::new(refusal.detached()), sent };
    let (place, purpose) = ((call.agent, channel), Purpose::Open(Opening { login, ..opening }));
    let open = Call::on_channel(place, call.asker, purpose, Stage::Held(request), call.asked_at);
    let open = step.books.add_call(open);
    if let Some(replay) = replay {
        step.books.begin_replay(open, *replay);
    }
    Some(open)
}

/// Sends a channel the login of its pool, within the time of the open that asks for it.
fn repeat(step: &mut Step<'_>, channel: ChannelId, open: CallId, (login, sent): (Frame, SentAt)) {
    let Some(row) = step.books.channel_mut(channel) else { return step.books.absent(channel) };
    row.login = Login::Repeated;
    let (place, purpose) = ((row.agent, channel), Purpose::RepeatedLogin { open });
    let stage = Stage::Held(Box::new(login));
    let login = Call::on_channel(place, Asker::Nobody, purpose, stage, step.now);
    let login = step.books.add_call(login);
    send::held(step, login);
    if let Some(call) = step.books.call_mut(login) {
        call.stage = Stage::Sent(sent);
    }
}

/// Handles the answer to the repeated login. After a success the opens that wait for it are
/// sent again, with all that is held on the channel; otherwise their clients get the first
/// refusals.
pub fn answered(step: &mut Step<'_>, channel: ChannelId, id: CallId, frame: &Frame) {
    step.books.take_call(id);
    let now = step.now;
    let succeeded = frame.kind == FrameKind::Success;
    if let Some(row) = step.books.channel_mut(channel) {
        row.login = if succeeded { Login::Done { at: now } } else { Login::Wanted };
    }
    if !succeeded {
        refuse_waiting(step, channel);
    }
}

/// Handles that the repeated login was not answered in time.
pub fn timed_out(step: &mut Step<'_>, channel: ChannelId, id: CallId) {
    step.books.take_call(id);
    if let Some(row) = step.books.channel_mut(channel) {
        row.login = Login::Wanted;
    }
    refuse_waiting(step, channel);
}

/// Gives the clients of the opens that wait for a login on a channel the first refusals.
fn refuse_waiting(step: &mut Step<'_>, channel: ChannelId) {
    for id in step.books.opens_waiting_on(channel) {
        let login = step.books.call(id).and_then(Call::opening).map(|opening| &opening.login);
        let Some(RepeatLogin::Repeated { refusal, .. }) = login else { continue };
        let refusal = refusal.clone();
        if let Some(call) = step.books.take_call(id) {
            answer::pass(step, &call, &refusal);
        }
    }
}
