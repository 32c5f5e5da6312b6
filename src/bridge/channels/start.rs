//! How a channel's process is started: within the restart limit and the limit on
//! channels.

use crate::bridge::books::channel::{Channel, ChannelState};
use crate::bridge::books::restarts::Start;
use crate::bridge::channels::capacity::NoRoom;
use crate::bridge::channels::{capacity, handshake};
use crate::bridge::effect::Effect;
use crate::bridge::id::{AgentId, ChannelId, PoolId};
use crate::bridge::notice::Notice;
use crate::bridge::refusal::Refusal;
use crate::bridge::step::Step;

/// Starts a channel, or takes a preheated one, and begins its handshake with the
/// `initialize` that the pool keeps.
pub fn with_handshake(
    step: &mut Step<'_>,
    pool: PoolId,
    key: Option<Box<str>>,
    cwd: &str,
) -> Result<ChannelId, NoRoom> {
    let channel = process(step, pool, cwd)?;
    if let Some(row) = step.books.channel_mut(channel) {
        row.shared_cwd = key;
    }
    handshake::begin(step, channel, pool, None);
    Ok(channel)
}

/// A channel whose handshake has not begun: a preheated one, or a new one.
pub fn process(step: &mut Step<'_>, pool: PoolId, cwd: &str) -> Result<ChannelId, NoRoom> {
    let now = step.now;
    let Some(agent) = step.books.pool(pool).map(|row| row.agent) else {
        step.books.absent(pool);
        return Err(NoRoom::Wait);
    };
    let is_preheated = |row: &Channel| row.agent == agent && row.state == ChannelState::Spawned;
    let preheated = step.books.channels().iter().find(|(_, row)| is_preheated(row));
    if let Some((channel, _)) = preheated {
        return Ok(*channel);
    }
    match step.books.may_start(pool, now) {
        Start::Now => {}
        Start::Later => return Err(NoRoom::Wait),
        Start::Refused { last, retry_after_ms } => {
            let agent = step.books.agent(agent).config.name.clone();
            return Err(NoRoom::Refuse(Refusal::RestartLimit { agent, last, retry_after_ms }));
        }
    }
    capacity::for_channel(step)?;
    Ok(spawn(step, agent, cwd))
}

fn spawn(step: &mut Step<'_>, agent: AgentId, cwd: &str) -> ChannelId {
    let now = step.now;
    // The row is there before the process, so that a kill in between finds the row.
    let channel = step.books.add_channel(Channel::new(agent, now));
    step.publish(Notice::ChannelSpawning { channel });
    step.effect(Effect::Spawn { channel, cwd: cwd.to_owned() });
    channel
}

/// Preheats the default agent, unless there is a channel already.
pub fn preheat(step: &mut Step<'_>, cwd: &str) {
    if !step.books.is_ending() && step.books.channels().is_empty() {
        let agent = step.books.default_agent();
        spawn(step, agent, cwd);
    }
}
