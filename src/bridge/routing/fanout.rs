//! Requests about the agent as a whole: to every channel, or to the right one.
//!
//! Logins, providers, and the list of stored conversations.

use crate::bridge::books::call::{Asker, Call, Fanout, Purpose, Stage};
use crate::bridge::channels::set_up;
use crate::bridge::id::{ChannelId, ClientId, FanoutId, PoolId};
use crate::bridge::outgoing::{answer, compose};
use crate::bridge::refusal::Refusal;
use crate::bridge::routing::from_client;
use crate::bridge::step::Step;
use crate::wire::{Frame, Kind, Method, Token};

/// A request that every channel of the client's pool must hear: it succeeds
/// if all of them say so.
pub fn begin(step: &mut Step<'_>, client: ClientId, frame: &Frame) {
    let now = step.now;
    let pool = step.books.clients.get(&client).and_then(|row| row.pool);
    let channels: Vec<ChannelId> = step.books.open_channels(pool).collect();
    if channels.iter().any(|id| step.books.is_clogged(*id)) {
        let agent = step.books.agent_name();
        return answer::refuse(step, client, &frame.id(), &Refusal::AgentNotReading { agent });
    }
    let (Some(pool), false) = (pool, channels.is_empty()) else {
        // None runs: one is started for it, and the others will hear it at their start.
        from_client::call_without_session(
            step,
            client,
            Purpose::Shared(Box::new(frame.detached())),
            frame,
        );
        return;
    };
    let fanout = FanoutId(step.books.numbers.fanouts.next());
    let asker = Asker::Client(client, frame.id());
    let request = frame.detached();
    let told = channels.clone();
    if let Some(row) = step.books.clients.get_mut(&client) {
        row.fanouts.insert(fanout);
    }
    step.books.fanouts.insert(fanout, Fanout { asker, pool, request, told, answer: None });
    for channel in channels {
        let id = step.books.add_call(Call {
            asker: Asker::Nobody,
            purpose: Purpose::Part(fanout),
            channel: Some(channel),
            session: None,
            asked_at: now,
            stage: Stage::Sent(now),
        });
        step.send_to_channel(channel, frame.with_id(Token::number(id.0)));
    }
}

/// One of the channels answered; its call is over.
pub fn part_answered(step: &mut Step<'_>, id: FanoutId, frame: &Frame) {
    let Some(fanout) = step.books.fanouts.get_mut(&id) else { return };
    let is_worse = frame.kind == Kind::Failure
        && fanout.answer.as_ref().is_none_or(|answer| answer.kind == Kind::Success);
    if is_worse || fanout.answer.is_none() {
        fanout.answer = Some(frame.detached());
    }
    let is_open = step.books.calls.values().any(|call| call.purpose == Purpose::Part(id));
    if is_open {
        return;
    }
    let Some(fanout) = step.books.fanouts.remove(&id) else { return };
    if let Asker::Client(client, _) = &fanout.asker
        && let Some(row) = step.books.clients.get_mut(client)
    {
        row.fanouts.remove(&id);
    }
    let Some(answer) = fanout.answer else { return };
    answer::asker(step, &fanout.asker, |token| answer.with_id(token.clone()));
    if answer.kind == Kind::Success {
        agreed(step, fanout.pool, &fanout.request, &fanout.told);
    }
}

/// Every channel that was told said yes: further ones hear the same at their
/// start, those that became ready meanwhile hear it now.
pub fn agreed(step: &mut Step<'_>, pool: PoolId, request: &Frame, told: &[ChannelId]) {
    match request.method {
        Method::ProvidersSet | Method::ProvidersDisable => {
            set_up::remember(step, pool, request);
            let others: Vec<ChannelId> =
                step.books.open_channels(Some(pool)).filter(|id| !told.contains(id)).collect();
            for channel in others {
                set_up::rehearse(step, channel, vec![request.detached()]);
            }
        }
        Method::Logout | Method::AuthLogout => set_up::forget_logins(step, pool),
        _ => {}
    }
}

/// One of the channels will not answer any more.
pub fn part_failed(step: &mut Step<'_>, id: FanoutId, refusal: &Refusal) {
    if let Some(frame) = compose::missing_answer(&Token::number(0), refusal) {
        part_answered(step, id, &frame);
    }
}
