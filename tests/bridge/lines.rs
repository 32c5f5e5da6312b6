//! Lines that are no messages, from both sides.

use drawbridge::bridge::Notice;
use drawbridge::wire::{Glimpse, Malformed, Token};

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample;

use crate::harness::{END_TURN, NEW, Peer, World, session};
use crate::words::prompt;

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

/// Bytes that may stand behind an id in a broken answer: no line ends, and no second message.
fn rubbish() -> impl Strategy<Value = Vec<u8>> {
    let pieces = [
        "\"result\":",
        "\"error\":",
        "{}",
        "{",
        "}",
        "[",
        "]",
        "null",
        "NaN",
        "0x1",
        "\"",
        "\\",
        "\\u00",
        "\u{feff}",
        ":",
        ",",
        " ",
        "1e999",
        "\"jsonrpc\":\"2.0\"",
        "é",
    ];
    let piece = prop_oneof![
        4 => sample::select(pieces.to_vec()).prop_map(|piece| piece.as_bytes().to_vec()),
        1 => vec(any::<u8>().prop_filter("a line end", |byte| *byte != b'\n'), 1..4),
    ];
    vec(piece, 0..10).prop_map(|pieces| pieces.concat())
}

/// Spellings of the bridge's number `7`, and what stands before it.
fn spelled(number: u64, how: usize) -> String {
    let id = match how % 4 {
        0 => number.to_string(),
        1 => format!("{number}.0"),
        2 => format!("{number}e0"),
        _ => format!("\"{number}\""),
    };
    let before = ["{\"jsonrpc\":\"2.0\",\"id\":", "{\"id\" : ", " {\"jsonrpc\":\"2.0\", \"id\":"];
    format!("{}{id},", before[how / 4 % 3])
}

/// `by` answers the request `asked` with a broken line, once or twice: `asker` gets exactly one
/// answer to its request `id`.
fn ends_once(
    world: &mut World,
    (asker, id): (Peer, u64),
    (by, asked): (Peer, u64),
    (how, rubbish, again): (usize, Vec<u8>, bool),
) -> Result<(), TestCaseError> {
    let line = [spelled(asked, how).into_bytes(), rubbish].concat();
    for _ in 0..=usize::from(again) {
        world.says(by, line.clone());
    }
    let got = world.rest(asker);
    prop_assert_eq!(got.len(), 1, "{}: {:?}", String::from_utf8_lossy(&line), got);
    prop_assert!(!world.waits(asker, id));
    world.rest(by);
    Ok(())
}

proptest! {
    #[test]
    fn whatever_stands_in_place_of_an_answer_its_asker_gets_exactly_one(
        broken in (0_usize..12, rubbish(), any::<bool>()),
    ) {
        let mut world = World::new();
        let (editor, channel) = world.start();
        world.open(editor, channel, "a");
        world.request(editor, 1, "session/prompt", &prompt("a"));
        let asked = world.expect_request(channel, "session/prompt", &prompt("a"));
        ends_once(&mut world, (editor.into(), 1), (channel.into(), asked), broken)?;
    }

    #[test]
    fn whatever_a_client_answers_the_agent_gets_exactly_one(
        broken in (0_usize..12, rubbish(), any::<bool>()),
    ) {
        let mut world = World::new();
        let (editor, channel) = world.start();
        world.open(editor, channel, "a");
        world.request(channel, 5, "fs/read_text_file", &session("a"));
        let asked = world.expect_request(editor, "fs/read_text_file", &session("a"));
        ends_once(&mut world, (channel.into(), 5), (editor.into(), asked), broken)?;
    }
}
