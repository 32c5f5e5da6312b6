//! The set-up replay: settings and logins that clients made on one channel of a
//! pool are repeated to every further one before its first session.

use crate::bridge::books::call::{Asker, Call, Purpose, Stage};
use crate::bridge::books::channel::Login;
use crate::bridge::books::pool::MAX_SET_UP;
use crate::bridge::channels::{retirement, stop, waiting};
use crate::bridge::id::{CallId, ChannelId, PoolId};
use crate::bridge::outgoing::{answer, compose, send};
use crate::bridge::reason::StopReason;
use crate::bridge::refusal::Refusal;
use crate::bridge::step::Step;
use crate::wire::{Frame, FrameKind, Token};

/// Sends a channel the kept requests of its pool.
pub fn begin(step: &mut Step<'_>, channel: ChannelId, frames: Vec<Frame>) {
    let Some(agent) = step.books.channel(channel).map(|row| row.agent) else {
        return step.books.absent(channel);
    };
    for frame in frames {
        let needed = frame.method_name().starts_with("providers/");
        // Anything else is a login.
        if let (false, Some(row)) = (needed, step.books.channel_mut(channel)) {
            row.login = Login::Tried;
        }
        let (purpose, stage) = (Purpose::SetUpReplay { needed }, Stage::Held(Box::new(frame)));
        let place = (agent, channel);
        let call = Call::on_channel(place, Asker::Nobody, purpose, stage, step.now);
        let id = step.books.add_call(call);
        send::held(step, id);
    }
}

/// The answer to a request of the replay. If the request is needed and was refused,
/// the opens that wait for this channel are refused with the same words.
pub fn answered(step: &mut Step<'_>, channel: ChannelId, needed: bool, frame: &Frame) {
    let now = step.now;
    // If the channel is retired anyway, the opens that wait go to a successor.
    if needed && frame.kind == FrameKind::Failure && !retirement::retire(step, channel) {
        waiting::give_back(step, channel);
        for id in step.books.opens_waiting_on(channel) {
            if let Some(call) = step.books.take_call(id) {
                answer::give(step, &call.asker, channel, |token| frame.with_id(token.clone()));
            }
        }
        stop::drain(step, channel, StopReason::SettingsRefused);
    }
    if let (false, FrameKind::Success, Some(row)) =
        (needed, frame.kind, step.books.channel_mut(channel))
    {
        row.login = Login::Done { at: now };
    }
    waiting::send_all(step, channel);
}

/// A request of the replay that is not answered in time counts as refused.
pub fn timed_out(step: &mut Step<'_>, channel: ChannelId, id: CallId, needed: bool) {
    step.books.take_call(id);
    let refusal = Refusal::OpenTimeout { agent: step.books.agent_name_on(channel) };
    if let Some(frame) = compose::missing_answer(&Token::number(id.0), &refusal) {
        answered(step, channel, needed, &frame);
    }
}

/// Keeps a request for further channels; a later one of the same method and
/// the same subject takes the place of the earlier.
pub fn remember(step: &mut Step<'_>, pool: PoolId, frame: &Frame) {
    let subject = |frame: &Frame| {
        let id = ["id", "providerId", "methodId"].iter().find_map(|key| frame.find(&[key]));
        let id = id.map(|place| place.of(frame.bytes()).to_vec());
        (frame.method_name().into_owned(), id)
    };
    let Some(pool) = step.books.pool_mut(pool) else { return step.books.absent(pool) };
    pool.set_up.retain(|old| subject(old) != subject(frame));
    if pool.set_up.len() < MAX_SET_UP {
        pool.set_up.push(frame.detached());
    } else {
        step.outgoing.counters.set_up_requests += 1;
    }
}

/// Makes no channel of a pool count as logged in, after a logout.
pub fn logged_out(step: &mut Step<'_>, pool: PoolId) {
    for id in step.books.all_channels() {
        let is_its = step.books.channel(id).is_some_and(|row| row.pool == Some(pool));
        // A recent login may be all that keeps the channel beyond its idle timeout:
        // `channel_mut` makes the step settle it.
        if let Some(row) = step.books.channel_mut(id).filter(|_| is_its) {
            row.login = Login::Unknown;
        }
    }
}

/// Handles the answer to a login.
pub fn logged_in(step: &mut Step<'_>, channel: ChannelId, request: &Frame, frame: &Frame) {
    let now = step.now;
    if frame.kind == FrameKind::Failure {
        return;
    }
    let Some(row) = step.books.channel_mut(channel) else { return step.books.absent(channel) };
    row.login = Login::Done { at: now };
    let pool = row.pool;
    let Some(pool) = pool else { return };
    if let Some(row) = step.books.pool_mut(pool) {
        row.login = Some(request.clone());
    }
    // A login with `_meta` carries its credentials, and is repeated on every further channel.
    // Any other may open a browser, and is repeated only where a client waits for it.
    if request.find(&["_meta"]).is_some() {
        remember(step, pool, request);
    }
}
