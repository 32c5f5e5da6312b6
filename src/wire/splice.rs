//! Exchanges parts of a JSON text and leaves every other byte alone.

use bytes::Bytes;

use super::scanner::Scanner;
use super::span::Span;
use super::{json, string};

/// Puts each text in the place given with it. Places must not overlap; their
/// order does not matter.
pub fn replace(text: &[u8], mut edits: Vec<(Span, Bytes)>) -> Bytes {
    edits.sort_by_key(|(place, _)| place.start());
    let mut out =
        Vec::with_capacity(text.len() + edits.iter().map(|(_, new)| new.len()).sum::<usize>());
    let mut done = 0;
    for (place, new) in edits {
        out.extend_from_slice(&text[done..place.start()]);
        out.extend_from_slice(&new);
        done = place.end();
    }
    out.extend_from_slice(&text[done..]);
    out.into()
}

/// Sets the member at `path` of the object that `text` is. Objects on the way
/// that are missing, `null` or something else are created; everything that is
/// there already stays as it is.
pub fn set(text: &[u8], path: &[&str], value: &[u8]) -> Bytes {
    let Some((first, rest)) = path.split_first() else {
        return Bytes::copy_from_slice(value);
    };
    let Some(object) = json::whole(text).filter(|place| place.of(text).starts_with(b"{")) else {
        return set(b"{}", path, value);
    };
    if let Some(old) = json::find(text, object, &[first]) {
        return replace(text, vec![(old, set(old.of(text), rest, value))]);
    }
    let comma: &[u8] = if is_empty(text, object) { b"" } else { b"," };
    let inner = set(b"{}", rest, value);
    let member = [comma, string::quoted(first).as_bytes(), b":", &inner].concat();
    replace(text, vec![(just_before_end(object), member.into())])
}

/// The object at `object` of a text, without the members of this name; `{}` if it is no object.
pub fn without(text: &[u8], object: Span, name: &str) -> Bytes {
    let mut kept: Vec<&[u8]> = Vec::new();
    let walked = Scanner::at(text, object).object(|scanner, key| {
        let value = scanner.value()?;
        if !json::is(text, key, name) {
            kept.push(&text[key.start()..value.end()]);
        }
        Ok(())
    });
    match walked {
        Ok(_) => Bytes::from([b"{".as_slice(), &kept.join(&b","[..]), b"}"].concat()),
        Err(_) => Bytes::from_static(b"{}"),
    }
}

fn just_before_end(place: Span) -> Span {
    Span::new(place.end() - 1, place.end() - 1)
}

fn is_empty(text: &[u8], object: Span) -> bool {
    let mut members = 0;
    let walked = Scanner::at(text, object).object(|scanner, _| {
        members += 1;
        scanner.value().map(drop)
    });
    walked.is_ok() && members == 0
}
