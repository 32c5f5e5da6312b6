//! Requests that every channel of a pool must hear: providers and logout. They
//! succeed if all channels say so.

use crate::bridge::books::call::{Asker, Call, Fanout, Purpose};
use crate::bridge::books::id_set::Ids;
use crate::bridge::channels::{backpressure, set_up_replay};
use crate::bridge::id::{ChannelId, ClientId, FanoutId, Lane, PoolId};
use crate::bridge::outgoing::answer;
use crate::bridge::step::Step;
use crate::wire::{Frame, FrameKind, Method, Token};

/// Sends a client's request to every channel of its pool that is open.
pub fn begin(step: &mut Step<'_>, client: ClientId, frame: &Frame) {
    let now = step.now;
    let Some(row) = step.books.client(client) else { return step.books.absent(client) };
    let (agent, pool) = (row.agent, row.pool);
    let is_logout = matches!(frame.method, Method::Logout | Method::AuthLogout);
    // A process that becomes ready meanwhile must not be logged in from memory.
    if let (true, Some(pool)) = (is_logout, pool.and_then(|pool| step.books.pool_mut(pool))) {
        pool.forget_logins();
    }
    let channels: Vec<ChannelId> = step.books.open_channels(pool).collect();
    if channels.iter().any(|id| step.books.does_not_read(*id)) {
        return backpressure::refuse(step, client, frame);
    }
    let (Some(pool), false) = (pool, channels.is_empty()) else {
        // No channel is open: the request waits for one, and further channels hear it at
        // their start.
        let purpose = Purpose::FanoutOfOne(Box::new(frame.detached()));
        step.books.wait_for_channel(client, purpose, frame, now);
        return;
    };
    let fanout = step.books.add_fanout(Fanout {
        asker: Asker::Client(client, frame.id()),
        pool,
        request: frame.detached(),
        told: channels.clone(),
        parts: Ids::default(),
        answer: None,
    });
    for channel in channels {
        let (place, purpose) = ((agent, channel), Purpose::Part(fanout));
        let stage = step.books.sent_now(channel, now);
        let call = Call::on_channel(place, Asker::Nobody, purpose, stage, now);
        let id = step.books.add_call(call);
        step.send_to_channel(channel, frame.with_id(Token::number(id.0)));
    }
}

/// Answers the client, at the end of a step, if every channel has answered.
pub fn settle(step: &mut Step<'_>, id: FanoutId) {
    // Another channel has not answered yet.
    let Some(fanout) = step.books.take_fanout_if_over(id) else { return };
    let Some(answer) = fanout.answer else { return step.books.absent(id) };
    answer::give(step, &fanout.asker, Lane::Bridge, |token| answer.with_id(token.clone()));
    if answer.kind == FrameKind::Success {
        all_succeeded(step, fanout.pool, &fanout.request, &fanout.told);
    }
}

/// Handles a request that succeeded on every channel in `told`. Further channels hear a
/// setting of providers at their start, and channels that became ready meanwhile hear it
/// now; after a logout no channel counts as logged in.
pub fn all_succeeded(step: &mut Step<'_>, pool: PoolId, request: &Frame, told: &[ChannelId]) {
    match request.method {
        Method::ProvidersSet | Method::ProvidersDisable => {
            set_up_replay::remember(step, pool, request);
            let others: Vec<ChannelId> =
                step.books.open_channels(Some(pool)).filter(|id| !told.contains(id)).collect();
            for channel in others {
                set_up_replay::begin(step, channel, vec![request.detached()]);
            }
        }
        Method::Logout | Method::AuthLogout => set_up_replay::logged_out(step, pool),
        _ => {}
    }
}
