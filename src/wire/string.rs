//! JSON strings: how to read the text of one, and how to write one.
//!
//! Only the text of a string that holds escapes is allocated; others are borrowed.

use std::borrow::Cow;

use super::span::Span;

/// The bytes between the quotes of the JSON string `quoted`. `None`: something in it is
/// escaped, or it is no string.
#[inline]
pub(super) fn unescaped(quoted: &[u8]) -> Option<&[u8]> {
    let inner = quoted.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    memchr::memchr(b'\\', inner).is_none().then_some(inner)
}

/// The text of a JSON string whose place (quotes included) is given: borrowed if nothing
/// is escaped. `None`: it is no string, or has no Unicode text (half a surrogate pair).
pub fn text(json: &[u8], place: Span) -> Option<Cow<'_, str>> {
    let quoted = place.of(json);
    match unescaped(quoted) {
        Some(inner) => std::str::from_utf8(inner).ok().map(Cow::Borrowed),
        None => serde_json::from_slice::<String>(quoted).ok().map(Cow::Owned),
    }
}

/// `true` if the string at `place` (quotes included) reads `expected`.
pub fn is(json: &[u8], place: Span, expected: &str) -> bool {
    match unescaped(place.of(json)) {
        Some(inner) => inner == expected.as_bytes(),
        None => text(json, place).is_some_and(|found| found == expected),
    }
}

/// `text` as a JSON string, quotes included.
pub fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
