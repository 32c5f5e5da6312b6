//! Connections whose protocol version is not 1, called passthrough: one client, one channel,
//! only request ids are translated. No sharing, no queue, no reaping.

use crate::bridge::books::call::{Asker, Call, Purpose};
use crate::bridge::channels::backpressure;
use crate::bridge::id::{ChannelId, ClientId, PoolId};
use crate::bridge::outgoing::{answer, compose, dropped, send};
use crate::bridge::reason::DropReason;
use crate::bridge::refusal::Refusal;
use crate::bridge::sessions::question;
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
            let (place, stage) = ((agent, channel), step.books.sent_now(channel, now));
            let call = Call::on_channel(place, asker, purpose, stage, now);
            let id = step.books.add_call(call);
            step.send_to_channel(channel, frame.with_id(Token::number(id.0)));
        }
        (Some(channel), _) => {
            send::pass_notification(step, channel, (client, frame), frame.whole());
        }
        (None, FrameKind::Request) => {
            let agent = step.books.agent_name_for(client);
            answer::refuse(step, client, frame, &Refusal::AgentGone { agent });
        }
        (None, _) => dropped::of_client(step, client, frame, DropReason::NoReceiver),
    }
}

/// Passes a request of an agent on to its passthrough client.
pub fn to_client(step: &mut Step<'_>, channel: ChannelId, frame: &Frame) {
    let Some(client) = step.books.clients_of(channel).first().copied() else {
        let method = frame.method_name().into_owned();
        let refusal = Refusal::NobodyToAsk { method };
        return step.send_to_channel(channel, compose::failure(&frame.id(), &refusal));
    };
    question::of_passthrough(step, channel, client, frame);
}
