//! Restarts: what a crash answers, the pauses after it, and the limit.

use drawbridge::bridge::{ChannelId, Event, ExitStatus, Notice};

use crate::harness::{Deed, INITIALIZE, NEW, World, session};

impl World {
    /// An agent without sessions or requests crashes.
    #[track_caller]
    fn crashed(&mut self, channel: ChannelId) {
        self.exits(channel, 1);
        self.expect_warning(|notice| matches!(notice, Notice::ChannelExited { .. }));
    }
}

#[test]
fn a_crash_in_the_handshake_answers_the_waiting() {
    let mut world = World::new();
    let first = world.connect();
    let second = world.connect();
    world.request(first, 1, "initialize", INITIALIZE);
    let channel = world.expect_spawn("/home");
    world.expect_request(channel, "initialize", INITIALIZE);
    world.request(second, 7, "initialize", INITIALIZE);
    world.event(Event::ChannelExited {
        channel,
        exit: drawbridge::bridge::Exit {
            status: ExitStatus::Code(3),
            stderr_tail: "no such model\n".to_owned(),
            half_line: 0,
        },
    });
    world.expect_warning(|notice| matches!(notice, Notice::ChannelExited { .. }));
    for (client, id) in [(first, 1), (second, 7)] {
        let data = world.expect_refusal(client, id, -32603, "agent_exited");
        assert_eq!(
            (&data["exitCode"], &data["stderrTail"]),
            (&3.into(), &"no such model\n".into())
        );
    }
}

#[test]
fn a_crash_in_a_later_handshake_answers_the_waiting_opens() {
    let mut world = World::with(|config| config.agent.sessions_per_channel = 1);
    let (editor, first) = world.start();
    world.open(editor, first, "a");
    world.request(editor, 2, "session/new", NEW);
    world.request(editor, 3, "providers/list", "{}");
    let second = world.expect_spawn("/home");
    world.expect_request(second, "initialize", INITIALIZE);
    let list = world.expect_request(first, "providers/list", "{}");
    world.exits(second, 1);
    world.expect_warning(|notice| matches!(notice, Notice::ChannelExited { .. }));
    world.expect_refusal(editor, 2, -32603, "agent_exited");
    world.answer(first, list, "{}");
    world.expect_answer(editor, 3, "{}");
}

#[test]
fn a_session_whose_process_died_of_a_signal_says_so() {
    let mut world = World::new();
    let (editor, channel) = world.start();
    world.open(editor, channel, "a");
    let status = ExitStatus::Signal(9);
    let exit = drawbridge::bridge::Exit { status, stderr_tail: String::new(), half_line: 0 };
    world.event(Event::ChannelExited { channel, exit });
    world.expect_warning(|notice| matches!(notice, Notice::ChannelExited { .. }));
    world.expect_died(editor, "a", "channel_closed", r#","signal":9"#);
}

#[test]
fn restart_limit() {
    let mut world = World::with(|config| {
        config.agent.restart_limit = 3;
        config.agent.restart_window = 10_000;
    });
    let (editor, mut channel) = world.start();
    for (crash, pause) in [250, 500].into_iter().enumerate() {
        world.exits(channel, 1);
        world.expect_warning(|notice| matches!(notice, Notice::ChannelExited { .. }));
        world.request(editor, crash, "session/new", NEW);
        world.wait(pause - 1);
        world.assert_nothing_left();
        world.wait(1);
        channel = world.expect_spawn("/home");
        world.handshake(channel);
        world.opened(editor, channel, &format!("s{crash}"), &crash.to_string());
        world.close(editor, channel, &format!("s{crash}"));
    }
    world.exits(channel, 1);
    world.expect_warning(|notice| matches!(notice, Notice::ChannelExited { .. }));
    world.request(editor, 9, "session/new", NEW);
    let data = world.expect_refusal(editor, 9, -32603, "restart_limit");
    assert_eq!(data["retryAfterMs"], 10_000 - 750);
    // After the time that it names, it is tried again.
    world.wait(10_000 - 750);
    world.request(editor, 10, "session/new", NEW);
    let channel = world.expect_spawn("/home");
    world.handshake(channel);
    world.opened(editor, channel, "b", "10");
}

#[test]
fn a_wait_after_an_old_crash_does_not_keep_the_bridge_awake() {
    let mut world = World::new();
    let (editor, channel) = world.start();
    world.exits(channel, 1);
    world.expect_warning(|notice| matches!(notice, Notice::ChannelExited { .. }));
    world.wait(1_000);
    world.request(editor, 1, "session/new", NEW);
    let channel = world.expect_spawn("/home");
    world.handshake(channel);
    world.opened(editor, channel, "a", "1");
    // A load that waits for a close is looked at when the close is answered, not all the time.
    world.request(editor, 2, "session/close", &session("a"));
    world.expect_closed(editor, "a", "client_close");
    let close = world.expect_request(channel, "session/close", &session("a"));
    world.request(editor, 3, "session/load", &crate::harness::stored("a"));
    let next = world.bridge.poll_timeout().unwrap();
    assert!(next > world.now, "it wants to be woken at {next:?}, now is {:?}", world.now);
    world.answer(channel, close, "{}");
    world.expect_answer(editor, 2, "{}");
    let load = world.expect_request(channel, "session/load", &crate::harness::stored("a"));
    world.answer(channel, load, "null");
    world.expect_answer(editor, 3, "null");
}

#[test]
fn crashes_of_one_pool_hold_back_no_other() {
    let mut world = World::with(|config| config.agent.restart_limit = 1);
    let (editor, channel) = world.start();
    world.exits(channel, 1);
    world.expect_warning(|notice| matches!(notice, Notice::ChannelExited { .. }));
    world.request(editor, 1, "session/new", NEW);
    world.expect_refusal(editor, 1, -32603, "restart_limit");

    world.start_with(&INITIALIZE.replace("\"terminal\":true", "\"terminal\":false"));
}

#[test]
fn who_leaves_and_comes_back_does_not_start_anew() {
    let mut world = World::with(|config| config.agent.restart_limit = 2);
    for crash in 1..=2 {
        let editor = world.connect();
        world.request(editor, 1, "initialize", INITIALIZE);
        if crash == 2 {
            world.wait(249);
            world.assert_nothing_left();
            world.wait(1);
        }
        let channel = world.expect_spawn("/home");
        world.expect_request(channel, "initialize", INITIALIZE);
        world.crashed(channel);
        world.expect_refusal(editor, 1, -32603, "agent_exited");
        world.gone(editor);
    }
    let editor = world.connect();
    world.request(editor, 1, "initialize", INITIALIZE);
    world.expect_refusal(editor, 1, -32603, "restart_limit");
    // Another identity has a limit of its own, and this one has it again in time.
    world.start_with(&INITIALIZE.replace("\"terminal\":true", "\"terminal\":false"));
    world.wait(60_000);
    world.start();
}

#[test]
fn a_carried_client_that_initializes_anew_waits_as_well() {
    let mut world = World::new();
    let v2 = INITIALIZE.replacen(":1", ":2", 1);
    let editor = world.connect();
    for pause in [0, 250, 500] {
        world.request(editor, pause, "initialize", &v2);
        if pause > 0 {
            world.wait(pause - 1);
            world.assert_nothing_left();
            world.wait(1);
        }
        let channel = world.expect_spawn("/home");
        let number = world.expect_request(channel, "initialize", &v2);
        world.answer(channel, number, r#"{"protocolVersion":2,"capabilities":{}}"#);
        world.expect_answer(editor, pause, r#"{"protocolVersion":2,"capabilities":{}}"#);
        world.crashed(channel);
    }
}

#[test]
fn a_crash_before_anybody_asked_holds_back_whoever_asks_first() {
    let mut world = World::with(|config| config.limits.preheat = true);
    let editor = world.connect();
    world.event(Event::Preheat { client: editor });
    let channel = world.expect_spawn("/home");
    world.exits(channel, 1);
    world.expect_warning(|notice| matches!(notice, Notice::ChannelExited { .. }));
    world.request(editor, 0, "initialize", INITIALIZE);
    world.wait(249);
    world.assert_nothing_left();
    world.wait(1);
    let channel = world.expect_spawn("/home");
    world.handshake(channel);
    world.next_line(editor);
}

#[test]
fn an_initialize_during_the_pause_after_a_crash_waits() {
    let mut world = World::new();
    let (_, channel) = world.start();
    world.exits(channel, 1);
    world.expect_warning(|notice| matches!(notice, Notice::ChannelExited { .. }));
    let late = world.connect();
    world.request(late, 1, "initialize", INITIALIZE);
    world.wait(249);
    world.assert_nothing_left();
    world.wait(1);
    let channel = world.expect_spawn("/home");
    world.handshake(channel);
    world.next_line(late);
    world.event(Event::HostPaused { millis: 0 });
}

#[test]
fn a_crash_in_one_pool_delays_neither_another_nor_one_that_comes_later() {
    let mut world = World::new();
    let (_, first) = world.start();
    let others = INITIALIZE.replace("\"terminal\":true", "\"terminal\":false");
    let (other, second) = world.start_with(&others);
    world.exits(second, 0);
    world.crashed(first);
    // One that was there.
    world.request(other, 1, "session/new", NEW);
    let again = world.expect_spawn("/home");
    world.expect_request(again, "initialize", &others);
    // And one that comes now.
    let third = INITIALIZE.replace("\"terminal\":true,", "");
    world.start_with(&third);
}

#[test]
fn a_crash_before_anybody_asked_holds_back_every_pool() {
    let mut world = World::with(|config| config.limits.preheat = true);
    let (editor, first) = world.start();
    world.exits(first, 0);
    world.event(Event::Preheat { client: editor });
    let preheated = world.expect_spawn("/home");
    world.crashed(preheated);
    // The pool that was there,
    world.request(editor, 1, "session/new", NEW);
    // and one that is made now.
    let others = INITIALIZE.replace("\"terminal\":true", "\"terminal\":false");
    let late = world.connect();
    world.request(late, 0, "initialize", &others);
    world.wait(249);
    world.assert_nothing_left();
    world.wait(1);
    for params in [INITIALIZE, &others] {
        let channel = world.expect_spawn("/home");
        world.expect_request(channel, "initialize", params);
    }
}

#[test]
fn a_handshake_that_times_out_counts_as_a_crash() {
    let mut world = World::with(|config| config.agent.restart_limit = 1);
    let editor = world.connect();
    world.request(editor, 0, "initialize", INITIALIZE);
    let channel = world.expect_spawn("/home");
    world.expect_request(channel, "initialize", INITIALIZE);
    world.wait(300_000);
    world.expect_warning(|notice| matches!(notice, Notice::HandshakeSlow { .. }));
    world.expect_warning(|notice| matches!(notice, Notice::ChannelStopping { .. }));
    world.expect_refusal(editor, 0, -32603, "handshake_timeout");
    world.expect(channel, Deed::CloseStdin);
    world.exits(channel, 0);
    world.request(editor, 1, "initialize", INITIALIZE);
    world.expect_refusal(editor, 1, -32603, "restart_limit");
}

#[test]
fn without_a_timeout_the_pauses_grow_to_half_a_minute_and_no_further() {
    let mut world = World::with(|config| {
        config.agent.restart_limit = 0;
        config.agent.restart_window = 100 * 3_600_000;
    });
    let (editor, mut channel) = world.start();
    for crash in 0..70_u32 {
        let pause = (250_u64 << crash.min(10)).min(30_000);
        world.crashed(channel);
        world.request(editor, crash, "session/new", NEW);
        world.wait(pause - 1);
        world.assert_nothing_left();
        world.wait(1);
        channel = world.expect_spawn("/home");
        world.handshake(channel);
        world.opened(editor, channel, &format!("s{crash}"), &crash.to_string());
        world.close(editor, channel, &format!("s{crash}"));
    }
}

#[test]
fn a_refusal_at_the_restart_limit_says_how_the_last_process_ended() {
    let mut world = World::with(|config| config.agent.restart_limit = 1);
    let (editor, channel) = world.start();
    world.crashed(channel);
    world.request(editor, 1, "session/new", NEW);
    let line = world.next_line(editor);
    assert!(line.contains("exited unexpectedly: exit code 1"), "{line}");
}
