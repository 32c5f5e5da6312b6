//! Lines of the daemon that are plainly notifications, and so no matter of the shim: nearly all of
//! what an agent streams. They are told by what is not in them, many at a time, without a look at
//! each.

use memchr::memmem::Finder;

/// The texts without which lines hold no id of a request, no withdrawal and no control line.
#[derive(Debug)]
pub(super) struct PlainLines([Finder<'static>; 3]);

impl PlainLines {
    pub(super) fn new() -> PlainLines {
        PlainLines(["\"id\"", "cancel_request", "\n#"].map(Finder::new))
    }

    /// Whether whole lines are plainly notifications. No program spells the name `id`, or a method,
    /// with escapes; what is inside a text may look like an id, and is looked at line by line.
    pub(super) fn is_plain(&self, lines: &[u8]) -> bool {
        lines.first() != Some(&b'#') && self.0.iter().all(|text| text.find(lines).is_none())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_lines_without_a_mark_are_plain() {
        let plain = PlainLines::new();
        let update = r#"{"jsonrpc":"2.0","method":"session/update","params":{"sessionId":"s"}}"#;
        assert!(plain.is_plain(format!("{update}\n{update}\n").as_bytes()));
        for other in [
            r#"{"jsonrpc":"2.0","id":1,"result":{}}"#,
            r#"{"jsonrpc":"2.0","method":"$/cancel_request","params":{"requestId":1}}"#,
            r##"#{"forget":"s"}"##,
        ] {
            assert!(!plain.is_plain(format!("{other}\n{update}\n").as_bytes()), "{other}");
            assert!(!plain.is_plain(format!("{update}\n{other}\n").as_bytes()), "{other}");
        }
    }
}
