//! The overlap: a channel that is on its way out while its successor serves.
//!
//! Whatever concerns a session goes through the session's own channel. Each of
//! these tests fails if any book is kept on the current channel instead.

use drawbridge::bridge::{ChannelId, ClientId, EndReason, Limit, Notice};

use crate::harness::{
    ALLOWED, CANCELLED, Deed, END_TURN, NEW, NOT_ALLOWED, World, permission, session, stored,
    update,
};

/// An old channel that drains with session `a`, and its successor with `b`.
fn both_alive(world: &mut World) -> (ClientId, ChannelId, ChannelId) {
    let (editor, old) = world.start();
    world.open(editor, old, "a");
    world.open(editor, old, "x");
    world.request(editor, 1, "session/close", &session("x"));
    world.expect_closed(editor, "x", "client_close");
    world.expect_request(old, "session/close", &session("x"));
    world.wait(10_000);
    world.expect_answer(editor, 1, "{}");
    world.expect_warning(|notice| matches!(notice, Notice::CloseUnanswered { .. }));
    world.expect_warning(|notice| matches!(notice, Notice::ChannelDraining { .. }));
    world.request(editor, 2, "session/new", NEW);
    let new = world.expect_spawn("/home");
    world.handshake(new);
    world.opened(editor, new, "b", "2");
    (editor, old, new)
}

#[test]
fn both_are_alive_and_each_session_stays_with_its_own() {
    let mut world = World::new();
    let (editor, old, new) = both_alive(&mut world);
    for (channel, id) in [(old, "a"), (new, "b")] {
        let turn = world.prompt(editor, channel, id, 10);
        world.notify(channel, "session/update", &update(id, "hello"));
        world.expect_notification(editor, "session/update", &update(id, "hello"));
        let question = world.ask(channel, editor, id, "77");
        world.answer(editor, question, ALLOWED);
        world.expect_answer(channel, "77", ALLOWED);
        world.notify(editor, "session/cancel", &session(id));
        world.expect_notification(channel, "session/cancel", &session(id));
        world.answer(channel, turn, CANCELLED);
        world.expect_answer(editor, 10, CANCELLED);
        let mode = format!(r#"{{"sessionId":"{id}","modeId":"code"}}"#);
        world.request(editor, 11, "session/set_mode", &mode);
        let number = world.expect_request(channel, "session/set_mode", &mode);
        world.answer(channel, number, "{}");
        world.expect_answer(editor, 11, "{}");
    }
    // A fork follows its source, also onto a channel that takes no new sessions.
    world.request(editor, 12, "session/fork", &stored("a"));
    let fork = world.expect_request(old, "session/fork", &stored("a"));
    world.answer(old, fork, &session("a2"));
    world.expect_answer(editor, 12, &session("a2"));
    world.close(editor, old, "a2");
    world.close(editor, old, "a");
    world.expect(old, Deed::CloseStdin);
    world.prompt(editor, new, "b", 13);
}

#[test]
fn a_frame_of_one_channel_cannot_concern_a_session_of_another() {
    let mut world = World::new();
    let (editor, old, new) = both_alive(&mut world);
    // By an id of the other channel it means something of its own.
    world.notify(old, "session/update", &update("b", "another b"));
    world.expect_notification(editor, "session/update", &update("~1~b", "another b"));
    world.notify(new, "session/update", &update("a", "another a"));
    world.expect_notification(editor, "session/update", &update("~1~a", "another a"));
    world.request(old, 1, "session/request_permission", &permission("b"));
    world.expect_request(editor, "session/request_permission", &permission("~1~b"));
    world.request(new, 1, "fs/read_text_file", &session("a"));
    world.expect_request(editor, "fs/read_text_file", &session("~1~a"));
    // An answer under the number of another channel's request is no answer.
    let turn = world.prompt(editor, old, "a", 10);
    world.answer(new, turn, END_TURN);
    assert_eq!(world.bridge.counters().stray_answers, 1);
    world.answer(old, turn, END_TURN);
    world.expect_answer(editor, 10, END_TURN);
}

#[test]
fn a_close_on_the_old_channel_is_remembered_there() {
    let mut world = World::new();
    let (editor, old, new) = both_alive(&mut world);
    world.open(editor, new, "c");
    let turn = world.prompt(editor, old, "a", 10);
    world.request(editor, 11, "session/close", &session("a"));
    world.expect_closed(editor, "a", "client_close");
    world.expect_notification(old, "session/cancel", &session("a"));
    let close = world.expect_request(old, "session/close", &session("a"));
    world.notify(old, "session/update", &update("a", "late"));
    assert_eq!(world.bridge.counters().late_frames, 1);
    world.answer(old, turn, CANCELLED);
    world.expect_answer(editor, 10, CANCELLED);
    world.answer(old, close, "{}");
    world.expect_answer(editor, 11, "{}");
    world.expect(old, Deed::CloseStdin);
    world.request(editor, 12, "session/load", &stored("a"));
    let load = world.expect_request(new, "session/load", &stored("a"));
    world.answer(new, load, "null");
    world.expect_answer(editor, 12, "null");
}

#[test]
fn idle_timeout_zero_and_an_agent_slow_to_leave() {
    let mut world = World::with(|config| config.agent.channel_idle_timeout = Limit::After(0));
    let (editor, old) = world.start();
    world.open(editor, old, "a");
    world.close(editor, old, "a");
    world.expect(old, Deed::CloseStdin);
    world.request(editor, 2, "session/new", NEW);
    let new = world.expect_spawn("/home");
    world.handshake(new);
    world.opened(editor, new, "b", "2");
    let turn = world.prompt(editor, new, "b", 3);

    // The old one talks on; nothing of it crosses.
    world.notify(old, "session/update", &update("a", "late"));
    world.notify(old, "session/update", &update("b", "not mine"));
    world.request(old, 9, "session/request_permission", &permission("b"));
    world.expect_answer(old, 9, NOT_ALLOWED);
    world.answer(old, turn, END_TURN);
    assert_eq!(world.bridge.counters().late_frames, 2);
    assert_eq!(world.bridge.counters().stray_answers, 1);

    // It is deaf; the ladder is its own, and its exit takes nothing with it.
    world.wait(4_000);
    world.expect(old, Deed::Terminate);
    world.notify(new, "session/update", &update("b", "on"));
    world.expect_notification(editor, "session/update", &update("b", "on"));
    world.wait(5_000);
    world.expect(old, Deed::Kill);
    world.expect_warning(|notice| matches!(notice, Notice::ChannelKilled { .. }));
    world.exits(old, 1);
    world.answer(new, turn, END_TURN);
    world.expect_answer(editor, 3, END_TURN);
    world.close(editor, new, "b");
    world.expect(new, Deed::CloseStdin);
    world.exits(new, 0);
    assert_eq!(world.bridge.poll_timeout(), None);
}

#[test]
fn the_exit_of_the_old_channel_ends_its_own_sessions_alone() {
    let mut world = World::new();
    let (editor, old, new) = both_alive(&mut world);
    world.prompt(editor, old, "a", 10);
    let turn = world.prompt(editor, new, "b", 11);
    world.exits(old, 7);
    world.expect_died(editor, "a", "channel_closed", r#","exitCode":7"#);
    let data = world.expect_refusal(editor, 10, -32603, "agent_exited");
    assert_eq!(data["exitCode"], 7);
    world.expect_warning(|notice| matches!(notice, Notice::ChannelExited { .. }));
    world.answer(new, turn, END_TURN);
    world.expect_answer(editor, 11, END_TURN);
}

#[test]
fn the_exit_of_the_successor_leaves_the_old_channel_alone() {
    let mut world = World::new();
    let (editor, old, new) = both_alive(&mut world);
    let turn = world.prompt(editor, old, "a", 10);
    world.exits(new, 7);
    world.expect_died(editor, "b", "channel_closed", r#","exitCode":7"#);
    world.expect_warning(|notice| matches!(notice, Notice::ChannelExited { .. }));
    world.answer(old, turn, END_TURN);
    world.expect_answer(editor, 10, END_TURN);
    world.close(editor, old, "a");
    world.expect(old, Deed::CloseStdin);
}

#[test]
fn close_by_client_reaper_detach_and_eviction_at_once_closes_once() {
    let mut world = World::with(|config| {
        config.agent.idle_policy = drawbridge::bridge::config::IdlePolicy::All;
        config.agent.background_work = drawbridge::bridge::config::BackgroundWork::Ignore;
        config.agent.attached_idle_timeout = Limit::After(60_000);
        config.limits.max_sessions = 1;
    });
    let (editor, channel) = world.start();
    world.open(editor, channel, "a");
    world.wait(59_999);
    world.now = world.now.plus_millis(1);
    // Due, closed by its client, left by it, in the way of a newcomer, and deleted: one close.
    world.request(editor, 1, "session/close", &session("a"));
    world.wait(0);
    world.request(editor, 2, "_drawbridge/detach", "{}");
    world.expect_closed(editor, "a", "client_close");
    let close = world.expect_request(channel, "session/close", &session("a"));
    world.expect_answer(editor, 2, "{}");
    world.request(editor, 3, "_drawbridge/detach", &session("a"));
    world.expect_refusal(editor, 3, -32002, "session_closed");
    world.request(editor, 4, "session/new", NEW);
    world.opened(editor, channel, "b", "4");
    world.request(editor, 5, "session/delete", &session("a"));
    world.request(editor, 6, "session/close", &session("a"));
    world.expect_answer(editor, 6, "{}");
    world.gone(editor);
    world.answer(channel, close, "{}");
    let ends = world
        .notices
        .iter()
        .filter(|notice| matches!(notice, Notice::SessionEnded { id, .. } if id == "a"));
    let reasons: Vec<_> = ends.collect();
    assert!(
        matches!(reasons[..], [Notice::SessionEnded { reason: EndReason::ClientClose, .. }]),
        "{reasons:?}"
    );
}
