//! The home of a conversation: the channel that still holds it, or had it last. A restore or a
//! copy of it goes there, or waits until it is free.

use crate::bridge::books::call::{Call, Opening};
use crate::bridge::books::channel::{Channel, ChannelState, Login};
use crate::bridge::books::conversation::Wanted;
use crate::bridge::books::fence::Fence;
use crate::bridge::books::parked::Revival;
use crate::bridge::channels::obstacle::Obstacle;
use crate::bridge::channels::stop;
use crate::bridge::id::{AgentId, CallId, ChannelId, ClientId};
use crate::bridge::refusal::Refusal;
#[cfg(feature = "seeded-bugs")]
use crate::bridge::seeded;
use crate::bridge::sessions::close_call;
use crate::bridge::step::Step;

/// The home of a conversation that is to be restored.
pub enum Home {
    /// None: it may be restored on any channel.
    Free,
    /// This channel holds it, so that it must be restored there.
    At(ChannelId),
    /// It is live, or the agent has no record of it: the request is to be handled anew.
    Live,
}

/// The channel that had a closed session last, if it takes sessions.
pub fn last(step: &Step<'_>, client: ClientId, opening: &Opening) -> Option<ChannelId> {
    let (_, home) = step.books.stored(client, opening.public_id.as_ref()?);
    let takes_it = |row: &Channel| may_be_joined(row) && step.books.can_take_session(row);
    home.filter(|home| step.books.channel(*home).is_some_and(takes_it))
}

/// The home of a stored conversation. `Err`: it cannot be restored now.
pub fn of_restore(
    step: &mut Step<'_>,
    id: CallId,
    (client, opening): (ClientId, &Opening),
    agent: AgentId,
    source: &str,
) -> Result<Home, Obstacle> {
    let Some(wanted) = Wanted::by(client, opening) else { return Ok(Home::Free) };
    if let Some(key) = step.books.live(client, wanted.public_id, wanted.cwd) {
        // Earlier requests come first.
        return if step.books.is_revival_before(id, key) {
            Err(Obstacle::Wait)
        } else {
            Ok(Home::Live)
        };
    }
    let is_revival = opening.revives.is_some();
    let parked = step.books.parked_conversation(client, wanted.public_id, wanted.cwd);
    if let Some(row) = parked.and_then(|key| step.books.parked(key)).filter(|_| !is_revival) {
        if row.revival != Revival::None {
            // It is about to be live.
            return Err(Obstacle::Wait);
        }
        if !row.recipe.has_record {
            return Ok(Home::Live);
        }
    }
    let aliases = &step.books.agent(agent).aliases;
    // One that goes on behind a repeated login has a younger number, and has its channel.
    let earlier = aliases
        .restores(source)
        .filter(|other| *other != id)
        .filter_map(|other| Some((other, step.books.call(other)?)))
        .filter(|(_, call)| step.books.is_restore_of(wanted, call))
        // A client's own restore waits for the revival, and so not the other way round.
        .filter(|(_, call)| !is_revival || call.channel.is_some())
        .find(|(other, call)| (*other < id || call.channel.is_some()) && !call.is_overdue())
        .map(|(_, call)| call);
    match earlier.and_then(Call::opening) {
        Some(other) if other.kind == opening.kind || is_revival => return Err(Obstacle::Wait),
        Some(_) => return Err(Obstacle::Refuse(Refusal::RestoreUnderWay { id: source.into() })),
        None => {}
    }
    if opening.public_id.as_ref().is_some_and(|id| step.books.is_expected(agent, id)) {
        // An open that is under way may bring it.
        return Err(Obstacle::Wait);
    }
    match step.books.fence(agent, source, Some(wanted)) {
        Fence::Free => Ok(Home::Free),
        Fence::Reinstate(channel) => {
            let differences = step.books.differences(client, channel);
            if differences.is_empty() {
                return Ok(Home::At(channel));
            }
            let (id, names) = (source.into(), differences.join(", "));
            Err(Obstacle::Refuse(Refusal::SessionElsewhere { id, names }))
        }
        Fence::Leaving(channel) => {
            stop::hurry(step, id, channel);
            Err(Obstacle::Wait)
        }
        Fence::Unanswered(channel) => {
            close_call::resend_close(step, channel, source);
            Err(Obstacle::Refuse(Refusal::SessionFenced { id: source.into() }))
        }
        Fence::Live => Err(Obstacle::Refuse(Refusal::SessionFenced { id: source.into() })),
    }
}

/// Whether new sessions may go to a channel.
pub fn may_be_joined(row: &Channel) -> bool {
    #[cfg(feature = "seeded-bugs")]
    if seeded::is(seeded::Bug::JoinStoppingChannel) && row.is_stopping()
        || seeded::is(seeded::Bug::JoinDrainingChannel) && row.is_open()
    {
        return true;
    }
    match row.state {
        ChannelState::Ready => row.login != Login::Wanted,
        ChannelState::Starting { .. } => true,
        ChannelState::Spawned | ChannelState::Draining { .. } | ChannelState::Stopping { .. } => {
            false
        }
    }
}
