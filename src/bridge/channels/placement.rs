//! Which channel a call goes to. The one place where "the current channel" is
//! asked for; it is computed from facts and stored nowhere (I2).
//!
//! A call that cannot be placed yet stays unplaced and is tried again at the end of
//! every step. It waits for room, for the pause after a crash, for an earlier restore
//! of the same conversation, or for a channel that may still hold the conversation.

use std::cmp::Reverse;

use crate::bridge::books::call::{Call, OpenKind, Opening, Purpose};
use crate::bridge::books::channel::{Channel, Login};
use crate::bridge::books::conversation::Wanted;
use crate::bridge::books::fence::Fence;
use crate::bridge::books::tombstones::Hold;
use crate::bridge::channels::home::{self, Home};
use crate::bridge::channels::obstacle::{self, Obstacle};
use crate::bridge::channels::{capacity, retirement, start, waiting};
use crate::bridge::config::Share;
use crate::bridge::environment::Origin;
use crate::bridge::id::{CallId, ChannelId, ClientId, PoolId};
use crate::bridge::outgoing::answer;
use crate::bridge::refusal::Refusal;
use crate::bridge::sessions::open;
use crate::bridge::step::Step;

/// Where a call goes.
enum Placement {
    /// To this channel, now or when it is ready.
    On(ChannelId),
    /// Nowhere yet: it stays unplaced.
    Wait,
    /// Nowhere: it is refused with this.
    Refuse(Refusal),
    /// To the live session: what the call would restore is open already.
    AlreadyLive,
}

impl From<Obstacle> for Placement {
    fn from(obstacle: Obstacle) -> Self {
        match obstacle {
            Obstacle::Wait => Placement::Wait,
            Obstacle::Refuse(refusal) => Placement::Refuse(refusal),
        }
    }
}

/// Tries to place every call that waits, in the order in which they came.
pub fn place_waiting(step: &mut Step<'_>) {
    let waiting: Vec<CallId> = step.books.unplaced().iter().copied().collect();
    for id in waiting {
        place(step, id);
    }
}

fn place(step: &mut Step<'_>, id: CallId) {
    // Placing an earlier call may have ended this one.
    let Some(call) = step.books.call(id) else { return };
    if step.books.is_ending() {
        // During a shutdown no call is placed.
        answer::fail(step, id, &Refusal::ShuttingDown);
        return;
    }
    let agent = call.agent;
    let Some((client, pool)) =
        call.client().and_then(|client| Some((client, step.books.client(client)?.pool?)))
    else {
        // No client waits for this call any more.
        step.books.take_call(id);
        return;
    };
    let placement = match call.purpose.clone() {
        Purpose::Initialize => place_handshake(step, id, client, pool),
        Purpose::Open(opening) => place_open(step, id, &opening, (client, pool)),
        Purpose::Stored { id, home, .. } => place_stored(step, &id, home, (client, pool)),
        Purpose::PassedOn { id: passing, home, .. } => {
            place_unknown(step, id, &passing, home, (client, pool))
        }
        Purpose::BehindOpen(_) => Placement::Wait,
        Purpose::Login(_) => place_login(step, client, pool),
        _ => place_anywhere(step, client, pool),
    };
    match placement {
        Placement::On(channel) if step.books.does_not_read(channel) => {
            let agent = step.books.agent(agent).config.name.clone();
            answer::fail(step, id, &Refusal::AgentNotReading { agent });
        }
        Placement::On(channel) => {
            step.books.move_call(id, Some(channel));
            if let Some(row) = step.books.client_mut(client) {
                row.served_by = Some(channel);
            }
            waiting::send_when_ready(step, id);
        }
        Placement::Wait => {}
        Placement::Refuse(refusal) => {
            answer::fail(step, id, &refusal);
        }
        Placement::AlreadyLive => open::again(step, id),
    }
}

/// The consequence of an obstacle to an open. A session that was here before waits for room as long
/// as its open may take: nobody expects a refusal of a session that he has.
fn within_time(obstacle: Obstacle, opening: &Opening) -> Placement {
    match obstacle {
        Obstacle::Refuse(Refusal::SessionLimit { .. } | Refusal::ChannelLimit { .. })
            if opening.revives.is_some() =>
        {
            Placement::Wait
        }
        obstacle => obstacle.into(),
    }
}

/// A channel of its own for a session that was being restored when the process ended that it was
/// restored in.
fn alone(step: &mut Step<'_>, pool: PoolId, from: (Origin, &str)) -> Placement {
    match start::with_handshake(step, pool, None, from) {
        Ok(channel) => {
            if let Some(row) = step.books.channel_mut(channel) {
                row.is_for_one = true;
            }
            Placement::On(channel)
        }
        Err(obstacle) => obstacle.into(),
    }
}

fn place_handshake(step: &mut Step<'_>, id: CallId, client: ClientId, pool: PoolId) -> Placement {
    retirement::note_age(step, pool);
    let answers = |row: &Channel| row.pool == Some(pool) && (row.is_starting() || row.is_open());
    let found = step.books.channels().iter().filter(|(_, row)| answers(row));
    // The answer of an agent that was updated is the old one.
    let best = found.min_by_key(|(id, row)| (row.is_outdated(), **id)).map(|(id, _)| *id);
    let Some(origin) = step.books.origin(client) else { return Placement::Wait };
    let cwd = origin.home.clone();
    let placed = or_successor(step, pool, best, |step| {
        let channel = start::process(step, pool, (origin, &cwd))?;
        start::begin_handshake(step, channel, pool, Some(id));
        Ok(channel)
    });
    placed.map_or_else(Into::into, Placement::On)
}

/// The best channel for a call, or one that is started in its place if there is none or it is
/// outdated. An outdated one serves on while none can be started.
fn or_successor(
    step: &mut Step<'_>,
    pool: PoolId,
    best: Option<ChannelId>,
    start: impl FnOnce(&mut Step<'_>) -> Result<ChannelId, Obstacle>,
) -> Result<ChannelId, Obstacle> {
    let Some(best) = best else { return start(step) };
    let is_outdated = step.books.channel(best).is_some_and(Channel::is_outdated);
    let may_try = step.books.pool(pool).is_some_and(|row| row.may_try_successor(step.now));
    // Nothing is stopped to make room for a process that may fail.
    if is_outdated && may_try && capacity::has_room(step) {
        start(step).or(Ok(best))
    } else {
        Ok(best)
    }
}

fn place_open(
    step: &mut Step<'_>,
    id: CallId,
    opening: &Opening,
    (client, pool): (ClientId, PoolId),
) -> Placement {
    let Some(agent) = step.books.call(id).map(|call| call.agent) else {
        step.books.absent(id);
        return Placement::Wait;
    };
    if let Err(obstacle) = obstacle::elsewhere(step, opening) {
        return obstacle.into();
    }
    let home = match (opening.restores(), opening.kind) {
        (Some(source), _) => match home::of_restore(step, id, (client, opening), agent, source) {
            Ok(Home::Free) => None,
            Ok(Home::At(channel)) => Some(channel),
            Ok(Home::Live) => return Placement::AlreadyLive,
            Err(obstacle) => return obstacle.into(),
        },
        // A live session is forked on its own channel, and a stored one where it was last.
        (None, OpenKind::Fork) => {
            let live = step.books.channel_of(client, opening);
            let live = live.filter(|live| step.books.differences(client, *live).is_empty());
            live.or_else(|| home::last(step, client, opening))
        }
        (None, _) => None,
    };
    if let Err(obstacle) = capacity::for_session(step, id) {
        return within_time(obstacle, opening);
    }
    if let Some(channel) = home {
        return Placement::On(channel);
    }
    let share = step.books.agent(agent).config.share;
    let cwd: Box<str> = if opening.cwd.is_empty() || share == Share::Agent {
        step.books.client_cwd(client).into()
    } else {
        opening.cwd.clone()
    };
    let key = (share != Share::Agent).then(|| cwd.clone());
    let Some(origin) = step.books.origin(client) else { return Placement::Wait };
    let wanted = opening.restores().zip(Wanted::by(client, opening));
    let placement = match step.books.is_alone(opening) {
        true => alone(step, pool, (origin, &cwd)),
        false => current(step, (pool, wanted), key, (origin, &cwd)),
    };
    let placement = match placement {
        Placement::Refuse(refusal) => within_time(Obstacle::Refuse(refusal), opening),
        placement => placement,
    };
    if let (Placement::On(channel), OpenKind::Fork) = (&placement, opening.kind)
        && let (Some(source), Some(named)) = (&opening.agent_id, &opening.public_id)
        && step.books.means_another(*channel, source, named)
    {
        // The fork would copy another conversation.
        return Placement::Refuse(Refusal::SessionFenced { id: named.to_string() });
    }
    placement
}

/// Places a request about a stored conversation that is not live: on `home`, the channel
/// that had it last, once the close of it is over. Without `home`, or if `home` takes no
/// requests, the fence decides.
fn place_stored(
    step: &mut Step<'_>,
    stored: &str,
    home: Option<ChannelId>,
    (client, pool): (ClientId, PoolId),
) -> Placement {
    let at_home = home.and_then(|id| Some((id, step.books.channel(id)?)));
    if let Some((channel, row)) = at_home.filter(|(_, row)| row.is_open()) {
        let is_closing = row
            .tombstones
            .get(stored)
            .is_some_and(|tomb| matches!(tomb.hold(), Hold::Closing(_) | Hold::ResendClose));
        return if is_closing { Placement::Wait } else { Placement::On(channel) };
    }
    let Some(agent) = step.books.client(client).map(|row| row.agent) else {
        step.books.absent(client);
        return Placement::Wait;
    };
    match step.books.fence(agent, stored, None) {
        Fence::Reinstate(channel) => Placement::On(channel),
        Fence::Leaving(_) => Placement::Wait,
        // A live session has this id at its agent, but clients know it by another: the
        // request means another conversation, and must not reach this one.
        Fence::Live => Placement::Refuse(Refusal::SessionFenced { id: stored.to_owned() }),
        Fence::Free | Fence::Unanswered(_) => place_anywhere(step, client, pool),
    }
}

/// Places a request about an id that the books do not know: on `home`, the channel that had
/// it last, else on the one that served the client last. From then on the id is a passing id
/// of that channel.
fn place_unknown(
    step: &mut Step<'_>,
    id: CallId,
    agent_id: &str,
    home: Option<ChannelId>,
    (client, pool): (ClientId, PoolId),
) -> Placement {
    let is_open = |id: &ChannelId| step.books.channel(*id).is_some_and(Channel::is_open);
    let placement = match home.filter(is_open) {
        Some(home) => Placement::On(home),
        None => place_anywhere(step, client, pool),
    };
    let Placement::On(channel) = placement else { return placement };
    let Some(named) = step.books.call(id).and_then(Call::held_session) else { return placement };
    if step.books.means_another(channel, agent_id, &named) {
        return Placement::Refuse(Refusal::UnknownSession { id: named });
    }
    placement
}

/// Places a login: on a channel that refused an open for want of one, else on one
/// without a login, else on any.
fn place_login(step: &mut Step<'_>, client: ClientId, pool: PoolId) -> Placement {
    let wanting = step
        .books
        .channels()
        .iter()
        .filter(|(_, row)| row.pool == Some(pool) && row.is_open())
        .filter(|(_, row)| !matches!(row.login, Login::Done { .. }))
        .max_by_key(|(id, row)| (row.login == Login::Wanted, Reverse(**id)));
    match wanting {
        Some((channel, _)) => Placement::On(*channel),
        None => place_anywhere(step, client, pool),
    }
}

/// Places a request without a session: on the channel that served this client last,
/// otherwise on any of the pool.
fn place_anywhere(step: &mut Step<'_>, client: ClientId, pool: PoolId) -> Placement {
    let serves = |row: &Channel| row.pool == Some(pool) && !row.is_stopping();
    let last = step.books.client(client).and_then(|row| row.served_by);
    let channels = step.books.channels();
    if let Some(channel) = last.filter(|id| channels.get(id).is_some_and(serves)) {
        return Placement::On(channel);
    }
    let best = channels
        .iter()
        .filter(|(_, row)| serves(row))
        .max_by_key(|(id, row)| (row.is_open(), Reverse(**id)));
    if let Some((channel, _)) = best {
        return Placement::On(*channel);
    }
    let Some(origin) = step.books.origin(client) else { return Placement::Wait };
    let cwd = origin.home.clone();
    start::with_handshake(step, pool, None, (origin, &cwd)).map_or_else(Into::into, Placement::On)
}

/// The channel that new sessions of this pool and key go to: the fullest ready
/// one with room that is not outdated, the lowest id among equals; else one that
/// is starting; else a new one; while none can be started, one that is outdated.
/// None that would confuse what is `wanted` with another conversation of that id.
/// `key` is the working directory that all sessions of the channel must share;
/// `None`: they need not.
fn current(
    step: &mut Step<'_>,
    (pool, wanted): (PoolId, Option<(&str, Wanted<'_>)>),
    key: Option<Box<str>>,
    from: (Origin, &str),
) -> Placement {
    retirement::before_placing(step, pool);
    let best = step
        .books
        .channels()
        .iter()
        .filter(|(_, row)| row.pool == Some(pool) && home::may_be_joined(row))
        .filter(|(_, row)| row.shared_cwd.is_none() || row.shared_cwd == key)
        .filter(|(_, row)| step.books.can_take_session(row))
        .filter(|(channel, row)| {
            let place = (**channel, *row);
            wanted.is_none_or(|(id, wanted)| !step.books.has_another(place, id, wanted))
        })
        .max_by_key(|(id, row)| {
            (!row.is_outdated(), row.is_open(), step.books.load(row), Reverse(**id))
        });
    let best = best.map(|(id, _)| *id);
    let placed =
        or_successor(step, pool, best, |step| start::with_handshake(step, pool, key.clone(), from));
    let channel = match placed {
        Ok(channel) => channel,
        Err(obstacle) => return obstacle.into(),
    };
    if let Some(row) = step.books.channel_mut(channel).filter(|row| row.shared_cwd != key) {
        row.shared_cwd = key;
        // Those of this directory may have waited for it.
        step.books.touch_predecessors(channel);
    }
    Placement::On(channel)
}
