//! Patterns of the names of environment variables.

use std::ffi::OsStr;

/// The name of a variable; a `*` at its end stands for any rest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pattern(String);

impl Pattern {
    pub(super) fn of(text: &str) -> Pattern {
        Pattern(text.to_owned())
    }

    /// The text of the pattern.
    pub(super) fn text(&self) -> &str {
        &self.0
    }

    /// Whether the pattern stands for this name.
    pub(super) fn matches(&self, name: &OsStr) -> bool {
        let name = name.as_encoded_bytes();
        match self.0.strip_suffix('*') {
            Some(beginning) => name.starts_with(beginning.as_bytes()),
            None => name == self.0.as_bytes(),
        }
    }
}
