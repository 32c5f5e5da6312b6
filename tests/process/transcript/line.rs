//! The places in a line that the comparison must know, found without another spelling.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

/// A member of an object, or of an object in it, as it is spelled in the line. Of
/// members with one name the last counts.
pub(super) fn member<'a>(line: &'a str, path: &[&str]) -> Option<&'a str> {
    let mut text = line;
    for name in path {
        let members: BTreeMap<String, &'a RawValue> = serde_json::from_str(text).ok()?;
        let value: &'a RawValue = members.get(*name).copied()?;
        text = value.get();
    }
    Some(text)
}

/// The method of a message, decoded.
pub(super) fn method(line: &str) -> Option<String> {
    serde_json::from_str(member(line, &["method"])?).ok()
}

/// The id of a message.
pub(super) fn id(line: &str) -> Option<&str> {
    member(line, &["id"])
}

/// A line with another text in place of a part of it, which is a slice of the line.
pub(super) fn replaced(line: &str, part: &str, by: &str) -> String {
    let start = start_of(line, part);
    format!("{}{by}{}", &line[..start], &line[start + part.len()..])
}

/// A line without a member and one comma beside it; the same line if it has no such
/// member. The member's name is spelled plainly.
pub(super) fn without(line: &str, path: &[&str]) -> String {
    let Some(value) = member(line, path) else { return line.to_owned() };
    let start = start_of(line, value);
    let name = format!("\"{}\"", path.last().expect("a path has a name"));
    let head = line[..start].trim_end().strip_suffix(':').expect("a colon");
    let head = head.trim_end().strip_suffix(name.as_str()).expect("a plain name");
    let tail = &line[start + value.len()..];
    match tail.trim_start().strip_prefix(',') {
        Some(rest) => format!("{head}{rest}"),
        None => format!("{}{tail}", head.trim_end().strip_suffix(',').unwrap_or(head)),
    }
}

fn start_of(line: &str, part: &str) -> usize {
    part.as_ptr().addr() - line.as_ptr().addr()
}
