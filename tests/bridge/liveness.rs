//! Liveness: who is waited for and gives no sign of life is replaced, on evidence.

use drawbridge::bridge::config::IdlePolicy;
use drawbridge::bridge::{ChannelId, ClientId, Config, Event, Limit, Notice};

use crate::harness::{ALLOWED, Deed, END_TURN, NEW, World, session, update};

const INTERVAL: u64 = 30_000;

fn watched(config: &mut Config) {
    config.agent.liveness_interval = Limit::After(INTERVAL);
    config.agent.channel_idle_timeout = Limit::Never;
    config.agent.sessions_per_channel = 1;
}

impl World {
    /// The runtime looks at a channel, whose tree has worked so long in all.
    #[track_caller]
    fn looked(&mut self, channel: ChannelId, worked: Option<u64>) {
        self.expect(channel, Deed::Survey);
        self.event(Event::Surveyed { channel, processes: Some(Vec::new()), worked });
    }

    #[track_caller]
    fn expect_strike(&mut self, channel: ChannelId, strike: usize) {
        self.expect_warning(|notice| {
            matches!(notice, Notice::NoSignOfLife { channel: of, strikes, .. }
                if (*of, *strikes) == (channel, strike))
        });
    }
}

/// A turn is running, on a channel that nobody has looked at yet.
fn with_turn(change: impl FnOnce(&mut Config)) -> (World, ClientId, ChannelId, u64) {
    let mut world = World::with(|config| {
        watched(config);
        change(config);
    });
    let (editor, channel) = world.start();
    world.open(editor, channel, "a");
    let turn = world.prompt(editor, channel, "a", 1);
    (world, editor, channel, turn)
}

#[test]
fn an_agent_without_a_sign_of_life_is_replaced_after_its_strikes_and_its_sibling_lives() {
    let (mut world, editor, channel, _) = with_turn(|_| {});
    // A second channel, on which nothing is asked.
    world.request(editor, 2, "session/new", NEW);
    let other = world.expect_spawn("/home");
    world.handshake(other);
    world.opened(editor, other, "b", "2");

    world.wait(INTERVAL);
    world.looked(channel, Some(700));
    for strike in 1..=3 {
        world.assert_nothing_left();
        world.wait(INTERVAL);
        world.looked(channel, Some(700));
        world.expect_strike(channel, strike);
    }
    world.expect_warning(|notice| matches!(notice, Notice::ChannelStopping { .. }));
    world.expect_died(editor, "a", "killed", "");
    let data = world.expect_refusal(editor, 1, -32603, "agent_stopped");
    assert_eq!(data["agent"], "agent");
    world.expect(channel, Deed::CloseStdin);
    assert_eq!(world.bridge.counters().strikes, 3);
    // The sibling goes on, and a newcomer gets a fresh process.
    let turn = world.prompt(editor, other, "b", 3);
    world.answer(other, turn, END_TURN);
    world.expect_answer(editor, 3, END_TURN);
    world.request(editor, 4, "session/new", NEW);
    let fresh = world.expect_spawn("/home");
    world.handshake(fresh);
    world.opened(editor, fresh, "c", "4");
}

#[test]
fn work_of_its_processes_is_a_sign_of_life() {
    let (mut world, _, channel, _) = with_turn(|_| {});
    let mut worked = 100;
    for _ in 0..20 {
        world.wait(INTERVAL);
        world.looked(channel, Some(worked));
        // More than the timers of an idle runtime.
        worked += 31;
    }
    world.assert_nothing_left();
}

#[test]
fn a_tick_of_a_timer_is_not() {
    let (mut world, _, channel, _) = with_turn(|config| config.agent.liveness_strikes = 0);
    world.wait(INTERVAL);
    world.looked(channel, Some(100));
    world.wait(INTERVAL);
    world.looked(channel, Some(130));
    world.expect_strike(channel, 1);
}

#[test]
fn a_word_takes_every_strike_back() {
    let (mut world, editor, channel, turn) = with_turn(|_| {});
    for _ in 0..5 {
        world.wait(INTERVAL);
        world.looked(channel, Some(7));
        for strike in 1..=2 {
            world.wait(INTERVAL);
            world.looked(channel, Some(7));
            world.expect_strike(channel, strike);
        }
        world.notify(channel, "session/update", &update("a", "still here"));
        world.expect_notification(editor, "session/update", &update("a", "still here"));
    }
    world.answer(channel, turn, END_TURN);
    world.expect_answer(editor, 1, END_TURN);
}

#[test]
fn who_answers_while_it_is_looked_at_gets_no_strike() {
    let (mut world, editor, channel, turn) = with_turn(|_| {});
    world.wait(INTERVAL);
    world.looked(channel, Some(7));
    world.wait(INTERVAL);
    world.answer(channel, turn, END_TURN);
    world.expect_answer(editor, 1, END_TURN);
    world.looked(channel, Some(7));
    world.wait(100 * INTERVAL);
    world.assert_nothing_left();
    // The next turn begins without a strike, however long the agent was silent before.
    world.prompt(editor, channel, "a", 2);
    world.wait(INTERVAL);
    world.looked(channel, Some(7));
    world.assert_nothing_left();
}

#[test]
fn nobody_is_looked_at_without_work_or_while_it_asks() {
    let (mut world, editor, channel, turn) = with_turn(|_| {});
    let question = world.ask(channel, editor, "a", "77");
    world.wait(1_000_000);
    world.assert_nothing_left();
    world.answer(editor, question, ALLOWED);
    world.expect_answer(channel, "77", ALLOWED);
    world.answer(channel, turn, END_TURN);
    world.expect_answer(editor, 1, END_TURN);
    world.wait(1_000_000);
    world.assert_nothing_left();
}

#[test]
fn without_evidence_there_is_no_strike() {
    let (mut world, _, channel, _) = with_turn(|_| {});
    for _ in 0..10 {
        world.wait(INTERVAL);
        world.looked(channel, None);
    }
    world.assert_nothing_left();
}

#[test]
fn the_sleep_of_the_host_is_no_strike() {
    let (mut world, editor, channel, _) = with_turn(|config| config.agent.liveness_strikes = 1);
    world.wait(INTERVAL);
    world.looked(channel, Some(7));
    world.now = world.now.plus_millis(8 * 3_600_000);
    world.event(Event::HostPaused { millis: 0 });
    world.wait(59_999);
    world.assert_nothing_left();
    // Then it is looked at as if for the first time.
    world.wait(1);
    world.looked(channel, Some(7));
    world.assert_nothing_left();
    world.wait(INTERVAL);
    world.looked(channel, Some(7));
    world.expect_strike(channel, 1);
    world.expect_warning(|notice| matches!(notice, Notice::ChannelStopping { .. }));
    world.expect_died(editor, "a", "killed", "");
    world.expect_refusal(editor, 1, -32603, "agent_stopped");
    world.expect(channel, Deed::CloseStdin);
}

#[test]
fn with_no_strikes_allowed_it_is_only_reported() {
    let (mut world, editor, channel, turn) = with_turn(|config| config.agent.liveness_strikes = 0);
    world.wait(INTERVAL);
    world.looked(channel, Some(7));
    for strike in 1..=10 {
        world.wait(INTERVAL);
        world.looked(channel, Some(7));
        world.expect_strike(channel, strike);
    }
    world.answer(channel, turn, END_TURN);
    world.expect_answer(editor, 1, END_TURN);
}

#[test]
fn nobody_is_looked_at_unasked() {
    let (mut world, editor, channel, turn) = with_turn(|config| {
        config.agent.liveness_interval = Config::default().agent.liveness_interval;
    });
    world.wait(100 * 3_600_000);
    world.assert_nothing_left();
    world.answer(channel, turn, END_TURN);
    world.expect_answer(editor, 1, END_TURN);
}

#[test]
fn a_close_that_is_not_answered_is_looked_at_too() {
    let (mut world, editor, channel, turn) =
        with_turn(|config| config.agent.session_close_timeout = Limit::Never);
    world.answer(channel, turn, END_TURN);
    world.expect_answer(editor, 1, END_TURN);
    world.request(editor, 2, "session/close", &session("a"));
    world.expect_closed(editor, "a", "client_close");
    world.expect_request(channel, "session/close", &session("a"));
    world.wait(INTERVAL);
    world.looked(channel, Some(7));
}

#[test]
fn work_that_left_the_sum_with_who_has_done_it_is_work() {
    let (mut world, _, channel, _) = with_turn(|_| {});
    for worked in [500, 400, 900, 100, 2_000, 50] {
        world.wait(INTERVAL);
        world.looked(channel, Some(worked));
    }
    world.assert_nothing_left();
}

#[test]
fn a_look_that_fails_repeats_no_strike() {
    let (mut world, _, channel, _) = with_turn(|config| config.agent.liveness_strikes = 0);
    world.wait(INTERVAL);
    world.looked(channel, Some(7));
    world.wait(INTERVAL);
    world.looked(channel, Some(7));
    world.expect_strike(channel, 1);
    for _ in 0..3 {
        world.wait(INTERVAL);
        world.looked(channel, None);
    }
    world.assert_nothing_left();
    assert_eq!(world.bridge.counters().strikes, 1);
}

#[test]
fn silence_that_is_broken_while_it_is_looked_at_is_no_strike_and_takes_the_others_back() {
    for earlier in 0..=2 {
        for is_message in [true, false] {
            let (mut world, editor, channel, _) = with_turn(|_| {});
            world.wait(INTERVAL);
            world.looked(channel, Some(7));
            for strike in 1..=earlier {
                world.wait(INTERVAL);
                world.looked(channel, Some(7));
                world.expect_strike(channel, strike);
            }
            // The runtime is looking, and the agent says something meanwhile.
            world.wait(INTERVAL);
            world.expect(channel, Deed::Survey);
            world.wait(5);
            if is_message {
                world.notify(channel, "session/update", &update("a", "still here"));
                world.expect_notification(editor, "session/update", &update("a", "still here"));
            } else {
                world.says(channel, "still here");
                world.expect_warning(|notice| matches!(notice, Notice::StrayLine { .. }));
            }
            world.wait(5);
            world.event(Event::Surveyed { channel, processes: Some(Vec::new()), worked: Some(7) });
            world.assert_nothing_left();
            assert_eq!(world.bridge.counters().strikes, earlier as u64);
            // From there it is counted from the beginning.
            world.wait(INTERVAL);
            world.looked(channel, Some(7));
            world.expect_strike(channel, 1);
        }
    }
}

#[test]
fn what_was_seen_before_an_agent_was_waited_for_is_no_strike() {
    let (mut world, editor, channel, _) =
        with_turn(|config| config.agent.prompt_timeout = Limit::After(2 * INTERVAL + 10_000));
    world.wait(INTERVAL);
    world.looked(channel, Some(7));
    world.wait(INTERVAL);
    world.looked(channel, Some(7));
    world.expect_strike(channel, 1);
    // The turn is given up, so nobody waits; and the agent says nothing to that.
    world.wait(10_000);
    world.expect_refusal(editor, 1, -32603, "prompt_timeout");
    world.expect_notification(channel, "session/cancel", &session("a"));
    world.wait(100 * INTERVAL);
    world.assert_nothing_left();
    world.prompt(editor, channel, "a", 2);
    world.wait(INTERVAL);
    world.looked(channel, Some(7));
    world.assert_nothing_left();
    world.wait(INTERVAL);
    world.looked(channel, Some(7));
    world.expect_strike(channel, 1);
}

#[test]
fn nobody_is_looked_at_before_an_interval_of_silence_while_it_is_waited_for() {
    let mut world = World::with(watched);
    let (editor, channel) = world.start();
    world.open(editor, channel, "a");
    world.wait(100 * INTERVAL);
    world.prompt(editor, channel, "a", 1);
    world.wait(INTERVAL / 2);
    world.assert_nothing_left();
    world.notify(channel, "session/update", &update("a", "x"));
    world.expect_notification(editor, "session/update", &update("a", "x"));
    world.wait(INTERVAL - 1);
    world.assert_nothing_left();
    world.wait(1);
    world.looked(channel, Some(7));
    world.wait(1);
    world.notify(channel, "session/update", &update("a", "x"));
    world.expect_notification(editor, "session/update", &update("a", "x"));
    world.wait(INTERVAL - 1);
    world.assert_nothing_left();
}

#[test]
fn work_takes_every_strike_back_and_a_look_without_evidence_takes_none() {
    let (mut world, _, channel, _) = with_turn(|config| config.agent.liveness_strikes = 0);
    for (worked, expected) in [
        (Some(7), None),
        (Some(7), Some(1)),
        (Some(7), Some(2)),
        (Some(900), None),
        (Some(900), Some(1)),
        (None, None),
        (Some(900), None),
        (Some(900), Some(2)),
    ] {
        world.wait(INTERVAL);
        world.looked(channel, worked);
        if let Some(expected) = expected {
            world.expect_strike(channel, expected);
        }
        world.assert_nothing_left();
    }
}

#[test]
fn a_look_for_another_reason_is_no_strike() {
    let mut world = World::with(|config| {
        config.agent.liveness_interval = Limit::After(INTERVAL);
        config.agent.idle_policy = IdlePolicy::All;
        config.limits.max_sessions = 2;
    });
    let (editor, channel) = world.start();
    world.open(editor, channel, "a");
    world.open(editor, channel, "b");
    world.prompt(editor, channel, "a", 1);
    world.wait(INTERVAL);
    world.looked(channel, Some(7));
    world.wait(1_500);
    // Whether the other session may make room.
    world.request(editor, 2, "session/new", NEW);
    world.looked(channel, Some(7));
    world.expect_closed(editor, "b", "evicted");
    world.expect_request(channel, "session/close", &session("b"));
    world.opened(editor, channel, "c", "2");
    assert_eq!(world.bridge.counters().strikes, 0);
}

#[test]
fn a_look_across_the_sleep_of_the_host_is_no_strike() {
    let (mut world, _, channel, _) = with_turn(|config| config.agent.liveness_strikes = 0);
    world.wait(INTERVAL);
    world.looked(channel, Some(7));
    world.wait(INTERVAL);
    world.expect(channel, Deed::Survey);
    world.event(Event::HostPaused { millis: 0 });
    world.event(Event::Surveyed { channel, processes: Some(Vec::new()), worked: Some(7) });
    world.assert_nothing_left();
    world.wait(60_000);
    world.looked(channel, Some(7));
    world.wait(INTERVAL);
    world.looked(channel, Some(7));
    world.expect_strike(channel, 1);
}

#[test]
fn who_is_not_waited_for_any_more_gets_no_strike() {
    let (mut world, editor, channel, _) =
        with_turn(|config| config.agent.prompt_timeout = Limit::After(2 * INTERVAL + 5));
    world.wait(INTERVAL);
    world.looked(channel, Some(7));
    world.wait(INTERVAL);
    world.expect(channel, Deed::Survey);
    world.wait(5);
    world.expect_refusal(editor, 1, -32603, "prompt_timeout");
    world.expect_notification(channel, "session/cancel", &session("a"));
    world.event(Event::Surveyed { channel, processes: Some(Vec::new()), worked: Some(7) });
    world.assert_nothing_left();
}

#[test]
fn after_the_sleep_of_the_host_the_interval_of_silence_begins_anew() {
    let (mut world, _, channel, _) =
        with_turn(|config| config.agent.liveness_interval = Limit::After(600_000));
    world.wait(600_000);
    world.looked(channel, Some(7));
    world.wait(1);
    world.event(Event::HostPaused { millis: 0 });
    world.wait(599_999);
    world.assert_nothing_left();
    world.wait(1);
    world.expect(channel, Deed::Survey);
}

#[test]
fn nobody_is_woken_for_the_silence_of_an_agent_that_is_gone() {
    let (mut world, editor, channel, _) = with_turn(|_| {});
    world.exits(channel, 1);
    world.expect_warning(|notice| matches!(notice, Notice::ChannelExited { .. }));
    world.expect_died(editor, "a", "channel_closed", ",\"exitCode\":1");
    world.expect_refusal(editor, 1, -32603, "agent_exited");
    assert_eq!(world.bridge.poll_timeout(), None);
}
