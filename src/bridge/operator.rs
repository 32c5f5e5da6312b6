//! The wishes of a person, which come by the control socket.

use crate::bridge::books::channel::ChannelState;
use crate::bridge::books::tenure::Leaving;
use crate::bridge::channels::stop;
use crate::bridge::event::Order;
use crate::bridge::id::{ChannelId, SessionKey};
use crate::bridge::reason::{EndReason, LossReason, StopReason};
use crate::bridge::refusal::Refusal;
use crate::bridge::sessions::close::{self, Ending};
use crate::bridge::sessions::{cancel, park};
use crate::bridge::step::Step;

/// Does what a person wants. A row that is gone meanwhile has nothing more to be asked for.
pub fn obey(step: &mut Step<'_>, order: Order) {
    match order {
        Order::Close(key) => close_session(step, key),
        Order::CancelTurn(key) => {
            if step.books.session(key).is_some() {
                cancel::whole_turn(step, key);
            }
        }
        Order::Drain(channel) => drain(step, channel),
        Order::Stop(channel) => stop::begin(step, channel, StopReason::Operator),
        Order::EndWhenIdle => step.books.leave(Leaving::WhenIdle),
    }
}

fn close_session(step: &mut Step<'_>, key: SessionKey) {
    let reason = EndReason::Operator;
    if step.books.parked(key).is_some() {
        return park::removed(step, key, reason);
    }
    let Some(session) = step.books.session(key) else { return };
    let id = session.id.to_string();
    let refusal = Refusal::SessionEnded { id, reason: LossReason::Ended(reason) };
    close::end_session(step, key, reason, Ending::Overruled(&refusal));
}

/// Drains a channel. One that nobody was promised yet is stopped; see
/// [`View::obstacle_to_drain`](crate::bridge::View::obstacle_to_drain) for those that cannot be
/// drained.
fn drain(step: &mut Step<'_>, channel: ChannelId) {
    if step.books.obstacle_to_drain(channel).is_some() {
        return;
    }
    match step.books.channel(channel).map(|row| &row.state) {
        Some(ChannelState::Spawned) => stop::begin(step, channel, StopReason::Operator),
        _ => stop::drain(step, channel, StopReason::Operator),
    }
}
