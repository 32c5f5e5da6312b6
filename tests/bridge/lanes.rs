//! The lane of each message to a client: what is about a channel stays in order, and nothing
//! else waits for it.

use drawbridge::bridge::Lane;

use crate::harness::{END_TURN, World, session, stored, update};

/// The lanes of the messages that hold this text.
fn lanes_of(world: &World, text: &str) -> Vec<Lane> {
    let found = world.lanes.iter().filter(|(_, line)| line.contains(text));
    found.map(|(lane, _)| *lane).collect()
}

#[test]
fn everything_about_a_session_stands_in_the_lane_of_its_channel() {
    let mut world = World::new();
    let (editor, channel) = world.start();
    world.open(editor, channel, "a");
    let turn = world.prompt(editor, channel, "a", 7);
    world.notify(channel, "session/update", &update("a", "said"));
    let ask = r#"{"sessionId":"a","toolCall":{"toolCallId":"t"},"options":[]}"#;
    world.request(channel, 3, "session/request_permission", ask);
    world.rest(editor);
    world.request(editor, 8, "session/close", &session("a"));
    world.rest(channel);
    world.answer(channel, turn, END_TURN);
    world.rest(editor);
    world.wait(20_000);
    world.rest(editor);
    world.rest(channel);
    let lane = vec![Lane::Channel(channel)];
    for text in [
        "said",
        "session/request_permission",
        "$/cancel_request",
        "_drawbridge/session_closed",
        r#""id":7,"#,
        r#""id":8,"#,
    ] {
        assert_eq!(lanes_of(&world, text), lane, "{text}: {:#?}", world.lanes);
    }
    world.exits(channel, 0);
    world.rest(editor);
}

#[test]
fn what_concerns_no_channel_waits_for_none() {
    let mut world = World::new();
    let (editor, channel) = world.start();
    world.open(editor, channel, "a");
    world.request(editor, "\"beat\"", "_drawbridge/heartbeat", "{}");
    world.request(editor, "\"odd\"", "_drawbridge/nothing", "{}");
    world.rest(editor);
    for id in ["\"beat\"", "\"odd\""] {
        assert_eq!(lanes_of(&world, id), [Lane::Bridge]);
    }
}

#[test]
fn what_is_said_of_a_session_on_a_new_channel_waits_for_what_was_said_before() {
    let mut world = World::with(|config| config.agent.restart_limit = 0);
    let (editor, channel) = world.start();
    world.open(editor, channel, "a");
    world.prompt(editor, channel, "a", 7);
    world.notify(channel, "session/update", &update("a", "old"));
    world.exits(channel, 3);
    world.rest(editor);
    world.request(editor, 8, "session/load", &stored("a"));
    world.wait(1_000);
    let second = world.expect_spawn("/home");
    world.handshake(second);
    world.rest(second);
    assert_eq!(world.lanes.last().map(|(lane, _)| *lane), Some(Lane::Channel(second)));
    let fence = world
        .lanes
        .iter()
        .rposition(|(lane, line)| (*lane, line.as_str()) == (Lane::Channel(second), "fence"));
    let died = world.lanes.iter().position(|(_, line)| line.contains("session_died"));
    assert!(died.is_some() && died < fence, "{:#?}", world.lanes);
}

#[test]
fn answers_about_a_session_that_has_ended_stand_behind_all_that_was_said_of_it() {
    let mut world = World::with(|config| config.agent.restart_limit = 0);
    let (editor, channel) = world.start();
    for id in ["a", "b", "c"] {
        world.open(editor, channel, id);
    }
    world.request(editor, 21, "session/close", &session("a"));
    world.request(editor, 22, "session/close", &session("a"));
    world.request(editor, 23, "_drawbridge/detach", &session("b"));
    world.rest(channel);
    world.rest(editor);
    world.exits(channel, 3);
    world.request(editor, 24, "session/close", &session("c"));
    world.request(editor, 25, "session/prompt", &session("c"));
    world.rest(editor);
    for id in 21..=25 {
        let text = format!(r#""id":{id},"#);
        assert_eq!(lanes_of(&world, &text), [Lane::Channel(channel)], "{text}");
    }
}

#[test]
fn the_answer_to_a_detach_from_all_sessions_waits_for_what_was_said_of_any() {
    let mut world = World::new();
    let (editor, channel) = world.start();
    world.open(editor, channel, "a");
    world.notify(channel, "session/update", &update("a", "said"));
    world.request(editor, 21, "_drawbridge/detach", "{}");
    world.rest(editor);
    world.rest(channel);
    let place = |text: &str| world.lanes.iter().position(|(_, line)| line.contains(text));
    assert!(place("said") < place("fence") && place("fence") < place(r#""id":21,"#));
}

#[test]
fn a_new_session_waits_for_no_other_channel() {
    let mut world = World::new();
    let (editor, channel) = world.start();
    world.open(editor, channel, "a");
    world.rest(editor);
    assert!(!world.lanes.iter().any(|(_, line)| line == "fence"), "{:#?}", world.lanes);
}
