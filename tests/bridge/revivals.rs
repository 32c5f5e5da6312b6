//! Random histories of sessions that outlive their processes, and their bridge.
//!
//! All agents share one [store](agent::Store), and restore sessions with different manners; the
//! clients go on as if nothing were. A history is a row of steps in a [`world`](world::World), which
//! judges every line that an agent or a client gets.

mod agent;
mod client;
mod day;
mod steps;
mod world;

use proptest::prelude::*;

use crate::played::count_or;

use agent::{Fails, Manners, Modes};
use drawbridge::bridge::config::{AtCapacity, BackgroundWork, IdlePolicy, Share};
use drawbridge::bridge::{Config as BridgeConfig, Limit};
use world::World;

/// How many histories the ordinary run plays.
const ORDINARY: u32 = 2_000;

/// One thing that happens: to the client in the first place, in the second session.
#[derive(Clone, Copy, Debug)]
pub enum Step {
    Wait(u64),
    Connect(u8),
    Leave(u8),
    New(u8),
    /// So many prompts at once.
    Prompt(u8, u8, u8),
    SetMode(u8, u8, bool),
    Cancel(u8, u8),
    Close(u8, u8),
    Delete(u8, u8),
    Load(u8, u8),
    Attach(u8, u8),
    Detach(u8, u8),
    Heartbeat(u8),
    /// A process of an agent ends.
    Crash(u8),
    /// The agents take too much memory, or do not.
    Pressure(bool),
    /// The bridge ends without a word, and its agents with it, so many milliseconds later.
    Die(u64),
}

/// A history.
#[derive(Clone, Debug)]
pub struct Story {
    pub config: BridgeConfig,
    pub manners: Manners,
    pub steps: Vec<Step>,
}

fn pick<T: Clone>(byte: u8, of: &[T]) -> T {
    of[usize::from(byte) * of.len() / 256].clone()
}

fn config(bytes: [u8; 10]) -> BridgeConfig {
    let mut config = BridgeConfig::default();
    let limits = &mut config.limits;
    limits.is_succeeded = true;
    limits.session_reap_interval = Limit::After(100);
    limits.lost_client_timeout = pick(bytes[0], &[Limit::After(200), Limit::After(0)]);
    limits.lost_turn_timeout = Limit::After(300);
    limits.max_sessions = pick(bytes[1], &[0, 0, 2, 3]);
    limits.at_capacity =
        pick(bytes[2], &[AtCapacity::Evict, AtCapacity::Evict, AtCapacity::Refuse]);
    limits.memory_high_mb = 100;
    limits.replay_bytes = pick(bytes[3], &[0, 1 << 20]);
    let agent = &mut config.agent;
    agent.idle_policy =
        pick(bytes[4], &[IdlePolicy::Restorable, IdlePolicy::Restorable, IdlePolicy::Detached]);
    agent.background_work = pick(bytes[5], &[BackgroundWork::Ignore, BackgroundWork::Keep]);
    agent.attached_idle_timeout = pick(bytes[6], &[Limit::After(300), Limit::Never]);
    agent.session_idle_timeout = agent.attached_idle_timeout;
    agent.channel_idle_timeout =
        pick(bytes[7], &[Limit::After(0), Limit::After(100), Limit::Never]);
    agent.channel_max_sessions = pick(bytes[8], &[0, 0, 3]);
    agent.channel_max_age = pick(bytes[8] ^ 85, &[Limit::Never, Limit::After(1_000)]);
    agent.share = pick(bytes[9], &[Share::Agent, Share::Agent, Share::Session]);
    agent.session_open_timeout = pick(bytes[9] ^ 85, &[Limit::After(20_000), Limit::After(300)]);
    agent.restart_limit = 10_000;
    config
}

fn manners(bytes: [u8; 6]) -> Manners {
    let (resumes, loads) = pick(bytes[0], &[(true, true), (true, false), (false, true)]);
    Manners {
        resumes,
        loads,
        closes: pick(bytes[1], &[true, true, false]),
        is_late: pick(bytes[1] ^ 85, &[false, false, true]),
        modes: pick(bytes[2], &[Modes::Kept, Modes::Reset, Modes::Silent, Modes::Refused]),
        fails: pick(
            bytes[3],
            &[Fails::Never, Fails::Never, Fails::Dies, Fails::WantsLogin, Fails::Loses],
        ),
        open_millis: pick(bytes[4], &[0, 20, 400]),
        turn_millis: pick(bytes[5], &[0, 30, 500]),
        exit_millis: pick(bytes[5] ^ 85, &[0, 50]),
    }
}

fn step((kind, who, what): (u8, u8, u8)) -> Step {
    let (who, which) = (who % 3, what % 4);
    match kind {
        0..=9 => Step::Wait(u64::from(what % 16) * 10),
        10..=15 => Step::Wait(u64::from(what % 16) * 200),
        16..=20 => Step::Connect(who),
        21 => Step::Leave(who),
        22..=26 => Step::New(who),
        27..=44 => Step::Prompt(who, which, 1 + what / 86),
        45..=48 => Step::SetMode(who, which, what < 128),
        49..=50 => Step::Cancel(who, which),
        51 => Step::Close(who, which),
        52 => Step::Delete(who, which),
        53..=55 => Step::Load(who, which),
        56..=57 => Step::Attach(who, which),
        58 => Step::Detach(who, which),
        59 => Step::Heartbeat(who),
        60..=66 => Step::Crash(what),
        67..=68 => Step::Pressure(what < 128),
        _ => Step::Die(if what < 128 { 0 } else { 150 }),
    }
}

fn stories() -> impl Strategy<Value = Story> {
    let steps = prop::collection::vec((0..72_u8, any::<u8>(), any::<u8>()), 20..70);
    let bytes = (prop::array::uniform10(any::<u8>()), prop::array::uniform6(any::<u8>()));
    (bytes, steps).prop_map(|((of_config, of_manners), steps)| Story {
        config: config(of_config),
        manners: manners(of_manners),
        steps: steps.into_iter().map(step).collect(),
    })
}

/// Plays a history; says what went wrong, and when.
fn run(story: &Story) -> Result<(), String> {
    let mut world = World::new(story)?;
    for (place, step) in story.steps.iter().enumerate() {
        world.take(*step).map_err(|what| format!("step {place} {step:?}: {what}"))?;
    }
    world.end().map_err(|what| format!("at the end: {what}"))
}

/// Plays histories until one fails, and gives back the smallest that fails likewise.
pub fn play(count: u32, shrink: bool) -> Result<(), String> {
    let outcome = crate::played::play(&stories(), count, shrink, run);
    outcome.map_err(|(why, story)| match story {
        Some(story) => {
            format!("{why}\n{:?}\n{:?}\n{:?}", story.steps, story.manners, story.config)
        }
        None => why,
    })
}

#[test]
fn nobody_loses_anything_when_processes_and_bridges_end() {
    play(count_or(ORDINARY), true).unwrap_or_else(|why| panic!("{why}"));
}
