//! Requests of one client about one session take effect in the order in which they came.

use drawbridge::bridge::Limit;

use crate::harness::{CANCELLED, Deed, END_TURN, NEW, World, prompt, session, stored};

#[test]
fn a_close_behind_a_load_is_handled_when_the_load_is_over() {
    for (answer, is_open) in [(Some("null"), true), (None, false)] {
        for was_open_before in [false, true] {
            let mut world = World::new();
            let (editor, channel) = world.start();
            if was_open_before {
                world.open(editor, channel, "a");
                world.close(editor, channel, "a");
            }
            world.request(editor, 1, "session/load", &stored("a"));
            let load = world.expect_request(channel, "session/load", &stored("a"));
            world.request(editor, 2, "session/prompt", &prompt("a"));
            world.request(editor, 3, "session/close", &session("a"));
            world.assert_nothing_left();
            match answer {
                Some(result) => world.answer(channel, load, result),
                None => world.fail(channel, load, -32002),
            }
            if is_open {
                world.expect_answer(editor, 1, "null");
                world.expect_request(channel, "session/prompt", &prompt("a"));
                world.expect_closed(editor, "a", "client_close");
                world.expect_notification(channel, "session/cancel", &session("a"));
                let close = world.expect_request(channel, "session/close", &session("a"));
                world.answer(channel, close, "{}");
                world.expect_answer(editor, 2, CANCELLED);
                world.expect_answer(editor, 3, "{}");
                continue;
            }
            world.expect_failure(editor, 1, -32002);
            if was_open_before {
                world.expect_refusal(editor, 2, -32002, "session_closed");
                world.expect_answer(editor, 3, "{}");
            } else {
                let turn = world.expect_request(channel, "session/prompt", &prompt("a"));
                let close = world.expect_request(channel, "session/close", &session("a"));
                for (asked, id) in [(turn, 2), (close, 3)] {
                    world.fail(channel, asked, -32002);
                    world.expect_failure(editor, id, -32002);
                }
            }
        }
    }
}

#[test]
fn a_cancel_during_a_load_settles_the_prompts_behind_it_and_reaches_the_agent() {
    let mut world = World::new();
    let (editor, channel) = world.start();
    world.request(editor, 1, "session/load", &stored("a"));
    let load = world.expect_request(channel, "session/load", &stored("a"));
    world.request(editor, 2, "session/prompt", &prompt("a"));
    world.request(editor, 3, "_x/y", &session("a"));
    world.notify(editor, "$/cancel_request", r#"{"requestId":3}"#);
    world.expect_refusal(editor, 3, -32800, "cancelled");
    world.notify(editor, "session/cancel", &session("a"));
    world.expect_answer(editor, 2, CANCELLED);
    world.expect_notification(channel, "session/cancel", &session("a"));
    world.answer(channel, load, "null");
    world.expect_answer(editor, 1, "null");
}

#[test]
fn a_load_behind_a_close_that_waits_is_sent_behind_it() {
    for (first_load_succeeds, answer) in [(true, "null"), (false, "")] {
        let mut world = World::new();
        let (editor, channel) = world.start();
        world.request(editor, 1, "session/load", &stored("a"));
        let load = world.expect_request(channel, "session/load", &stored("a"));
        world.request(editor, 2, "session/close", &session("a"));
        world.request(editor, 3, "session/load", &stored("a"));
        world.request(editor, 4, "session/prompt", &prompt("a"));
        world.assert_nothing_left();
        let close = if first_load_succeeds {
            world.answer(channel, load, answer);
            world.expect_answer(editor, 1, answer);
            world.expect_closed(editor, "a", "client_close");
            let close = world.expect_request(channel, "session/close", &session("a"));
            world.answer(channel, close, "{}");
            world.expect_answer(editor, 2, "{}");
            None
        } else {
            world.fail(channel, load, -32002);
            world.expect_failure(editor, 1, -32002);
            Some(world.expect_request(channel, "session/close", &session("a")))
        };
        let again = world.expect_request(channel, "session/load", &stored("a"));
        if let Some(close) = close {
            world.fail(channel, close, -32002);
            world.expect_failure(editor, 2, -32002);
        }
        world.answer(channel, again, "null");
        world.expect_answer(editor, 3, "null");
        let turn = world.expect_request(channel, "session/prompt", &prompt("a"));
        world.answer(channel, turn, END_TURN);
        world.expect_answer(editor, 4, END_TURN);
    }
}

#[test]
fn a_close_behind_a_load_that_is_not_answered_does_not_wait_for_a_later_load() {
    let mut world = World::with(|config| config.agent.session_open_timeout = Limit::After(1_000));
    let (editor, old) = world.start();
    world.request(editor, 1, "session/load", &stored("a"));
    world.expect_request(old, "session/load", &stored("a"));
    world.request(editor, 2, "session/close", &session("a"));
    world.request(editor, 3, "session/load", &stored("a"));
    world.wait(1_000);
    world.expect_refusal(editor, 1, -32603, "open_timeout");
    world.expect_warning(|_| true);
    world.expect_warning(|_| true);
    // Nothing is left for the close to do. The second load waits until nobody holds the
    // conversation, and then stays open.
    world.expect_answer(editor, 2, "{}");
    world.expect(old, Deed::CloseStdin);
    world.exits(old, 0);
    let fresh = world.expect_spawn("/home");
    world.handshake(fresh);
    let load = world.expect_request(fresh, "session/load", &stored("a"));
    world.answer(fresh, load, "null");
    world.expect_answer(editor, 3, "null");
}

#[test]
fn what_follows_a_detach_from_all_sessions_is_not_left_with_them() {
    let mut world = World::new();
    let (editor, channel) = world.start();
    let other = world.join();
    world.open(other, channel, "b");
    world.request(editor, 1, "session/load", &stored("a"));
    let load = world.expect_request(channel, "session/load", &stored("a"));
    world.request(editor, 2, "_drawbridge/detach", "{}");
    world.request(editor, 3, "session/new", NEW);
    world.request(editor, 4, "session/load", &stored("c"));
    world.assert_nothing_left();
    world.answer(channel, load, "null");
    world.expect_answer(editor, 1, "null");
    world.expect_answer(editor, 2, "{}");
    let close = world.expect_request(channel, "session/close", &session("a"));
    world.answer(channel, close, "{}");
    let new = world.expect_request(channel, "session/new", NEW);
    let load = world.expect_request(channel, "session/load", &stored("c"));
    world.answer(channel, new, &session("n"));
    world.expect_answer(editor, 3, &session("n"));
    world.answer(channel, load, "null");
    world.expect_answer(editor, 4, "null");
    for id in ["n", "c"] {
        let turn = world.prompt(editor, channel, id, 5);
        world.answer(channel, turn, END_TURN);
        world.expect_answer(editor, 5, END_TURN);
    }
}

#[test]
fn a_fork_waits_for_the_restore_of_what_it_copies() {
    let mut world = World::new();
    let (editor, channel) = world.start();
    world.request(editor, 1, "session/load", &stored("a"));
    let load = world.expect_request(channel, "session/load", &stored("a"));
    world.request(editor, 2, "session/fork", &session("a"));
    world.assert_nothing_left();
    world.answer(channel, load, "null");
    world.expect_answer(editor, 1, "null");
    let fork = world.expect_request(channel, "session/fork", &session("a"));
    world.answer(channel, fork, &session("copy"));
    world.expect_answer(editor, 2, &session("copy"));
}
