//! What a cap throws away is counted, and so is whatever else is lost.

use drawbridge::bridge::{Event, Exit, ExitStatus, Limit, Notice};

use crate::harness::{NEW, World, session, update};

#[test]
fn half_a_line_at_the_end_of_an_agent() {
    let mut world = World::new();
    let (_, channel) = world.start();
    let status = ExitStatus::Code(0);
    let exit = Exit { status, stderr_tail: String::new(), half_line: 17 };
    world.event(Event::ChannelExited { channel, exit });
    assert_eq!(world.bridge.counters().half_line_bytes, 17);
    assert!(world.bridge.counters().to_string().contains("17 bytes of unfinished lines"));
}

#[test]
fn tombstones_that_give_way() {
    let mut world = World::with(|config| config.agent.channel_idle_timeout = Limit::Never);
    let (editor, channel) = world.start();
    for number in 0..1_027 {
        let id = format!("s{number}");
        world.open(editor, channel, &id);
        world.close(editor, channel, &id);
    }
    assert_eq!(world.bridge.counters().tombstones, 3);
}

#[test]
fn cursors_that_give_way() {
    let mut world = World::new();
    let (editor, channel) = world.start();
    for number in 0..260 {
        let page = format!(r#"{{"sessions":[],"nextCursor":"c{number}"}}"#);
        world.request(editor, number, "session/list", "{}");
        let list = world.expect_request(channel, "session/list", "{}");
        world.answer(channel, list, &page);
        world.expect_answer(editor, number, &page);
    }
    assert_eq!(world.bridge.counters().cursors, 4);
}

#[test]
fn cursors_of_a_process_that_is_gone_take_no_room() {
    let mut world = World::new();
    let (editor, old) = world.start();
    let list = |world: &mut World, channel, params: &str, next: &str| {
        let page = format!(r#"{{"sessions":[],"nextCursor":"{next}"}}"#);
        world.request(editor, 1, "session/list", params);
        let list = world.expect_request(channel, "session/list", params);
        world.answer(channel, list, &page);
        world.expect_answer(editor, 1, &page);
    };
    for number in 0..256 {
        list(&mut world, old, "{}", &format!("c{number}"));
    }
    world.exits(old, 0);
    world.request(editor, 2, "_x", "{}");
    let new = world.expect_spawn("/home");
    world.handshake(new);
    world.expect_request(new, "_x", "{}");
    list(&mut world, new, "{}", "a");
    list(&mut world, new, "{}", "b");
    list(&mut world, new, r#"{"cursor":"a"}"#, "d");
    assert_eq!(world.bridge.counters().cursors, 0);
}

#[test]
fn settings_that_further_channels_will_not_be_told() {
    let mut world = World::new();
    let (editor, channel) = world.start();
    for number in 0..66 {
        let params = format!(r#"{{"id":"provider-{number}"}}"#);
        world.request(editor, number, "providers/set", &params);
        let set = world.expect_request(channel, "providers/set", &params);
        world.answer(channel, set, "{}");
        world.expect_answer(editor, number, "{}");
    }
    assert_eq!(world.bridge.counters().set_up_requests, 2);
}

#[test]
fn notifications_that_nobody_knows_where_to_send() {
    let mut world = World::new();
    let (editor, channel) = world.start();
    world.open(editor, channel, "a");
    world.close(editor, channel, "a");
    world.notify(editor, "session/cancel", &session("a"));
    assert_eq!(world.bridge.counters().unrouted, 1);
    world.notify(channel, "session/update", &session("a"));
    assert_eq!(world.bridge.counters().late_frames, 1);
    // Two may be meant.
    let other = world.join();
    world.open(editor, channel, "b");
    world.open(other, channel, "c");
    world.notify(channel, "session/update", &session("nobody"));
    assert_eq!(world.bridge.counters().unknown_session_frames, 1);
    world.expect_warning(|notice| matches!(notice, Notice::NoAddressee { .. }));
    world.exits(channel, 0);
    for (client, id) in [(editor, "b"), (other, "c")] {
        world.expect_died(client, id, "channel_closed", ",\"exitCode\":0");
    }
    world.expect_warning(|notice| matches!(notice, Notice::ChannelExited { .. }));
    world.notify(editor, "_x/note", &session("nobody"));
    assert_eq!(world.bridge.counters().unrouted, 2, "a notification starts no agent");
    assert!(!world.notices.iter().any(|notice| matches!(notice, Notice::StrayLine { .. })));
}

#[test]
fn early_frames_of_an_agent_that_exits() {
    let mut world = World::new();
    let (editor, channel) = world.start();
    world.request(editor, 1, "session/new", NEW);
    world.expect_request(channel, "session/new", NEW);
    world.notify(channel, "session/update", &update("a", "early"));
    world.exits(channel, 1);
    world.expect_warning(|notice| matches!(notice, Notice::ChannelExited { .. }));
    world.expect_refusal(editor, 1, -32603, "agent_exited");
    assert_eq!(world.bridge.counters().early_frames, 1);
}
