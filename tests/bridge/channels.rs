//! Channels: when a process is started, joined, kept and ended.

use drawbridge::bridge::{Event, ExitStatus, Limit, Moment, Notice, ShutdownCause};

use crate::harness::{Deed, INITIALIZE, NEW, World, session};

#[test]
fn spawned_once_for_many_waiting() {
    let mut world = World::new();
    let first = world.connect();
    let second = world.connect();
    world.request(first, 1, "initialize", INITIALIZE);
    let channel = world.expect_spawn("/home");
    world.request(second, 1, "initialize", INITIALIZE);
    let id = world.expect_request(channel, "initialize", INITIALIZE);
    world.answer(channel, id, world.agent);
    let answer = world.next_line(first);
    world.expect_line(second, &answer);

    // The process is gone: many opens wait for one new process.
    world.exits(channel, 0);
    for id in 2..5 {
        world.request(first, id, "session/new", NEW);
    }
    world.request(second, 5, "session/new", NEW);
    let channel = world.expect_spawn("/home");
    world.handshake(channel);
    for (client, id) in [(first, "2"), (first, "3"), (first, "4"), (second, "5")] {
        world.opened(client, channel, id, id);
    }
}

#[test]
fn handshake_timeout_ends_the_tree() {
    let mut world = World::new();
    let editor = world.connect();
    world.request(editor, 1, "initialize", INITIALIZE);
    let channel = world.expect_spawn("/home");
    world.expect_request(channel, "initialize", INITIALIZE);
    world.wait(20_000);
    world.expect_warning(|notice| matches!(notice, Notice::HandshakeSlow { .. }));
    world.wait(279_999);
    world.assert_nothing_left();
    world.wait(1);
    world.expect_warning(|notice| matches!(notice, Notice::ChannelStopping { .. }));
    let data = world.expect_refusal(editor, 1, -32603, "handshake_timeout");
    assert_eq!(data["agent"], "agent");
    world.expect(channel, Deed::CloseStdin);
    world.wait(4_000);
    world.expect(channel, Deed::Terminate);
    world.wait(5_000);
    world.expect(channel, Deed::Kill);
    world.expect_warning(|notice| matches!(notice, Notice::ChannelKilled { .. }));
    world.event(Event::ChannelExited {
        channel,
        exit: drawbridge::bridge::Exit {
            status: ExitStatus::Signal(9),
            stderr_tail: String::new(),
            half_line: 0,
        },
    });
}

#[test]
fn a_program_that_cannot_be_started_answers_the_waiting() {
    let mut world = World::new();
    let editor = world.connect();
    world.request(editor, 1, "initialize", INITIALIZE);
    let channel = world.expect_spawn("/home");
    world.expect_request(channel, "initialize", INITIALIZE);
    world.event(Event::SpawnFailed { channel, error: "not found".to_owned() });
    world.expect_warning(|notice| matches!(notice, Notice::SpawnFailed { .. }));
    world.expect_refusal(editor, 1, -32603, "agent_spawn_failed");
    // Nothing is left of it: the next try is a new process.
    world.request(editor, 2, "initialize", INITIALIZE);
    let channel = world.expect_spawn("/home");
    world.expect_request(channel, "initialize", INITIALIZE);
}

#[test]
fn idle_timeout_stops_it() {
    let mut world = World::with(|config| config.agent.channel_idle_timeout = Limit::After(100_000));
    let (editor, channel) = world.start();
    world.open(editor, channel, "a");
    world.wait(500_000);
    world.close(editor, channel, "a");
    world.wait(99_999);
    world.assert_nothing_left();
    world.wait(1);
    world.expect(channel, Deed::CloseStdin);
    world.exits(channel, 0);
    assert_eq!(world.bridge.poll_timeout(), None, "an idle bridge does not wake up");
}

#[test]
fn new_work_before_the_timeout_keeps_it() {
    let mut world = World::with(|config| config.agent.channel_idle_timeout = Limit::After(100_000));
    let (editor, channel) = world.start();
    world.open(editor, channel, "a");
    world.close(editor, channel, "a");
    world.wait(99_999);
    world.open(editor, channel, "b");
    world.wait(100_000);
    world.assert_nothing_left();
    world.close(editor, channel, "b");
    world.wait(99_999);
    world.assert_nothing_left();
    world.wait(1);
    world.expect(channel, Deed::CloseStdin);
}

#[test]
fn what_touches_an_idle_channel_without_work_does_not_keep_it() {
    let mut world = World::new();
    let (editor, channel) = world.start();
    world.open(editor, channel, "a");
    world.close(editor, channel, "a");
    world.wait(300_000);
    let other = world.connect();
    world.event(Event::ClientMarkPassed { client: other, over: true });
    world.event(Event::ClientMarkPassed { client: other, over: false });
    world.wait(300_000);
    world.expect(channel, Deed::CloseStdin);
}

#[test]
fn an_earlier_moment_counts_as_the_last_one() {
    let mut world = World::new();
    let (editor, channel) = world.start();
    world.open(editor, channel, "a");
    world.wait(300_000);
    world.connect();
    world.now = Moment::from_millis(1_000);
    world.close(editor, channel, "a");
    // Idle since the last moment, not since the one that was said.
    world.wait(898_999);
    world.assert_nothing_left();
    world.wait(1);
    world.expect(channel, Deed::CloseStdin);
}

#[test]
fn zero_stops_at_once() {
    let mut world = World::with(|config| config.agent.channel_idle_timeout = Limit::After(0));
    let (editor, channel) = world.start();
    world.open(editor, channel, "a");
    world.close(editor, channel, "a");
    world.expect(channel, Deed::CloseStdin);
}

#[test]
fn never_keeps_it() {
    let mut world = World::with(|config| config.agent.channel_idle_timeout = Limit::Never);
    let (editor, channel) = world.start();
    world.open(editor, channel, "a");
    world.close(editor, channel, "a");
    world.wait(u64::MAX / 2);
}

#[test]
fn a_channel_that_was_only_greeted_is_kept_for_a_minute() {
    let mut world = World::with(|config| config.agent.channel_idle_timeout = Limit::After(0));
    let (_, channel) = world.start();
    world.wait(59_999);
    world.assert_nothing_left();
    world.wait(1);
    world.expect(channel, Deed::CloseStdin);
}

#[test]
fn a_channel_where_somebody_just_logged_in_is_kept_for_a_minute() {
    let mut world = World::with(|config| config.agent.channel_idle_timeout = Limit::After(0));
    let (editor, channel) = world.start();
    world.open(editor, channel, "a");
    world.request(editor, 2, "authenticate", r#"{"methodId":"x"}"#);
    let id = world.expect_request(channel, "authenticate", r#"{"methodId":"x"}"#);
    world.answer(channel, id, "{}");
    world.expect_answer(editor, 2, "{}");
    world.close(editor, channel, "a");
    world.wait(59_999);
    world.assert_nothing_left();
    world.wait(1);
    world.expect(channel, Deed::CloseStdin);
}

#[test]
fn preheat_survives_idle_zero_until_used() {
    let mut world = World::with(|config| {
        config.limits.preheat = true;
        config.agent.channel_idle_timeout = Limit::After(0);
    });
    let editor = world.connect_in("/start");
    world.event(Event::Preheat { client: editor });
    let channel = world.expect_spawn("/start");
    world.wait(1_000_000);
    // The client's own `initialize` goes to the process that waits for it.
    world.request(editor, 0, "initialize", INITIALIZE);
    world.handshake(channel);
    world.next_line(editor);
    world.wait(1_000_000);
    world.open(editor, channel, "a");
    world.close(editor, channel, "a");
    world.expect(channel, Deed::CloseStdin);
}

#[test]
fn preheat_starts_nothing_where_an_agent_runs_already() {
    let mut world = World::with(|config| config.limits.preheat = true);
    let (client, _) = world.start();
    world.event(Event::Preheat { client });
}

#[test]
fn a_stopping_channel_is_never_joined_and_the_newcomer_gets_a_fresh_one() {
    let mut world = World::with(|config| config.agent.channel_idle_timeout = Limit::After(0));
    let (editor, old) = world.start();
    world.open(editor, old, "a");
    world.close(editor, old, "a");
    world.expect(old, Deed::CloseStdin);
    world.request(editor, 2, "session/new", NEW);
    let fresh = world.expect_spawn("/home");
    assert_ne!(fresh, old);
    world.handshake(fresh);
    world.opened(editor, fresh, "b", "2");
    // Also a late client and a request without a session see only the new one.
    world.join();
    world.request(editor, 3, "x/y", "{}");
    let id = world.expect_request(fresh, "x/y", "{}");
    world.answer(fresh, id, "{}");
    world.expect_answer(editor, 3, "{}");
}

#[test]
fn a_request_without_a_session_does_not_go_to_the_stopping_channel_that_served_last() {
    let mut world = World::with(|config| config.agent.channel_idle_timeout = Limit::After(0));
    let (editor, old) = world.start();
    world.open(editor, old, "a");
    world.close(editor, old, "a");
    world.expect(old, Deed::CloseStdin);
    world.request(editor, 1, "_x", "{}");
    let fresh = world.expect_spawn("/home");
    world.handshake(fresh);
    world.expect_request(fresh, "_x", "{}");
}

#[test]
fn a_request_on_the_very_tick_of_the_stop_is_answered() {
    let mut world = World::with(|config| config.agent.channel_idle_timeout = Limit::After(100_000));
    let (editor, old) = world.start();
    world.open(editor, old, "a");
    world.close(editor, old, "a");
    // The frame is served before the deadline of the same instant: the channel has work.
    world.wait(99_999);
    world.now = world.now.plus_millis(1);
    world.request(editor, 2, "session/new", NEW);
    world.wait(0);
    world.opened(editor, old, "b", "2");
    world.close(editor, old, "b");
    // The deadline is served first: the channel is on its way out, a new one is started.
    world.wait(100_000);
    world.expect(old, Deed::CloseStdin);
    world.request(editor, 3, "session/new", NEW);
    let fresh = world.expect_spawn("/home");
    world.handshake(fresh);
    world.opened(editor, fresh, "c", "3");
}

#[test]
fn double_signal_kills_starting_live_and_dying_alike() {
    let mut world = World::with(|config| {
        config.agent.sessions_per_channel = 1;
        config.agent.channel_idle_timeout = Limit::After(0);
    });
    let (editor, dying) = world.start();
    world.open(editor, dying, "a");
    world.close(editor, dying, "a");
    world.expect(dying, Deed::CloseStdin);
    world.request(editor, 2, "session/new", NEW);
    let live = world.expect_spawn("/home");
    world.handshake(live);
    world.opened(editor, live, "b", "2");
    world.request(editor, 3, "session/new", NEW);
    let starting = world.expect_spawn("/home");
    world.expect_request(starting, "initialize", INITIALIZE);

    world.shutdown(ShutdownCause::Signal("SIGTERM"));
    world.expect_died(editor, "b", "shutdown", "");
    world.expect_refusal(editor, 3, -32800, "shutting_down");
    world.expect_request(live, "session/close", &session("b"));
    world.expect(starting, Deed::CloseStdin);
    world.wait(1_000);
    world.assert_nothing_for(dying);
    world.expect(live, Deed::CloseStdin);
    world.expect_warning(|notice| matches!(notice, Notice::CloseUnanswered { .. }));
    world.shutdown(ShutdownCause::Signal("SIGTERM"));
    world.expect_warning(|notice| *notice == Notice::ShutdownForced);
    for channel in [dying, live, starting] {
        world.expect(channel, Deed::Kill);
        world.expect_warning(|notice| matches!(notice, Notice::ChannelKilled { .. }));
    }
    world.exits(dying, 0);
    world.exits(live, 0);
    world.assert_nothing_left();
    world.exits(starting, 0);
    world.expect_exit(&[]);
}

#[test]
fn a_rung_without_grace_takes_a_step_of_its_own_all_the_same() {
    let mut world = World::with(|config| {
        config.agent.channel_idle_timeout = Limit::After(0);
        config.agent.stdin_grace = Limit::After(0);
        config.agent.term_grace = Limit::After(0);
    });
    let (editor, channel) = world.start();
    world.open(editor, channel, "a");
    world.close(editor, channel, "a");
    world.expect(channel, Deed::CloseStdin);
    world.assert_nothing_left();
    world.wait(0);
    world.expect(channel, Deed::Terminate);
    world.expect(channel, Deed::Kill);
    world.expect_warning(|notice| matches!(notice, Notice::ChannelKilled { .. }));
}
