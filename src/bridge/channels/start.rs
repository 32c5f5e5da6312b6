//! How a channel's process is started: within the restart limit and the limit on
//! channels.

use crate::bridge::books::call::{Asker, Call, Purpose, Stage};
use crate::bridge::books::channel::{Channel, ChannelState, Wrote};
use crate::bridge::books::restarts::Start;
use crate::bridge::channels::capacity;
use crate::bridge::channels::obstacle::Obstacle;
use crate::bridge::effect::Effect;
use crate::bridge::environment::Origin;
use crate::bridge::id::{AgentId, CallId, ChannelId, ClientId, PoolId};
use crate::bridge::notice::Notice;
use crate::bridge::outgoing::send;
use crate::bridge::refusal::Refusal;
use crate::bridge::step::Step;

/// Starts a channel, or takes a preheated one, and begins its handshake with the
/// `initialize` that the pool keeps.
pub fn with_handshake(
    step: &mut Step<'_>,
    pool: PoolId,
    key: Option<Box<str>>,
    from: (Origin, &str),
) -> Result<ChannelId, Obstacle> {
    let channel = process(step, pool, from)?;
    if let Some(row) = step.books.channel_mut(channel) {
        row.shared_cwd = key;
    }
    begin_handshake(step, channel, pool, None);
    Ok(channel)
}

/// Starts a channel that is to take the place of another, if it may be started now and there
/// is room: nothing else gives way for it.
pub fn successor(step: &mut Step<'_>, pool: PoolId, key: Option<Box<str>>) -> Option<ChannelId> {
    let row = step.books.pool(pool)?;
    let (agent, origin) = (row.agent, row.origin());
    let cwd = key.clone().unwrap_or_else(|| origin.home.clone());
    let may_start = matches!(step.books.may_start(pool, step.now), Start::Now);
    if step.books.is_ending() || !may_start || !capacity::has_room(step) {
        return None;
    }
    let channel = spawn(step, agent, (origin, &cwd));
    if let Some(row) = step.books.channel_mut(channel) {
        row.shared_cwd = key;
    }
    begin_handshake(step, channel, pool, None);
    Some(channel)
}

/// Sends `initialize` to a channel: the client's own `call`, or, with `None`, the one
/// that the pool keeps.
pub fn begin_handshake(
    step: &mut Step<'_>,
    channel: ChannelId,
    pool: PoolId,
    call: Option<CallId>,
) {
    let now = step.now;
    let Some(row) = step.books.pool(pool) else { return step.books.absent(pool) };
    let (agent, kept) = (row.agent, row.initialize.clone());
    let starting = ChannelState::Starting { since: now, slow: false, wrote: Wrote::Nothing };
    step.books.set_state(channel, starting);
    if let Some(row) = step.books.channel_mut(channel) {
        row.pool = Some(pool);
    }
    let id = match call {
        Some(id) => {
            step.books.move_call(id, Some(channel));
            id
        }
        None => {
            let stage = Stage::Held(Box::new(kept));
            let (asker, purpose) = (Asker::Nobody, Purpose::Initialize);
            let call = Call::on_channel((agent, channel), asker, purpose, stage, now);
            step.books.add_call(call)
        }
    };
    send::held(step, id);
}

/// A channel whose handshake has not begun: a preheated one, or a new one that is started from
/// this place, in this directory.
pub fn process(
    step: &mut Step<'_>,
    pool: PoolId,
    from: (Origin, &str),
) -> Result<ChannelId, Obstacle> {
    let now = step.now;
    let Some(agent) = step.books.pool(pool).map(|row| row.agent) else {
        step.books.absent(pool);
        return Err(Obstacle::Wait);
    };
    let is_preheated = |row: &Channel| {
        row.agent == agent && row.state == ChannelState::Spawned && row.origin == from.0
    };
    let preheated = step.books.channels().iter().find(|(_, row)| is_preheated(row));
    if let Some((channel, _)) = preheated {
        return Ok(*channel);
    }
    match step.books.may_start(pool, now) {
        Start::Now => {}
        Start::Later => return Err(Obstacle::Wait),
        Start::Refused { last, retry_after_ms } => {
            let agent = step.books.agent(agent).config.name.clone();
            return Err(Obstacle::Refuse(Refusal::RestartLimit { agent, last, retry_after_ms }));
        }
    }
    capacity::for_channel(step)?;
    Ok(spawn(step, agent, from))
}

fn spawn(step: &mut Step<'_>, agent: AgentId, (origin, cwd): (Origin, &str)) -> ChannelId {
    let now = step.now;
    // The row is there before the process, so that a kill in between finds the row.
    let channel = step.books.add_channel(Channel::new(agent, origin.clone(), now));
    step.publish(Notice::ChannelSpawning { channel });
    step.effect(Effect::Spawn { channel, agent, origin, cwd: cwd.to_owned() });
    channel
}

/// Preheats the agent of a client, unless there is a channel already.
pub fn preheat(step: &mut Step<'_>, client: ClientId) {
    // The client may be gone.
    let Some(agent) = step.books.client(client).map(|row| row.agent) else { return };
    let Some(origin) = step.books.origin(client) else { return };
    if !step.books.is_ending() && step.books.channels().is_empty() {
        let cwd = origin.home.clone();
        spawn(step, agent, (origin, &cwd));
    }
}
