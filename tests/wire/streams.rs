//! Line after line of one peer is read as each of them is read alone.

use drawbridge::wire::line::LineSplitter;
use drawbridge::wire::{Frame, FrameReader, Lines, Malformed, Token};
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

    #[test]
    fn so_it_is_where_several_are_read_at_once(
        lines in prop::collection::vec((line(), 1..6usize, "(\r|\n| \n)?"), 1..40),
        cuts in prop::collection::vec(1_usize..3_000, 1..20),
        most in 1_usize..10,
    ) {
        let (mut stream, mut alone) = (Vec::new(), Vec::new());
        for (line, times, end) in lines {
            for _ in 0..times {
                stream.extend_from_slice(format!("{line}{end}\n").as_bytes());
                // Blanks before a line end are a part of the line.
                let line = if end.starts_with(' ') { format!("{line} ") } else { line.clone() };
                alone.push(seen(&Frame::parse(line.into())));
            }
        }
        let mut reader = FrameReader::default();
        let mut splitter = LineSplitter::new(1 << 20);
        let mut at_once = Vec::new();
        let (mut rest, mut cuts) = (stream.as_slice(), cuts.into_iter().cycle());
        while !rest.is_empty() {
            let (chunk, left) = rest.split_at(cuts.next().unwrap().min(rest.len()));
            rest = left;
            splitter.buffer().extend_from_slice(chunk);
            while let Some(lines) = reader.next(&mut splitter, most) {
                prop_assert!(lines.count() <= most);
                match lines {
                    Lines::One(read) => at_once.push(seen(&read)),
                    Lines::Run(run) => {
                        let frames: Vec<_> = run.frames().map(Result::unwrap).collect();
                        prop_assert_eq!((frames.len(), frames.len() > 1), (run.count(), true));
                        prop_assert_eq!(run.first(), &frames[0]);
                        for frame in &frames {
                            prop_assert_eq!(frame.method_name(), "session/update");
                            prop_assert_eq!(frame.session_place(), run.first().session_place());
                            prop_assert_eq!(frame.session(), run.first().session());
                            prop_assert_eq!(frame.update_kind(), run.first().update_kind());
                            prop_assert_eq!((frame.request(), frame.child_session()), (None, None));
                        }
                        at_once.extend(frames.into_iter().map(|frame| seen(&Ok(frame))));
                    }
                }
            }
        }
        prop_assert_eq!(at_once, alone);
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

/// How many lines each of the next reads of a stream takes.
fn reads(stream: &str) -> Vec<usize> {
    let mut splitter = LineSplitter::new(1 << 20);
    splitter.buffer().extend_from_slice(stream.as_bytes());
    let mut reader = FrameReader::default();
    let mut counts = Vec::new();
    while let Some(lines) = reader.next(&mut splitter, 128) {
        counts.push(lines.count());
    }
    counts
}

#[test]
fn updates_that_differ_in_their_texts_alone_are_read_at_once() {
    let update = |session: &str, text: &str| {
        format!(
            r#"{{"method":"session/update","params":{{"sessionId":"{session}","update":{{"sessionUpdate":"x","text":"{text}"}}}}}}"#
        ) + "\n"
    };
    let (of_a, of_b) = (update("a", "of a"), update("b", "of b"));
    assert_eq!(reads(&of_a.repeat(7)), [1, 1, 5]);
    let both = reads(&(of_a.repeat(5) + &of_b.repeat(20)));
    assert_eq!((&both[..3], both.last()), (&[1, 1, 3][..], Some(&10)), "{both:?}");
    // After so many the reader learns anew, and a run is no longer than a turn of its peer.
    assert_eq!(reads(&of_a.repeat(400)), [1, 1, 82, 82, 82, 7, 82, 63]);
    let long = update("a", &"x".repeat(3_000));
    assert_eq!(reads(&long.repeat(9)), [1, 1, 3, 3, 1]);
    let longer = update("a", &"x".repeat(9_000));
    assert_eq!(reads(&longer.repeat(4)), [1; 4], "they are not worth it");
    for other in [
        of_a.replace("session/update", "_other/update"),
        of_a.replace(r#"{"method""#, r#"{"id":7,"method""#),
        of_a.replace(r#""text""#, r#""sessionId":"child","text""#),
        of_a.replace("\n", "\r\n"),
    ] {
        assert_eq!(reads(&other.repeat(5)), [1; 5], "{other}");
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
