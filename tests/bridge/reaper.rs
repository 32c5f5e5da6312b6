//! Reaping: which sessions go, when, and what keeps them.

use drawbridge::bridge::config::{BackgroundWork, IdlePolicy, PromptQueue};
use drawbridge::bridge::{
    ChannelId, ClientId, Config, Limit, Moment, Notice, Process, ShutdownCause,
};

use crate::harness::{Deed, END_TURN, NOT_ALLOWED, World, prompt, session, stored, update};

const MINUTE: u64 = 60_000;

/// Every idle session goes after ten minutes, attached or not.
fn all(config: &mut Config) {
    config.agent.idle_policy = IdlePolicy::All;
    config.agent.background_work = BackgroundWork::Ignore;
    config.agent.session_idle_timeout = Limit::After(10 * MINUTE);
    config.agent.attached_idle_timeout = Limit::After(10 * MINUTE);
    config.agent.channel_idle_timeout = Limit::Never;
}

#[track_caller]
fn reaped(world: &mut World, channel: ChannelId, id: &str) {
    let close = world.expect_request(channel, "session/close", &session(id));
    world.answer(channel, close, "{}");
}

fn open(world: &mut World) -> (ClientId, ChannelId) {
    let (editor, channel) = world.start();
    world.open(editor, channel, "a");
    (editor, channel)
}

#[test]
fn reaped_after_the_timeout_and_the_natural_firing_carries_idle_timeout_on_the_wire() {
    let mut world = World::with(all);
    let (editor, channel) = open(&mut world);
    world.wait(10 * MINUTE - 1);
    world.assert_nothing_left();
    world.wait(1);
    world.expect_closed(editor, "a", "idle_timeout");
    reaped(&mut world, channel, "a");
    world.request(editor, 1, "session/prompt", &prompt("a"));
    let data = world.expect_refusal(editor, 1, -32002, "session_closed");
    assert_eq!(data["reason"], "idle_timeout");
}

#[test]
fn reaped_on_the_grid_and_not_between() {
    let mut world = World::with(all);
    let (editor, channel) = world.start();
    world.wait(10_000);
    world.open(editor, channel, "a");
    world.wait(10 * MINUTE);
    world.assert_nothing_left();
    world.wait(MINUTE - 10_001);
    world.assert_nothing_left();
    world.wait(1);
    world.expect_closed(editor, "a", "idle_timeout");
    reaped(&mut world, channel, "a");
}

#[test]
fn several_in_one_tick() {
    let mut world = World::with(all);
    let (editor, channel) = world.start();
    for id in ["a", "b", "c"] {
        world.open(editor, channel, id);
        world.wait(1_000);
    }
    world.wait(10 * MINUTE - 3_001);
    world.assert_nothing_left();
    world.wait(1);
    world.expect_closed(editor, "a", "idle_timeout");
    reaped(&mut world, channel, "a");
    world.wait(MINUTE - 1);
    world.assert_nothing_left();
    world.wait(1);
    for id in ["b", "c"] {
        world.expect_closed(editor, id, "idle_timeout");
    }
    for id in ["b", "c"] {
        reaped(&mut world, channel, id);
    }
}

#[test]
fn not_with_a_running_prompt_also_when_the_client_is_gone() {
    let mut world = World::with(all);
    let (editor, channel) = open(&mut world);
    let turn = world.prompt(editor, channel, "a", 1);
    world.wait(60 * MINUTE);
    world.assert_nothing_left();
    world.gone(editor);
    world.wait(60 * MINUTE);
    world.assert_nothing_left();
    // It is idle from the end of its turn.
    world.answer(channel, turn, END_TURN);
    world.wait(10 * MINUTE - 1);
    world.assert_nothing_left();
    world.wait(1);
    reaped(&mut world, channel, "a");
}

#[test]
fn not_with_a_queued_prompt() {
    let mut world = World::with(|config| {
        all(config);
        config.agent.prompt_queue = PromptQueue::All;
    });
    let (editor, channel) = open(&mut world);
    let first = world.prompt(editor, channel, "a", 1);
    world.request(editor, 2, "session/prompt", &prompt("a"));
    world.wait(60 * MINUTE);
    // The gap between the two, on the very tick of the reaper.
    world.answer(channel, first, END_TURN);
    world.expect_answer(editor, 1, END_TURN);
    let second = world.expect_request(channel, "session/prompt", &prompt("a"));
    world.wait(60 * MINUTE);
    world.assert_nothing_left();
    world.answer(channel, second, END_TURN);
    world.expect_answer(editor, 2, END_TURN);
    world.wait(10 * MINUTE);
    world.expect_closed(editor, "a", "idle_timeout");
    reaped(&mut world, channel, "a");
}

#[test]
fn not_with_an_open_question() {
    let mut world = World::with(all);
    let (editor, channel) = open(&mut world);
    let question = world.ask(channel, editor, "a", "9");
    world.wait(60 * MINUTE);
    world.assert_nothing_left();
    world.answer(editor, question, NOT_ALLOWED);
    world.expect_answer(channel, "9", NOT_ALLOWED);
    world.wait(10 * MINUTE - 1);
    world.assert_nothing_left();
    world.wait(1);
    world.expect_closed(editor, "a", "idle_timeout");
    reaped(&mut world, channel, "a");
}

#[test]
fn not_with_a_request_in_flight() {
    let mut world = World::with(all);
    let (editor, channel) = open(&mut world);
    let mode = r#"{"sessionId":"a","modeId":"x"}"#;
    world.request(editor, 1, "session/set_mode", mode);
    let number = world.expect_request(channel, "session/set_mode", mode);
    world.wait(60 * MINUTE);
    world.assert_nothing_left();
    world.answer(channel, number, "{}");
    world.expect_answer(editor, 1, "{}");
    world.wait(10 * MINUTE);
    world.expect_closed(editor, "a", "idle_timeout");
    reaped(&mut world, channel, "a");
}

#[test]
fn not_while_a_subscriber_is_there_and_the_agent_cannot_restore() {
    // The policy `detached` takes nothing from anybody who is there.
    let mut world = World::new();
    let (editor, channel) = open(&mut world);
    world.wait(10_000 * MINUTE);
    world.assert_nothing_left();
    world.gone(editor);
    world.wait(1);
    reaped(&mut world, channel, "a");
    world.wait(10 * MINUTE);
    world.expect(channel, Deed::CloseStdin);
}

#[test]
fn a_gone_client_waits_for_its_timeout() {
    let mut world = World::with(|config| config.agent.channel_idle_timeout = Limit::Never);
    let (editor, channel) = open(&mut world);
    let other = world.join();
    world.gone(editor);
    world.wait(29 * MINUTE);
    world.assert_nothing_left();
    // Somebody comes back for it in time.
    world.load(other, channel, "a");
    world.wait(60 * MINUTE);
    world.assert_nothing_left();
    world.gone(other);
    world.wait(1);
    reaped(&mut world, channel, "a");
}

#[test]
fn heartbeat_refreshes() {
    let mut world = World::with(all);
    let (editor, channel) = world.start();
    world.open(editor, channel, "a");
    world.open(editor, channel, "b");
    for _ in 0..5 {
        world.wait(9 * MINUTE);
        world.notify(editor, "_drawbridge/heartbeat", "{}");
    }
    world.wait(9 * MINUTE);
    world.request(editor, 1, "_drawbridge/heartbeat", &session("a"));
    let idle = 9 * MINUTE;
    world.expect_answer(
        editor,
        1,
        &format!(r#"{{"sessions":[{{"sessionId":"a","state":"idle","idleMs":{idle}}}]}}"#),
    );
    world.wait(MINUTE);
    world.expect_closed(editor, "b", "idle_timeout");
    reaped(&mut world, channel, "b");
    world.request(editor, 2, "_drawbridge/heartbeat", &session("b"));
    world.expect_refusal(editor, 2, -32002, "session_closed");
    world.prompt(editor, channel, "a", 3);
    world.request(editor, 4, "_drawbridge/heartbeat", "{}");
    world.expect_answer(editor, 4, r#"{"sessions":[{"sessionId":"a","state":"busy","idleMs":0}]}"#);
}

#[test]
fn last_seen_moves_with_every_frame_that_names_the_session() {
    let mut world = World::with(all);
    let (editor, channel) = open(&mut world);
    let steps: [&dyn Fn(&mut World); 4] = [
        &|world| {
            world.notify(channel, "session/update", &update("a", "x"));
            world.expect_notification(editor, "session/update", &update("a", "x"));
        },
        &|world| {
            world.notify(editor, "_some/notification", &session("a"));
            world.expect_notification(channel, "_some/notification", &session("a"));
        },
        &|world| {
            world.request(editor, 1, "session/fork", &stored("a"));
            let fork = world.expect_request(channel, "session/fork", &stored("a"));
            world.fail(channel, fork, -32601);
            world.expect_failure(editor, 1, -32601);
        },
        &|world| {
            world.notify(editor, "session/cancel", &session("a"));
            world.expect_notification(channel, "session/cancel", &session("a"));
        },
    ];
    for step in steps {
        world.wait(10 * MINUTE - 1);
        world.assert_nothing_left();
        step(&mut world);
    }
    // What is only a question about it does not.
    world.wait(9 * MINUTE);
    world.request(editor, 2, "session/status", &session("a"));
    let status = world.expect_request(channel, "session/status", &session("a"));
    world.answer(channel, status, "{}");
    world.expect_answer(editor, 2, "{}");
    world.wait(MINUTE + 4);
    world.expect_closed(editor, "a", "idle_timeout");
    reaped(&mut world, channel, "a");
}

#[test]
fn a_new_title_is_a_use_of_a_session() {
    let mut world = World::with(all);
    let (editor, channel) = open(&mut world);
    world.wait(9 * MINUTE);
    world.request(editor, 1, "session/set_title", &session("a"));
    let title = world.expect_request(channel, "session/set_title", &session("a"));
    world.answer(channel, title, "{}");
    world.expect_answer(editor, 1, "{}");
    world.wait(10 * MINUTE - 1);
    world.assert_nothing_left();
    world.wait(1);
    world.expect_closed(editor, "a", "idle_timeout");
    reaped(&mut world, channel, "a");
}

#[test]
fn interval_zero_and_timeout_zero_disable() {
    let off: [fn(&mut Config); 4] = [
        |config| config.limits.session_reap_interval = Limit::After(0),
        |config| config.limits.session_reap_interval = Limit::Never,
        |config| config.agent.session_idle_timeout = Limit::After(0),
        |config| config.agent.session_idle_timeout = Limit::Never,
    ];
    for off in off {
        let mut world = World::with(|config| {
            all(config);
            off(config);
        });
        let (editor, channel) = world.start();
        world.open(editor, channel, "a");
        let other = world.join();
        world.open(other, channel, "b");
        world.gone(other);
        world.wait(20_000);
        assert_eq!(world.bridge.poll_timeout(), None, "nothing to wake up for");
        world.wait(100_000 * MINUTE);
    }
}

#[test]
fn the_reaper_is_silent_after_shutdown() {
    let mut world = World::with(|config| {
        all(config);
        config.agent.session_idle_timeout = Limit::After(1);
        config.agent.attached_idle_timeout = Limit::After(1);
        config.limits.session_reap_interval = Limit::After(1);
        config.limits.shutdown_timeout = 10_000;
    });
    let (editor, channel) = open(&mut world);
    world.shutdown(ShutdownCause::Signal("SIGTERM"));
    world.expect_died(editor, "a", "shutdown", "");
    let close = world.expect_request(channel, "session/close", &session("a"));
    world.wait(100);
    world.answer(channel, close, "{}");
    world.expect(channel, Deed::CloseStdin);
    world.exits(channel, 0);
    world.expect_exit(&[]);
}

#[test]
fn after_a_pause_of_the_host_nothing_is_reaped_for_a_minute() {
    let mut world = World::with(all);
    let (editor, channel) = open(&mut world);
    world.now = world.now.plus_millis(100 * MINUTE);
    world.event(drawbridge::bridge::Event::HostPaused { millis: 0 });
    world.wait(MINUTE - 1);
    world.assert_nothing_left();
    world.wait(1);
    world.expect_closed(editor, "a", "idle_timeout");
    reaped(&mut world, channel, "a");
}

fn process(born: u64) -> Process {
    Process { pid: 99, name: "sleep".to_owned(), born: Moment::from_millis(born) }
}

/// A session with a turn from 1 s to 2 s.
fn with_turn(config: impl FnOnce(&mut Config)) -> (World, ClientId, ChannelId) {
    let mut world = World::with(|settings| {
        all(settings);
        settings.agent.background_work = BackgroundWork::Keep;
        config(settings);
    });
    let (editor, channel) = open(&mut world);
    world.wait(1_000);
    let turn = world.prompt(editor, channel, "a", 1);
    world.wait(1_000);
    world.answer(channel, turn, END_TURN);
    world.expect_answer(editor, 1, END_TURN);
    (world, editor, channel)
}

#[test]
fn a_process_that_outlived_its_turn_keeps_its_session() {
    let (mut world, editor, channel) = with_turn(|_| {});
    world.wait(11 * MINUTE - 2_000);
    for _ in 0..3 {
        world.expect(channel, Deed::Survey);
        world.surveyed(channel, vec![process(1_500)]);
        world.request(editor, 2, "_drawbridge/heartbeat", &session("none"));
        world.expect_refusal(editor, 2, -32002, "unknown_session");
        world.wait(MINUTE);
    }
    assert!(world.notices.iter().any(|notice| matches!(notice, Notice::BackgroundWork { .. })));
    // It is gone: so is the session.
    world.expect(channel, Deed::Survey);
    world.surveyed(channel, vec![]);
    world.expect_closed(editor, "a", "idle_timeout");
    reaped(&mut world, channel, "a");
}

#[test]
fn processes_born_outside_its_turns_do_not_keep_it() {
    let (mut world, editor, channel) = with_turn(|_| {});
    world.wait(11 * MINUTE - 2_000);
    world.expect(channel, Deed::Survey);
    world.surveyed(channel, vec![process(500), process(3_000)]);
    world.expect_closed(editor, "a", "idle_timeout");
    reaped(&mut world, channel, "a");
}

#[test]
fn a_process_of_the_first_of_very_many_turns_keeps_its_session() {
    let (mut world, editor, channel) = with_turn(|_| {});
    for id in 2..22 {
        world.wait(1_000);
        let turn = world.prompt(editor, channel, "a", id);
        world.wait(1_000);
        world.answer(channel, turn, END_TURN);
        world.expect_answer(editor, id, END_TURN);
    }
    world.wait(11 * MINUTE - 42_000);
    world.expect(channel, Deed::Survey);
    world.surveyed(channel, vec![process(1_500)]);
    world.assert_nothing_left();
    // One that is older than all of them is none of its own.
    world.wait(MINUTE);
    world.expect(channel, Deed::Survey);
    world.surveyed(channel, vec![process(500)]);
    world.expect_closed(editor, "a", "idle_timeout");
    reaped(&mut world, channel, "a");
}

#[test]
fn a_session_that_came_to_life_during_the_look_is_not_reaped() {
    let (mut world, editor, channel) = with_turn(|_| {});
    world.wait(11 * MINUTE - 2_000);
    world.expect(channel, Deed::Survey);
    let turn = world.prompt(editor, channel, "a", 2);
    world.surveyed(channel, vec![]);
    world.answer(channel, turn, END_TURN);
    world.expect_answer(editor, 2, END_TURN);
    world.surveyed(channel, vec![]);
    // An old look is not believed: it is looked at again before it goes.
    world.wait(10 * MINUTE);
    world.expect(channel, Deed::Survey);
    world.surveyed(channel, vec![]);
    world.expect_closed(editor, "a", "idle_timeout");
    reaped(&mut world, channel, "a");
}

#[test]
fn without_a_client_nobody_looks_for_background_work() {
    let (mut world, editor, channel) = with_turn(|_| {});
    world.gone(editor);
    world.wait(11 * MINUTE);
    reaped(&mut world, channel, "a");
}

#[test]
fn what_works_in_the_background_is_looked_at_again_at_the_next_tick_and_not_before() {
    let (mut world, _, channel) = with_turn(|_| {});
    world.wait(11 * MINUTE - 2_000);
    world.expect(channel, Deed::Survey);
    world.surveyed(channel, vec![process(1_500)]);
    world.wait(MINUTE - 1);
    world.assert_nothing_left();
    world.wait(1);
    world.expect(channel, Deed::Survey);
}

#[test]
fn a_process_of_any_of_very_many_turns_keeps_its_session() {
    for of in 0..20 {
        let (mut world, editor, channel) = with_turn(|_| {});
        for id in 2..21 {
            world.wait(1_000);
            let turn = world.prompt(editor, channel, "a", id);
            world.wait(1_000);
            world.answer(channel, turn, END_TURN);
            world.expect_answer(editor, id, END_TURN);
        }
        world.wait(11 * MINUTE - 40_000);
        world.expect(channel, Deed::Survey);
        world.surveyed(channel, vec![process(1_500 + 2_000 * of)]);
        world.assert_nothing_left();
    }
}

#[test]
fn births_of_processes_are_known_to_within_ten_milliseconds() {
    for (at, is_its) in [(989, false), (990, true), (2_010, true), (2_011, false)] {
        let (mut world, editor, channel) = with_turn(|_| {});
        world.wait(11 * MINUTE - 2_000);
        world.expect(channel, Deed::Survey);
        world.surveyed(channel, vec![process(at)]);
        if !is_its {
            world.expect_closed(editor, "a", "idle_timeout");
            world.expect_request(channel, "session/close", &session("a"));
        }
        world.assert_nothing_left();
    }
}
