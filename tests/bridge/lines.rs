//! Lines that are no messages, from both sides.

use drawbridge::bridge::Notice;
use drawbridge::wire::{Glimpse, Malformed, Token};

use crate::harness::{END_TURN, NEW, World, session};

fn too_long(id: Option<&str>, has_method: bool) -> Malformed {
    let glimpse = match id.map(|id| Token::new(id.as_bytes())) {
        Some(id) if has_method => Glimpse::Request(id),
        Some(id) => Glimpse::Answer(id),
        None => Glimpse::Nothing,
    };
    Malformed::TooLong { length: 70_000_000, glimpse }
}

fn overlong(notice: &Notice) -> bool {
    matches!(notice, Notice::OverlongLine { length: 70_000_000, .. })
}

#[test]
fn bad_lines_of_a_client_are_answered_and_the_connection_lives() {
    let mut world = World::new();
    let (editor, channel) = world.start();
    for (line, code, kind) in [
        (&b"{oh no"[..], -32700, "not_json"),
        (b"", -32700, "not_json"),
        (b"{\"method\":\"\xff\"}", -32700, "not_json"),
        (b"[]", -32600, "batch"),
        (b"[{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"x\"}]", -32600, "batch"),
        (b"7", -32600, "not_a_message"),
        (b"{}", -32600, "not_a_message"),
        (b"{\"id\":{},\"method\":\"x\"}", -32600, "not_a_message"),
    ] {
        world.says(editor, line);
        world.expect_refusal(editor, "null", code, kind);
    }
    world.says(editor, &b"{\"id\":\"mine\",\"method\":7}"[..]);
    // It could be seen whose answer that is.
    let line = world.next_line(editor);
    assert!(line.starts_with(r#"{"jsonrpc":"2.0","id":"mine","error":{"code":-32600"#), "{line}");
    world.open(editor, channel, "a");
}

#[test]
fn bad_lines_of_an_agent_are_counted_reported_a_few_times_and_dropped() {
    let mut world = World::new();
    let (editor, channel) = world.start();
    world.open(editor, channel, "a");
    for line in ["Loading model...", "[1]", "\"x\"", "{\"a\":1}", "more", "and more"] {
        world.says(channel, line);
    }
    assert_eq!(world.bridge.counters().stray_lines, 6);
    for _ in 0..3 {
        world.expect_warning(|notice| matches!(notice, Notice::StrayLine { .. }));
    }
    world.wait(60_000);
    world.says(channel, "again");
    world.expect_warning(|notice| matches!(notice, Notice::StrayLine { .. }));
    world.prompt(editor, channel, "a", 1);
}

#[test]
fn a_line_over_the_limit_from_a_client() {
    let mut world = World::new();
    let (editor, channel) = world.start();
    world.open(editor, channel, "a");
    // A notification, or what cannot be told: dropped and counted.
    world.frame(editor, Err(too_long(None, true)));
    world.expect_warning(overlong);
    // A request whose id was seen.
    world.frame(editor, Err(too_long(Some("null"), true)));
    world.expect_warning(overlong);
    world.expect_refusal(editor, "null", -32600, "frame_too_long");
    // The answer to a question: the agent is told.
    world.request(channel, "\"q\"", "fs/read_text_file", &session("a"));
    let number = world.expect_request(editor, "fs/read_text_file", &session("a"));
    world.frame(editor, Err(too_long(Some(&number.to_string()), false)));
    world.expect_warning(overlong);
    world.expect_refusal(channel, "\"q\"", -32603, "answer_too_long");
    assert_eq!(world.bridge.counters().overlong_lines, 3);
}

#[test]
fn a_line_over_the_limit_from_an_agent() {
    let mut world = World::new();
    let (editor, channel) = world.start();
    world.open(editor, channel, "a");
    world.frame(channel, Err(too_long(None, true)));
    world.expect_warning(overlong);
    // The answer to a prompt: the one who waits is told, and the turn is over.
    let turn = world.prompt(editor, channel, "a", 1);
    world.frame(channel, Err(too_long(Some(&turn.to_string()), false)));
    world.expect_warning(overlong);
    world.expect_refusal(editor, 1, -32603, "answer_too_long");
    world.answer(channel, turn, END_TURN);
    assert_eq!(world.bridge.counters().stray_answers, 1);
    // A request: the agent is told.
    world.frame(channel, Err(too_long(Some("null"), true)));
    world.expect_warning(overlong);
    world.expect_refusal(channel, "null", -32600, "frame_too_long");
    world.close(editor, channel, "a");
}

#[test]
fn an_answer_to_an_open_that_is_over_the_limit() {
    let mut world = World::new();
    let (editor, channel) = world.start();
    world.request(editor, 1, "session/new", NEW);
    let new = world.expect_request(channel, "session/new", NEW);
    world.frame(channel, Err(too_long(Some(&new.to_string()), false)));
    world.expect_warning(overlong);
    world.expect_refusal(editor, 1, -32603, "answer_too_long");
    world.open(editor, channel, "a");
}
