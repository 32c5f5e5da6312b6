//! Agents that cannot close sessions: what they hold, and when they are replaced.

use drawbridge::bridge::config::{BackgroundWork, IdlePolicy};
use drawbridge::bridge::{Limit, ShutdownCause};

use crate::harness::{
    CANCELLED, Deed, NEW, NOT_ALLOWED, WITHOUT_CLOSE, World, permission, session, stored, update,
};

fn world(max_husks: usize) -> World {
    let mut world = World::with(|config| config.agent.max_husks = max_husks);
    world.agent = WITHOUT_CLOSE;
    world
}

#[track_caller]
fn closed_at_once(world: &mut World, editor: drawbridge::bridge::ClientId, id: &str) {
    world.request(editor, 90, "session/close", &session(id));
    world.expect_closed(editor, id, "client_close");
    world.expect_answer(editor, 90, "{}");
}

#[test]
fn a_close_is_answered_at_once_and_leaves_a_husk() {
    let mut world = world(8);
    let (editor, channel) = world.start();
    world.open(editor, channel, "a");
    closed_at_once(&mut world, editor, "a");
    // The agent was told nothing; what it still says is dropped.
    world.notify(channel, "session/update", &update("a", "late"));
    world.request(channel, 1, "session/request_permission", &permission("a"));
    world.expect_answer(channel, 1, NOT_ALLOWED);
    assert_eq!(world.bridge.counters().late_frames, 1);
    world.load(editor, channel, "a");
}

#[test]
fn a_close_in_a_turn_waits_for_the_end_of_the_turn() {
    let mut world = world(8);
    let (editor, channel) = world.start();
    world.open(editor, channel, "a");
    let turn = world.prompt(editor, channel, "a", 1);
    world.request(editor, 2, "session/close", &session("a"));
    world.expect_closed(editor, "a", "client_close");
    world.expect_notification(channel, "session/cancel", &session("a"));
    world.assert_nothing_left();
    world.answer(channel, turn, CANCELLED);
    world.expect_answer(editor, 1, CANCELLED);
    world.expect_answer(editor, 2, "{}");
}

#[test]
fn a_session_that_was_closed_in_a_turn_is_a_husk_after_it() {
    let mut world = world(1);
    let (editor, channel) = world.start();
    world.open(editor, channel, "a");
    let turn = world.prompt(editor, channel, "a", 1);
    world.request(editor, 2, "session/close", &session("a"));
    world.expect_closed(editor, "a", "client_close");
    world.expect_notification(channel, "session/cancel", &session("a"));
    world.answer(channel, turn, CANCELLED);
    world.expect_answer(editor, 1, CANCELLED);
    world.expect_answer(editor, 2, "{}");
    world.expect(channel, Deed::CloseStdin);
}

#[test]
fn a_turn_that_does_not_end_is_cancelled_when_the_close_times_out() {
    let mut world = world(8);
    let (editor, channel) = world.start();
    world.open(editor, channel, "a");
    world.prompt(editor, channel, "a", 1);
    world.request(editor, 2, "session/close", &session("a"));
    world.expect_closed(editor, "a", "client_close");
    world.expect_notification(channel, "session/cancel", &session("a"));
    world.wait(9_999);
    world.assert_nothing_left();
    world.wait(1);
    world.expect_answer(editor, 1, CANCELLED);
    world.expect_answer(editor, 2, "{}");
    // It broke no promise: it is not condemned.
    world.open(editor, channel, "b");
}

#[test]
fn at_max_husks_the_channel_is_retired_and_a_successor_serves() {
    let mut world = world(2);
    let (editor, old) = world.start();
    for id in ["a", "b", "c"] {
        world.open(editor, old, id);
    }
    closed_at_once(&mut world, editor, "a");
    world.open(editor, old, "d");
    closed_at_once(&mut world, editor, "b");
    world.request(editor, 1, "session/new", NEW);
    let fresh = world.expect_spawn("/home");
    world.handshake(fresh);
    world.opened(editor, fresh, "e", "1");
    closed_at_once(&mut world, editor, "c");
    world.assert_nothing_left();
    closed_at_once(&mut world, editor, "d");
    world.expect(old, Deed::CloseStdin);
}

#[test]
fn a_newcomer_does_not_go_where_its_room_was_made_by_one_husk_too_many() {
    let mut world = World::with(|config| {
        config.agent.max_husks = 1;
        config.agent.idle_policy = IdlePolicy::All;
        config.agent.background_work = BackgroundWork::Ignore;
        config.limits.max_sessions = 1;
    });
    world.agent = WITHOUT_CLOSE;
    let (editor, old) = world.start();
    world.open(editor, old, "a");
    world.request(editor, 1, "session/new", NEW);
    world.expect_closed(editor, "a", "evicted");
    world.expect(old, Deed::CloseStdin);
    let fresh = world.expect_spawn("/home");
    world.handshake(fresh);
    world.opened(editor, fresh, "b", "1");
}

#[test]
fn a_session_that_was_closed_unseen_is_a_husk_like_any_other() {
    let mut world = world(1);
    let (editor, old) = world.start();
    let leaver = world.join();
    world.open(editor, old, "a");
    world.request(leaver, 1, "session/new", NEW);
    let number = world.expect_request(old, "session/new", NEW);
    world.gone(leaver);
    world.answer(old, number, &session("b"));
    world.request(editor, 2, "session/new", NEW);
    let fresh = world.expect_spawn("/home");
    world.handshake(fresh);
    world.opened(editor, fresh, "c", "2");
}

#[test]
fn a_husk_that_was_reinstated_counts_no_more() {
    let mut world = world(2);
    let (editor, channel) = world.start();
    world.open(editor, channel, "a");
    world.open(editor, channel, "b");
    closed_at_once(&mut world, editor, "a");
    world.load(editor, channel, "a");
    closed_at_once(&mut world, editor, "b");
    world.open(editor, channel, "c");
}

#[test]
fn a_husk_ends_with_its_process() {
    let mut world = world(8);
    let (editor, old) = world.start();
    world.open(editor, old, "a");
    closed_at_once(&mut world, editor, "a");
    world.exits(old, 0);
    world.request(editor, 1, "session/load", &stored("a"));
    let fresh = world.expect_spawn("/home");
    world.handshake(fresh);
    let load = world.expect_request(fresh, "session/load", &stored("a"));
    world.answer(fresh, load, "null");
    world.expect_answer(editor, 1, "null");
}

#[test]
fn zero_max_husks_is_no_cap() {
    let mut world = world(0);
    let (editor, channel) = world.start();
    for id in 0..50 {
        world.open(editor, channel, &id.to_string());
        closed_at_once(&mut world, editor, &id.to_string());
    }
}

#[test]
fn with_a_channel_each_a_husk_keeps_newcomers_away() {
    let mut world = World::with(|config| {
        config.agent.share = drawbridge::bridge::config::Share::Session;
        config.agent.channel_idle_timeout = Limit::Never;
    });
    world.agent = WITHOUT_CLOSE;
    let (editor, first) = world.start();
    world.open(editor, first, "a");
    closed_at_once(&mut world, editor, "a");
    world.request(editor, 1, "session/new", NEW);
    let second = world.expect_spawn("/work");
    world.handshake(second);
    world.opened(editor, second, "b", "1");
    // But it can go on with its own.
    world.request(editor, 2, "session/load", &stored("a"));
    let load = world.expect_request(first, "session/load", &stored("a"));
    world.answer(first, load, "null");
    world.expect_answer(editor, 2, "null");
}

#[test]
fn a_husk_is_deleted_where_it_lives() {
    let mut world = world(8);
    let (editor, channel) = world.start();
    world.open(editor, channel, "a");
    world.request(editor, 1, "session/delete", &session("a"));
    world.expect_closed(editor, "a", "deleted");
    let delete = world.expect_request(channel, "session/delete", &session("a"));
    world.answer(channel, delete, "{}");
    world.expect_answer(editor, 1, "{}");
}

#[test]
fn a_shutdown_does_not_wait_for_a_close_that_cannot_be_asked_for() {
    let mut world = world(8);
    let (editor, channel) = world.start();
    world.open(editor, channel, "a");
    world.shutdown(ShutdownCause::StdinEnded);
    world.expect_died(editor, "a", "shutdown", "");
    world.expect(channel, Deed::CloseStdin);
    world.exits(channel, 0);
    world.expect_exit(&[]);
}

#[test]
fn what_its_sub_agents_leave_is_no_husk() {
    let mut world = world(2);
    let (editor, channel) = world.start();
    world.open(editor, channel, "a");
    world.open(editor, channel, "b");
    let announced =
        r#"{"sessionId":"a","update":{"sessionUpdate":"subagent_update","sessionId":"kid"}}"#;
    world.notify(channel, "session/update", announced);
    world.expect_notification(editor, "session/update", announced);
    closed_at_once(&mut world, editor, "a");
    world.open(editor, channel, "c");
}
