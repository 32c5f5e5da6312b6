//! One step: its time, the books, and what the bridge says in it.
//!
//! [`Bridge`](crate::bridge::Bridge) makes one for each call of `handle` and
//! `handle_timeout`, and each room gets it as the first argument of its functions.

use std::collections::VecDeque;

use crate::bridge::books::Books;
use crate::bridge::counters::Counters;
use crate::bridge::effect::Effect;
use crate::bridge::id::{ChannelId, ClientId, Lane};
use crate::bridge::measures::Measures;
use crate::bridge::notice::Notice;
#[cfg(feature = "seeded-bugs")]
use crate::bridge::seeded;
use crate::bridge::time::Moment;
use crate::wire::OutgoingFrame;

/// The output of the core: effects that the runtime has not taken yet, and the
/// counters.
#[derive(Debug, Default)]
pub struct Outgoing {
    /// The effects, in the order in which they must be carried out.
    pub effects: VecDeque<Effect>,
    /// The counters: nothing is thrown away without a count.
    pub counters: Counters,
    /// The measures.
    pub measures: Measures,
    /// Whether somebody follows what happens: turns are told only then.
    pub is_followed: bool,
}

impl Outgoing {
    /// Adds an effect behind those that were not taken yet.
    pub fn push(&mut self, effect: Effect) {
        self.effects.push_back(effect);
    }
}

/// One step of the core.
#[derive(Debug)]
pub struct Step<'a> {
    /// The moment of the step, never before that of an earlier step.
    pub now: Moment,
    /// The books.
    pub books: &'a mut Books,
    /// The effects and the counters.
    pub outgoing: &'a mut Outgoing,
}

impl Step<'_> {
    /// Publishes a notice, which the runtime logs.
    pub fn publish(&mut self, notice: Notice) {
        self.effect(Effect::Publish(notice));
    }

    /// Sends a message to a client, if it is still connected.
    pub fn send_to_client(
        &mut self,
        client: ClientId,
        lane: impl Into<Lane>,
        frame: OutgoingFrame,
    ) {
        let lane = lane.into();
        #[cfg(feature = "seeded-bugs")]
        let lane = match self.books.newest_open_channel() {
            Some(newest) if seeded::is(seeded::Bug::LaneOfNewestChannel) => newest.into(),
            _ => lane,
        };
        self.tell_attachments();
        if self.books.client(client).is_some() {
            self.effect(Effect::ToClient { client, lane, frame });
        }
    }

    /// Adds the effects of clients that were attached or detached since the last call: the
    /// connection of a client knows of a session before the client gets a message about it.
    pub fn tell_attachments(&mut self) {
        // Nearly every step has none, and every message comes past here.
        if !self.books.has_attachments() {
            return;
        }
        for effect in self.books.take_attachments() {
            self.effect(effect);
        }
    }

    /// Sends a message to the agent of a channel.
    pub fn send_to_channel(&mut self, channel: ChannelId, frame: OutgoingFrame) {
        self.effect(Effect::ToChannel { channel, frame });
    }

    /// Adds an effect behind those that were not taken yet.
    pub fn effect(&mut self, effect: Effect) {
        self.outgoing.push(effect);
    }
}
