//! The lines of a file, read one after the other as the lines of one peer.
//!
//! These things must hold: the lines before do not change how a line is read; the scanner
//! accepts the lines that a JSON library accepts, and finds the same members;
//! exchanging the id changes nothing but the id.

use bytes::Bytes;
use drawbridge::wire::line::LineSplitter;
use drawbridge::wire::{Frame, FrameReader, Lines, Malformed, Run, Token};
use serde::de::IgnoredAny;
use serde_json::Value;

/// The library refuses what is nested more deeply; the scanner does not.
const LIBRARY_DEPTH: usize = 127;

/// Reads all lines twice with one reader, so that in the second pass the reader
/// has seen each line before.
pub fn frames(file: &[u8]) {
    let mut reader = FrameReader::default();
    for line in file.split(|byte| *byte == b'\n').chain(file.split(|byte| *byte == b'\n')) {
        let line = Bytes::copy_from_slice(line);
        let alone = Frame::parse(line.clone());
        let in_turn = reader.read(line.clone());
        assert_eq!(seen(&in_turn), seen(&alone), "what came before changes nothing");

        let is_json = !matches!(alone, Err(Malformed::NotJson { .. }));
        if depth(&line) <= LIBRARY_DEPTH {
            assert_eq!(is_json, library_takes(&line), "the scanner takes what a library takes");
        }
        if let Ok(frame) = &alone {
            agrees_with_library(frame);
            keeps_every_other_byte(frame);
        }
        drop(Frame::glimpse(&line[..line.len() / 2], &line[line.len() / 2..]));
    }
    let mut lines = LineSplitter::new(1 << 20);
    lines.buffer().extend_from_slice(&file.repeat(3));
    while let Some(next) = reader.next(&mut lines, 128) {
        if let Lines::Run(run) = next {
            assert_eq!(run.frames().count(), run.count(), "a run holds its lines");
            run.frames().for_each(|frame| is_like_first(&run, frame.as_ref()));
        }
    }
}

/// Every message of a run is about the same as the first.
fn is_like_first(run: &Run, frame: Result<&Frame, &Malformed>) {
    let known = |frame: &Frame| {
        let places = (frame.id_place(), frame.session_place(), frame.request());
        let (session, kind) = (frame.session().map(String::from), frame.update_kind());
        (
            frame.kind,
            frame.method,
            places,
            session,
            kind.map(String::from),
            frame.child_session_place(),
        )
    };
    assert_eq!(frame.map(known), Ok(known(run.first())), "a run is of one kind");
}

/// Everything that a caller can read from a frame, as text to compare.
fn seen(read: &Result<Frame, Malformed>) -> String {
    match read {
        Ok(frame) => format!(
            "{:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?}",
            frame.kind,
            frame.method,
            frame.method_name(),
            frame.id_place(),
            frame.session(),
            frame.session_place(),
            frame.request(),
            frame.update_kind(),
            frame.child_session(),
            frame.body(),
            frame.error_code(),
            frame.bytes(),
        ),
        Err(malformed) => format!("{malformed:?}"),
    }
}

/// Whether a line is UTF-8, and JSON for the library. No values are built: their range
/// does not matter.
fn library_takes(line: &[u8]) -> bool {
    std::str::from_utf8(line).is_ok_and(|text| serde_json::from_str::<IgnoredAny>(text).is_ok())
}

/// How deeply a JSON text is nested.
fn depth(json: &[u8]) -> usize {
    let (mut deepest, mut depth, mut in_string, mut escaped) = (0, 0_usize, false, false);
    for byte in json {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = in_string,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => depth += 1,
            b'}' | b']' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}

/// Checks that the members are those that the library finds. It builds values
/// here, and so fails on some valid lines, which are skipped: numbers out of its
/// range, lone surrogates.
fn agrees_with_library(frame: &Frame) {
    let Ok(value) = serde_json::from_slice::<Value>(frame.bytes()) else { return };
    let params = &value["params"];
    assert_eq!(value.get("id").is_some(), frame.id_place().is_some(), "the id of {frame:?}");
    if let Ok(id) = serde_json::from_slice::<Value>(frame.id().as_bytes()) {
        assert_eq!(value["id"], id, "the id of {frame:?}");
    }
    let texts = [
        (value["method"].as_str(), Some(frame.method_name()).filter(|name| !name.is_empty())),
        (params["sessionId"].as_str(), frame.session()),
        (params["update"]["sessionUpdate"].as_str(), frame.update_kind()),
        (params["update"]["sessionId"].as_str(), frame.child_session()),
    ];
    for (theirs, ours) in texts {
        let theirs = theirs.filter(|text| !text.is_empty());
        assert_eq!(theirs, ours.as_deref().filter(|text| !text.is_empty()), "in {frame:?}");
    }
    let request = frame.request().map(|(token, _)| token);
    let request = request.and_then(|token| serde_json::from_slice::<Value>(token.as_bytes()).ok());
    assert_eq!(params.get("requestId"), request.as_ref(), "the request in {frame:?}");
}

/// Checks that exchanging the id, and exchanging it back, leaves every other byte as it is.
fn keeps_every_other_byte(frame: &Frame) {
    assert_eq!(frame.whole().to_bytes(), frame.bytes());
    let token = Token::number(1_234_567);
    let there = frame.with_id(token.clone()).to_bytes();
    let Some(place) = frame.id_place() else {
        return assert_eq!(there, frame.bytes(), "who has no id gets none");
    };
    let (before, after) = (&frame.bytes()[..place.start()], &frame.bytes()[place.end()..]);
    assert_eq!(there, [before, token.as_bytes(), after].concat());
    let back = Frame::parse(there).expect("it is still a message");
    assert_eq!(back.id(), token);
    assert_eq!(back.with_id(frame.id()).to_bytes(), frame.bytes());
}
