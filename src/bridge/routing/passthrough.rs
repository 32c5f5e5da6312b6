//! Connections whose protocol version the bridge does not keep books for: one
//! client, one channel, only request ids are translated. No sharing, no queue,
//! no reaping.

use crate::bridge::books::call::{Asker, Call, Purpose, Question, Stage};
use crate::bridge::id::{ChannelId, ClientId, PoolId};
use crate::bridge::outgoing::{answer, compose};
use crate::bridge::refusal::Refusal;
use crate::bridge::step::Step;
use crate::wire::{Frame, Kind, Token};

/// A request or notification of a client that is carried.
pub fn to_agent(step: &mut Step<'_>, client: ClientId, pool: Option<PoolId>, frame: &Frame) {
    let now = step.now;
    let channel = step.books.open_channels(pool).next();
    match (channel, frame.kind) {
        (Some(channel), Kind::Request) if step.books.is_clogged(channel) => {
            let agent = step.books.agent_name();
            answer::refuse(step, client, &frame.id(), &Refusal::AgentNotReading { agent });
        }
        (Some(channel), Kind::Request) => {
            let id = step.books.add_call(Call {
                asker: Asker::Client(client, frame.id()),
                purpose: Purpose::Connection { unknown: false },
                channel: Some(channel),
                session: None,
                asked_at: now,
                stage: Stage::Sent(now),
            });
            step.send_to_channel(channel, frame.with_id(Token::number(id.0)));
        }
        (Some(channel), _) => step.send_to_channel(channel, frame.whole()),
        (None, Kind::Request) => {
            let agent = step.books.agent_name();
            let reason = "its process ended; open a new connection".to_owned();
            answer::refuse(step, client, &frame.id(), &Refusal::AgentStopped { agent, reason });
        }
        (None, _) => step.outgoing.counters.unrouted += 1,
    }
}

/// A request of an agent whose client is carried.
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
