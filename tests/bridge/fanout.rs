//! Requests that every channel must hear: whose answer counts, and what further
//! channels are told.

use drawbridge::bridge::{ChannelId, ClientId, Notice};

use crate::harness::{Deed, INITIALIZE, NEW, World, session};

/// Three channels with a session each.
fn three() -> (World, ClientId, [ChannelId; 3]) {
    let mut world = World::with(|config| config.agent.sessions_per_channel = 1);
    let (editor, first) = world.start();
    world.open(editor, first, "a");
    let [second, third] = ["b", "c"].map(|id| further(&mut world, editor, id, &[]));
    (world, editor, [first, second, third])
}

/// One more channel, which is told this before its first session is opened.
#[track_caller]
fn further(world: &mut World, editor: ClientId, id: &str, told: &[(&str, &str)]) -> ChannelId {
    world.request(editor, 90, "session/new", NEW);
    let channel = world.expect_spawn("/home");
    world.handshake(channel);
    let numbers: Vec<u64> =
        told.iter().map(|(method, params)| world.expect_request(channel, method, params)).collect();
    for number in numbers {
        world.assert_nothing_left();
        world.answer(channel, number, "{}");
    }
    world.opened(editor, channel, id, "90");
    channel
}

#[test]
fn the_first_failure_is_the_answer_whatever_the_others_say() {
    let methods = ["logout", "auth/logout", "providers/list", "providers/set", "providers/disable"];
    // What the channels answer, in the order of their answers; 0: they succeed.
    let orders = [[-7, -8, 0], [-7, 0, -8], [0, -7, -8], [0, 0, -7]];
    for method in methods {
        for codes in orders {
            let (mut world, editor, channels) = three();
            let params = r#"{"id":"p"}"#;
            world.request(editor, 2, method, params);
            let asked = channels.map(|channel| world.expect_request(channel, method, params));
            for ((channel, number), code) in channels.into_iter().zip(asked).zip(codes) {
                world.assert_nothing_left();
                match code {
                    0 => world.answer(channel, number, "{}"),
                    code => world.fail(channel, number, code),
                }
            }
            world.expect_failure(editor, 2, -7);
            // It was not agreed on: nobody else is told.
            further(&mut world, editor, "d", &[]);
        }
    }
}

#[test]
fn an_exit_is_a_failure_like_another_and_the_first_one_counts() {
    for exits_first in [true, false] {
        let (mut world, editor, [first, second, third]) = three();
        world.request(editor, 2, "logout", "{}");
        let [_, two, three] =
            [first, second, third].map(|channel| world.expect_request(channel, "logout", "{}"));
        if !exits_first {
            world.fail(second, two, -7);
        }
        world.exits(first, 3);
        world.expect_died(editor, "a", "channel_closed", r#","exitCode":3"#);
        world.expect_warning(|notice| matches!(notice, Notice::ChannelExited { .. }));
        if exits_first {
            world.fail(second, two, -7);
        }
        world.assert_nothing_left();
        world.answer(third, three, "{}");
        if exits_first {
            let data = world.expect_refusal(editor, 2, -32603, "agent_exited");
            assert_eq!(data["exitCode"], 3);
        } else {
            world.expect_failure(editor, 2, -7);
        }
    }
}

#[test]
fn if_all_succeed_the_first_success_is_the_answer() {
    let (mut world, editor, channels) = three();
    world.request(editor, 2, "providers/list", "{}");
    let asked = channels.map(|channel| world.expect_request(channel, "providers/list", "{}"));
    for (at, list) in [(1, r#"{"of":1}"#), (0, r#"{"of":0}"#), (2, r#"{"of":2}"#)] {
        world.assert_nothing_left();
        world.answer(channels[at], asked[at], list);
    }
    world.expect_answer(editor, 2, r#"{"of":1}"#);
}

#[test]
fn of_the_settings_of_one_subject_further_channels_are_told_the_last() {
    for key in ["id", "providerId"] {
        let mut world = World::with(|config| config.agent.sessions_per_channel = 1);
        let (editor, channel) = world.start();
        world.open(editor, channel, "a");
        let setting = |id: &str, url: usize| format!(r#"{{"{key}":"{id}","url":"{url}"}}"#);
        world.agreed(editor, channel, "providers/set", &setting("p", 0));
        world.agreed(editor, channel, "providers/set", &setting("q", 0));
        // More of them than there is room for settings.
        for url in 1..100 {
            world.agreed(editor, channel, "providers/set", &setting("p", url));
        }
        assert_eq!(world.bridge.counters().set_up_requests, 0);
        // It took the place of the earlier ones, also in the order.
        let (p, q) = (setting("p", 99), setting("q", 0));
        further(&mut world, editor, "b", &[("providers/set", &q), ("providers/set", &p)]);
    }
}

#[test]
fn another_method_about_the_same_subject_is_told_too() {
    let mut world = World::with(|config| config.agent.sessions_per_channel = 1);
    let (editor, channel) = world.start();
    world.open(editor, channel, "a");
    let provider = r#"{"id":"p"}"#;
    for method in ["providers/set", "providers/disable"] {
        for _ in 0..2 {
            world.agreed(editor, channel, method, provider);
        }
    }
    further(
        &mut world,
        editor,
        "b",
        &[("providers/set", provider), ("providers/disable", provider)],
    );
}

#[test]
fn of_the_logins_by_one_method_further_channels_are_told_the_last() {
    let mut world = World::with(|config| config.agent.sessions_per_channel = 1);
    let (editor, channel) = world.start();
    world.open(editor, channel, "a");
    let login =
        |method: &str, key: usize| format!(r#"{{"methodId":"{method}","_meta":{{"key":{key}}}}}"#);
    for (method, key) in [("x", 1), ("y", 1), ("x", 2)] {
        world.agreed(editor, channel, "authenticate", &login(method, key));
    }
    let (x, y) = (login("x", 2), login("y", 1));
    further(&mut world, editor, "b", &[("authenticate", &y), ("authenticate", &x)]);
}

#[test]
fn after_a_request_for_all_was_answered_a_client_may_introduce_itself_anew() {
    let mut world = World::new();
    let (editor, channel) = world.start();
    world.agreed(editor, channel, "providers/list", "{}");
    world.request(editor, 2, "initialize", INITIALIZE);
    assert!(world.next_line(editor).contains("\"result\""));
}

/// A second channel that works on an open of the editor's (its request 1), and hears a
/// setting that was made while it started: its numbers of both.
fn told_late() -> (World, ClientId, ChannelId, [u64; 2]) {
    let mut world = World::with(|config| config.agent.sessions_per_channel = 2);
    let (editor, first) = world.start();
    world.open(editor, first, "a");
    world.open(editor, first, "x");
    world.request(editor, 1, "session/new", NEW);
    let second = world.expect_spawn("/home");
    let greeting = world.expect_request(second, "initialize", INITIALIZE);
    world.request(editor, 2, "providers/set", "{}");
    let asked = world.expect_request(first, "providers/set", "{}");
    world.answer(second, greeting, world.agent);
    let sent = world.expect_request(second, "session/new", NEW);
    world.answer(first, asked, "{}");
    world.expect_answer(editor, 2, "{}");
    let heard = world.expect_request(second, "providers/set", "{}");
    (world, editor, second, [sent, heard])
}

#[test]
fn a_setting_that_is_refused_refuses_the_opens_that_wait_for_it_and_no_others() {
    let (mut world, editor, second, [sent, heard]) = told_late();
    world.request(editor, 3, "session/new", NEW);
    world.assert_nothing_left();
    world.fail(second, heard, -9);
    world.expect_failure(editor, 3, -9);
    world.answer(second, sent, &session("b"));
    world.expect_answer(editor, 1, &session("b"));
    // It takes no more of them.
    world.close(editor, second, "b");
    world.expect(second, Deed::CloseStdin);
}

#[test]
fn a_setting_that_times_out_together_with_an_open_refuses_nobody_who_can_go_elsewhere() {
    let (mut world, editor, second, _) = told_late();
    world.wait(1);
    world.request(editor, 3, "session/new", NEW);
    world.wait(119_998);
    world.assert_nothing_left();
    world.wait(1);
    world.expect_warning(|notice| matches!(notice, Notice::OpenUnanswered { .. }));
    world.expect_warning(|notice| matches!(notice, Notice::ChannelDraining { .. }));
    world.expect_refusal(editor, 1, -32603, "open_timeout");
    world.expect(second, Deed::CloseStdin);
    let third = world.expect_spawn("/home");
    world.handshake(third);
    let again = world.expect_request(third, "providers/set", "{}");
    world.answer(third, again, "{}");
    world.opened(editor, third, "c", "3");
}

#[test]
fn a_setting_that_is_refused_refuses_nothing_but_opens() {
    let mut world = World::with(|config| config.agent.sessions_per_channel = 1);
    let (editor, first) = world.start();
    world.open(editor, first, "a");
    world.agreed(editor, first, "providers/set", "{}");
    world.request(editor, 3, "session/new", NEW);
    let second = world.expect_spawn("/home");
    world.handshake(second);
    let heard = world.expect_request(second, "providers/set", "{}");
    world.request(editor, 4, "session/list", "{}");
    world.assert_nothing_left();
    world.fail(second, heard, -9);
    world.expect_failure(editor, 3, -9);
    world.expect_request(second, "session/list", "{}");
}
