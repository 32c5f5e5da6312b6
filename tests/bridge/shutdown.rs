//! The end: in order, within the bound, with nothing left.

use drawbridge::bridge::{ChannelId, ClientId, Event, Limit, Notice, ShutdownCause};

use crate::harness::{
    CANCELLED, CAPABLE, Deed, Got, INITIALIZE, NEW, World, prompt, session, stored, update,
};

fn killed(notice: &Notice) -> bool {
    matches!(notice, Notice::ChannelKilled { .. })
}

fn live() -> (World, ClientId, ChannelId) {
    let mut world = World::new();
    let (editor, channel) = world.start();
    world.open(editor, channel, "a");
    (world, editor, channel)
}

/// The sessions are settled and their closes are out; the last close is given back.
#[track_caller]
fn ends(world: &mut World, editor: ClientId, channel: ChannelId, cause: ShutdownCause) -> u64 {
    world.shutdown(cause);
    world.expect_died(editor, "a", "shutdown", "");
    world.expect_request(channel, "session/close", &session("a"))
}

#[test]
fn in_order_and_with_exit_code_0() {
    for cause in [ShutdownCause::StdinEnded, ShutdownCause::Signal("SIGTERM")] {
        let (mut world, editor, channel) = live();
        let close = ends(&mut world, editor, channel, cause);
        world.request(editor, 9, "session/new", NEW);
        world.expect_refusal(editor, 9, -32800, "shutting_down");
        world.answer(channel, close, "{}");
        world.expect(channel, Deed::CloseStdin);
        world.exits(channel, 0);
        world.expect_exit(&[]);
        world.wait(1_000_000);
    }
}

#[test]
fn with_nothing_there_it_is_over_at_once() {
    let mut world = World::new();
    world.connect();
    world.shutdown(ShutdownCause::StdinEnded);
    world.expect_exit(&[]);
    world.shutdown(ShutdownCause::Signal("SIGTERM"));
}

#[test]
fn a_pending_prompt_gets_the_agents_own_result_within_the_close_timeout() {
    let (mut world, editor, channel) = live();
    let turn = world.prompt(editor, channel, "a", 1);
    world.shutdown(ShutdownCause::Signal("SIGTERM"));
    world.expect_died(editor, "a", "shutdown", "");
    world.expect_notification(channel, "session/cancel", &session("a"));
    let close = world.expect_request(channel, "session/close", &session("a"));
    world.wait(600);
    world.answer(channel, turn, CANCELLED);
    world.expect_answer(editor, 1, CANCELLED);
    world.answer(channel, close, "{}");
    world.expect(channel, Deed::CloseStdin);
    world.exits(channel, 0);
    world.expect_exit(&[]);
}

#[test]
fn a_pending_prompt_is_told_of_the_shutdown_when_the_timeout_has_passed() {
    let (mut world, editor, channel) = live();
    world.prompt(editor, channel, "a", 1);
    world.shutdown(ShutdownCause::Signal("SIGTERM"));
    world.expect_died(editor, "a", "shutdown", "");
    world.expect_notification(channel, "session/cancel", &session("a"));
    world.expect_request(channel, "session/close", &session("a"));
    world.wait(624);
    world.assert_nothing_left();
    world.wait(1);
    world.expect_refusal(editor, 1, -32800, "shutting_down");
    world.expect_warning(|notice| matches!(notice, Notice::CloseUnanswered { .. }));
    world.expect(channel, Deed::CloseStdin);
    world.exits(channel, 0);
    world.expect_exit(&[]);
}

#[test]
fn prompts_that_waited_in_a_tombstone_are_answered_too() {
    let (mut world, editor, channel) = live();
    world.prompt(editor, channel, "a", 1);
    world.request(editor, 2, "session/close", &session("a"));
    world.expect_closed(editor, "a", "client_close");
    world.expect_notification(channel, "session/cancel", &session("a"));
    let close = world.expect_request(channel, "session/close", &session("a"));
    world.shutdown(ShutdownCause::StdinEnded);
    world.assert_nothing_left();
    world.answer(channel, close, "{}");
    world.expect_answer(editor, 1, CANCELLED);
    world.expect_answer(editor, 2, "{}");
    world.expect(channel, Deed::CloseStdin);
    world.exits(channel, 0);
    world.expect_exit(&[]);
}

#[test]
fn what_was_not_sent_is_refused_and_what_was_asked_is_waited_for() {
    let mut world = World::with(|config| config.agent.sessions_per_channel = 1);
    let (editor, channel) = world.start();
    world.open(editor, channel, "a");
    world.request(editor, 1, "session/new", NEW);
    let starting = world.expect_spawn("/home");
    world.expect_request(starting, "initialize", INITIALIZE);
    let others = INITIALIZE.replace("\"fs\"", "\"files\"");
    let [greeting, silent] = [world.connect(), world.connect()];
    world.request(greeting, 2, "initialize", &others);
    let third = world.expect_spawn("/home");
    let asked = world.expect_request(third, "initialize", &others);
    world.request(silent, 3, "initialize", &INITIALIZE.replace("\"fs\"", "\"tty\""));
    let fourth = world.expect_spawn("/home");
    world.next(fourth);

    world.shutdown(ShutdownCause::StdinEnded);
    world.expect_died(editor, "a", "shutdown", "");
    world.expect_refusal(editor, 1, -32800, "shutting_down");
    let close = world.expect_request(channel, "session/close", &session("a"));
    // Nobody waits for what this one would say.
    world.expect(starting, Deed::CloseStdin);
    world.answer(channel, close, "{}");
    world.expect(channel, Deed::CloseStdin);
    world.answer(third, asked, CAPABLE);
    assert!(world.next_line(greeting).contains("\"id\":2,\"result\""));
    world.expect(third, Deed::CloseStdin);
    for channel in [starting, third, channel] {
        world.exits(channel, 0);
    }
    world.assert_nothing_left();
    // A quarter of the bound is what an answer may take.
    world.wait(625);
    world.expect_refusal(silent, 3, -32800, "shutting_down");
    world.expect(fourth, Deed::CloseStdin);
    world.exits(fourth, 0);
    world.expect_exit(&[]);
}

#[test]
fn an_open_that_the_agent_has_got_is_refused_at_once() {
    for (method, params) in [
        ("session/new", NEW.to_owned()),
        ("session/load", stored("x")),
        ("session/resume", stored("x")),
        ("session/fork", stored("x")),
    ] {
        let mut world = World::new();
        let (editor, channel) = world.start();
        world.request(editor, 1, method, &params);
        let late = world.expect_request(channel, method, &params);
        world.shutdown(ShutdownCause::StdinEnded);
        world.expect_refusal(editor, 1, -32800, "shutting_down");
        world.expect(channel, Deed::CloseStdin);
        world.answer(channel, late, &session("y"));
        assert_eq!(world.bridge.counters().stray_answers, 1);
        world.exits(channel, 0);
        world.expect_exit(&[]);
    }
}

#[test]
fn after_stdins_end_the_first_sigterm_moves_every_channel_one_rung_on() {
    let (mut world, editor, channel) = live();
    ends(&mut world, editor, channel, ShutdownCause::StdinEnded);
    // Shortly after the end of stdin it is the same wish.
    world.wait(499);
    world.shutdown(ShutdownCause::StdinEnded);
    world.assert_nothing_left();
    world.wait(1);
    world.shutdown(ShutdownCause::Signal("SIGTERM"));
    world.expect(channel, Deed::CloseStdin);
    world.expect(channel, Deed::Terminate);
    world.wait(249);
    world.shutdown(ShutdownCause::Signal("SIGTERM"));
    world.assert_nothing_left();
    world.shutdown(ShutdownCause::StdinEnded);
    world.assert_nothing_left();
    world.wait(1);
    world.expect(channel, Deed::Kill);
    world.expect_warning(killed);
    world.exits(channel, 0);
    world.expect_exit(&[]);
}

#[test]
fn signals_that_follow_stdins_end_and_one_another_are_the_same_wish() {
    let (mut world, editor, channel) = live();
    ends(&mut world, editor, channel, ShutdownCause::StdinEnded);
    for pause in [300, 500] {
        world.wait(pause);
        world.shutdown(ShutdownCause::Signal("SIGTERM"));
    }
    // The time that the agent has goes on: its stdin is closed, and nothing worse.
    assert_eq!(world.rest(channel).first(), Some(&Got::Deed(Deed::CloseStdin)));
    world.exits(channel, 0);
    world.expect_exit(&[]);
}

#[test]
fn who_asks_again_and_again_for_two_seconds_means_it() {
    let mut world = World::with(|config| {
        config.limits.shutdown_timeout = 20_000;
        config.agent.session_close_timeout = Limit::After(20_000);
    });
    let (editor, channel) = world.start();
    world.open(editor, channel, "a");
    ends(&mut world, editor, channel, ShutdownCause::Signal("SIGTERM"));
    for _ in 0..2 {
        world.wait(900);
        world.shutdown(ShutdownCause::Signal("SIGTERM"));
    }
    world.assert_nothing_left();
    world.wait(900);
    world.shutdown(ShutdownCause::Signal("SIGTERM"));
    world.expect_warning(|notice| *notice == Notice::ShutdownForced);
    world.expect(channel, Deed::CloseStdin);
    world.expect(channel, Deed::Kill);
    world.expect_warning(killed);
    world.exits(channel, 0);
    world.expect_exit(&[]);
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let (mut world, editor, channel) = live();
    ends(&mut world, editor, channel, ShutdownCause::Signal("SIGTERM"));
    // Nearer than a second it is the same wish, however often it comes.
    for _ in 0..3 {
        world.wait(200);
        world.shutdown(ShutdownCause::Signal("SIGTERM"));
    }
    world.assert_nothing_left();
    world.wait(25);
    world.expect(channel, Deed::CloseStdin);
    world.expect_warning(|notice| matches!(notice, Notice::CloseUnanswered { .. }));
    world.wait(974);
    world.assert_nothing_left();
    world.wait(1);
    world.shutdown(ShutdownCause::Signal("SIGTERM"));
    world.expect_warning(|notice| *notice == Notice::ShutdownForced);
    world.expect(channel, Deed::Kill);
    world.expect_warning(killed);
    world.exits(channel, 0);
    world.expect_exit(&[]);
}

#[test]
fn an_agent_deaf_to_everything_is_killed_within_the_bound() {
    let (mut world, editor, channel) = live();
    ends(&mut world, editor, channel, ShutdownCause::StdinEnded);
    // A quarter for the close, the rest for the ladder: all its rungs within the bound.
    for (rung, at) in [(Deed::CloseStdin, 625), (Deed::Terminate, 1_375), (Deed::Kill, 250)] {
        world.wait(at - 1);
        world.assert_nothing_for(channel);
        world.wait(1);
        world.expect(channel, rung);
    }
    world.expect_warning(|notice| matches!(notice, Notice::CloseUnanswered { .. }));
    world.expect_warning(killed);
    world.exits(channel, 0);
    world.expect_exit(&[]);
}

#[test]
fn a_process_that_does_not_die_is_named_as_a_survivor() {
    let (mut world, editor, channel) = live();
    let close = ends(&mut world, editor, channel, ShutdownCause::Signal("SIGTERM"));
    world.answer(channel, close, "{}");
    world.wait(2_000);
    world.expect(channel, Deed::CloseStdin);
    world.expect(channel, Deed::Terminate);
    world.wait(98_000);
    world.expect(channel, Deed::Kill);
    world.expect_warning(killed);
    world.expect_warning(|notice| matches!(notice, Notice::ChannelStuck { .. }));
    world.expect_warning(|notice| *notice == Notice::Survivors { channels: vec![channel] });
    world.expect_exit(&[channel]);
    world.exits(channel, 0);
}

#[test]
fn outside_a_shutdown_a_process_that_does_not_die_counts_no_more() {
    let mut world = World::with(|config| {
        config.limits.max_channels = 1;
        config.agent.channel_idle_timeout = Limit::After(0);
    });
    let (editor, old) = world.start();
    world.open(editor, old, "a");
    world.close(editor, old, "a");
    world.request(editor, 1, "session/new", NEW);
    world.wait(11_000);
    for step in [Deed::CloseStdin, Deed::Terminate, Deed::Kill] {
        world.expect(old, step);
    }
    world.expect_warning(killed);
    world.expect_warning(|notice| matches!(notice, Notice::ChannelStuck { .. }));
    let fresh = world.expect_spawn("/home");
    world.handshake(fresh);
    world.opened(editor, fresh, "b", "1");
    world.exits(old, 0);
}

#[test]
fn a_preheated_process_is_ended_too() {
    let mut world = World::new();
    let client = world.connect_in("/");
    world.event(Event::Preheat { client });
    let channel = world.expect_spawn("/");
    world.shutdown(ShutdownCause::StdinEnded);
    world.expect(channel, Deed::CloseStdin);
    world.exits(channel, 0);
    world.expect_exit(&[]);
}

#[test]
fn a_pause_of_the_host_does_not_lengthen_the_shutdown() {
    let (mut world, editor, channel) = live();
    ends(&mut world, editor, channel, ShutdownCause::Signal("SIGTERM"));
    world.event(Event::HostPaused { millis: 0 });
    world.wait(2_499);
    for step in [Deed::CloseStdin, Deed::Terminate, Deed::Kill] {
        world.expect(channel, step);
    }
    world.expect_warning(|notice| matches!(notice, Notice::CloseUnanswered { .. }));
    world.expect_warning(killed);
    world.exits(channel, 0);
    world.expect_exit(&[]);
}

#[test]
fn after_a_pause_of_the_host_nothing_is_timed_out_for_a_minute() {
    let mut world = World::new();
    let (editor, channel) = world.start();
    world.open(editor, channel, "b");
    world.request(editor, 1, "session/new", NEW);
    let open = world.expect_request(channel, "session/new", NEW);
    world.request(editor, 2, "session/close", &session("b"));
    world.expect_closed(editor, "b", "client_close");
    let close = world.expect_request(channel, "session/close", &session("b"));
    // Asleep for an hour; the first thing on waking is to say so.
    world.now = world.now.plus_millis(3_600_000);
    world.event(Event::HostPaused { millis: 0 });
    world.wait(59_999);
    world.assert_nothing_left();
    world.answer(channel, open, &session("a"));
    world.expect_answer(editor, 1, &session("a"));
    world.answer(channel, close, "{}");
    world.expect_answer(editor, 2, "{}");
    world.request(editor, 3, "session/prompt", &prompt("a"));
    world.expect_request(channel, "session/prompt", &prompt("a"));
}

#[test]
fn a_process_has_time_to_die_of_sigkill_even_without_a_grace() {
    let mut world = World::with(|config| config.agent.kill_grace = Limit::After(0));
    let (editor, channel) = world.start();
    world.open(editor, channel, "a");
    ends(&mut world, editor, channel, ShutdownCause::Signal("SIGTERM"));
    world.wait(1_000);
    world.expect(channel, Deed::CloseStdin);
    world.expect_warning(|notice| matches!(notice, Notice::CloseUnanswered { .. }));
    world.shutdown(ShutdownCause::Signal("SIGTERM"));
    world.expect_warning(|notice| *notice == Notice::ShutdownForced);
    world.expect(channel, Deed::Kill);
    world.expect_warning(killed);
    world.wait(249);
    world.exits(channel, 0);
    world.expect_exit(&[]);
}

#[test]
fn all_who_wait_for_a_handshake_are_answered_by_it_at_the_end() {
    let mut world = World::new();
    let first = world.connect();
    let second = world.connect();
    world.request(first, 0, "initialize", INITIALIZE);
    let channel = world.expect_spawn("/home");
    world.request(second, 0, "initialize", INITIALIZE);
    world.shutdown(ShutdownCause::StdinEnded);
    world.handshake(channel);
    let answer = world.next_line(first);
    assert!(answer.contains("protocolVersion"), "{answer}");
    assert_eq!(world.next_line(second), answer);
    world.expect(channel, Deed::CloseStdin);
    world.exits(channel, 0);
    world.expect_exit(&[]);
}

#[test]
fn nothing_is_started_at_the_end_for_a_client_that_would_need_a_process_of_its_own() {
    let mut world = World::new();
    let first = world.connect();
    let second = world.connect();
    world.request(first, 0, "initialize", INITIALIZE);
    let channel = world.expect_spawn("/home");
    world.request(second, 0, "initialize", INITIALIZE);
    world.shutdown(ShutdownCause::StdinEnded);
    let number = world.expect_request(channel, "initialize", INITIALIZE);
    world.answer(channel, number, r#"{"protocolVersion":2}"#);
    world.expect_answer(first, 0, r#"{"protocolVersion":2}"#);
    world.expect_refusal(second, 0, -32800, "shutting_down");
    world.expect(channel, Deed::CloseStdin);
    world.exits(channel, 0);
    world.expect_exit(&[]);
}

#[test]
fn what_waits_for_a_handshake_is_refused_at_once() {
    let mut world = World::new();
    let (editor, first) = world.start();
    world.exits(first, 0);
    let greeting = world.connect();
    world.request(greeting, 0, "initialize", INITIALIZE);
    let second = world.expect_spawn("/home");
    world.expect_request(second, "initialize", INITIALIZE);
    world.request(editor, 1, "session/list", "{}");
    world.assert_nothing_left();
    world.shutdown(ShutdownCause::Signal("SIGTERM"));
    world.expect_refusal(editor, 1, -32800, "shutting_down");
}

#[test]
fn an_initialize_that_waits_for_a_pause_to_end_is_refused_at_once() {
    let mut world = World::new();
    let (_, first) = world.start();
    world.exits(first, 1);
    world.expect_warning(|notice| matches!(notice, Notice::ChannelExited { .. }));
    let second = world.connect();
    world.request(second, 0, "initialize", INITIALIZE);
    world.shutdown(ShutdownCause::Signal("SIGTERM"));
    world.expect_refusal(second, 0, -32800, "shutting_down");
    world.expect_exit(&[]);
}

#[test]
fn what_a_session_says_that_is_brought_too_late_is_shown_to_nobody() {
    let mut world = World::new();
    let (first, channel) = world.start();
    let second = world.join();
    // An id of the first client, which the agent has closed and gives again.
    world.request(first, 1, "nes/start", "{}");
    let start = world.expect_request(channel, "nes/start", "{}");
    world.answer(channel, start, &session("s1"));
    world.expect_answer(first, 1, &session("s1"));
    world.agreed(first, channel, "nes/close", &session("s1"));
    world.request(second, 2, "session/new", NEW);
    let new = world.expect_request(channel, "session/new", NEW);
    world.request(first, 3, "nes/start", "{}");
    let start = world.expect_request(channel, "nes/start", "{}");
    world.shutdown(ShutdownCause::StdinEnded);
    world.expect_refusal(second, 2, -32800, "shutting_down");
    world.answer(channel, new, &session("s1"));
    world.notify(channel, "session/update", &update("s1", "text"));
    world.answer(channel, start, &session("s2"));
    world.expect_answer(first, 3, &session("s2"));
    world.notify(channel, "session/update", &update("s2", "text"));
    world.expect(channel, Deed::CloseStdin);
    world.exits(channel, 0);
    world.expect_exit(&[]);
}
