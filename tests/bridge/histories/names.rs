//! The names by which clients know an agent's ids: the id itself, or an alias `~N~ID`.

/// The agent's id behind a name of it: one prefix `~N~`, with digits for N, is taken off.
pub fn stripped(name: &str) -> &str {
    let parts = name.strip_prefix('~').and_then(|rest| rest.split_once('~'));
    match parts {
        Some((number, id)) if is_number(number) => id,
        _ => name,
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[test]
fn one_prefix_of_an_alias_is_taken_off_and_nothing_else() {
    for (name, id) in [
        ("s1", "s1"),
        ("~1~s1", "s1"),
        ("~12~s1", "s1"),
        ("~1~~1~s1", "~1~s1"),
        ("~~s1", "~~s1"),
        ("~a~s1", "~a~s1"),
        ("~1s1", "~1s1"),
        ("s~1~1", "s~1~1"),
    ] {
        assert_eq!(stripped(name), id, "{name}");
    }
}
