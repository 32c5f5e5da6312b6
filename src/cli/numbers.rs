//! Numbers in the spelling of people: digits, and durations with units.
//!
//! A number that is too large becomes the largest there is: a huge limit must not
//! become a short one.

use std::ffi::OsStr;

use humantime::parse_duration;

/// Bounds of a text that is handed to humantime, which panics at the very end of its
/// range: within them no sum of units comes near.
const LONGEST_TEXT: usize = 64;
const MOST_DIGITS: usize = 11;

/// The milliseconds of a duration: whole ones, or numbers with units. `None`: it is no
/// duration, or no whole number of milliseconds.
pub(super) fn millis(text: &OsStr) -> Option<u64> {
    let text = text.to_str()?;
    if let Some(number) = whole(text) {
        return Some(number);
    }
    let mut numbers = text.split(|letter: char| !letter.is_ascii_digit());
    let is_in_bounds = text.len() <= LONGEST_TEXT
        && numbers.all(|number| number.len() <= MOST_DIGITS)
        && !holds_split_number(text)
        // A month, where minutes are `m`: more likely a mistake.
        && !text.contains('M');
    let text = Some(text).filter(|text| is_in_bounds && text.trim() == *text)?;
    let duration = parse_duration(text).ok()?;
    let is_whole = duration.subsec_nanos().is_multiple_of(1_000_000);
    is_whole.then(|| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
}

/// Whether white space stands within a number, where humantime would pass over it.
fn holds_split_number(text: &str) -> bool {
    let is_of_number = |letter: char| letter.is_ascii_digit() || letter == '.';
    let words: Vec<&str> = text.split_whitespace().collect();
    words
        .windows(2)
        .any(|pair| pair[0].ends_with(is_of_number) && pair[1].starts_with(is_of_number))
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

    #[test]
    fn durations_are_milliseconds_or_carry_units() {
        for (text, millis) in [
            ("250", 250),
            ("250ms", 250),
            ("30s", 30_000),
            ("5 m", 300_000),
            ("5 minutes", 300_000),
            ("2h", 7_200_000),
            ("1h30m", 5_400_000),
            ("1h 30min 5s", 5_405_000),
            ("1.5h", 5_400_000),
            ("1d", 86_400_000),
            ("0", 0),
            ("0s", 0),
        ] {
            assert_eq!(super::millis(OsStr::new(text)), Some(millis), "{text}");
        }
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        for text in [
            "",
            "-1",
            "+1",
            "s",
            "5x",
            "1e3",
            "never",
            " 5",
            "5 ",
            "5s ",
            "5s s",
            "5s 5",
            "٣",
            "1.5",
            "500us",
            "1.0005s",
            "5s,",
            "1.0000000001s",
            "18446744073709551615s 1000ms",
            "999999999999y",
            "1844674407 3709551615s 1000ms",
            "1 0s",
            "5 0 0 ms",
            "1. 5h",
            "1M",
        ] {
            assert!(millis(OsStr::new(text)).is_none(), "{text:?} was taken");
        }
        let long = "1s".repeat(40);
        assert!(millis(OsStr::new(&long)).is_none(), "{long:?} was taken");
    }
}
