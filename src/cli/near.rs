//! The known name that a misspelled name is nearest to.

use strsim::osa_distance;

/// A name with this many edits or more is not taken for a misspelling.
const FAR: usize = 4;

/// The name in `known` that is nearest to `name`. `None`: no name is near.
pub(super) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let name = name.to_ascii_lowercase().replace('_', "-");
    known
        .into_iter()
        .map(|candidate| (osa_distance(&name, candidate), candidate))
        .filter(|(edits, candidate)| *edits < FAR && edits * 2 < candidate.len())
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_near_names_are_suggested() {
        let known = ["share", "max-sessions", "session-idle-timeout-ms"];
        assert_eq!(nearest("MAX_SESSION", known), Some("max-sessions"));
        assert_eq!(nearest("session-idle-timeout", known), Some("session-idle-timeout-ms"));
        assert_eq!(nearest("log", known), None);
        assert_eq!(nearest("hsare", known), Some("share"), "two letters changed places");
    }
}
