//! Line after line of one peer is read as each of them is read alone.

use drawbridge::wire::{Frame, FrameReader, Malformed, Token};
use proptest::prelude::*;

/// What is seen of a line from outside.
fn seen(read: &Result<Frame, Malformed>) -> String {
    match read {
        Ok(frame) => format!(
            "{:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?}",
            frame.kind,
            frame.method_name(),
            frame.id(),
            frame.session(),
            frame.request(),
            frame.update_kind(),
            frame.child_session(),
            frame.body(),
            frame.bytes(),
        ),
        Err(malformed) => format!("{malformed:?}"),
    }
}

/// Lines that share their beginnings, in part, and are not all messages.
fn line() -> impl Strategy<Value = String> {
    let session = prop_oneof![Just("one"), Just("one-more"), Just("tw\\u006f"), Just("é")];
    let text = prop_oneof![
        "[ -~]{0,80}".prop_map(|text| drawbridge::wire::json::quoted(&text)),
        Just("\"open".to_owned()),
        Just("\"\\u12\"".to_owned()),
        Just("\"é\"".to_owned()),
        Just("{\"sessionId\":\"inner\",\"id\":1}".to_owned()),
        Just("[\"a\",{}]".to_owned()),
    ];
    let tail = prop_oneof![
        Just("}}}}"),
        Just("}},\"sessionId\":\"late\"}}"),
        Just("}},\"requestId\":5},\"id\":\"x\"}"),
        Just("}},\"update\":{\"sessionId\":\"child\"}}}"),
        Just("}}}} "),
        Just("}}}}}"),
        Just("}}]}"),
        Just(""),
    ];
    (session, text, tail).prop_map(|(session, text, tail)| {
        format!(
            r#"{{"jsonrpc":"2.0","method":"session/update","params":{{"sessionId":"{session}","update":{{"sessionUpdate":"agent_message_chunk","content":{{"type":"text","text":{text}{tail}"#
        )
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn a_line_is_read_the_same_whatever_came_before_it(
        lines in prop::collection::vec((line(), 1..4usize), 1..80)
    ) {
        let mut reader = FrameReader::default();
        for (line, times) in lines {
            for _ in 0..times {
                let alone = Frame::parse(line.clone().into());
                let in_turn = reader.read(line.clone().into());
                prop_assert_eq!(seen(&in_turn), seen(&alone), "{}", line);
            }
        }
    }
}

#[test]
fn what_breaks_behind_a_known_beginning_is_refused() {
    let update = |text: &[u8]| {
        let begin = br#"{"method":"session/update","params":{"sessionId":"s","update":{"text":""#;
        [begin.as_slice(), text, b"\"}}}"].concat()
    };
    let mut reader = FrameReader::default();
    for _ in 0..3 {
        assert!(reader.read(update(b"fine").into()).is_ok());
    }
    for bad in [b"\xff".as_slice(), b"\n", b"\\q", b"\"\""] {
        let read = reader.read(update(bad).into());
        assert!(matches!(read, Err(Malformed::NotJson { .. })), "{bad:?}");
        assert!(reader.read(update(b"fine again").into()).is_ok());
    }
}

#[test]
fn white_space_before_a_string_where_another_line_had_none_is_no_part_of_it() {
    let request = |space: &str| {
        format!(r#"{{"jsonrpc":"2.0","method":"session/list","id":{space}"a","params":{{}}}}"#)
    };
    let mut reader = FrameReader::default();
    for _ in 0..3 {
        assert!(reader.read(request("").into()).is_ok());
    }
    let spaced = reader.read(request(" ").into());
    assert_eq!(seen(&spaced), seen(&Frame::parse(request(" ").into())));
    assert_eq!(spaced.unwrap().id(), Token::new(b"\"a\""));
}
