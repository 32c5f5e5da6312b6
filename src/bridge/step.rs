//! One step: its time, the books, and what the bridge says in it.
//!
//! The face of the core makes one for every event and every deadline, and each
//! room gets it as the first argument of its functions.

use std::collections::VecDeque;

use crate::bridge::books::Books;
use crate::bridge::counters::Counters;
use crate::bridge::effect::Effect;
use crate::bridge::id::{ChannelId, ClientId};
use crate::bridge::notice::Notice;
use crate::bridge::time::Moment;
use crate::wire::OutgoingFrame;

/// What the bridge has to say: effects that nobody has taken yet, and the counts
/// of what was thrown away.
#[derive(Debug, Default)]
pub struct Outgoing {
    /// In the order in which they must be done.
    pub effects: VecDeque<Effect>,
    /// Nothing is lost without a count.
    pub counters: Counters,
}

impl Outgoing {
    /// Something is to be done, behind everything that is to be done already.
    pub fn push(&mut self, effect: Effect) {
        self.effects.push_back(effect);
    }
}

/// One step of the core.
#[derive(Debug)]
pub struct Step<'a> {
    /// When it happens; it never lies before the step that came before.
    pub now: Moment,
    /// What is known.
    pub books: &'a mut Books,
    /// What is said.
    pub outgoing: &'a mut Outgoing,
}

impl Step<'_> {
    /// Tells people and subscribers.
    pub fn publish(&mut self, notice: Notice) {
        self.effect(Effect::Publish(notice));
    }

    /// Sends a message to a client, if it is still there.
    pub fn send_to_client(&mut self, client: ClientId, frame: OutgoingFrame) {
        if self.books.client(client).is_some() {
            self.effect(Effect::ToClient { client, frame });
        }
    }

    /// Sends a message to the agent of a channel.
    pub fn send_to_channel(&mut self, channel: ChannelId, frame: OutgoingFrame) {
        self.effect(Effect::ToChannel { channel, frame });
    }

    /// Something is to be done, behind everything that is to be done already.
    pub fn effect(&mut self, effect: Effect) {
        self.outgoing.push(effect);
    }
}
