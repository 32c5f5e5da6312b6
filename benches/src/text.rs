//! Finds the few values that the harness needs, by plain byte searches.
//!
//! The lines come from this harness, or from a program that writes no space after
//! a colon. So a search for `"name":` is enough; it costs next to nothing, and the
//! same on every path.

use memchr::{memchr, memchr2, memmem};

/// The value behind the first `"name":`, as it is spelled.
pub fn raw<'a>(line: &'a [u8], key: &str) -> Option<&'a [u8]> {
    let start = memmem::find(line, key.as_bytes())? + key.len();
    let value = &line[start..];
    let end = match value.first()? {
        b'"' => memchr(b'"', &value[1..])? + 2,
        _ => memchr2(b',', b'}', value)?,
    };
    Some(&value[..end])
}

/// The string behind the first `"name":`, without its quotes.
pub fn string<'a>(line: &'a [u8], key: &str) -> Option<&'a str> {
    let value = raw(line, key)?.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    std::str::from_utf8(value).ok()
}

/// The key of a request's id.
pub const ID: &str = "\"id\":";
/// The key of a method; answers have none.
pub const METHOD: &str = "\"method\":";
/// The key of a session's id.
pub const SESSION: &str = "\"sessionId\":";
/// The key of a text, in prompts and in updates.
pub const TEXT: &str = "\"text\":";

/// The id of the request that a line answers, if it is an answer to one of ours.
pub fn answer(line: &[u8]) -> Option<u64> {
    if memmem::find(line, METHOD.as_bytes()).is_some() {
        return None;
    }
    std::str::from_utf8(raw(line, ID)?).ok()?.parse().ok()
}
