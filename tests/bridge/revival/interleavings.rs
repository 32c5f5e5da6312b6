//! Events that come while a session is brought back.

use drawbridge::bridge::Notice;

use crate::harness::{CANCELLED, Deed, END_TURN, NEW, prompt, session, stored};
use crate::revival::stories::{VERSIONED, crashed, restored, set_mode, world, world_with};

#[test]
fn ten_prompts_reach_the_agent_one_after_the_other_behind_one_restore() {
    let mut world = world();
    let editor = crashed(&mut world);
    for token in 10..20 {
        world.request(editor, token, "session/prompt", &prompt("s"));
    }
    let channel = world.fresh();
    let number = world.expect_request(channel, "session/resume", &restored("s"));
    world.answer(channel, number, "{}");
    world.expect_restored(editor, "s");
    for token in 10..20 {
        let number = world.expect_request(channel, "session/prompt", &prompt("s"));
        world.assert_nothing_for(channel);
        world.answer(channel, number, END_TURN);
        world.expect_answer(editor, token, END_TURN);
    }
}

#[test]
fn other_requests_keep_their_place_among_the_prompts_that_wait() {
    let mut world = world();
    let editor = crashed(&mut world);
    world.request(editor, 1, "session/prompt", &prompt("s"));
    world.request(editor, 2, "session/prompt", &prompt("s"));
    world.request(editor, 3, "session/set_mode", &set_mode("s", "code"));
    let channel = world.fresh();
    let number = world.expect_request(channel, "session/resume", &restored("s"));
    world.answer(channel, number, "{}");
    world.expect_restored(editor, "s");
    let first = world.expect_request(channel, "session/prompt", &prompt("s"));
    world.request(editor, 4, "session/prompt", &prompt("s"));
    world.assert_nothing_for(channel);
    world.answer(channel, first, END_TURN);
    world.expect_answer(editor, 1, END_TURN);
    let second = world.expect_request(channel, "session/prompt", &prompt("s"));
    let mode = world.expect_request(channel, "session/set_mode", &set_mode("s", "code"));
    world.answer(channel, mode, "{}");
    world.expect_answer(editor, 3, "{}");
    world.answer(channel, second, END_TURN);
    world.expect_answer(editor, 2, END_TURN);
    world.expect_request(channel, "session/prompt", &prompt("s"));
}

#[test]
fn prompts_that_wait_keep_their_order_when_the_agent_ends_again() {
    let mut world = world();
    let editor = crashed(&mut world);
    for token in 1..4 {
        world.request(editor, token, "session/prompt", &prompt("s"));
    }
    let channel = world.fresh();
    let number = world.expect_request(channel, "session/resume", &restored("s"));
    world.answer(channel, number, "{}");
    world.expect_restored(editor, "s");
    world.expect_request(channel, "session/prompt", &prompt("s"));
    world.crash(editor, channel, &[]);
    world.expect_parked(editor, "s", "channel_closed");
    world.expect_refusal(editor, 1, -32603, "agent_exited");
    world.wait(10_000);
    let channel = world.fresh();
    let number = world.expect_request(channel, "session/resume", &restored("s"));
    world.answer(channel, number, "{}");
    world.expect_restored(editor, "s");
    for token in 2..4 {
        let number = world.expect_request(channel, "session/prompt", &prompt("s"));
        world.answer(channel, number, END_TURN);
        world.expect_answer(editor, token, END_TURN);
    }
}

#[test]
fn cancelled_prompts_that_wait_are_answered_and_the_restore_goes_on() {
    let mut world = world();
    let editor = crashed(&mut world);
    world.request(editor, 7, "session/prompt", &prompt("s"));
    let channel = world.fresh();
    let number = world.expect_request(channel, "session/resume", &restored("s"));
    world.notify(editor, "session/cancel", &session("s"));
    world.expect_answer(editor, 7, CANCELLED);
    world.request(editor, 8, "session/prompt", &prompt("s"));
    world.answer(channel, number, "{}");
    world.expect_restored(editor, "s");
    world.expect_request(channel, "session/prompt", &prompt("s"));
    world.assert_nothing_for(channel);
}

#[test]
fn a_request_that_is_withdrawn_while_it_waits_is_never_sent() {
    let mut world = world();
    let editor = crashed(&mut world);
    world.request(editor, 7, "session/prompt", &prompt("s"));
    world.request(editor, 8, "session/prompt", &prompt("s"));
    world.notify(editor, "$/cancel_request", r#"{"requestId":7}"#);
    world.expect_refusal(editor, 7, -32800, "cancelled");
    let channel = world.fresh();
    let number = world.expect_request(channel, "session/resume", &restored("s"));
    world.answer(channel, number, "{}");
    world.expect_restored(editor, "s");
    let number = world.expect_request(channel, "session/prompt", &prompt("s"));
    world.answer(channel, number, END_TURN);
    world.expect_answer(editor, 8, END_TURN);
}

#[test]
fn a_close_while_it_is_restored_ends_it_at_once() {
    let mut world = world();
    let editor = crashed(&mut world);
    world.request(editor, 7, "session/prompt", &prompt("s"));
    world.request(editor, 8, "session/set_mode", &set_mode("s", "code"));
    let channel = world.fresh();
    let number = world.expect_request(channel, "session/resume", &restored("s"));
    world.request(editor, 9, "session/close", &session("s"));
    world.expect_answer(editor, 7, CANCELLED);
    world.expect_refusal(editor, 8, -32800, "session_closing");
    world.expect_answer(editor, 9, "{}");
    // A late success is closed at the agent.
    world.answer(channel, number, "{}");
    let number = world.expect_request(channel, "session/close", &session("s"));
    world.answer(channel, number, "{}");
    world.request(editor, 10, "session/prompt", &prompt("s"));
    world.expect_refusal(editor, 10, -32002, "session_closed");
}

#[test]
fn a_close_of_a_parked_session_needs_no_agent() {
    let mut world = world();
    let editor = crashed(&mut world);
    world.request(editor, 9, "session/close", &session("s"));
    world.expect_answer(editor, 9, "{}");
    world.request(editor, 10, "session/close", &session("s"));
    world.expect_answer(editor, 10, "{}");
}

#[test]
fn a_process_that_ends_in_a_restore_is_tried_once_more_with_one_of_its_own() {
    let mut world = world();
    let editor = crashed(&mut world);
    world.request(editor, 7, "session/prompt", &prompt("s"));
    let channel = world.fresh();
    world.expect_request(channel, "session/resume", &restored("s"));
    world.exits(channel, 3);
    world.expect_warning(|it| matches!(it, Notice::ChannelExited { .. }));
    let own = world.fresh();
    let number = world.expect_request(own, "session/resume", &restored("s"));
    // No other session goes there.
    world.request(editor, 8, "session/new", NEW);
    let channel = world.fresh();
    world.opened(editor, channel, "t", "8");
    world.exits(own, 3);
    world.expect_warning(|it| matches!(it, Notice::ChannelExited { .. }));
    world.expect_refusal(editor, 7, -32603, "agent_exited");
    let _ = number;
    // From now on it restores alone.
    world.request(editor, 9, "session/prompt", &prompt("s"));
    let own = world.fresh();
    let number = world.expect_request(own, "session/resume", &restored("s"));
    world.answer(own, number, "{}");
    world.expect_restored(editor, "s");
    world.expect_request(own, "session/prompt", &prompt("s"));
}

#[test]
fn a_load_of_a_client_during_a_restore_waits_and_is_then_one_of_a_live_session() {
    let mut world = world();
    let editor = crashed(&mut world);
    world.request(editor, 7, "session/prompt", &prompt("s"));
    let channel = world.fresh();
    let number = world.expect_request(channel, "session/resume", &restored("s"));
    let other = world.join();
    world.request(other, 8, "session/load", &stored("s"));
    world.assert_nothing_for(channel);
    world.answer(channel, number, "{}");
    world.expect_restored(editor, "s");
    world.expect_request(channel, "session/prompt", &prompt("s"));
    // Embedded there is no ring, and the session is in a turn.
    world.expect_refusal(other, 8, -32603, "session_busy");
}

#[test]
fn at_the_limit_of_sessions_it_waits_within_its_open_budget() {
    let mut world = world_with(VERSIONED, |config| config.limits.max_sessions = 1);
    let editor = crashed(&mut world);
    world.request(editor, 1, "session/new", NEW);
    let channel = world.fresh();
    world.opened(editor, channel, "t", "1");
    world.request(editor, 7, "session/prompt", &prompt("s"));
    world.request(editor, 8, "session/prompt", &prompt("s"));
    world.wait(10_000);
    world.assert_nothing_left();
    world.notify(editor, "$/cancel_request", r#"{"requestId":8}"#);
    world.expect_refusal(editor, 8, -32800, "cancelled");
    world.close(editor, channel, "t");
    let number = world.expect_request(channel, "session/resume", &restored("s"));
    world.answer(channel, number, "{}");
    world.expect_restored(editor, "s");
    world.expect_request(channel, "session/prompt", &prompt("s"));
}

#[test]
fn a_request_that_waits_for_room_in_vain_is_told_the_limit() {
    let mut world = world_with(VERSIONED, |config| config.limits.max_sessions = 1);
    let editor = crashed(&mut world);
    world.request(editor, 1, "session/new", NEW);
    let channel = world.fresh();
    world.opened(editor, channel, "t", "1");
    world.request(editor, 7, "session/prompt", &prompt("s"));
    world.wait(120_000);
    world.expect_refusal(editor, 7, -32603, "session_limit");
}

#[test]
fn when_its_last_client_goes_while_it_is_restored_it_is_parked_again() {
    let mut world = world();
    let editor = crashed(&mut world);
    world.request(editor, 7, "session/prompt", &prompt("s"));
    let channel = world.fresh();
    let number = world.expect_request(channel, "session/resume", &restored("s"));
    let other = world.join();
    world.gone(editor);
    world.answer(channel, number, "{}");
    let number = world.expect_request(channel, "session/close", &session("s"));
    // It is fenced until it is closed.
    world.request(other, 8, "session/load", &stored("s"));
    world.assert_nothing_for(channel);
    world.answer(channel, number, "{}");
    world.expect_request(channel, "session/load", &stored("s"));
}

#[test]
fn a_restore_goes_on_for_another_client_that_waits() {
    let mut world = world();
    let (editor, channel) = world.start();
    world.open(editor, channel, "s");
    world.turn(editor, channel, "s");
    let other = world.join();
    world.request(other, 1, "_drawbridge/attach", &session("s"));
    world.rest(other);
    world.exits(channel, 3);
    world.rest(editor);
    world.rest(other);
    world.request(editor, 7, "session/prompt", &prompt("s"));
    world.request(other, 8, "session/prompt", &prompt("s"));
    let channel = world.fresh();
    let number = world.expect_request(channel, "session/resume", &restored("s"));
    world.gone(editor);
    world.answer(channel, number, "{}");
    world.expect_restored(other, "s");
    let number = world.expect_request(channel, "session/prompt", &prompt("s"));
    world.answer(channel, number, END_TURN);
    world.expect_answer(other, 8, END_TURN);
}

#[test]
fn a_restore_that_times_out_leaves_the_id_fenced() {
    let mut world = world();
    let editor = crashed(&mut world);
    world.request(editor, 7, "session/prompt", &prompt("s"));
    let channel = world.fresh();
    let number = world.expect_request(channel, "session/resume", &restored("s"));
    world.wait(120_000);
    world.expect_refusal(editor, 7, -32603, "open_timeout");
    world.expect_warning(|it| matches!(it, Notice::OpenUnanswered { .. }));
    world.expect_warning(|it| matches!(it, Notice::ChannelDraining { .. }));
    world.expect(channel, Deed::CloseStdin);
    world.request(editor, 8, "session/prompt", &prompt("s"));
    world.assert_nothing_for(channel);
    world.wait(1);
    world.notify(editor, "$/cancel_request", r#"{"requestId":8}"#);
    world.expect_refusal(editor, 8, -32800, "cancelled");
    world.assert_nothing_for(channel);
    world.answer(channel, number, "{}");
    world.assert_nothing_for(editor);
    world.exits(channel, 0);
    let channel = world.expect_spawn("/home");
    world.handshake(channel);
    world.expect_request(channel, "session/resume", &restored("s"));
}
