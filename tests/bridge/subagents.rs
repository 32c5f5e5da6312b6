//! Sub-agents: sessions that an agent announces within a session of a client.

use drawbridge::bridge::{Limit, Notice};

use crate::harness::{ALLOWED, NEW, World, session, stored, update};

/// The word of a session's agent that a sub-agent works for it under a name.
fn announcement(id: &str, name: &str) -> String {
    format!(
        r#"{{"sessionId":"{id}","update":{{"sessionUpdate":"subagent_update","sessionId":"{name}"}}}}"#
    )
}

#[test]
fn a_child_session_is_routed_to_its_parents_clients_and_dies_with_it() {
    let mut world = World::new();
    let (first, channel) = world.start();
    let second = world.join();
    world.open(first, channel, "a");
    world.open(second, channel, "b");
    let announced =
        r#"{"sessionId":"a","update":{"sessionUpdate":"subagent_update","sessionId":"kid"}}"#;
    world.notify(channel, "session/update", announced);
    world.expect_notification(first, "session/update", announced);
    world.notify(channel, "session/update", &update("kid", "hi"));
    world.expect_notification(first, "session/update", &update("kid", "hi"));
    let question = world.ask(channel, first, "kid", "5");
    world.answer(first, question, ALLOWED);
    world.expect_answer(channel, 5, ALLOWED);
    world.notify(first, "session/cancel", &session("kid"));
    world.expect_notification(channel, "session/cancel", &session("kid"));
    world.close(first, channel, "a");
    // Also while another session is being opened, its late words are nobody's.
    world.request(second, 1, "session/new", NEW);
    world.expect_request(channel, "session/new", NEW);
    world.notify(channel, "session/update", &update("kid", "late"));
    world.request(channel, 6, "fs/read_text_file", &session("kid"));
    world.expect_refusal(channel, 6, -32002, "unknown_session");
    assert_eq!(world.bridge.counters().late_frames, 1);
}

#[test]
fn the_id_of_a_sub_agent_whose_session_has_ended_is_that_of_a_closed_one() {
    let mut world = World::new();
    let (first, channel) = world.start();
    let second = world.join();
    world.open(first, channel, "a");
    world.open(second, channel, "b");
    world.notify(channel, "session/update", &announcement("a", "kid"));
    world.expect_notification(first, "session/update", &announcement("a", "kid"));
    world.notify(channel, "session/update", &update("kid", "hi"));
    world.expect_notification(first, "session/update", &update("kid", "hi"));
    world.close(first, channel, "a");
    // What it says now is late, whoever announces the id again.
    world.notify(channel, "session/update", &announcement("b", "kid"));
    world.expect_notification(second, "session/update", &announcement("b", "kid"));
    world.notify(channel, "session/update", &update("kid", "late"));
    world.notify(second, "session/cancel", &session("kid"));
    assert_eq!(world.bridge.counters().late_frames, 1);
    assert_eq!(world.bridge.counters().unrouted, 1);
}

#[test]
fn a_close_of_a_sub_agents_session_is_for_the_agent_and_leaves_its_parent_alone() {
    let mut world = World::new();
    let (editor, channel) = world.start();
    world.open(editor, channel, "a");
    let announced =
        r#"{"sessionId":"a","update":{"sessionUpdate":"subagent_update","sessionId":"kid"}}"#;
    world.notify(channel, "session/update", announced);
    world.expect_notification(editor, "session/update", announced);
    world.request(editor, 1, "session/close", &session("kid"));
    let close = world.expect_request(channel, "session/close", &session("kid"));
    world.fail(channel, close, -32002);
    world.expect_failure(editor, 1, -32002);
    world.prompt(editor, channel, "a", 2);
}

#[test]
fn a_sub_agent_takes_no_name_from_a_session_of_another_channel() {
    let mut world = World::with(|config| config.agent.sessions_per_channel = 1);
    let (editor, first) = world.start();
    world.open(editor, first, "1");
    world.request(editor, 1, "session/new", NEW);
    let second = world.expect_spawn("/home");
    world.handshake(second);
    world.opened(editor, second, "b", "1");
    world.notify(second, "session/update", &announcement("b", "1"));
    world.expect_notification(editor, "session/update", &announcement("b", "~1~1"));
    world.notify(second, "session/update", &update("1", "the kid of b"));
    world.expect_notification(editor, "session/update", &update("~1~1", "the kid of b"));
    world.notify(editor, "session/cancel", &session("~1~1"));
    world.expect_notification(second, "session/cancel", &session("1"));
    world.prompt(editor, first, "1", 2);
    world.close(editor, second, "b");
    world.notify(editor, "session/cancel", &session("1"));
    world.expect_notification(first, "session/cancel", &session("1"));
}

#[test]
fn a_sub_agent_takes_no_name_from_a_session_of_its_own_channel() {
    let mut world = World::new();
    let (first, channel) = world.start();
    let second = world.join();
    world.open(first, channel, "a");
    world.open(second, channel, "b");
    let announced = announcement("b", "a");
    world.notify(channel, "session/update", &announced);
    world.expect_notification(second, "session/update", &announced);
    world.notify(channel, "session/update", &update("a", "x"));
    world.expect_notification(first, "session/update", &update("a", "x"));
}

#[test]
fn of_the_sub_agents_of_a_channel_the_oldest_is_forgotten_at_the_limit() {
    let mut world = World::new();
    let (editor, channel) = world.start();
    world.open(editor, channel, "a");
    for number in 0..1_025 {
        let announced = announcement("a", &format!("k{number}"));
        world.notify(channel, "session/update", &announced);
        world.expect_notification(editor, "session/update", &announced);
    }
    assert_eq!(world.bridge.counters().passing_ids, 1);
    world.expect_warning(|notice| matches!(notice, Notice::PassingIdsOver { .. }));
    // It comes back when the agent speaks of it, and costs the next one its place.
    world.notify(channel, "session/update", &update("k0", "x"));
    world.expect_notification(editor, "session/update", &update("k0", "x"));
    assert_eq!(world.bridge.counters().passing_ids, 2);
}

#[test]
fn what_a_sub_agent_said_before_its_announcement_comes_right_behind_that() {
    let mut world = World::new();
    let (first, channel) = world.start();
    let second = world.join();
    world.open(first, channel, "a");
    world.request(second, 1, "session/new", NEW);
    let new = world.expect_request(channel, "session/new", NEW);
    // It may be the new session, until it is announced.
    world.notify(channel, "session/update", &update("kid", "one"));
    world.assert_nothing_left();
    world.notify(channel, "session/update", &announcement("a", "kid"));
    world.notify(channel, "session/update", &update("kid", "two"));
    world.expect_notification(first, "session/update", &announcement("a", "kid"));
    for text in ["one", "two"] {
        world.expect_notification(first, "session/update", &update("kid", text));
    }
    world.answer(channel, new, &session("b"));
    world.expect_answer(second, 1, &session("b"));
}

#[test]
fn what_was_held_for_a_sub_agent_is_for_nobody_when_its_session_has_ended() {
    let mut world = World::new();
    let (first, channel) = world.start();
    world.open(first, channel, "a");
    world.request(first, 1, "session/new", NEW);
    let new = world.expect_request(channel, "session/new", NEW);
    world.notify(channel, "session/update", &update("kid", "early"));
    world.close(first, channel, "a");
    // It is announced too late.
    world.notify(channel, "session/update", &announcement("a", "kid"));
    world.answer(channel, new, &session("b"));
    world.expect_answer(first, 1, &session("b"));
    world.assert_nothing_left();
}

#[test]
fn a_sub_agent_in_the_replay_of_a_session_that_its_agent_spoke_of_before_ends_with_it() {
    let mut world = World::with(|config| config.agent.session_open_timeout = Limit::After(1_000));
    let (editor, channel) = world.start();
    world.open(editor, channel, "other");
    world.notify(channel, "session/update", &update("a", "before"));
    world.expect_notification(editor, "session/update", &update("a", "before"));
    world.request(editor, 1, "session/load", &stored("a"));
    let load = world.expect_request(channel, "session/load", &stored("a"));
    for says in [announcement("a", "kid"), update("a", "old"), update("kid", "old")] {
        // The replay is under way, so the time of the load begins anew.
        world.wait(900);
        world.notify(channel, "session/update", &says);
        world.expect_notification(editor, "session/update", &says);
    }
    world.answer(channel, load, "null");
    world.expect_answer(editor, 1, "null");
    world.close(editor, channel, "a");
    world.notify(channel, "session/update", &update("kid", "late"));
    world.assert_nothing_left();
}
