//! Numbers in the spelling of people: digits, and durations with a unit.
//!
//! What is too large for a number is the largest there is: a huge limit must
//! not become a short one.

use std::ffi::OsStr;

const UNITS: [(&str, u64); 5] =
    [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// Milliseconds, from digits with or without a unit; too many are as many as there can be.
pub(super) fn millis(text: &OsStr) -> Option<u64> {
    let text = text.to_str()?;
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let unit = unit.trim_start_matches(' ');
    let factor = match UNITS.iter().find(|(name, _)| *name == unit) {
        Some((_, factor)) => *factor,
        None if unit.is_empty() && number.len() == text.len() => 1,
        None => return None,
    };
    whole(number).map(|number| number.saturating_mul(factor))
}

/// A number of nothing but digits; one too large is the largest there is.
fn whole(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().unwrap_or(u64::MAX))
}

/// A number of things, of nothing but digits.
pub(super) fn count(text: &str) -> Option<usize> {
    whole(text).map(|number| usize::try_from(number).unwrap_or(usize::MAX))
}

/// Milliseconds, and in brackets the largest unit in which they are whole.
pub(super) fn spell_millis(millis: u64) -> String {
    let unit = UNITS.iter().find(|(_, factor)| *factor > 1 && millis.is_multiple_of(*factor));
    match unit {
        Some((name, factor)) if millis > 0 => format!("{millis} ({}{name})", millis / factor),
        _ => millis.to_string(),
    }
}

/// Bytes, and in brackets the mebibytes if they are whole.
pub(super) fn spell_bytes(bytes: usize) -> String {
    const MEBIBYTE: usize = 1 << 20;
    if bytes > 0 && bytes.is_multiple_of(MEBIBYTE) {
        format!("{bytes} ({} MiB)", bytes / MEBIBYTE)
    } else {
        bytes.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_spelled_so_that_a_person_can_check_them() {
        assert_eq!(spell_bytes(67_108_864), "67108864 (64 MiB)");
        assert_eq!(spell_bytes(1024), "1024");
        assert_eq!(spell_bytes(0), "0");
    }
}
