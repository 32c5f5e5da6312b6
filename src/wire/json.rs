//! Questions about a JSON text: what a string says, where a member lies.
//!
//! A value is a [`Span`] of the text; nothing is built but strings that hold
//! escapes. The texts are those of frames, which were checked when they came.

use std::borrow::Cow;

use super::scanner::{Nesting, Scanner, Span, Watch};

/// What is between the quotes of the JSON string `quoted`, if nothing in it is
/// escaped. `None` too if it is no string.
#[inline]
pub(super) fn unescaped(quoted: &[u8]) -> Option<&[u8]> {
    let inner = quoted.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    memchr::memchr(b'\\', inner).is_none().then_some(inner)
}

/// The text of a JSON string whose place (quotes included) is given: borrowed
/// if nothing is escaped. `None` if it is no string, or not one in Unicode.
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

/// Where the value lies that `path` leads to from the value at `from`: keys of
/// nested objects. Of a key that occurs twice the last one counts, as it does
/// for most readers.
pub fn find(json: &[u8], from: Span, path: &[&str]) -> Option<Span> {
    let Some((first, rest)) = path.split_first() else {
        return Some(from);
    };
    let mut found = None;
    Scanner::at(json, from)
        .object(|scanner, key| {
            let value = scanner.value()?;
            if is(json, key, first) {
                found = Some(value);
            }
            Ok(())
        })
        .ok()?;
    find(json, found?, rest)
}

/// The elements of the array at `place`; none if it is no array.
pub fn elements(json: &[u8], place: Span) -> Vec<Span> {
    let mut found = Vec::new();
    let whole = Scanner::at(json, place).array(|scanner| {
        found.push(scanner.value()?);
        Ok(())
    });
    if whole.is_err() {
        found.clear();
    }
    found
}

/// Every string in the value at `place`, at any depth, keys left out.
pub fn strings(json: &[u8], place: Span) -> Vec<Span> {
    let mut found = Strings(Vec::new());
    let mut scanner = Scanner::at(json, place);
    // What was found until it turned out to be no JSON stays found.
    let _ = scanner.tree(&mut Nesting::default(), &mut found);
    let end = |at: usize| Scanner::starting(json, at).value().ok();
    found.0.into_iter().filter_map(end).collect()
}

/// Where the strings begin that a scanner comes by.
struct Strings(Vec<usize>);

impl Watch for Strings {
    fn string(&mut self, _: &Nesting, at: usize) {
        self.0.push(at);
    }
}

/// The place of the whole value in `json`, if it is exactly one.
pub fn whole(json: &[u8]) -> Option<Span> {
    let mut scanner = Scanner::new(json);
    let place = scanner.value().ok()?;
    scanner.end().ok()?;
    Some(place)
}

/// `text` as a JSON string, quotes included.
pub fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
