//! Directories of sessions, as clients write them.

/// Whether two texts name the same directory: `/a`, `/a/` and `/a/./` do.
pub fn is_same_directory(one: &str, other: &str) -> bool {
    let parts = |path| <str>::split(path, '/').filter(|part| !matches!(*part, "" | "."));
    one == other || (one.starts_with('/') == other.starts_with('/') && parts(one).eq(parts(other)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_may_be_spelled_in_several_ways() {
        for same in ["/a/b", "/a/b/", "/a//b", "/a/./b/."] {
            assert!(is_same_directory("/a/b", same), "{same}");
        }
        for other in ["/a", "a/b", "/a/b/c", "/a/c", "", "/a/../a/b"] {
            assert!(!is_same_directory("/a/b", other), "{other}");
        }
        assert!(is_same_directory("", "") && is_same_directory("/", "//"));
    }
}
