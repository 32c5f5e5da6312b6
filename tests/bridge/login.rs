//! Requests about the agent as a whole: logins, providers, lists, extensions.

use drawbridge::bridge::{ChannelId, ClientId, Event, Limit, Notice};

use crate::harness::{Deed, INITIALIZE, NEW, World, session, stored, update};

const LOGIN: &str = r#"{"methodId":"x"}"#;
const GATEWAY: &str = r#"{"methodId":"x","_meta":{"key":"secret"}}"#;
const PROVIDER: &str = r#"{"id":"p","url":"u"}"#;

fn one_each() -> World {
    World::with(|config| config.agent.sessions_per_channel = 1)
}

/// Two channels with a session each.
fn two(world: &mut World) -> (ClientId, ChannelId, ChannelId) {
    let (editor, first) = world.start();
    world.open(editor, first, "a");
    world.request(editor, 1, "session/new", NEW);
    let second = world.expect_spawn("/home");
    world.handshake(second);
    world.opened(editor, second, "b", "1");
    (editor, first, second)
}

#[test]
fn authentication_required_marks_the_channel_and_a_login_lifts_the_mark() {
    let mut world = World::new();
    let (editor, channel) = world.start();
    world.request(editor, 1, "session/new", NEW);
    let number = world.expect_request(channel, "session/new", NEW);
    world.fail(channel, number, -32000);
    world.expect_failure(editor, 1, -32000);
    world.agreed(editor, channel, "authenticate", LOGIN);
    world.open(editor, channel, "a");
}

#[test]
fn without_a_login_here_the_next_open_goes_to_a_new_process() {
    let mut world = World::new();
    let (editor, old) = world.start();
    world.request(editor, 1, "session/new", NEW);
    let number = world.expect_request(old, "session/new", NEW);
    world.fail(old, number, -32000);
    world.expect_failure(editor, 1, -32000);
    // The login was made elsewhere; the old process would never see it.
    world.request(editor, 2, "session/new", NEW);
    world.expect(old, Deed::CloseStdin);
    let fresh = world.expect_spawn("/home");
    world.handshake(fresh);
    world.opened(editor, fresh, "a", "2");
}

#[test]
fn a_marked_channel_with_a_live_session_goes_on_with_it() {
    let mut world = World::new();
    let (editor, old) = world.start();
    world.open(editor, old, "a");
    world.request(editor, 1, "session/new", NEW);
    let number = world.expect_request(old, "session/new", NEW);
    world.fail(old, number, -32000);
    world.expect_failure(editor, 1, -32000);
    world.request(editor, 2, "session/new", NEW);
    let fresh = world.expect_spawn("/home");
    world.handshake(fresh);
    world.opened(editor, fresh, "b", "2");
    world.prompt(editor, old, "a", 3);
}

#[test]
fn a_login_goes_to_the_channel_that_wants_one() {
    let mut world = one_each();
    let (editor, first, second) = two(&mut world);
    world.close(editor, first, "a");
    world.request(editor, 1, "session/new", NEW);
    let number = world.expect_request(first, "session/new", NEW);
    world.fail(first, number, -32000);
    world.expect_failure(editor, 1, -32000);
    world.agreed(editor, first, "authenticate", LOGIN);
    // That one is logged in: the next login is for the other.
    world.agreed(editor, second, "authenticate", LOGIN);
}

#[test]
fn a_login_with_credentials_is_repeated_on_new_channels_and_another_is_not() {
    let mut world = one_each();
    let (editor, first) = world.start();
    world.open(editor, first, "a");
    world.agreed(editor, first, "authenticate", LOGIN);
    world.agreed(editor, first, "authenticate", GATEWAY);
    world.request(editor, 1, "session/new", NEW);
    let second = world.expect_spawn("/home");
    world.handshake(second);
    let again = world.expect_request(second, "authenticate", GATEWAY);
    world.assert_nothing_left();
    // Nobody waits for it to succeed; the session comes behind it.
    world.fail(second, again, -1);
    world.opened(editor, second, "b", "1");
}

/// A request that the first channel refused is not repeated on the second.
#[track_caller]
fn check_not_repeated(method: &str, params: &str) {
    let mut world = one_each();
    let (editor, first) = world.start();
    world.open(editor, first, "a");
    world.request(editor, 1, method, params);
    let number = world.expect_request(first, method, params);
    world.fail(first, number, -9);
    world.expect_failure(editor, 1, -9);
    world.request(editor, 2, "session/new", NEW);
    let second = world.expect_spawn("/home");
    world.handshake(second);
    world.opened(editor, second, "b", "2");
}

#[test]
fn a_login_that_was_refused_is_not_repeated() {
    check_not_repeated("authenticate", GATEWAY);
}

#[test]
fn a_logout_reaches_all_channels_and_is_remembered() {
    let mut world = one_each();
    let (editor, first, second) = two(&mut world);
    world.agreed(editor, first, "authenticate", GATEWAY);
    world.request(editor, 2, "logout", "{}");
    let one = world.expect_request(first, "logout", "{}");
    let two = world.expect_request(second, "logout", "{}");
    world.answer(second, two, "{}");
    world.assert_nothing_left();
    world.answer(first, one, "{}");
    world.expect_answer(editor, 2, "{}");
    world.request(editor, 3, "session/new", NEW);
    let third = world.expect_spawn("/home");
    world.handshake(third);
    world.opened(editor, third, "c", "3");
}

#[test]
fn a_logout_takes_back_the_time_that_a_login_gave_to_an_idle_channel() {
    let mut world = World::with(|config| {
        config.agent.sessions_per_channel = 1;
        config.agent.channel_idle_timeout = Limit::After(0);
    });
    let (editor, first, second) = two(&mut world);
    world.agreed(editor, first, "authenticate", LOGIN);
    world.close(editor, first, "a");
    world.assert_nothing_left();
    world.request(editor, 2, "logout", "{}");
    let one = world.expect_request(first, "logout", "{}");
    let two = world.expect_request(second, "logout", "{}");
    world.answer(first, one, "{}");
    world.assert_nothing_left();
    world.answer(second, two, "{}");
    world.expect_answer(editor, 2, "{}");
    world.expect(first, Deed::CloseStdin);
}

#[test]
fn a_logout_succeeds_if_all_do() {
    let mut world = one_each();
    let (editor, first, second) = two(&mut world);
    world.request(editor, 2, "logout", "{}");
    let one = world.expect_request(first, "logout", "{}");
    let two = world.expect_request(second, "logout", "{}");
    world.fail(first, one, -7);
    world.answer(second, two, "{}");
    world.expect_failure(editor, 2, -7);
    // A channel that dies meanwhile did not succeed either.
    world.request(editor, 3, "logout", "{}");
    world.expect_request(first, "logout", "{}");
    let two = world.expect_request(second, "logout", "{}");
    world.exits(first, 1);
    world.expect_died(editor, "a", "channel_closed", r#","exitCode":1"#);
    world.expect_warning(|notice| matches!(notice, Notice::ChannelExited { .. }));
    world.answer(second, two, "{}");
    world.expect_refusal(editor, 3, -32603, "agent_exited");
}

#[test]
fn providers_go_to_all_channels_and_to_each_new_one_before_its_first_open() {
    let mut world = one_each();
    let (editor, first, second) = two(&mut world);
    world.request(editor, 2, "providers/set", PROVIDER);
    for channel in [first, second] {
        let number = world.expect_request(channel, "providers/set", PROVIDER);
        world.answer(channel, number, "{}");
    }
    world.expect_answer(editor, 2, "{}");
    world.request(editor, 3, "session/new", NEW);
    let third = world.expect_spawn("/home");
    world.handshake(third);
    let again = world.expect_request(third, "providers/set", PROVIDER);
    world.assert_nothing_left();
    world.answer(third, again, "{}");
    world.opened(editor, third, "c", "3");
    // If that fails, the open fails, with the agent's words.
    world.request(editor, 4, "session/new", NEW);
    let fourth = world.expect_spawn("/home");
    world.handshake(fourth);
    let again = world.expect_request(fourth, "providers/set", PROVIDER);
    world.fail(fourth, again, -9);
    world.expect_failure(editor, 4, -9);
    // And no other session is opened there.
    world.expect(fourth, Deed::CloseStdin);
}

#[test]
fn a_set_up_request_that_is_never_answered_is_refused_when_the_open_times_out() {
    for (method, params) in [("providers/set", PROVIDER), ("authenticate", GATEWAY)] {
        let mut world = one_each();
        let (editor, first) = world.start();
        world.open(editor, first, "a");
        world.agreed(editor, first, method, params);
        world.request(editor, 2, "session/new", NEW);
        let second = world.expect_spawn("/home");
        world.handshake(second);
        world.expect_request(second, method, params);
        world.wait(119_999);
        world.assert_nothing_left();
        world.wait(1);
        match method {
            // The session would run on the wrong provider.
            "providers/set" => {
                world.expect_refusal(editor, 2, -32603, "open_timeout");
                world.expect(second, Deed::CloseStdin);
            }
            _ => world.opened(editor, second, "b", "2"),
        }
    }
}

#[test]
fn a_setting_that_was_refused_is_not_repeated() {
    check_not_repeated("providers/set", PROVIDER);
}

#[test]
fn providers_without_a_channel_start_one_which_hears_it_once() {
    let mut world = one_each();
    let (editor, first) = world.start();
    world.exits(first, 0);
    world.request(editor, 2, "providers/set", PROVIDER);
    let second = world.expect_spawn("/home");
    world.handshake(second);
    let number = world.expect_request(second, "providers/set", PROVIDER);
    world.answer(second, number, "{}");
    world.expect_answer(editor, 2, "{}");
    world.open(editor, second, "a");
    world.request(editor, 3, "session/new", NEW);
    let third = world.expect_spawn("/home");
    world.handshake(third);
    let again = world.expect_request(third, "providers/set", PROVIDER);
    world.answer(third, again, "{}");
    world.opened(editor, third, "b", "3");
}

#[test]
fn a_list_is_the_agents_and_its_cursor_leads_back_to_its_channel() {
    let mut world = one_each();
    let (editor, first, second) = two(&mut world);
    let other = world.join();
    world.request(editor, 2, "session/list", "{}");
    let list = world.expect_request(second, "session/list", "{}");
    let known = r#"{"sessions":[ {"title":"B","sessionId":"b"} ], "nextCursor":"page2","x":1.0}"#;
    world.answer(second, list, known);
    world.expect_answer(editor, 2, known);
    let next = r#"{"cursor":"page2"}"#;
    world.request(other, 3, "session/list", next);
    let list = world.expect_request(second, "session/list", next);
    world.answer(second, list, r#"{"sessions":[]}"#);
    world.expect_answer(other, 3, r#"{"sessions":[]}"#);
    // A cursor of a process that is gone, or of nobody.
    world.exits(second, 0);
    world.expect_died(editor, "b", "channel_closed", r#","exitCode":0"#);
    world.expect_warning(|notice| matches!(notice, Notice::ChannelExited { .. }));
    world.request(editor, 5, "session/list", next);
    world.expect_refusal(editor, 5, -32602, "stale_cursor");
    world.prompt(editor, first, "a", 6);
}

#[test]
fn a_list_that_is_none_is_answered_all_the_same() {
    let mut world = World::new();
    let (editor, channel) = world.start();
    let mut asked = 0;
    let mut lists = |world: &mut World, from_agent: &str, to_client: &str| {
        asked += 1;
        world.request(editor, asked, "session/list", "{}");
        let list = world.expect_request(channel, "session/list", "{}");
        world.answer(channel, list, from_agent);
        world.expect_answer(editor, asked, to_client);
    };
    // Some spell an empty list so.
    let none = r#"{"sessions":null,"x":1.0}"#;
    lists(&mut world, none, none);
    world.open(editor, channel, "a");
    lists(&mut world, none, none);
    // An id of the agent's own may look like one of ours.
    let looks_so = r#"{"sessions":[{"sessionId":"~1~x"},{"sessionId":"~x~1"}]}"#;
    let shown = r#"{"sessions":[{"sessionId":"~1~~1~x"},{"sessionId":"~x~1"}]}"#;
    lists(&mut world, looks_so, shown);
    for odd in [r#""abc""#, "{}", r#"{"a":1}"#, "5", "false"] {
        let page = format!(r#"{{"sessions":{odd}}}"#);
        lists(&mut world, &page, &page);
    }
    world.assert_nothing_left();
}

#[test]
fn delete_and_archive_end_a_live_session_when_the_agent_has_done_it() {
    for method in ["session/delete", "session/archive"] {
        let mut world = World::new();
        let (editor, channel) = world.start();
        world.open(editor, channel, "a");
        let turn = world.prompt(editor, channel, "a", 1);
        world.request(editor, 2, method, &session("a"));
        let refused = world.expect_request(channel, method, &session("a"));
        world.fail(channel, refused, -32603);
        world.expect_failure(editor, 2, -32603);
        // Nothing has happened.
        world.notify(channel, "session/update", &update("a", "x"));
        world.expect_notification(editor, "session/update", &update("a", "x"));
        world.request(editor, 3, method, &session("a"));
        let done = world.expect_request(channel, method, &session("a"));
        world.answer(channel, done, "{}");
        world.expect_closed(editor, "a", "deleted");
        world.expect_answer(editor, 3, "{}");
        world.expect_notification(channel, "session/cancel", &session("a"));
        let close = world.expect_request(channel, "session/close", &session("a"));
        world.answer(channel, turn, crate::harness::CANCELLED);
        world.expect_answer(editor, 1, crate::harness::CANCELLED);
        world.answer(channel, close, "{}");
    }
}

#[test]
fn a_session_in_which_another_client_works_is_not_deleted() {
    let mut world = World::new();
    let (first, channel) = world.start();
    let second = world.join();
    world.open(first, channel, "a");
    let turn = world.prompt(first, channel, "a", 1);
    for method in ["session/delete", "session/archive"] {
        world.request(second, 2, method, &session("a"));
        world.expect_refusal(second, 2, -32603, "session_in_use");
    }
    world.answer(channel, turn, crate::harness::END_TURN);
    world.expect_answer(first, 1, crate::harness::END_TURN);
    world.request(second, 3, "session/delete", &session("a"));
    let delete = world.expect_request(channel, "session/delete", &session("a"));
    world.answer(channel, delete, "{}");
    world.expect_closed(first, "a", "deleted");
    world.expect_answer(second, 3, "{}");
    world.expect_request(channel, "session/close", &session("a"));
}

#[test]
fn delete_and_archive_of_a_stored_session_need_no_attachment() {
    let mut world = World::new();
    let (editor, channel) = world.start();
    for method in ["session/delete", "session/archive", "session/unarchive", "session/set_title"] {
        world.agreed(editor, channel, method, &session("stored"));
    }
    // Nor does what the bridge knows nothing about.
    for method in ["session/set_mode", "session/close", "session/prompt", "_x/y"] {
        world.agreed(editor, channel, method, &session("stored"));
    }
}

#[test]
fn a_missing_field_is_named() {
    let mut world = World::new();
    let (editor, _) = world.start();
    for method in
        ["session/load", "session/fork", "session/prompt", "session/close", "session/delete"]
    {
        world.request(editor, 9, method, "{}");
        world.expect_refusal(editor, 9, -32602, "missing_field");
    }
}

#[test]
fn unknown_methods_go_to_the_channel_that_last_served_and_notifications_to_all() {
    let mut world = one_each();
    let (editor, first, second) = two(&mut world);
    world.agreed(editor, second, "_vendor/thing", "[1]");
    world.notify(editor, "_vendor/note", "{}");
    for channel in [first, second] {
        world.expect_notification(channel, "_vendor/note", "{}");
    }
    world.notify(first, "_vendor/news", "{}");
    world.expect_notification(editor, "_vendor/news", "{}");
    world.request(editor, 3, "_drawbridge/unheard_of", "{}");
    world.expect_refusal(editor, 3, -32601, "no_route");
}

#[test]
fn a_first_client_starts_an_agent_for_a_load_as_well() {
    let mut world = World::new();
    let (editor, channel) = world.start();
    world.exits(channel, 0);
    world.request(editor, 1, "session/load", &stored("a"));
    let channel = world.expect_spawn("/home");
    let id = world.expect_request(channel, "initialize", INITIALIZE);
    world.answer(channel, id, world.agent);
    let load = world.expect_request(channel, "session/load", &stored("a"));
    world.answer(channel, load, "null");
    world.expect_answer(editor, 1, "null");
}

#[test]
fn a_channel_that_became_ready_meanwhile_hears_the_provider_too() {
    let mut world = one_each();
    let (editor, first) = world.start();
    world.open(editor, first, "a");
    world.request(editor, 2, "session/new", NEW);
    let second = world.expect_spawn("/home");
    let greeting = world.expect_request(second, "initialize", INITIALIZE);
    world.request(editor, 3, "providers/set", PROVIDER);
    let asked = world.expect_request(first, "providers/set", PROVIDER);
    world.answer(second, greeting, world.agent);
    world.opened(editor, second, "b", "2");
    world.answer(first, asked, "{}");
    world.expect_answer(editor, 3, "{}");
    let heard = world.expect_request(second, "providers/set", PROVIDER);
    world.answer(second, heard, "{}");
}

#[test]
fn a_cursor_of_a_channel_that_stops_is_stale() {
    let mut world = World::new();
    let (editor, channel) = world.start();
    world.request(editor, 1, "session/list", "{}");
    let list = world.expect_request(channel, "session/list", "{}");
    world.answer(channel, list, r#"{"sessions":[],"nextCursor":"n"}"#);
    world.expect_answer(editor, 1, r#"{"sessions":[],"nextCursor":"n"}"#);
    world.wait(600_000);
    world.expect(channel, Deed::CloseStdin);
    world.request(editor, 2, "session/list", r#"{"cursor":"n"}"#);
    world.expect_refusal(editor, 2, -32602, "stale_cursor");
    world.exits(channel, 0);
}

#[test]
fn a_request_to_all_channels_can_be_withdrawn_and_counts_as_open() {
    let mut world = one_each();
    let (editor, first, second) = two(&mut world);
    world.request(editor, 2, "providers/list", "{}");
    let asked =
        [first, second].map(|channel| world.expect_request(channel, "providers/list", "{}"));
    world.request(editor, 3, "initialize", INITIALIZE);
    world.expect_refusal(editor, 3, -32600, "already_initialized");
    world.notify(editor, "$/cancel_request", r#"{"requestId":2}"#);
    for (channel, number) in [first, second].into_iter().zip(asked) {
        let params = format!("{{\"requestId\":{number}}}");
        world.expect_notification(channel, "$/cancel_request", &params);
        world.fail(channel, number, -32800);
    }
    world.expect_failure(editor, 2, -32800);
}

#[test]
fn a_login_goes_to_the_channel_that_wants_one_rather_than_to_an_older_one_without() {
    for method in ["authenticate", "auth/login"] {
        let mut world = one_each();
        let (editor, first, second) = two(&mut world);
        world.close(editor, second, "b");
        world.request(editor, 1, "session/new", NEW);
        let number = world.expect_request(second, "session/new", NEW);
        world.fail(second, number, -32000);
        world.expect_failure(editor, 1, -32000);
        world.agreed(editor, second, method, LOGIN);
        world.agreed(editor, first, method, LOGIN);
    }
}

#[test]
fn a_login_does_not_go_to_a_channel_on_its_way_out() {
    let mut world = one_each();
    let (editor, first, second) = two(&mut world);
    world.event(Event::ChannelLost { channel: first });
    world.expect(first, Deed::CloseStdin);
    world.expect_died(editor, "a", "killed", "");
    world.expect_warning(|notice| matches!(notice, Notice::ChannelStopping { .. }));
    world.request(editor, 2, "authenticate", LOGIN);
    world.expect_request(second, "authenticate", LOGIN);
}

#[test]
fn an_open_that_waits_behind_a_setting_leaves_a_channel_that_is_retired_meanwhile() {
    for (method, params, opened) in [
        ("session/new", NEW.to_owned(), session("c")),
        ("session/load", stored("c"), "null".into()),
    ] {
        let mut world = World::with(|config| config.agent.sessions_per_channel = 2);
        let (editor, first) = world.start();
        world.open(editor, first, "a");
        world.open(editor, first, "x");
        world.request(editor, 2, "session/new", NEW);
        let second = world.expect_spawn("/home");
        let greeting = world.expect_request(second, "initialize", INITIALIZE);
        world.request(editor, 3, "providers/set", PROVIDER);
        let asked = world.expect_request(first, "providers/set", PROVIDER);
        world.answer(second, greeting, world.agent);
        world.opened(editor, second, "b", "2");
        world.answer(first, asked, "{}");
        world.expect_answer(editor, 3, "{}");
        let heard = world.expect_request(second, "providers/set", PROVIDER);
        world.request(editor, 4, method, &params);
        world.assert_nothing_left();

        world.close_too_late(editor, second, "b");
        world.expect_warning(|notice| matches!(notice, Notice::CloseUnanswered { .. }));
        world.expect_warning(|notice| matches!(notice, Notice::ChannelDraining { .. }));
        let third = world.expect_spawn("/home");
        world.handshake(third);
        let again = world.expect_request(third, "providers/set", PROVIDER);
        world.answer(third, again, "{}");
        let open = world.expect_request(third, method, &params);
        world.answer(third, open, &opened);
        world.expect_answer(editor, 4, &opened);
        world.answer(second, heard, "{}");
        world.expect(second, Deed::CloseStdin);
    }
}

#[test]
fn a_cursor_outlives_the_end_of_another_channel() {
    let mut world = one_each();
    let (editor, first, second) = two(&mut world);
    let other = world.join();
    world.request(other, 1, "session/list", r#"{"cwd":"/none"}"#);
    let list = world.expect_request(first, "session/list", r#"{"cwd":"/none"}"#);
    world.answer(first, list, r#"{"sessions":[],"nextCursor":"n"}"#);
    world.expect_answer(other, 1, r#"{"sessions":[],"nextCursor":"n"}"#);
    world.close(editor, second, "b");
    world.exits(second, 0);
    world.agreed(other, first, "session/list", r#"{"cursor":"n"}"#);
}
