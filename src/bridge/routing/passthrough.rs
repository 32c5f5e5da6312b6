//! Connections whose protocol version the bridge does not keep books for: one
//! client, one channel, only request ids are translated. No sharing, no queue,
//! no reaping.

use crate::wire::{Frame, Kind, Token};

use crate::bridge::Bridge;
use crate::bridge::books::call::{Asker, Call, Purpose, Question, Stage};
use crate::bridge::id::{ChannelId, ClientId, PoolId};
use crate::bridge::outgoing::compose;
use crate::bridge::refusal::Refusal;
use crate::bridge::time::Moment;

impl Bridge {
    /// A request or notification of a client that is carried.
    pub(in crate::bridge) fn carry_to_agent(
        &mut self,
        client: ClientId,
        pool: Option<PoolId>,
        frame: &Frame,
        now: Moment,
    ) {
        let channel = self.open_channels(pool).next();
        match (channel, frame.kind) {
            (Some(channel), Kind::Request) if self.is_clogged(channel) => {
                let agent = self.agent_name();
                self.refuse(client, &frame.id(), &Refusal::AgentNotReading { agent });
            }
            (Some(channel), Kind::Request) => {
                let id = self.registry.add_call(Call {
                    asker: Asker::Client(client, frame.id()),
                    purpose: Purpose::Connection { unknown: false },
                    channel: Some(channel),
                    session: None,
                    asked_at: now,
                    stage: Stage::Sent(now),
                });
                self.send_to_channel(channel, frame.with_id(Token::number(id.0)));
            }
            (Some(channel), _) => self.send_to_channel(channel, frame.whole()),
            (None, Kind::Request) => {
                let agent = self.agent_name();
                let reason = "its process ended; open a new connection".to_owned();
                self.refuse(client, &frame.id(), &Refusal::AgentStopped { agent, reason });
            }
            (None, _) => self.counters.unrouted += 1,
        }
    }

    /// A request of an agent whose client is carried.
    pub(in crate::bridge) fn carry_question(
        &mut self,
        channel: ChannelId,
        frame: &Frame,
        now: Moment,
    ) {
        let Some(client) = self.client_behind(channel) else {
            let method = frame.method_name().into_owned();
            let refusal = Refusal::NobodyToAsk { method };
            return self.send_to_channel(channel, compose::failure(&frame.id(), &refusal));
        };
        let id = self.registry.add_question(Question::new(channel, frame, vec![client], now));
        self.send_to_client(client, frame.with_id(Token::number(id.0)));
    }
}
