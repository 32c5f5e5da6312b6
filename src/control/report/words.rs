//! Times, sizes and names, as a person reads them.

use std::collections::BTreeMap;

use crate::api::ClientStatus;
use crate::bridge::time::spelled;

/// A time in milliseconds with its two largest units: `3h 12m`, `4m 59s`, `350ms`.
pub fn duration(millis: u64) -> String {
    let whole = match millis {
        0..1_000 => millis,
        1_000..3_600_000 => millis / 1_000 * 1_000,
        3_600_000..86_400_000 => millis / 60_000 * 60_000,
        _ => millis / 3_600_000 * 3_600_000,
    };
    spelled(whole).to_string()
}

/// A number of bytes with its unit: `512 B`, `1.5 KiB`, `412 MiB`.
pub fn size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    // A tenth more or less is nothing to a person.
    #[allow(clippy::cast_precision_loss)]
    let mut value = bytes as f64 / 1024.0;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    if value < 10.0 {
        format!("{value:.1} {}", UNITS[unit])
    } else {
        format!("{value:.0} {}", UNITS[unit])
    }
}

/// The time of the day in a moment that is spelled as RFC 3339.
pub fn time_of_day(moment: &str) -> &str {
    let time = moment.split_once('T').map_or(moment, |(_, time)| time);
    time.trim_end_matches('Z')
}

/// The clients by their names in the bridge, each with the name of its program: `cl-1 Zed`.
pub fn names_of(clients: &[ClientStatus]) -> BTreeMap<String, String> {
    let named = clients.iter().map(|client| {
        let program = client.name.as_deref().map(one_line);
        let name =
            program.map_or_else(|| client.id.clone(), |name| format!("{} {name}", client.id));
        (client.id.clone(), name)
    });
    named.collect()
}

/// A text of others in one line: without control characters, which a terminal might obey.
pub fn one_line(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { '\u{fffd}' } else { letter }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_two_units_at_most() {
        for (millis, text) in [
            (0, "0s"),
            (350, "350ms"),
            (12_900, "12s"),
            (299_999, "4m 59s"),
            (11_559_000, "3h 12m"),
            (100_000_000, "1day 3h"),
        ] {
            assert_eq!(duration(millis), text);
        }
    }

    #[test]
    fn sizes_have_the_unit_that_fits() {
        for (bytes, text) in
            [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (432_013_312, "412 MiB")]
        {
            assert_eq!(size(bytes), text);
        }
    }

    #[test]
    fn a_terminal_obeys_nothing_in_a_text_of_others() {
        assert_eq!(one_line("a\u{1b}[2Jb\nc"), "a\u{fffd}[2Jb\u{fffd}c");
    }
}
