//! `initialize`: the first words, who hears them, and what comes back.

use drawbridge::bridge::{Event, Limit, Notice};

use crate::harness::{
    CAPABLE, Deed, END_TURN, INITIALIZE, NEW, NOT_ALLOWED, World, prompt, session,
};

/// What the bridge adds to an answer.
fn ours() -> String {
    format!(r#""drawbridge":{{"version":"{}"}}"#, env!("CARGO_PKG_VERSION"))
}

#[test]
fn the_clients_own_words_go_to_the_agent_and_its_answer_comes_back_with_two_members_more() {
    let us = ours();
    let shapes = [
        // No capabilities at all, and no `_meta`.
        (
            r#"{"protocolVersion": 1}"#.to_owned(),
            format!(
                r#"{{"protocolVersion": 1,"agentCapabilities":{{"sessionCapabilities":{{"close":{{}}}}}},"_meta":{{{us}}}}}"#
            ),
        ),
        // Everything is there: only our own member is added.
        (
            r#"{"_meta":{ "x":1.0 }, "protocolVersion":1,"agentCapabilities":{"sessionCapabilities":{"close":{"y":2}}}}"#.to_owned(),
            format!(
                r#"{{"_meta":{{ "x":1.0 ,{us}}}, "protocolVersion":1,"agentCapabilities":{{"sessionCapabilities":{{"close":{{"y":2}}}}}}}}"#
            ),
        ),
        // Nulls where objects belong.
        (
            r#"{"protocolVersion":1,"agentCapabilities":null,"_meta":null}"#.to_owned(),
            format!(
                r#"{{"protocolVersion":1,"agentCapabilities":{{"sessionCapabilities":{{"close":{{}}}}}},"_meta":{{{us}}}}}"#
            ),
        ),
        (
            r#"{"protocolVersion":1,"agentCapabilities":{"sessionCapabilities":{"close":null}},"_meta":{}}"#.to_owned(),
            format!(
                r#"{{"protocolVersion":1,"agentCapabilities":{{"sessionCapabilities":{{"close":{{}}}}}},"_meta":{{{us}}}}}"#
            ),
        ),
    ];
    for (agent, client) in shapes {
        let mut world = World::new();
        let editor = world.connect();
        let params = r#"{ "protocolVersion":1 , "clientCapabilities":{},"zz":[1.0] }"#;
        world.request(editor, "\"i\"", "initialize", params);
        let channel = world.expect_spawn("/home");
        let id = world.expect_request(channel, "initialize", params);
        world.answer(channel, id, &agent);
        world.expect_answer(editor, "\"i\"", &client);
    }
}

#[test]
fn a_later_client_of_the_same_pool_gets_the_kept_answer_at_once() {
    let mut world = World::new();
    let (_, channel) = world.start();
    let later = world.connect();
    // What differs per connection does not make another pool.
    let params = INITIALIZE.replacen('{', r#"{"_meta":{"traceparent":"00-1","drawbridge":{}},"#, 1);
    world.request(later, "\"later\"", "initialize", &params);
    let answer = CAPABLE.strip_suffix('}').unwrap();
    world.expect_answer(later, "\"later\"", &format!(r#"{answer},"_meta":{{{}}}}}"#, ours()));
    world.open(later, channel, "a");
}

#[test]
fn requests_before_initialize() {
    let mut world = World::new();
    let editor = world.connect();
    world.request(editor, 1, "session/new", NEW);
    world.expect_refusal(editor, 1, -32600, "before_initialize");
    world.notify(editor, "session/cancel", &session("a"));
    world.request(editor, 2, "initialize", INITIALIZE);
    let channel = world.expect_spawn("/home");
    world.handshake(channel);
    world.next_line(editor);
    world.open(editor, channel, "a");
}

#[test]
fn what_is_sent_behind_initialize_is_held_and_served_after_it_in_order() {
    let mut world = World::new();
    let editor = world.connect();
    world.request(editor, 1, "initialize", INITIALIZE);
    let channel = world.expect_spawn("/home");
    world.request(editor, 2, "_first", "{}");
    world.request(editor, 3, "_withdrawn", "{}");
    world.notify(editor, "_second", "{}");
    world.request(editor, 4, "session/new", NEW);
    world.notify(editor, "$/cancel_request", r#"{"requestId":3}"#);
    world.expect_refusal(editor, 3, -32800, "cancelled");
    let id = world.expect_request(channel, "initialize", INITIALIZE);
    world.assert_nothing_left();
    world.answer(channel, id, world.agent);
    world.next_line(editor);
    let first = world.expect_request(channel, "_first", "{}");
    world.expect_notification(channel, "_second", "{}");
    world.answer(channel, first, "1");
    world.expect_answer(editor, 2, "1");
    world.opened(editor, channel, "a", "4");
}

#[test]
fn what_is_held_behind_initialize_is_bounded_in_number_and_bytes() {
    let mut world = World::new();
    let editor = world.connect();
    world.request(editor, 1, "initialize", INITIALIZE);
    let channel = world.expect_spawn("/home");
    let id = world.expect_request(channel, "initialize", INITIALIZE);
    for number in 0..1_024 {
        world.notify(editor, "_n", &number.to_string());
    }
    world.notify(editor, "_n", "1024");
    assert_eq!(world.bridge.counters().unrouted, 1);
    world.request(editor, 2, "_x", "{}");
    world.expect_refusal(editor, 2, -32603, "too_many_requests");
    world.answer(channel, id, world.agent);
    world.next_line(editor);
    for number in 0..1_024 {
        world.expect_notification(channel, "_n", &number.to_string());
    }
    let other = world.connect();
    world.request(other, 1, "initialize", &INITIALIZE.replace("\"fs\"", "\"files\""));
    world.request(other, 2, "_large", &format!("\"{}\"", "x".repeat(1024 * 1024)));
    world.expect_refusal(other, 2, -32603, "too_many_requests");
    let second = world.expect_spawn("/home");
    world.next(second);
}

#[test]
fn what_is_held_behind_an_initialize_that_fails_is_refused() {
    let mut world = World::new();
    let editor = world.connect();
    world.request(editor, 1, "initialize", INITIALIZE);
    let channel = world.expect_spawn("/home");
    let id = world.expect_request(channel, "initialize", INITIALIZE);
    world.request(editor, 2, "session/new", NEW);
    world.notify(editor, "_x", "{}");
    world.fail(channel, id, -32000);
    world.expect_failure(editor, 1, -32000);
    world.expect_refusal(editor, 2, -32600, "before_initialize");
    world.expect_warning(|notice| matches!(notice, Notice::ChannelStopping { .. }));
    world.expect(channel, Deed::CloseStdin);
}

#[test]
fn a_second_initialize_before_anything_else() {
    let mut world = World::new();
    let (editor, channel) = world.start();
    world.request(editor, 1, "initialize", INITIALIZE);
    world.next_line(editor);
    world.open(editor, channel, "a");
    world.request(editor, 2, "initialize", INITIALIZE);
    world.expect_refusal(editor, 2, -32600, "already_initialized");
    world.prompt(editor, channel, "a", 3);
}

#[test]
fn a_refused_handshake_is_passed_on_and_its_process_ended() {
    let mut world = World::new();
    let editor = world.connect();
    for (id, answer) in [(1, None), (2, Some(r#"{"no":"version"}"#))] {
        world.request(editor, id, "initialize", INITIALIZE);
        world.wait(1_000);
        let channel = world.expect_spawn("/home");
        let number = world.expect_request(channel, "initialize", INITIALIZE);
        match answer {
            None => world.fail(channel, number, -32042),
            Some(odd) => world.answer(channel, number, odd),
        }
        world.expect_warning(|notice| matches!(notice, Notice::ChannelStopping { .. }));
        world.expect(channel, Deed::CloseStdin);
        match answer {
            None => world.expect_failure(editor, id, -32042),
            Some(_) => drop(world.expect_refusal(editor, id, -32603, "protocol_broken")),
        }
        world.exits(channel, 0);
    }
}

/// An editor with a full first channel, and a second one that is starting.
fn second_channel(
    world: &mut World,
) -> (drawbridge::bridge::ClientId, drawbridge::bridge::ChannelId, u64) {
    let (editor, first) = world.start();
    world.open(editor, first, "a");
    world.request(editor, 1, "session/new", NEW);
    let second = world.expect_spawn("/home");
    let id = world.expect_request(second, "initialize", INITIALIZE);
    (editor, second, id)
}

fn one_each() -> World {
    World::with(|config| config.agent.sessions_per_channel = 1)
}

#[test]
fn another_version_on_a_later_channel_is_refused() {
    let mut world = one_each();
    let (editor, second, id) = second_channel(&mut world);
    world.answer(second, id, r#"{"protocolVersion":2,"agentCapabilities":{}}"#);
    world.expect_warning(|notice| matches!(notice, Notice::ChannelStopping { .. }));
    world.expect_refusal(editor, 1, -32603, "agent_stopped");
    world.expect(second, Deed::CloseStdin);
}

#[test]
fn changed_capabilities_are_said_aloud_and_work_goes_on() {
    let mut world = one_each();
    let (editor, second, id) = second_channel(&mut world);
    world.answer(second, id, crate::harness::WITHOUT_CLOSE);
    world.expect_warning(|notice| match notice {
        Notice::CapabilitiesChanged { before, after, .. } => {
            before == "load, resume, fork, list, close, delete" && after == "load"
        }
        _ => false,
    });
    world.opened(editor, second, "b", "1");
    // Each channel's close is a matter of what that channel's agent can.
    world.request(editor, 2, "session/close", &session("b"));
    world.expect_closed(editor, "b", "client_close");
    world.expect_answer(editor, 2, "{}");
}

#[test]
fn changed_capabilities_are_what_the_next_client_is_told() {
    let mut world = one_each();
    let (editor, second, id) = second_channel(&mut world);
    world.answer(second, id, crate::harness::WITHOUT_CLOSE);
    world.expect_warning(|notice| matches!(notice, Notice::CapabilitiesChanged { .. }));
    world.opened(editor, second, "b", "1");
    let next = world.connect();
    world.request(next, 7, "initialize", INITIALIZE);
    let result = format!(
        r#"{{"protocolVersion":1,"agentCapabilities":{{"loadSession":true,"sessionCapabilities":{{"close":{{}}}}}},"_meta":{{{}}}}}"#,
        ours()
    );
    world.expect_answer(next, 7, &result);
    // It is no news any more when a further process says the same.
    world.agent = crate::harness::WITHOUT_CLOSE;
    world.request(next, 8, "session/new", NEW);
    let third = world.expect_spawn("/home");
    world.handshake(third);
    world.opened(next, third, "c", "8");
}

#[test]
fn another_version_is_carried_transparently() {
    let mut world = World::with(|config| {
        config.agent.channel_idle_timeout = Limit::After(0);
        config.limits.max_sessions = 1;
    });
    let params = INITIALIZE.replacen(":1", ":2", 1);
    let first = world.connect();
    let second = world.connect();
    // Both wait for the same handshake; then each gets a process of its own.
    world.request(first, 1, "initialize", &params);
    let of_first = world.expect_spawn("/home");
    world.request(second, 1, "initialize", &params);
    let id = world.expect_request(of_first, "initialize", &params);
    let v2 = r#"{"protocolVersion":2,"capabilities":{}}"#;
    world.answer(of_first, id, v2);
    world.expect_answer(first, 1, v2);
    let of_second = world.expect_spawn("/home");
    let id = world.expect_request(of_second, "initialize", &params);
    world.answer(of_second, id, v2);
    world.expect_answer(second, 1, v2);
    let passthrough = |notice: &&Notice| matches!(notice, Notice::ClientPassthrough { .. });
    assert_eq!(world.notices.iter().filter(passthrough).count(), 2);

    for (client, channel) in [(first, of_first), (second, of_second)] {
        for (id, method, params, result) in [
            (2, "session/new", NEW.to_owned(), session("a")),
            (3, "session/new", NEW.to_owned(), session("a")),
            (4, "session/prompt", prompt("a"), "{}".to_owned()),
            (5, "session/close", session("a"), "{}".to_owned()),
            (6, "session/prompt", prompt("a"), END_TURN.to_owned()),
        ] {
            world.request(client, id, method, &params);
            let number = world.expect_request(channel, method, &params);
            world.answer(channel, number, &result);
            world.expect_answer(client, id, &result);
        }
        world.request(channel, 9, "session/request_permission", &session("zzz"));
        let number = world.expect_request(client, "session/request_permission", &session("zzz"));
        world.notify(channel, "$/cancel_request", r#"{"requestId":9}"#);
        world.expect_withdrawn(client, number);
        world.answer(client, number, "{}");
        world.expect_answer(channel, 9, "{}");
        world.notify(channel, "session/update", &session("zzz"));
        world.expect_notification(client, "session/update", &session("zzz"));
        world.notify(client, "session/cancel", &session("zzz"));
        world.expect_notification(channel, "session/cancel", &session("zzz"));
    }
    world.wait(10_000_000);
    world.assert_nothing_left();
    world.gone(first);
    world.expect(of_first, Deed::CloseStdin);
    world.exits(of_second, 0);
    world.request(second, 10, "_x", "{}");
    world.expect_refusal(second, 10, -32603, "agent_stopped");
}

#[test]
fn a_carried_agent_that_is_being_stopped_gets_an_answer_to_what_it_still_asks() {
    let mut world = World::new();
    let params = INITIALIZE.replacen(":1", ":2", 1);
    let v2 = r#"{"protocolVersion":2}"#;
    let editor = world.connect();
    world.request(editor, 1, "initialize", &params);
    let agent = world.expect_spawn("/home");
    let id = world.expect_request(agent, "initialize", &params);
    world.answer(agent, id, v2);
    world.expect_answer(editor, 1, v2);

    world.event(Event::ChannelLost { channel: agent });
    world.expect_warning(|notice| matches!(notice, Notice::ChannelStopping { .. }));
    world.expect(agent, Deed::CloseStdin);
    world.request(agent, 7, "session/request_permission", &session("a"));
    world.expect_answer(agent, 7, NOT_ALLOWED);
}

#[test]
fn a_carried_client_that_initializes_again_leaves_no_process_behind() {
    let mut world = World::new();
    let params = INITIALIZE.replacen(":1", ":2", 1);
    let v2 = r#"{"protocolVersion":2}"#;
    let editor = world.connect();
    world.request(editor, 1, "initialize", &params);
    let old = world.expect_spawn("/home");
    let id = world.expect_request(old, "initialize", &params);
    world.answer(old, id, v2);
    world.expect_answer(editor, 1, v2);
    world.request(editor, 2, "initialize", &params);
    let new = world.expect_spawn("/home");
    let id = world.expect_request(new, "initialize", &params);
    world.answer(new, id, v2);
    world.expect_answer(editor, 2, v2);
    world.expect(old, Deed::CloseStdin);
    world.request(editor, 3, "_x", "{}");
    world.expect_request(new, "_x", "{}");
}

#[test]
fn what_an_agent_says_before_the_answer_to_initialize_is_for_its_only_client() {
    let mut world = World::new();
    let editor = world.connect();
    world.request(editor, 1, "initialize", INITIALIZE);
    let channel = world.expect_spawn("/home");
    let id = world.expect_request(channel, "initialize", INITIALIZE);
    // As without a bridge; of several clients it is for those that are introduced.
    world.notify(channel, "_vendor/news", "{}");
    world.expect_notification(editor, "_vendor/news", "{}");
    let other = world.connect();
    world.request(other, 1, "initialize", INITIALIZE);
    world.notify(channel, "_vendor/news", "{}");
    assert_eq!(world.bridge.counters().unrouted, 1);
    world.answer(channel, id, world.agent);
    world.next_line(editor);
    world.next_line(other);
    world.gone(other);
    world.notify(channel, "_vendor/news", "{}");
    world.expect_notification(editor, "_vendor/news", "{}");
}

#[test]
fn a_second_initialize_is_refused_while_a_request_is_open() {
    let mut world = World::new();
    let (editor, channel) = world.start();
    world.request(editor, 1, "_slow/one", "{}");
    let slow = world.expect_request(channel, "_slow/one", "{}");
    world.request(editor, 2, "initialize", INITIALIZE);
    world.expect_refusal(editor, 2, -32600, "already_initialized");
    world.answer(channel, slow, "{}");
    world.expect_answer(editor, 1, "{}");
}

#[test]
fn a_second_initialize_must_be_answered_before_anything_else() {
    let mut world = World::new();
    let (editor, _) = world.start();
    let params = INITIALIZE.replace("\"terminal\":true", "\"terminal\":false");
    world.request(editor, 1, "initialize", &params);
    let channel = world.expect_spawn("/home");
    let id = world.expect_request(channel, "initialize", &params);
    world.request(editor, 2, "session/new", NEW);
    world.assert_nothing_left();
    world.answer(channel, id, world.agent);
    world.next_line(editor);
    world.opened(editor, channel, "a", "2");
}

#[test]
fn a_carried_agent_that_does_not_read_is_sent_no_more_requests() {
    let mut world = World::new();
    let params = INITIALIZE.replacen(":1", ":2", 1);
    let editor = world.connect();
    world.request(editor, 1, "initialize", &params);
    let agent = world.expect_spawn("/home");
    let id = world.expect_request(agent, "initialize", &params);
    world.answer(agent, id, r#"{"protocolVersion":2}"#);
    world.next_line(editor);

    world.event(Event::ChannelMarkPassed { channel: agent, over: true });
    world.expect_warning(|notice| matches!(notice, Notice::AgentNotReading { .. }));
    world.request(editor, 2, "session/prompt", &prompt("a"));
    let data = world.expect_refusal(editor, 2, -32603, "agent_not_reading");
    assert_eq!(data["retryAfterMs"], 1_000);
    // A cancel gets in.
    world.notify(editor, "session/cancel", &session("a"));
    world.expect_notification(agent, "session/cancel", &session("a"));
    world.event(Event::ChannelMarkPassed { channel: agent, over: false });
    world.request(editor, 3, "session/prompt", &prompt("a"));
    world.expect_request(agent, "session/prompt", &prompt("a"));
}
