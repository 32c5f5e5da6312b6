//! Numbers with their nouns.

/// A count with its noun: `1 process`, `2 processes`.
pub fn counted(count: usize, one: &str, many: &str) -> String {
    let noun = if count == 1 { one } else { many };
    format!("{count} {noun}")
}

#[cfg(test)]
mod tests {
    use super::counted;

    #[test]
    fn a_noun_has_the_number_of_its_count() {
        let said = [0, 1, 2].map(|count| counted(count, "process", "processes"));
        assert_eq!(said, ["0 processes", "1 process", "2 processes"]);
    }
}
