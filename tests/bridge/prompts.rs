//! Turns: prompts, their queue, their limit; leaving and staying.

use drawbridge::bridge::config::PromptQueue;
use drawbridge::bridge::{ChannelId, ClientId, Limit, Notice};

use crate::harness::{CANCELLED, END_TURN, NEW, World, notification, prompt, session, update};

/// A session with two clients.
fn shared(world: &mut World) -> (ClientId, ClientId, ChannelId) {
    let (first, channel) = world.start();
    let second = world.join();
    world.open(first, channel, "a");
    world.load(second, channel, "a");
    (first, second, channel)
}

#[test]
fn prompts_of_one_client_pass_at_once() {
    let mut world = World::new();
    let (editor, channel) = world.start();
    world.open(editor, channel, "a");
    let first = world.prompt(editor, channel, "a", 1);
    let second = world.prompt(editor, channel, "a", 2);
    world.answer(channel, second, END_TURN);
    world.expect_answer(editor, 2, END_TURN);
    world.answer(channel, first, CANCELLED);
    world.expect_answer(editor, 1, CANCELLED);
}

#[test]
fn prompts_of_another_client_wait_for_the_running_turn() {
    let mut world = World::new();
    let (first, second, channel) = shared(&mut world);
    let running = world.prompt(first, channel, "a", 1);
    world.request(second, 2, "session/prompt", &prompt("a"));
    world.request(first, 3, "session/prompt", &prompt("a"));
    world.assert_nothing_left();
    world.answer(channel, running, END_TURN);
    world.expect_answer(first, 1, END_TURN);
    let next = world.expect_request(channel, "session/prompt", &prompt("a"));
    world.assert_nothing_left();
    world.fail(channel, next, -1);
    world.expect_failure(second, 2, -1);
    let last = world.expect_request(channel, "session/prompt", &prompt("a"));
    world.answer(channel, last, END_TURN);
    world.expect_answer(first, 3, END_TURN);
}

#[test]
fn what_waits_behind_several_turns_of_another_client_waits_for_the_last_of_them() {
    for order in [[0, 1], [1, 0]] {
        let mut world = World::new();
        let (first, second, channel) = shared(&mut world);
        let running = [1, 2].map(|id| world.prompt(first, channel, "a", id));
        world.request(second, 3, "session/prompt", &prompt("a"));
        for turn in order {
            world.assert_nothing_left();
            world.answer(channel, running[turn], END_TURN);
            world.expect_answer(first, turn + 1, END_TURN);
        }
        let next = world.expect_request(channel, "session/prompt", &prompt("a"));
        world.answer(channel, next, END_TURN);
        world.expect_answer(second, 3, END_TURN);
    }
}

#[test]
fn a_turn_that_is_given_up_leaves_those_waiting_who_wait_for_another() {
    let mut world = World::with(|config| config.agent.prompt_timeout = Limit::After(5_000));
    let (first, second, channel) = shared(&mut world);
    world.prompt(first, channel, "a", 1);
    world.wait(1_000);
    let other = world.prompt(first, channel, "a", 2);
    world.request(second, 3, "session/prompt", &prompt("a"));
    world.wait(4_000);
    world.expect_refusal(first, 1, -32603, "prompt_timeout");
    world.expect_notification(channel, "session/cancel", &session("a"));
    world.assert_nothing_left();
    world.answer(channel, other, CANCELLED);
    world.expect_answer(first, 2, CANCELLED);
    world.expect_request(channel, "session/prompt", &prompt("a"));
}

#[test]
fn the_queue_is_bounded() {
    let mut world = World::with(|config| {
        config.agent.prompt_queue = PromptQueue::All;
        config.limits.max_queued_prompts = 2;
    });
    let (editor, channel) = world.start();
    world.open(editor, channel, "a");
    world.prompt(editor, channel, "a", 1);
    for id in 2..4 {
        world.request(editor, id, "session/prompt", &prompt("a"));
    }
    world.request(editor, 4, "session/prompt", &prompt("a"));
    world.expect_refusal(editor, 4, -32603, "prompt_queue_full");
    // One that waits can be withdrawn, and is never sent.
    world.says(editor, notification("$/cancel_request", r#"{"requestId":2}"#));
    world.expect_refusal(editor, 2, -32800, "cancelled");
    world.request(editor, 5, "session/prompt", &prompt("a"));
}

#[test]
fn a_cancel_ends_the_running_turn_and_the_queued_prompts_of_that_client_alone() {
    let mut world = World::with(|config| config.agent.prompt_queue = PromptQueue::All);
    let (first, second, channel) = shared(&mut world);
    let running = world.prompt(first, channel, "a", 1);
    world.request(first, 2, "session/prompt", &prompt("a"));
    world.request(second, 3, "session/prompt", &prompt("a"));
    world.notify(first, "session/cancel", &session("a"));
    world.expect_notification(channel, "session/cancel", &session("a"));
    world.expect_answer(first, 2, CANCELLED);
    world.answer(channel, running, CANCELLED);
    world.expect_answer(first, 1, CANCELLED);
    world.expect_request(channel, "session/prompt", &prompt("a"));
    assert!(world.waits(second, 3));
}

#[test]
fn a_cancel_of_an_unknown_session_passes_on_and_starts_no_agent() {
    let mut world = World::new();
    let (editor, channel) = world.start();
    world.notify(editor, "session/cancel", &session("zzz"));
    world.expect_notification(channel, "session/cancel", &session("zzz"));
    world.exits(channel, 0);
    world.notify(editor, "session/cancel", &session("zzz"));
    assert_eq!(world.bridge.counters().unrouted, 1);
}

#[test]
fn a_prompt_that_takes_too_long_is_cancelled_and_the_next_one_runs() {
    let mut world = World::with(|config| {
        config.agent.prompt_timeout = Limit::After(5_000);
        config.agent.prompt_queue = PromptQueue::All;
    });
    let (editor, channel) = world.start();
    world.open(editor, channel, "a");
    let late = world.prompt(editor, channel, "a", 1);
    world.request(editor, 2, "session/prompt", &prompt("a"));
    world.wait(4_999);
    world.assert_nothing_left();
    world.wait(1);
    world.expect_refusal(editor, 1, -32603, "prompt_timeout");
    world.expect_notification(channel, "session/cancel", &session("a"));
    let next = world.expect_request(channel, "session/prompt", &prompt("a"));
    world.answer(channel, late, CANCELLED);
    assert_eq!(world.bridge.counters().stray_answers, 1);
    world.answer(channel, next, END_TURN);
    world.expect_answer(editor, 2, END_TURN);
}

#[test]
fn a_prompt_has_no_limit_by_default() {
    let mut world = World::new();
    let (editor, channel) = world.start();
    world.open(editor, channel, "a");
    let turn = world.prompt(editor, channel, "a", 1);
    world.wait(30 * 24 * 3_600_000);
    world.answer(channel, turn, END_TURN);
    world.expect_answer(editor, 1, END_TURN);
}

#[test]
fn updates_of_a_turn_precede_its_answer_and_reach_all() {
    let mut world = World::new();
    let (first, second, channel) = shared(&mut world);
    let turn = world.prompt(first, channel, "a", 1);
    for text in ["one", "two"] {
        world.notify(channel, "session/update", &update("a", text));
    }
    world.answer(channel, turn, END_TURN);
    for text in ["one", "two"] {
        world.expect_notification(first, "session/update", &update("a", text));
        world.expect_notification(second, "session/update", &update("a", text));
    }
    world.expect_answer(first, 1, END_TURN);
}

// Leaving.

#[test]
fn last_detach_closes() {
    let mut world = World::new();
    let (editor, channel) = world.start();
    world.open(editor, channel, "a");
    world.open(editor, channel, "b");
    world.request(editor, 1, "_drawbridge/detach", &session("a"));
    world.expect_answer(editor, 1, "{}");
    let close = world.expect_request(channel, "session/close", &session("a"));
    world.answer(channel, close, "{}");
    world.request(editor, 2, "session/prompt", &prompt("a"));
    let data = world.expect_refusal(editor, 2, -32002, "session_closed");
    assert_eq!(data["reason"], "last_client_detached");
    // From all at once.
    world.request(editor, 3, "_drawbridge/detach", "{}");
    world.expect_answer(editor, 3, "{}");
    world.expect_request(channel, "session/close", &session("b"));
}

#[test]
fn last_detach_in_a_turn_closes_when_the_turn_ends() {
    let mut world = World::new();
    let (editor, channel) = world.start();
    world.open(editor, channel, "a");
    let turn = world.prompt(editor, channel, "a", 1);
    world.request(editor, 2, "_drawbridge/detach", &session("a"));
    world.expect_answer(editor, 2, "{}");
    world.wait(1_000_000);
    world.notify(channel, "session/update", &update("a", "to nobody"));
    world.assert_nothing_left();
    world.answer(channel, turn, END_TURN);
    world.expect_answer(editor, 1, END_TURN);
    world.expect_request(channel, "session/close", &session("a"));
}

#[test]
fn detach_with_others_left_does_not_close() {
    let mut world = World::new();
    let (first, second, channel) = shared(&mut world);
    world.request(first, 1, "_drawbridge/detach", &session("a"));
    world.expect_answer(first, 1, "{}");
    world.notify(channel, "session/update", &update("a", "on"));
    world.expect_notification(second, "session/update", &update("a", "on"));
    world.request(second, 2, "_drawbridge/detach", &session("a"));
    world.expect_answer(second, 2, "{}");
    world.expect_request(channel, "session/close", &session("a"));
}

#[test]
fn a_close_with_others_left_is_a_detach_that_ends_ones_own_turn() {
    let mut world = World::with(|config| config.agent.prompt_queue = PromptQueue::All);
    let (first, second, channel) = shared(&mut world);
    let turn = world.prompt(first, channel, "a", 1);
    world.request(second, 2, "session/prompt", &prompt("a"));
    // The turn is another's: it goes on. What waits for the one who leaves does not.
    world.request(second, 3, "session/close", &session("a"));
    world.expect_answer(second, 2, CANCELLED);
    world.expect_answer(second, 3, "{}");
    world.answer(channel, turn, END_TURN);
    world.expect_answer(first, 1, END_TURN);
    world.load(second, channel, "a");
    // The turn is its own: it is cancelled.
    let turn = world.prompt(second, channel, "a", 4);
    world.request(second, 5, "session/close", &session("a"));
    world.expect_notification(channel, "session/cancel", &session("a"));
    world.expect_answer(second, 5, "{}");
    world.answer(channel, turn, CANCELLED);
    world.expect_answer(second, 4, CANCELLED);
    // The last one closes.
    world.close(first, channel, "a");
}

#[test]
fn a_gone_clients_prompt_goes_on_for_the_others() {
    let mut world = World::new();
    let (first, second, channel) = shared(&mut world);
    let turn = world.prompt(first, channel, "a", 1);
    world.request(first, 2, "_x/y", &session("a"));
    let other = world.expect_request(channel, "_x/y", &session("a"));
    world.gone(first);
    world.notify(channel, "session/update", &update("a", "on"));
    world.expect_notification(second, "session/update", &update("a", "on"));
    world.answer(channel, turn, END_TURN);
    world.answer(channel, other, "{}");
    assert_eq!(world.bridge.counters().stray_answers, 0);
}

#[test]
fn who_has_left_a_session_to_others_hears_so_and_not_that_it_was_closed() {
    let mut world = World::new();
    let (first, _, _) = shared(&mut world);
    world.request(first, 1, "_drawbridge/detach", &session("a"));
    world.expect_answer(first, 1, "{}");
    world.request(first, 2, "session/prompt", &prompt("a"));
    let data = world.expect_refusal(first, 2, -32002, "session_closed");
    assert_eq!(data["reason"], "detached");
}

#[test]
fn prompts_that_wait_are_sent_on_a_channel_that_is_retired_meanwhile() {
    let mut world = World::with(|config| config.agent.sessions_per_channel = 2);
    let (first, second, channel) = shared(&mut world);
    world.open(first, channel, "b");
    let turn = world.prompt(first, channel, "a", 1);
    world.request(second, 2, "session/prompt", &prompt("a"));
    // The channel that served this client last is another one.
    world.request(second, 3, "session/new", NEW);
    let other = world.expect_spawn("/home");
    world.handshake(other);
    world.opened(second, other, "c", "3");
    world.close_too_late(first, channel, "b");
    world.expect_warning(|notice| matches!(notice, Notice::CloseUnanswered { .. }));
    world.expect_warning(|notice| matches!(notice, Notice::ChannelDraining { .. }));
    world.answer(channel, turn, END_TURN);
    world.expect_answer(first, 1, END_TURN);
    let turn = world.expect_request(channel, "session/prompt", &prompt("a"));
    world.answer(channel, turn, END_TURN);
    world.expect_answer(second, 2, END_TURN);
}
