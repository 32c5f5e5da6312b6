//! Sequence numbers: `_meta.drawbridge.seq` in the params of a notification, for clients that
//! asked for them.

use bytes::Bytes;

use crate::bridge::outgoing::translate::Edit;
use crate::wire::json::written;
use crate::wire::{Frame, Span, json};

/// The member that carries the number.
#[derive(serde::Serialize)]
struct Numbered {
    seq: u64,
}

/// Where a notification gets its number. What the agent has put there is replaced: nobody but
/// the bridge speaks for the bridge.
pub fn edits(frame: &Frame, seq: u64) -> Option<Edit> {
    let text = frame.bytes();
    let params = frame.body().filter(|params| params.of(text).starts_with(b"{"))?;
    let own = written(&Numbered { seq });
    let Some(meta) = json::find(text, params, &["_meta"]) else {
        return Some(added(text, params, &[b"\"_meta\":{\"drawbridge\":", &own, b"}"]));
    };
    if !meta.of(text).starts_with(b"{") {
        return Some((meta, [b"{\"drawbridge\":", own.as_slice(), b"}"].concat().into()));
    }
    match json::find(text, meta, &["drawbridge"]) {
        Some(place) => Some((place, own.into())),
        None => Some(added(text, meta, &[b"\"drawbridge\":", &own])),
    }
}

/// A member more at the end of an object.
fn added(text: &[u8], object: Span, member: &[&[u8]]) -> Edit {
    let end = object.end() - 1;
    let inside = &text[object.start() + 1..end];
    let comma: &[u8] = if inside.trim_ascii().is_empty() { b"" } else { b"," };
    (Span::new(end, end), Bytes::from([comma, &member.concat()].concat()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bridge::outgoing::translate::edited;

    #[test]
    fn the_number_is_added_and_all_else_stays() {
        for (params, numbered) in [
            (r#"{"a": 1}"#, r#"{"a": 1,"_meta":{"drawbridge":{"seq":7}}}"#),
            ("{ }", r#"{ "_meta":{"drawbridge":{"seq":7}}}"#),
            (
                r#"{"_meta":{"x":1.0},"a":[]}"#,
                r#"{"_meta":{"x":1.0,"drawbridge":{"seq":7}},"a":[]}"#,
            ),
            (r#"{"_meta":{}}"#, r#"{"_meta":{"drawbridge":{"seq":7}}}"#),
            (r#"{"_meta":null}"#, r#"{"_meta":{"drawbridge":{"seq":7}}}"#),
            (
                r#"{"_meta":{"drawbridge":"lies","y":2}}"#,
                r#"{"_meta":{"drawbridge":{"seq":7},"y":2}}"#,
            ),
            ("[1]", "[1]"),
        ] {
            let line = |params| format!(r#"{{"jsonrpc":"2.0","method":"m","params":{params}}}"#);
            let frame = Frame::parse(line(params).into()).unwrap();
            let outgoing = edited(&frame, None, edits(&frame, 7).into_iter().collect());
            assert_eq!(outgoing.to_bytes(), line(numbered), "{params}");
        }
    }
}
