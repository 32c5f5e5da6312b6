//! Backpressure: what follows when a peer does not read, so that its outbox fills.
//!
//! A slow client pauses the agents that feed it. A client is never paused for an
//! agent: requests for an agent that does not read are refused, and notifications
//! beyond `MAX_UNREAD` bytes are dropped and counted.

use crate::bridge::id::{ChannelId, ClientId};
use crate::bridge::notice::Notice;
use crate::bridge::outgoing::answer;
use crate::bridge::refusal::Refusal;
use crate::bridge::step::Step;
use crate::wire::Frame;

/// Records that an agent's outbox is over its high mark (`over`), or under its low mark.
pub fn channel_mark_passed(step: &mut Step<'_>, channel: ChannelId, over: bool) {
    // The channel may have exited meanwhile.
    let Some(row) = step.books.channel_mut(channel) else { return };
    row.unread = over.then_some(0);
    if over {
        step.publish(Notice::AgentNotReading { channel });
    }
}

/// Refuses a request because the agent that it is for does not read.
pub fn refuse(step: &mut Step<'_>, client: ClientId, frame: &Frame) {
    let agent = step.books.agent_name_for(client);
    answer::refuse(step, client, frame, &Refusal::AgentNotReading { agent });
}
