//! A login is repeated on a further process of the agent.
//!
//! Some agents keep their login in the process. A client logs in once for its connection, so
//! when a further process refuses an open of a client for want of a login, the last login of
//! the pool that succeeded is sent to that process, once, and then the open again. Nothing
//! is repeated that no client waits for: a login may open a browser.

use crate::bridge::books::call::{Asker, Call, Opening, Purpose, RepeatLogin, SentAt, Stage};
use crate::bridge::books::channel::Login;
use crate::bridge::id::{CallId, ChannelId};
use crate::bridge::outgoing::{answer, send};
use crate::bridge::step::Step;
use crate::wire::{Frame, FrameKind};

/// Handles the refusal of an open for want of a login: if there is a login to repeat here,
/// sends it, and says so. The open waits for it, within its own time.
pub fn begin(step: &mut Step<'_>, channel: ChannelId, id: CallId, refusal: &Frame) -> bool {
    let Some(call) = step.books.call(id) else { return false };
    let is_waited_for = call.client().is_some_and(|client| step.books.client(client).is_some());
    let (Some(Opening { login: RepeatLogin::Once(request), .. }), Some(sent), true) =
        (call.opening(), call.sent_at(), is_waited_for)
    else {
        return false;
    };
    let request = request.clone();
    let row = step.books.channel(channel);
    let login = row.filter(|row| row.is_open() && row.login == Login::Unknown).and_then(|row| {
        let pool = step.books.pool(row.pool?)?;
        pool.login.clone()
    });
    let Some(login) = login else { return false };
    let Some(call) = step.books.take_call(id) else { return false };
    let Purpose::Open(opening) = call.purpose else { return false };
    // The refused request had its answer: the open goes on under another number.
    let opening = Opening { login: RepeatLogin::Done(Box::new(refusal.detached())), ..opening };
    let (place, purpose) = ((call.agent, channel), Purpose::Open(opening));
    let open = Call::on_channel(place, call.asker, purpose, Stage::Held(request), call.asked_at);
    let open = step.books.add_call(open);
    let purpose = Purpose::RepeatedLogin { open };
    let stage = Stage::Held(Box::new(login));
    let login = Call::on_channel(place, Asker::Nobody, purpose, stage, step.now);
    let login = step.books.add_call(login);
    if let Some(row) = step.books.channel_mut(channel) {
        row.login = Login::Repeated;
    }
    send::held(step, login);
    keep_time(step, login, sent);
    true
}

/// Makes the time of a call run from the moment at which the open was first sent.
fn keep_time(step: &mut Step<'_>, id: CallId, sent: SentAt) {
    if let Some(call) = step.books.call_mut(id) {
        call.stage = Stage::Sent(sent);
    }
}

/// Handles the answer to the repeated login: with success the open is sent again; otherwise
/// its client gets the first refusal.
pub fn answered(step: &mut Step<'_>, channel: ChannelId, id: CallId, open: CallId, frame: &Frame) {
    let sent = step.books.call(id).and_then(Call::sent_at);
    step.books.take_call(id);
    let now = step.now;
    let succeeded = frame.kind == FrameKind::Success;
    if let Some(row) = step.books.channel_mut(channel) {
        row.login = if succeeded { Login::Done { at: now } } else { Login::Wanted };
    }
    match (waits_on(step, channel, open), succeeded) {
        (true, true) => {
            send::held(step, open);
            if let Some(sent) = sent {
                keep_time(step, open, sent);
            }
        }
        (true, false) => refuse(step, open),
        (false, _) => {}
    }
}

/// Handles that the repeated login was not answered in time.
pub fn timed_out(step: &mut Step<'_>, channel: ChannelId, id: CallId) {
    let Some(Purpose::RepeatedLogin { open }) = step.books.take_call(id).map(|call| call.purpose)
    else {
        return step.books.absent(id);
    };
    if let Some(row) = step.books.channel_mut(channel) {
        row.login = Login::Wanted;
    }
    if waits_on(step, channel, open) {
        refuse(step, open);
    }
}

/// Whether an open still waits for a login on a channel. Its client may have withdrawn it, and
/// a channel that drains gives it to another.
fn waits_on(step: &Step<'_>, channel: ChannelId, open: CallId) -> bool {
    step.books.call(open).is_some_and(|call| call.channel == Some(channel))
}

/// Gives the client of an open the first refusal.
fn refuse(step: &mut Step<'_>, open: CallId) {
    let Some(call) = step.books.take_call(open) else { return step.books.absent(open) };
    if let Some(Opening { login: RepeatLogin::Done(refusal), .. }) = call.opening() {
        answer::pass(step, &call, refusal);
    }
}
