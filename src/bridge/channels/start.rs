//! A process is started: the budget of crashes, the cap on channels, the spawn.

use crate::bridge::books::channel::{Channel, State};
use crate::bridge::books::deadlines::Due;
use crate::bridge::channels::placement::Placement;
use crate::bridge::channels::{capacity, handshake};
use crate::bridge::effect::Effect;
use crate::bridge::id::{ChannelId, PoolId};
use crate::bridge::notice::Notice;
use crate::bridge::refusal::Refusal;
use crate::bridge::step::Step;

/// A new channel whose handshake the bridge itself begins.
pub fn with_handshake(
    step: &mut Step<'_>,
    pool: PoolId,
    key: Option<Box<str>>,
    cwd: &str,
) -> Placement {
    match process(step, cwd) {
        Ok(channel) => {
            if let Some(row) = step.books.channel_mut(channel) {
                row.key = key;
            }
            handshake::begin(step, channel, pool, None);
            Placement::On(channel)
        }
        Err(other) => other,
    }
}

/// A process without a handshake: one that was preheated, or a new one.
pub fn process(step: &mut Step<'_>, cwd: &str) -> Result<ChannelId, Placement> {
    let now = step.now;
    let spawned = step.books.channels.iter().find(|(_, row)| row.state == State::Spawned);
    if let Some((channel, _)) = spawned {
        return Ok(*channel);
    }
    let (limit, window) =
        (step.books.the_agent().restart_limit, step.books.the_agent().restart_window);
    if let Some(retry_after_ms) = step.books.restarts.refused_for(now, limit, window) {
        let (agent, last) = (step.books.agent_name(), step.books.restarts.last.clone());
        return Err(Placement::Refuse(Refusal::RestartLimit { agent, last, retry_after_ms }));
    }
    if now < step.books.restarts.not_before() {
        step.books.watch(Due::Placing);
        return Err(Placement::Wait);
    }
    capacity::for_channel(step)?;
    Ok(spawn(step, cwd))
}

fn spawn(step: &mut Step<'_>, cwd: &str) -> ChannelId {
    let now = step.now;
    // The row is there before the process: a kill in between finds it.
    let channel = step.books.add_channel(Channel::new(State::Spawned, None, now));
    step.publish(Notice::ChannelSpawning { channel });
    step.outgoing.effects.push_back(Effect::Spawn { channel, cwd: cwd.to_owned() });
    channel
}

/// Starts the process that is wanted before any client asks.
pub fn preheat(step: &mut Step<'_>, cwd: &str) {
    if !step.books.is_ending() && step.books.channels.is_empty() {
        spawn(step, cwd);
    }
}
