//! Leases: what an agent may hold for a client keeps its channel, and for how long.

use drawbridge::bridge::{Limit, Notice};

use crate::harness::{Deed, INITIALIZE, NEW, World, session};

#[test]
fn a_channel_that_may_hold_something_for_a_client_is_not_stopped_for_idleness() {
    let mut world = World::with(|config| config.agent.channel_idle_timeout = Limit::After(0));
    let (editor, channel) = world.start();
    world.open(editor, channel, "a");
    // Requests that hold nothing for the client give no lease.
    world.agreed(editor, channel, "session/list", "{}");
    world.agreed(editor, channel, "providers/list", "{}");
    world.agreed(editor, channel, "_vendor/thing", "{}");
    world.close(editor, channel, "a");
    world.wait(10_000_000);
    world.assert_nothing_left();
    world.gone(editor);
    world.expect(channel, Deed::CloseStdin);
}

#[test]
fn what_an_agent_may_hold_for_a_client_does_not_keep_a_channel_that_is_to_be_replaced() {
    let mut world = World::new();
    let (editor, old) = world.start();
    world.open(editor, old, "a");
    world.open(editor, old, "x");
    world.agreed(editor, old, "_vendor/thing", "{}");
    world.request(editor, 1, "session/close", &session("x"));
    world.expect_closed(editor, "x", "client_close");
    world.expect_request(old, "session/close", &session("x"));
    world.wait(10_000);
    world.expect_answer(editor, 1, "{}");
    world.expect_warning(|notice| matches!(notice, Notice::CloseUnanswered { .. }));
    world.expect_warning(|notice| matches!(notice, Notice::ChannelDraining { .. }));
    // Nor does what it comes to hold while it is on its way out.
    world.agreed(editor, old, "_vendor/other", "{}");
    world.assert_nothing_left();
    world.close(editor, old, "a");
    world.expect(old, Deed::CloseStdin);
}

#[test]
fn what_a_channel_holds_for_a_client_of_another_pool_by_now_ends_with_that_client() {
    let mut world = World::with(|config| config.agent.channel_idle_timeout = Limit::After(0));
    let (editor, first) = world.start();
    world.open(editor, first, "a");
    world.agreed(editor, first, "_vendor/thing", "{}");
    world.close(editor, first, "a");
    let other = INITIALIZE.replace("\"terminal\":true", "\"terminal\":false");
    world.request(editor, 1, "initialize", &other);
    let second = world.expect_spawn("/home");
    let id = world.expect_request(second, "initialize", &other);
    world.answer(second, id, world.agent);
    world.next_line(editor);
    world.wait(59_999);
    world.assert_nothing_left();
    world.gone(editor);
    world.expect(first, Deed::CloseStdin);
    // And one that no client of its pool can use any more is not kept for a first use.
    world.expect(second, Deed::CloseStdin);
}

#[test]
fn what_a_channel_holds_for_a_client_ends_with_the_process() {
    let mut world = World::with(|config| config.agent.channel_idle_timeout = Limit::After(0));
    let (editor, first) = world.start();
    world.agreed(editor, first, "_vendor/thing", "{}");
    world.exits(first, 0);
    world.expect_warning(|notice| matches!(notice, Notice::ChannelExited { .. }));
    world.wait(250);
    world.request(editor, 1, "session/new", NEW);
    let second = world.expect_spawn("/home");
    world.handshake(second);
    world.opened(editor, second, "a", "1");
    world.close(editor, second, "a");
    world.expect(second, Deed::CloseStdin);
}

#[test]
fn a_request_that_was_refused_leaves_nothing_to_hold() {
    let mut world = World::new();
    let (editor, channel) = world.start();
    world.request(editor, 1, "_x/y", "{}");
    let number = world.expect_request(channel, "_x/y", "{}");
    world.fail(channel, number, -9);
    world.expect_failure(editor, 1, -9);
    world.wait(600_000);
    world.expect(channel, Deed::CloseStdin);
}
