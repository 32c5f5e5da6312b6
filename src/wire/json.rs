//! Look-ups in a JSON text: where a member lies, what a value holds.
//!
//! A value is a [`Span`] of the text, and nothing is built. The texts are those
//! of frames, which were checked when they came.

use serde::Serialize;

use super::scanner::{Nesting, Scanner, Visitor};
use super::span::Span;
pub use super::string::{is, quoted, text};

/// The place of the value that `path` leads to from the value at `from`; the path is the
/// keys of nested objects. Of a key that occurs twice the last one counts, as in most
/// JSON libraries.
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
    // If the value is no JSON, the strings before the error are kept.
    let _ = scanner.tree(&mut Nesting::default(), &mut found);
    let end = |at: usize| Scanner::starting(json, at).value().ok();
    found.0.into_iter().filter_map(end).collect()
}

/// Collects the offsets at which a scanner finds strings.
struct Strings(Vec<usize>);

impl Visitor for Strings {
    fn string(&mut self, _: &Nesting, at: usize) {
        self.0.push(at);
    }
}

/// The place of the one value that `json` holds; `None`: it is not exactly one value.
pub fn whole(json: &[u8]) -> Option<Span> {
    let mut scanner = Scanner::new(json);
    let place = scanner.value().ok()?;
    scanner.end().ok()?;
    Some(place)
}

/// A value as JSON text.
pub fn written(value: &impl Serialize) -> Vec<u8> {
    // Fails only for what no structure of ours holds, such as keys that are no strings.
    serde_json::to_vec(value).unwrap_or_else(|_| b"null".to_vec())
}
