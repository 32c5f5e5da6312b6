//! Which known name a misspelled one is near to.

/// At so many edits a name is no longer taken for a misspelling; dropping the
/// `-ms` of a duration is three.
const FAR: usize = 4;

/// The nearest of `known` to `name`, if one is near.
pub(super) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let name = name.to_ascii_lowercase().replace('_', "-");
    known
        .into_iter()
        .map(|candidate| (edits(&name, candidate), candidate))
        .filter(|(edits, candidate)| *edits < FAR && edits * 2 < candidate.len())
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, candidate)| candidate)
}

/// How many letters must be inserted, left out or replaced to turn one into the other.
fn edits(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    // `row[n]`: the edits from what was read of `from` to the first n letters of `to`.
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (read, letter) in from.chars().enumerate() {
        let mut diagonal = read;
        row[0] = read + 1;
        for (n, wanted) in to.iter().enumerate() {
            let replaced = diagonal + usize::from(letter != *wanted);
            diagonal = row[n + 1];
            row[n + 1] = replaced.min(diagonal + 1).min(row[n] + 1);
        }
    }
    row[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_are_counted() {
        assert_eq!(edits("", "abc"), 3);
        assert_eq!(edits("abc", ""), 3);
        assert_eq!(edits("kitten", "sitting"), 3);
        assert_eq!(edits("share", "share"), 0);
    }

    #[test]
    fn only_near_names_are_suggested() {
        let known = ["share", "max-sessions", "session-idle-timeout-ms"];
        assert_eq!(nearest("MAX_SESSION", known), Some("max-sessions"));
        assert_eq!(nearest("session-idle-timeout", known), Some("session-idle-timeout-ms"));
        assert_eq!(nearest("log", known), None);
    }
}
