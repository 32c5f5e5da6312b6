//! Connections whose protocol version is not 1, called passthrough: one client, one channel,
//! only request ids are translated. No sharing, no queue, no reaping.

use crate::bridge::books::call::{Asker, Call, Purpose, Question, Stage};
use crate::bridge::channels::backpressure;
use crate::bridge::id::{ChannelId, ClientId, PoolId};
use crate::bridge::outgoing::{answer, compose};
use crate::bridge::refusal::Refusal;
use crate::bridge::step::Step;
use crate::wire::{Frame, FrameKind, Token};

/// Passes a request or notification of a passthrough client on to its agent.
pub fn to_agent(step: &mut Step<'_>, client: ClientId, pool: Option<PoolId>, frame: &Frame) {
    let now = step.now;
    let Some(row) = step.books.client(client) else { return step.books.absent(client) };
    let agent = row.agent;
    let channel = step.books.open_channels(pool).next();
    match (channel, frame.kind) {
        (Some(channel), FrameKind::Request) if step.books.does_not_read(channel) => {
            backpressure::refuse(step, client, frame);
        }
        (Some(channel), FrameKind::Request) => {
            let asker = Asker::Client(client, frame.id());
            let purpose = Purpose::WithoutSession { unknown: false };
            let place = (agent, channel);
            let call = Call::on_channel(place, asker, purpose, Stage::Sent(now), now);
            let id = step.books.add_call(call);
            step.send_to_channel(channel, frame.with_id(Token::number(id.0)));
        }
        (Some(channel), _) => step.send_to_channel(channel, frame.whole()),
        (None, FrameKind::Request) => {
            let agent = step.books.agent_name_for(client);
            answer::refuse(step, client, &frame.id(), &Refusal::AgentGone { agent });
        }
        (None, _) => step.outgoing.counters.unrouted += 1,
    }
}

/// Passes a request of an agent on to its passthrough client.
pub fn to_client(step: &mut Step<'_>, channel: ChannelId, frame: &Frame) {
    let now = step.now;
    let Some(client) = step.books.client_behind(channel) else {
        let method = frame.method_name().into_owned();
        let refusal = Refusal::NobodyToAsk { method };
        return step.send_to_channel(channel, compose::failure(&frame.id(), &refusal));
    };
    let id = step.books.add_question(Question::new(channel, frame, vec![client], now));
    step.send_to_client(client, frame.with_id(Token::number(id.0)));
}
