//! The process that started a client ends: a sign of the client's end, unless it was a
//! launcher.

use drawbridge::bridge::{ChannelId, ClientId, Event, Limit, Notice, ShutdownCause};

use crate::harness::{Deed, END_TURN, World, session};

const LIMIT: u64 = 600_000;

/// An editor that has spoken and whose parent has ended then, and its channel.
fn orphan() -> (World, ClientId, ChannelId) {
    let mut world = World::with(|config| config.agent.channel_idle_timeout = Limit::Never);
    let (editor, channel) = world.start();
    world.event(Event::ParentGone { client: editor });
    (world, editor, channel)
}

#[track_caller]
fn ends(world: &mut World, channel: ChannelId) {
    world.expect(channel, Deed::CloseStdin);
    let cause = ShutdownCause::ParentGone;
    assert!(world.notices.iter().any(
        |notice| matches!(notice, Notice::ShuttingDown { cause: found, .. } if *found == cause)
    ));
    world.exits(channel, 0);
    world.expect_exit(&[]);
}

#[test]
fn a_client_that_says_nothing_more_is_gone() {
    let (mut world, editor, channel) = orphan();
    world.wait(LIMIT / 2);
    world.event(Event::ParentGone { client: editor });
    world.wait(LIMIT / 2 - 1);
    world.assert_nothing_left();
    world.wait(1);
    ends(&mut world, channel);
}

#[test]
fn a_line_after_the_end_shows_that_the_parent_was_a_launcher() {
    let (mut world, editor, _) = orphan();
    world.wait(LIMIT - 1);
    world.notify(editor, "_drawbridge/unknown", "{}");
    world.event(Event::ParentGone { client: editor });
    world.wait(10 * LIMIT);
}

#[test]
fn a_parent_that_ends_before_the_first_line_was_a_launcher() {
    let mut world = World::new();
    let editor = world.connect();
    world.event(Event::ParentGone { client: editor });
    world.says(editor, "");
    world.next_line(editor);
    world.event(Event::ParentGone { client: editor });
    world.wait(10 * LIMIT);
}

#[test]
fn never_switches_the_sign_off() {
    let mut world = World::with(|config| {
        config.agent.channel_idle_timeout = Limit::Never;
        config.limits.orphan_timeout = Limit::Never;
    });
    let (editor, _) = world.start();
    world.event(Event::ParentGone { client: editor });
    world.wait(100 * LIMIT);
}

#[test]
fn an_open_turn_or_question_keeps_the_bridge_for_another_period() {
    let mut world = World::with(|config| config.agent.channel_idle_timeout = Limit::Never);
    let (editor, channel) = world.start();
    world.open(editor, channel, "a");
    let turn = world.prompt(editor, channel, "a", 1);
    world.event(Event::ParentGone { client: editor });
    world.wait(LIMIT + LIMIT / 2);
    world.answer(channel, turn, END_TURN);
    world.expect_answer(editor, 1, END_TURN);
    world.wait(LIMIT / 2 - 1);
    world.assert_nothing_left();
    world.wait(1);
    world.expect_died(editor, "a", "shutdown", "");
    let close = world.expect_request(channel, "session/close", &session("a"));
    world.answer(channel, close, "{}");
    world.expect(channel, Deed::CloseStdin);
    world.exits(channel, 0);
    world.expect_exit(&[]);
}

#[test]
fn a_client_that_is_gone_has_no_parent_any_more() {
    let (mut world, editor, _) = orphan();
    world.gone(editor);
    world.event(Event::ParentGone { client: editor });
    world.wait(10 * LIMIT);
}
