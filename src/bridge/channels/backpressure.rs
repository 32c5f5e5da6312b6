//! Pressure: peers that do not take what is written for them.
//!
//! A slow client pauses the agents that feed it. A client is never paused for an
//! agent: what is for an agent that does not read is refused or, past a bound,
//! thrown away and counted.

use crate::bridge::id::{ChannelId, ClientId};
use crate::bridge::notice::Notice;
use crate::bridge::outgoing::answer;
use crate::bridge::refusal::Refusal;
use crate::bridge::step::Step;
use crate::wire::Frame;

/// A client's outbox went over its mark, or under it.
pub fn client_saturated(step: &mut Step<'_>, client: ClientId, over: bool) {
    if let Some(row) = step.books.client_mut(client) {
        row.saturated = over;
    }
    step.books.touch_all_channels();
}

/// An agent's outbox went over its mark, or under it.
pub fn channel_saturated(step: &mut Step<'_>, channel: ChannelId, over: bool) {
    // It may have exited meanwhile.
    let Some(row) = step.books.channel_mut(channel) else { return };
    row.unread = over.then_some(0);
    if over {
        step.publish(Notice::AgentNotReading { channel });
    }
}

/// Refuses a request because the agent that it is for does not read.
pub fn refuse(step: &mut Step<'_>, client: ClientId, frame: &Frame) {
    let agent = step.books.agent_name_for(client);
    answer::refuse(step, client, &frame.id(), &Refusal::AgentNotReading { agent });
}
