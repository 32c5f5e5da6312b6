//! Measures that revival makes safe: eviction, memory pressure, and the replacement of channels.

use drawbridge::bridge::config::{BackgroundWork, IdlePolicy};
use drawbridge::bridge::{ChannelId, ClientId, Config, Event, Limit, Moment, Notice, Process};

use crate::harness::{Deed, END_TURN, NEW, World, prompt, session};
use crate::revival::stories::{PROVEN, VERSIONED, restored, world_with};

/// A world whose agent is proven to restore sessions.
fn proven(change: impl FnOnce(&mut Config)) -> World {
    let mut world = world_with(VERSIONED, |config| {
        config.agent.background_work = BackgroundWork::Ignore;
        change(config);
    });
    world.believe(PROVEN);
    world
}

/// A client with these sessions, each prompted once, the first one first.
fn prompted(world: &mut World, ids: &[&str]) -> (ClientId, ChannelId) {
    let (editor, channel) = world.start();
    for id in ids {
        world.open(editor, channel, id);
        world.turn(editor, channel, id);
        world.wait(1_000);
    }
    (editor, channel)
}

/// A session was parked for this reason, and its agent has closed it.
fn parked(world: &mut World, editor: ClientId, channel: ChannelId, (id, reason): (&str, &str)) {
    world.expect_parked(editor, id, reason);
    let number = world.expect_request(channel, "session/close", &session(id));
    world.answer(channel, number, "{}");
}

fn weighed(world: &mut World, mib: u64, stalls: bool) {
    world.event(Event::Weighed { bytes: mib << 20, stalls });
}

/// A world with two places, in which `s` was evicted for another session beside `t`; the number of
/// its close, which is not answered yet.
fn full() -> (World, ClientId, ChannelId, u64) {
    let mut world = proven(|config| {
        config.limits.max_sessions = 2;
        config.agent.idle_policy = IdlePolicy::Restorable;
    });
    let (editor, channel) = prompted(&mut world, &["s", "t"]);
    world.request(editor, 1, "session/new", NEW);
    world.expect_parked(editor, "s", "evicted");
    let close = world.expect_request(channel, "session/close", &session("s"));
    (world, editor, channel, close)
}

#[test]
fn at_the_limit_the_longest_idle_session_gives_way_and_comes_back() {
    let (mut world, editor, channel, close) = full();
    world.answer(channel, close, "{}");
    world.opened(editor, channel, "u", "1");
    // Its prompt takes the place of the next one.
    world.request(editor, 7, "session/prompt", &prompt("s"));
    world.expect_parked(editor, "t", "evicted");
    let close = world.expect_request(channel, "session/close", &session("t"));
    let number = world.expect_request(channel, "session/resume", &restored("s"));
    world.answer(channel, close, "{}");
    world.answer(channel, number, "{}");
    world.expect_restored(editor, "s");
    world.expect_request(channel, "session/prompt", &prompt("s"));
}

#[test]
fn an_open_that_went_past_a_waiting_revival_takes_a_place_of_its_own() {
    let (mut world, editor, channel, close) = full();
    world.opened(editor, channel, "u", "1");
    world.turn(editor, channel, "u");
    // It waits until the agent has let its session go; the new one need not wait for that.
    world.request(editor, 7, "session/prompt", &prompt("s"));
    world.request(editor, 2, "session/new", NEW);
    parked(&mut world, editor, channel, ("t", "evicted"));
    let new = world.expect_request(channel, "session/new", NEW);
    world.answer(channel, close, "{}");
    parked(&mut world, editor, channel, ("u", "evicted"));
    let number = world.expect_request(channel, "session/resume", &restored("s"));
    world.answer(channel, number, "{}");
    world.expect_restored(editor, "s");
    world.expect_request(channel, "session/prompt", &prompt("s"));
    world.answer(channel, new, &session("v"));
    world.expect_answer(editor, 2, &session("v"));
}

#[test]
fn where_nothing_may_give_way_the_refusal_says_when_to_try_again() {
    for policy in [IdlePolicy::Detached, IdlePolicy::Restorable] {
        let mut world = world_with(VERSIONED, |config| {
            config.limits.max_sessions = 1;
            config.agent.idle_policy = policy;
        });
        let (editor, _) = prompted(&mut world, &["s"]);
        world.request(editor, 1, "session/new", NEW);
        let data = world.expect_refusal(editor, 1, -32603, "session_limit");
        assert_eq!(data["retryAfterMs"], 10_000);
    }
}

#[test]
fn under_pressure_idle_agents_end_first_and_then_the_longest_idle_session() {
    let mut world = proven(|config| {
        config.limits.memory_high_mb = 100;
        config.agent.idle_policy = IdlePolicy::Restorable;
    });
    let (editor, channel) = prompted(&mut world, &["s", "t"]);
    assert_eq!(world.weighings, 1, "at the start of the first agent");
    weighed(&mut world, 100, false);
    world.wait(9_999);
    assert_eq!(world.weighings, 1);
    world.wait(1);
    weighed(&mut world, 101, false);
    parked(&mut world, editor, channel, ("s", "memory_pressure"));
    world.wait(2_000);
    assert_eq!(world.weighings, 3, "sooner while there is too much");
    weighed(&mut world, 101, false);
    parked(&mut world, editor, channel, ("t", "memory_pressure"));
    world.wait(2_000);
    weighed(&mut world, 101, false);
    world.expect(channel, Deed::CloseStdin);
    world.exits(channel, 0);
    world.wait(60_000);
    assert_eq!(world.weighings, 4, "without an agent nobody looks");
}

#[test]
fn a_machine_on_which_programs_wait_for_memory_counts_too() {
    let mut world = proven(|config| {
        config.limits.memory_high_mb = 100;
        config.agent.idle_policy = IdlePolicy::Restorable;
    });
    let (editor, channel) = prompted(&mut world, &["s"]);
    weighed(&mut world, 1, true);
    parked(&mut world, editor, channel, ("s", "memory_pressure"));
}

#[test]
fn pressure_takes_nothing_that_the_policy_does_not_allow() {
    let mut world = proven(|config| config.limits.memory_high_mb = 100);
    let (_, channel) = prompted(&mut world, &["s"]);
    weighed(&mut world, 101, true);
    world.assert_nothing_for(channel);
    let mut world = world_with(VERSIONED, |config| {
        config.limits.memory_high_mb = 100;
        config.agent.idle_policy = IdlePolicy::Restorable;
    });
    let (_, channel) = prompted(&mut world, &["s"]);
    weighed(&mut world, 101, true);
    world.assert_nothing_for(channel);
}

#[test]
fn without_the_limit_nobody_looks() {
    let mut world = proven(|_| {});
    prompted(&mut world, &["s"]);
    world.wait(3_600_000);
    assert_eq!(world.weighings, 0);
}

#[test]
fn an_old_agent_is_replaced_between_turns() {
    let mut world = proven(|config| {
        config.agent.channel_max_age = Limit::After(100_000);
        config.agent.channel_idle_timeout = Limit::After(0);
    });
    let (editor, channel) = prompted(&mut world, &["s", "t"]);
    let number = world.prompt(editor, channel, "t", 5);
    world.wait(98_000);
    parked(&mut world, editor, channel, ("s", "recycled"));
    // A turn is not disturbed, and the session moves on behind it.
    world.wait(600_000);
    world.assert_nothing_for(channel);
    world.answer(channel, number, END_TURN);
    world.expect_answer(editor, 5, END_TURN);
    world.wait(0);
    parked(&mut world, editor, channel, ("t", "recycled"));
    world.expect(channel, Deed::CloseStdin);
    world.request(editor, 7, "session/prompt", &prompt("s"));
    let fresh = world.expect_spawn("/home");
    world.handshake(fresh);
    let number = world.expect_request(fresh, "session/resume", &restored("s"));
    world.answer(fresh, number, "{}");
    world.expect_restored(editor, "s");
    world.expect_request(fresh, "session/prompt", &prompt("s"));
    world.exits(channel, 0);
}

#[test]
fn an_agent_that_has_served_many_sessions_is_replaced() {
    let mut world = proven(|config| config.agent.channel_max_sessions = 2);
    let (editor, channel) = prompted(&mut world, &["s"]);
    world.request(editor, 1, "session/new", NEW);
    world.opened(editor, channel, "t", "1");
    world.wait(0);
    parked(&mut world, editor, channel, ("s", "recycled"));
    // One that was never prompted has nothing to lose.
    parked(&mut world, editor, channel, ("t", "recycled"));
    world.expect(channel, Deed::CloseStdin);
    world.exits(channel, 0);
}

#[test]
fn an_unproven_session_keeps_its_old_agent() {
    let mut world = world_with(VERSIONED, |config| {
        config.agent.channel_max_age = Limit::After(100_000);
    });
    let (editor, channel) = prompted(&mut world, &["s"]);
    world.wait(3_600_000);
    world.assert_nothing_for(channel);
    world.turn(editor, channel, "s");
    // New sessions go to another one.
    world.request(editor, 1, "session/new", NEW);
    let fresh = world.expect_spawn("/home");
    world.handshake(fresh);
    world.opened(editor, fresh, "t", "1");
}

#[test]
fn background_work_keeps_a_session_on_its_old_agent() {
    let mut world = proven(|config| {
        config.agent.channel_max_age = Limit::After(100_000);
        config.agent.background_work = BackgroundWork::Keep;
    });
    let (editor, channel) = prompted(&mut world, &["s"]);
    let number = world.prompt(editor, channel, "s", 5);
    world.wait(10_000);
    let born = Moment::from_millis(world.now.as_millis() - 5_000);
    world.answer(channel, number, END_TURN);
    world.expect_answer(editor, 5, END_TURN);
    world.wait(90_000);
    world.expect(channel, Deed::Survey);
    world.surveyed(channel, vec![Process { pid: 9, name: "make".to_owned(), born }]);
    world.assert_nothing_for(channel);
    assert!(world.notices.iter().any(|it| matches!(it, Notice::BackgroundWork { .. })));
    // It is looked at again.
    world.wait(60_000);
    world.expect(channel, Deed::Survey);
    world.surveyed(channel, Vec::new());
    parked(&mut world, editor, channel, ("s", "recycled"));
    world.expect(channel, Deed::CloseStdin);
    world.exits(channel, 0);
}
