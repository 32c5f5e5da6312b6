//! Numbers with their nouns.

/// `1 session`, `2 sessions`, `3 bytes of unfinished lines`: a count with its noun, whose
/// plural ends in `s` or `es`. Of several words, those from the first ` of`, ` over`,
/// ` for` or ` without` on stay as they are.
pub fn counted(count: usize, noun: &str) -> String {
    let attribute =
        [" of ", " over ", " for ", " without "].iter().filter_map(|word| noun.find(word));
    let (noun, attribute) = noun.split_at(attribute.min().unwrap_or(noun.len()));
    let ending = match noun.as_bytes() {
        _ if count == 1 => "",
        [.., b's'] => "es",
        _ => "s",
    };
    format!("{count} {noun}{ending}{attribute}")
}

#[cfg(test)]
mod tests {
    use super::counted;

    #[test]
    fn a_noun_has_the_number_of_its_count() {
        for (count, noun, said) in [
            (0, "session", "0 sessions"),
            (1, "process", "1 process"),
            (2, "process", "2 processes"),
            (1, "byte of unfinished lines", "1 byte of unfinished lines"),
            (2, "byte of unfinished lines", "2 bytes of unfinished lines"),
            (3, "tombstone over the limit", "3 tombstones over the limit"),
        ] {
            assert_eq!(counted(count, noun), said);
        }
    }
}
