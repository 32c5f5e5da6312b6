//! The text of a configuration file, and what all its tables have in common: entries that are
//! options, each with its place.

use std::borrow::Cow;
use std::ffi::OsString;
use std::ops::Range;
use std::path::Path;

use toml::Spanned;
use toml::de::{DeInteger, DeTable, DeValue};

use super::error::{ConfigError, Origin};
use super::kinds::Bare;
use super::near::nearest;
use super::options::{OPTIONS, find};

/// One key of the file.
#[derive(Clone, Debug)]
pub(super) struct FileEntry {
    /// The option, as an index of [`OPTIONS`].
    pub(super) option: usize,
    /// The value, in the spelling of flags and variables.
    pub(super) value: OsString,
    /// The path, the line and the key.
    pub(super) origin: Origin,
}

/// A file and its text.
pub(super) struct FileText<'a> {
    pub(super) path: &'a Path,
    pub(super) text: &'a str,
}

impl FileText<'_> {
    /// The entry of a table whose keys have these names.
    pub(super) fn entry<'n, N: Iterator<Item = &'n str>>(
        &self,
        key: &Spanned<Cow<'_, str>>,
        value: &Spanned<DeValue<'_>>,
        table: &str,
        names: impl Fn() -> N,
    ) -> Result<FileEntry, ConfigError> {
        let (span, key) = (&key.span(), key.get_ref().as_ref());
        let Some(option) = find(key).filter(|_| names().any(|name| name == key)) else {
            let near = nearest(key, names());
            let hint = near.map(|near| format!("; did you mean {near}?")).unwrap_or_default();
            return Err(self.unknown(span, format!("unknown key {key} in {table}"), hint));
        };
        let origin = self.origin(span, key);
        match as_text(value.get_ref(), (OPTIONS[option].face)().bare) {
            Ok(value) => Ok(FileEntry { option, value: value.into(), origin }),
            Err(reason) => {
                let written = self.text.get(value.span()).unwrap_or_default();
                let value = written.lines().next().unwrap_or_default().to_owned();
                Err(ConfigError::Value { origin, value, reason })
            }
        }
    }

    /// The place of a key.
    pub(super) fn origin(&self, span: &Range<usize>, key: &str) -> Origin {
        let (path, line) = (self.path.to_owned(), self.line(Some(span)));
        Origin::File { path, line, key: key.to_owned() }
    }

    pub(super) fn unknown(&self, span: &Range<usize>, what: String, hint: String) -> ConfigError {
        ConfigError::Unknown { path: self.path.to_owned(), line: self.line(Some(span)), what, hint }
    }

    /// The line in which `span` begins, counted from 1.
    pub(super) fn line(&self, span: Option<&Range<usize>>) -> usize {
        let start = span.map_or(0, |span| span.start);
        self.text.bytes().take(start).filter(|byte| *byte == b'\n').count() + 1
    }
}

/// Adds an entry of a table, unless the table has that option already.
pub(super) fn add(entries: &mut Vec<FileEntry>, entry: FileEntry) -> Result<(), ConfigError> {
    if let Some(other) = entries.iter().find(|other| other.option == entry.option) {
        let (origin, other) = (entry.origin, other.origin.clone());
        return Err(ConfigError::Twice { origin, other });
    }
    entries.push(entry);
    Ok(())
}

type Pair<'a, 'text> = (&'a Spanned<Cow<'text, str>>, &'a Spanned<DeValue<'text>>);

/// The pairs in the order of the file, so that the first mistake is the one reported.
pub(super) fn in_order<'a, 'text>(table: &'a DeTable<'text>) -> Vec<Pair<'a, 'text>> {
    let mut pairs: Vec<_> = table.iter().collect();
    pairs.sort_by_key(|(key, _)| key.span().start);
    pairs
}

/// The value as it would be written for a flag, or the types that the key takes instead.
fn as_text(value: &DeValue<'_>, bare: Bare) -> Result<String, String> {
    match (value, bare) {
        (DeValue::String(text), _) => Ok(text.clone().into_owned()),
        (DeValue::Integer(number), Bare::Integer) => Ok(decimal(number)),
        (DeValue::Boolean(truth), Bare::Boolean) => Ok(truth.to_string()),
        (_, Bare::Nothing) => Err("give a string".to_owned()),
        (_, Bare::Integer) => Err("give a whole number or a string".to_owned()),
        (_, Bare::Boolean) => Err("give true or false".to_owned()),
    }
}

/// An integer of TOML, which may be hexadecimal, octal or binary, in decimal.
fn decimal(number: &DeInteger<'_>) -> String {
    let digits = number.as_str();
    if number.radix() == 10 {
        return digits.strip_prefix('+').unwrap_or(digits).to_owned();
    }
    u64::from_str_radix(digits, number.radix()).unwrap_or(u64::MAX).to_string()
}
