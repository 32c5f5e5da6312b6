//! Who waits for whom, and for how long: the time of requests that are no ordinary ones.

use drawbridge::bridge::{Limit, Notice};

use crate::harness::{ALLOWED, CANCELLED, Deed, INITIALIZE, NOT_ALLOWED, World, permission};
use crate::words::{prompt, session, stored, update};

/// Opens have a second, closes half a one, turns two.
fn timed() -> World {
    World::with(|config| {
        config.agent.session_open_timeout = Limit::After(1_000);
        config.agent.session_close_timeout = Limit::After(500);
        config.agent.prompt_timeout = Limit::After(2_000);
    })
}

#[test]
fn a_request_to_all_processes_that_started_one_has_its_time_too() {
    for method in ["logout", "auth/logout", "providers/list", "providers/set"] {
        let mut world = timed();
        let (editor, first) = world.start();
        world.exits(first, 0);
        world.request(editor, 1, method, r#"{"id":"p"}"#);
        let second = world.expect_spawn("/home");
        let greeting = world.expect_request(second, "initialize", INITIALIZE);
        world.answer(second, greeting, world.agent);
        let asked = world.expect_request(second, method, r#"{"id":"p"}"#);
        world.wait(999);
        world.assert_nothing_left();
        world.wait(1);
        world.expect_refusal(editor, 1, -32603, "answer_timeout");
        // It is late, and nobody is blamed for it.
        world.answer(second, asked, "{}");
    }
}

#[test]
fn a_close_under_an_unknown_id_is_done_for_its_client_after_the_close_timeout() {
    let mut world = timed();
    let (editor, channel) = world.start();
    world.request(editor, 1, "session/close", &session("old"));
    let close = world.expect_request(channel, "session/close", &session("old"));
    // A question of the agent stops its clock, and not that of the client.
    world.request(channel, 7, "session/request_permission", &permission("old"));
    let asked = world.expect_request(editor, "session/request_permission", &permission("old"));
    world.wait(500);
    world.expect_answer(editor, 1, "{}");
    world.answer(editor, asked, ALLOWED);
    world.expect_answer(channel, 7, ALLOWED);
    world.answer(channel, close, "{}");
    world.assert_nothing_left();
}

#[test]
fn a_turn_under_an_unknown_id_ends_after_the_prompt_timeout() {
    let mut world = timed();
    let (editor, channel) = world.start();
    world.request(editor, 1, "session/prompt", &prompt("old"));
    let turn = world.expect_request(channel, "session/prompt", &prompt("old"));
    world.wait(1_999);
    world.assert_nothing_left();
    world.wait(1);
    world.expect_refusal(editor, 1, -32603, "prompt_timeout");
    world.expect_notification(channel, "session/cancel", &session("old"));
    world.answer(channel, turn, CANCELLED);
}

#[test]
fn the_time_of_a_question_is_given_back_to_a_load_of_a_live_session_once() {
    let mut world = timed();
    let (editor, channel) = world.start();
    world.open(editor, channel, "a");
    world.request(editor, 1, "session/load", &stored("a"));
    world.expect_request(channel, "session/load", &stored("a"));
    let asked = world.ask(channel, editor, "a", "7");
    world.wait(3_000);
    world.answer(editor, asked, ALLOWED);
    world.expect_answer(channel, 7, ALLOWED);
    world.wait(999);
    world.assert_nothing_left();
    world.wait(1);
    world.expect_refusal(editor, 1, -32603, "open_timeout");
}

#[test]
fn an_agent_that_answers_a_close_late_is_not_blamed() {
    let mut world = timed();
    let (editor, channel) = world.start();
    world.open(editor, channel, "a");
    world.open(editor, channel, "b");
    let asked = world.ask(channel, editor, "b", "7");
    world.request(editor, 1, "session/close", &session("a"));
    world.expect_closed(editor, "a", "client_close");
    let close = world.expect_request(channel, "session/close", &session("a"));
    world.wait(500);
    world.expect_answer(editor, 1, "{}");
    world.answer(editor, asked, ALLOWED);
    world.expect_answer(channel, 7, ALLOWED);
    let again = world.expect_request(channel, "session/close", &session("a"));
    for number in [close, again] {
        world.answer(channel, number, "{}");
    }
    assert!(!world.notices.iter().any(|notice| matches!(notice, Notice::StrayAnswer { .. })));
}

#[test]
fn a_close_behind_a_load_that_asks_a_person_waits_no_longer_than_its_timeout() {
    let mut world = timed();
    let (editor, channel) = world.start();
    world.request(editor, 1, "session/load", &stored("a"));
    let load = world.expect_request(channel, "session/load", &stored("a"));
    world.request(channel, 7, "session/request_permission", &permission("a"));
    let asked = world.expect_request(editor, "session/request_permission", &permission("a"));
    world.request(editor, 2, "session/prompt", &prompt("a"));
    world.request(editor, 3, "session/set_mode", &session("a"));
    world.request(editor, 4, "session/close", &session("a"));
    world.wait(499);
    world.assert_nothing_left();
    world.wait(1);
    world.expect_withdrawn(editor, asked);
    world.expect_answer(channel, 7, NOT_ALLOWED);
    world.expect_refusal(editor, 1, -32800, "session_closing");
    world.expect_answer(editor, 2, CANCELLED);
    world.expect_refusal(editor, 3, -32800, "session_closing");
    world.expect_answer(editor, 4, "{}");
    // The load goes on at the agent: what it brings is closed, and shown to nobody.
    world.notify(channel, "session/update", &update("a", "old"));
    world.answer(channel, load, "null");
    let close = world.expect_request(channel, "session/close", &session("a"));
    world.answer(channel, close, "{}");
}

#[test]
fn a_close_behind_a_load_of_a_live_session_waits_no_longer_than_its_timeout() {
    let mut world = timed();
    let (editor, channel) = world.start();
    world.open(editor, channel, "a");
    world.request(editor, 1, "session/load", &stored("a"));
    let load = world.expect_request(channel, "session/load", &stored("a"));
    world.request(editor, 2, "session/close", &session("a"));
    world.wait(500);
    world.expect_closed(editor, "a", "client_close");
    world.expect_refusal(editor, 1, -32800, "session_closing");
    let close = world.expect_request(channel, "session/close", &session("a"));
    world.answer(channel, load, "null");
    world.answer(channel, close, "{}");
    world.expect_answer(editor, 2, "{}");
}

#[test]
fn a_load_whose_answer_cannot_be_read_is_closed_and_can_be_tried_again() {
    let mut world = timed();
    let (editor, channel) = world.start();
    world.open(editor, channel, "other");
    world.request(editor, 1, "session/load", &stored("a"));
    let load = world.expect_request(channel, "session/load", &stored("a"));
    world.says(channel, [format!("{{\"id\":{load},\"result\":\"").as_bytes(), b"\xe9\"}"].concat());
    world.expect_warning(|notice| matches!(notice, Notice::StrayLine { .. }));
    world.expect_refusal(editor, 1, -32603, "answer_unreadable");
    let close = world.expect_request(channel, "session/close", &session("a"));
    world.answer(channel, close, "{}");
    world.request(editor, 2, "session/load", &stored("a"));
    let load = world.expect_request(channel, "session/load", &stored("a"));
    world.answer(channel, load, "null");
    world.expect_answer(editor, 2, "null");
    // The process goes on.
    world.wait(120_000);
    assert!(!world.rest(channel).contains(&crate::harness::Got::Deed(Deed::CloseStdin)));
}
