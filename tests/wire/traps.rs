//! What is refused, and as what; and that the scanner agrees with a JSON library.

use drawbridge::wire::json;
use drawbridge::wire::{Malformed, Token};
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
    assert_eq!(read(r#"{"id":5}"#), with_id);
    assert_eq!(read(r#"{"id":5,"method":{}}"#), with_id);
}

#[test]
fn nesting_is_bounded_and_costs_no_stack() {
    let nested = |depth: usize| {
        format!(r#"{{"method":"m","params":{}{}}}"#, "[".repeat(depth), "]".repeat(depth))
    };
    assert!(read(&nested(100)).is_ok());
    assert!(is_not_json(&nested(200)));
    assert!(is_not_json(&nested(1_000_000)));
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
}
