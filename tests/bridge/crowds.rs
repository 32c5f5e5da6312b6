//! Random histories of a few conversations among many clients, which come and go, join, watch,
//! decide and do not read.
//!
//! The agents are polite here, so that the rules can be strict; agents and clients with bad
//! manners are in [`histories`](super::histories). A history is a row of steps in a
//! [`world`](world::World), which judges what every client gets of each.

mod conversation;
mod steps;
mod world;

use proptest::prelude::*;

use crate::played::count_or;

use drawbridge::bridge::config::{PermissionPolicy, Restore, Share};
use drawbridge::bridge::{Config as BridgeConfig, Limit};
use world::World;

/// How many histories the ordinary run plays.
const ORDINARY: u32 = 4_000;

/// One thing that happens: to the client in the first place, in the second conversation.
#[derive(Clone, Copy, Debug)]
pub enum Step {
    Wait(u64),
    Connect(u8),
    Lose(u8),
    New(u8),
    Prompt(u8, u8),
    Load(u8, u8),
    Resume(u8, u8),
    Attach(u8, u8),
    Detach(u8, u8),
    Says(u8),
    State(u8),
    EndTurn(u8),
    Asks(u8, u8),
    Answer(u8),
    Slow(u8, bool),
}

/// A history.
#[derive(Clone, Debug)]
pub struct Crowd {
    config: BridgeConfig,
    steps: Vec<Step>,
}

fn pick<T: Clone>(byte: u8, of: &[T]) -> T {
    of[usize::from(byte) * of.len() / 256].clone()
}

fn config(bytes: [u8; 6]) -> BridgeConfig {
    let mut config = BridgeConfig::default();
    config.agent.restore = Restore::None;
    let limits = &mut config.limits;
    limits.replay_bytes = pick(bytes[0], &[1 << 20, 2_500, 1_200, 0]);
    limits.replay_total_bytes = pick(bytes[1], &[64 << 20, 64 << 20, 3_000]);
    limits.lost_client_timeout = pick(bytes[2], &[Limit::After(200), Limit::After(0)]);
    limits.lost_turn_timeout = pick(bytes[3], &[Limit::After(300), Limit::After(0)]);
    limits.saturation_grace = Limit::After(100);
    config.agent.session_idle_timeout = Limit::Never;
    config.agent.share = pick(bytes[4], &[Share::Agent, Share::Session]);
    config.agent.permission_policy =
        pick(bytes[5], &[PermissionPolicy::Originator, PermissionPolicy::All]);
    config
}

fn step((kind, who, what): (u8, u8, u8)) -> Step {
    let (who, what) = (who % 5, what % 16);
    match kind {
        0..=4 => Step::Wait(u64::from(what) * 10),
        5 => Step::Wait(u64::from(what) * 100),
        6..=10 => Step::Connect(who),
        11..=14 => Step::Lose(who),
        15..=18 => Step::New(who),
        19..=27 => Step::Prompt(who, what),
        28..=33 => Step::Load(who, what),
        34..=36 => Step::Resume(who, what),
        37..=42 => Step::Attach(who, what),
        43 => Step::Detach(who, what),
        44..=53 => Step::Says(what),
        54..=56 => Step::State(what),
        57..=60 => Step::EndTurn(what),
        61..=64 => Step::Asks(what, who),
        65..=67 => Step::Answer(who),
        _ => Step::Slow(who, what < 9),
    }
}

fn crowds() -> impl Strategy<Value = Crowd> {
    let steps = prop::collection::vec((0..70_u8, any::<u8>(), any::<u8>()), 30..90);
    (prop::array::uniform6(any::<u8>()), steps).prop_map(|(bytes, steps)| Crowd {
        config: config(bytes),
        steps: steps.into_iter().map(step).collect(),
    })
}

/// Plays a history; says what went wrong, and when.
fn run(crowd: &Crowd) -> Result<(), String> {
    let mut world = World::new(&crowd.config);
    for (place, step) in crowd.steps.iter().enumerate() {
        world.take(*step).map_err(|what| format!("step {place} {step:?}: {what}"))?;
    }
    world.take(Step::Wait(1_000)).map_err(|what| format!("at the end: {what}"))
}

/// Plays histories until one fails, and gives back the smallest that fails likewise.
pub fn play(count: u32, shrink: bool) -> Result<(), String> {
    let outcome = crate::played::play(&crowds(), count, shrink, run);
    outcome.map_err(|(why, crowd)| match crowd {
        Some(crowd) => format!("{why}\n{:?}\n{:?}", crowd.steps, crowd.config),
        None => why,
    })
}

#[test]
fn every_client_gets_what_is_its_own_once_and_in_order() {
    play(count_or(ORDINARY), true).unwrap_or_else(|why| panic!("{why}"));
}
