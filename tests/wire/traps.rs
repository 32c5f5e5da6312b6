//! What is refused, and as what; and that the scanner agrees with a JSON library.

use drawbridge::wire::json;
use drawbridge::wire::{FrameKind, Glimpse, Malformed, Token};
use proptest::prelude::*;

use crate::read;

fn is_not_json(line: &str) -> bool {
    matches!(read(line), Err(Malformed::NotJson { .. }))
}

#[test]
fn what_is_not_json_is_said_to_be_so() {
    for line in [
        "hello",
        "{",
        r#"{"id":1"#,
        r#"{"id":1,}"#,
        r#"{"id":01,"method":"m"}"#,
        r#"{"id":1,"method":"m","params":{"a":tru}}"#,
        r#"{"id":1,"method":"m","params":{"a":"\x"}}"#,
        r#"{"id":1,"method":"m","params":[1,]}"#,
        r#"{"id":1,"method":"m"} {}"#,
        "{\"id\":1,\"method\":\"m\",\"params\":{\"a\":\"\t\"}}",
    ] {
        assert!(is_not_json(line), "{line}");
    }
    let not_unicode = [b"{\"method\":\"".as_slice(), &[0xff], b"\"}"].concat();
    assert!(matches!(
        drawbridge::wire::Frame::parse(not_unicode.into()),
        Err(Malformed::NotJson { .. })
    ));
}

#[test]
fn what_is_no_message_is_said_to_be_so() {
    assert_eq!(read("[]"), Err(Malformed::Batch));
    assert_eq!(read(r#"[{"id":1,"method":"m"}]"#), Err(Malformed::Batch));
    for line in
        ["1", "null", "\"text\"", "{}", r#"{"result":1}"#, r#"{"method":1}"#, r#"{"id":{}}"#]
    {
        assert_eq!(read(line), Err(Malformed::NotMessage { id: None }), "{line}");
    }
    let with_id = Err(Malformed::NotMessage { id: Some(Token::new(b"5")) });
    assert_eq!(read(r#"{"id":5,"method":{}}"#), with_id);
}

#[test]
fn an_answer_with_a_method_that_is_none_is_an_answer() {
    for method in ["null", "5", "[]", "{}", "true"] {
        let kind = |rest: &str| read(&format!(r#"{{"id":5,"method":{method},{rest}}}"#));
        assert_eq!(kind(r#""result":{}"#).unwrap().kind, FrameKind::Success, "{method}");
        assert_eq!(kind(r#""error":{"code":1}"#).unwrap().kind, FrameKind::Failure, "{method}");
    }
}

#[test]
fn a_message_may_be_nested_to_any_depth_and_costs_no_stack() {
    for depth in [1, 63, 64, 126, 127, 128, 129, 255, 256, 257, 1_000_000] {
        let mixed = |open: &str, close: &str| {
            let (begin, end) = (open.repeat(depth), close.repeat(depth));
            format!(r#"{{"method":"m","params":{begin}0{end},"id":7}}"#)
        };
        for (open, close, wrong) in
            [("[", "]", "}"), (r#"{"a":"#, "}", "]"), (r#"[{"a":"#, "}]", "]")]
        {
            let frame = read(&mixed(open, close)).unwrap();
            assert_eq!(frame.number(), Some(7), "what follows is found at depth {depth}");
            assert!(is_not_json(&mixed(open, wrong)), "{open} {depth}");
        }
    }
}

#[test]
fn an_answer_without_a_result_has_the_result_null() {
    for (line, filled) in [
        (r#"{"jsonrpc":"2.0","id":7}"#, r#"{"jsonrpc":"2.0","id":7,"result":null}"#),
        (r#"{"id":"7", "error":null } "#, r#"{"id":"7", "error":null ,"result":null} "#),
        (r#"{"id":7,"result":null}"#, r#"{"id":7,"result":null}"#),
        (r#"{"id":7,"error":{"code":1}}"#, r#"{"id":7,"error":{"code":1}}"#),
    ] {
        let frame = read(line).unwrap();
        assert_eq!(frame.is_bare(), line != filled, "{line}");
        assert_eq!(frame.with_result().bytes(), filled.as_bytes());
    }
}

#[test]
fn an_answer_is_the_one_to_our_number_however_the_number_is_spelled() {
    for spelled in ["7", "7.0", "7e0", "70e-1", "\"7\"", "7.000"] {
        let frame = read(&format!(r#"{{"id":{spelled},"result":1}}"#)).unwrap();
        assert_eq!(frame.number(), Some(7), "{spelled}");
        assert_eq!(frame.id().is_text(), spelled.starts_with('"'));
    }
    for spelled in ["7.5", "-7", "null", "\"7.0\"", "\"\"", "\"seven\"", "1e400", "-0.5"] {
        let frame = read(&format!(r#"{{"id":{spelled},"result":1}}"#)).unwrap();
        assert_eq!(frame.number(), None, "{spelled}");
    }
}

#[test]
fn with_the_id_null_only_what_is_known_as_a_notification_alone_is_one() {
    let kind = |method: &str| read(&format!(r#"{{"id":null,"method":"{method}"}}"#)).unwrap().kind;
    for method in [
        "session/cancel",
        "$/cancel_request",
        "session/update",
        "elicitation/complete",
        "document/didOpen",
        "document/anything",
        "nes/accept",
        "nes/reject",
    ] {
        assert_eq!(kind(method), FrameKind::Notification, "{method}");
    }
    for method in ["session/prompt", "mcp/message", "nes/suggest", "_acme/x", "x", "documents/x"] {
        assert_eq!(kind(method), FrameKind::Request, "{method}");
    }
    let numbered = read(r#"{"id":1,"method":"session/cancel"}"#).unwrap();
    assert_eq!(numbered.kind, FrameKind::Request);
}

#[test]
fn of_a_line_that_cannot_be_read_the_id_is_seen_and_whether_it_is_an_answer() {
    let seven = || Token::new(b"7");
    let glimpse = |line: &[u8]| match drawbridge::wire::Frame::parse(line.to_vec().into()) {
        Err(Malformed::NotJson { glimpse, .. }) => glimpse,
        other => panic!("{other:?}"),
    };
    for answer in [
        b"{\"id\":7,\"result\":{\"x\":NaN}}".as_slice(),
        b"{\"id\":7,\"result\":{\"x\":-Infinity}}",
        b"{\"id\":7,\"result\":\"caf\xe9\"}",
        b"{\"id\":7,\"result\":\"a\tb\"}",
        b"{\"id\":7,\"result\":{\"cut\":\"o",
        b"{\"id\":7,\"result\":{\"method\":NaN}}",
        b"{\"id\":7,",
        b"{\"result\":NaN,\"id\":7}",
        b"{\"error\":{\"message\":\"\xe9\"},\"id\":7 } ",
    ] {
        assert_eq!(glimpse(answer), Glimpse::Answer(seven()), "{}", answer.escape_ascii());
    }
    for request in [
        b"{\"id\":7,\"method\":\"m\",\"params\":NaN}".as_slice(),
        b"{\"params\":NaN,\"method\":\"m\",\"id\":7}",
        b"{\"id\":7,\"x\":NaN,\"method\":\"m\"}",
        b"{\"method\":\"caf\xe9\",\"id\":7}",
        b"{\"id\":7,\"params\":{\"x\":NaN},\"method\":\"m\"}",
        b"{\"id\":7,\"params\":{\"cut\":\"o",
    ] {
        assert_eq!(glimpse(request), Glimpse::Request(seven()), "{}", request.escape_ascii());
    }
    for nothing in [
        b"hello".as_slice(),
        b"{\"result\":NaN}",
        b"{\"result\":{\"id\":7,\"x\":NaN}}",
        b"{\"id\":{},\"result\":NaN}",
        b"[debug] -> {\"result\":{},\"id\":7}",
        b"[debug] <- {\"method\":\"m\",\"id\":7}",
        b"{\"id\":null,\"method\":\"session/cancel\",\"params\":NaN}",
        b"{\"id\":null,\"params\":NaN,\"method\":\"session/cancel\"}",
        // An answer under this id would be no message.
        b"{\"id\":\"a\xff\",\"method\":\"m\"}",
        b"{\"result\":{},\"id\":\"a\xff\"}",
    ] {
        assert_eq!(glimpse(nothing), Glimpse::Nothing, "{}", nothing.escape_ascii());
    }
}

fn json_like() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("{".to_owned()),
        Just("}".to_owned()),
        Just("[".to_owned()),
        Just("]".to_owned()),
        Just(",".to_owned()),
        Just(":".to_owned()),
        Just("\"a\"".to_owned()),
        Just("\"\\u00e9\\n\"".to_owned()),
        Just("\"\\q\"".to_owned()),
        Just("-0.5e+3".to_owned()),
        Just("00".to_owned()),
        Just("1.".to_owned()),
        Just("true".to_owned()),
        Just("nul".to_owned()),
        Just(" ".to_owned()),
        "[ -~]{0,3}",
    ];
    prop_oneof![prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat()), valid(),]
}

/// Valid JSON, with one character of it exchanged now and then.
fn valid() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        Just("false".to_owned()),
        any::<f64>().prop_filter("a number", |n| n.is_finite()).prop_map(|n| n.to_string()),
        any::<String>().prop_map(|text| json::quoted(&text)),
    ];
    let tree = leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4)
                .prop_map(|items| format!("[{}]", items.join(" ,"))),
            prop::collection::vec((any::<String>(), inner), 0..4).prop_map(|members| {
                let members: Vec<String> = members
                    .into_iter()
                    .map(|(key, value)| format!("{} : {value}", json::quoted(&key)))
                    .collect();
                format!("{{{}}}", members.join(","))
            }),
        ]
    });
    (tree, any::<prop::sample::Index>(), prop::option::of("[ -~]")).prop_map(|(text, at, new)| {
        let Some(new) = new else { return text };
        let mut characters: Vec<String> = text.chars().map(String::from).collect();
        let at = at.index(characters.len());
        characters[at] = new;
        characters.concat()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn the_scanner_takes_what_a_json_library_takes(text in json_like()) {
        let theirs = serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok();
        prop_assert_eq!(json::whole(text.as_bytes()).is_some(), theirs, "{}", text);
    }

    #[test]
    fn nothing_that_comes_makes_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = drawbridge::wire::Frame::parse(bytes.clone().into());
        let _ = drawbridge::wire::Frame::glimpse(&bytes, &bytes);
    }

    #[test]
    fn what_is_answered_under_the_id_of_a_broken_line_is_a_message(
        id in prop::collection::vec(any::<u8>(), 0..8),
    ) {
        let line = [&b"{\"method\":\"m\",\"id\":\""[..], &id, b"\",\"params\":NaN}"].concat();
        if let Glimpse::Request(id) = drawbridge::wire::Frame::glimpse(&line, &line) {
            let answer = [&b"{\"result\":null,\"id\":"[..], id.as_bytes(), b"}"].concat();
            prop_assert!(drawbridge::wire::Frame::parse(answer.into()).is_ok(), "{id:?}");
        }
    }
}
