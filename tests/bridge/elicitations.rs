//! Elicitations that name a request of a client.

use crate::harness::{END_TURN, World};
use crate::words::session;

const DECLINED: &str = r#"{"action":"decline"}"#;

fn form(session: Option<&str>, request: &str) -> String {
    let session = session.map(|id| format!(r#""sessionId":"{id}","#)).unwrap_or_default();
    format!(r#"{{{session}"requestId":{request},"mode":"form","message":"m"}}"#)
}

#[test]
fn an_elicitation_that_names_a_session_and_a_request_belongs_to_both() {
    let mut world = World::new();
    let (editor, channel) = world.start();
    world.open(editor, channel, "a");
    let turn = world.prompt(editor, channel, "a", 1023);
    let asks = form(Some("a"), &turn.to_string());
    world.request(channel, 7, "elicitation/create", &asks);
    let shown = form(Some("a"), "1023");
    let asked = world.expect_request(editor, "elicitation/create", &shown);
    world.answer(editor, asked, DECLINED);
    world.expect_answer(channel, 7, DECLINED);
    world.request(channel, 8, "elicitation/create", &asks);
    let asked = world.expect_request(editor, "elicitation/create", &shown);
    world.answer(channel, turn, END_TURN);
    world.expect_withdrawn(editor, asked);
    world.expect_answer(editor, 1023, END_TURN);
    world.expect_answer(channel, 8, r#"{"action":"cancel"}"#);
}

#[test]
fn the_request_of_another_client_is_not_named_to_the_one_that_is_asked() {
    let mut world = World::new();
    let (first, channel) = world.start();
    let second = world.join();
    world.open(first, channel, "a");
    world.request(second, r#""secret""#, "_x/about", &session("b"));
    let about = world.expect_request(channel, "_x/about", &session("b"));
    world.request(channel, 7, "elicitation/create", &form(Some("a"), &about.to_string()));
    let asked = world.expect_request(first, "elicitation/create", &form(Some("a"), "null"));
    world.answer(first, asked, DECLINED);
    world.expect_answer(channel, 7, DECLINED);
    world.assert_nothing_for(second);
}

#[test]
fn an_elicitation_of_a_request_ends_before_that_is_answered() {
    for is_prompt in [true, false] {
        let mut world = World::new();
        let (editor, channel) = world.start();
        world.open(editor, channel, "a");
        let (method, result) =
            if is_prompt { ("session/prompt", END_TURN) } else { ("session/set_mode", "{}") };
        world.request(editor, 1, method, &session("a"));
        let call = world.expect_request(channel, method, &session("a"));
        world.request(channel, 7, "elicitation/create", &form(None, &call.to_string()));
        let asked = world.expect_request(editor, "elicitation/create", &form(None, "1"));
        world.answer(channel, call, result);
        world.expect_withdrawn(editor, asked);
        world.expect_answer(editor, 1, result);
        world.expect_answer(channel, 7, r#"{"action":"cancel"}"#);
    }
}

#[test]
fn an_elicitation_of_a_request_is_shown_to_no_client_that_comes_later() {
    let mut world = World::new();
    let (editor, channel) = world.start();
    let other = world.join();
    world.open(editor, channel, "a");
    let turn = world.prompt(editor, channel, "a", 7);
    world.request(channel, 1, "elicitation/create", &form(Some("a"), &turn.to_string()));
    world.expect_request(editor, "elicitation/create", &form(Some("a"), "7"));
    world.gone(editor);
    world.request(other, 7, "_drawbridge/attach", &session("a"));
    world.expect_answer(other, 7, r#"{"replayed":0,"gap":true}"#);
    world.assert_nothing_for(other);
    world.wait(30_000);
    world.expect_answer(channel, 1, r#"{"action":"cancel"}"#);
}
