//! The configuration file: one table, `[defaults]`, whose keys are the options.
//!
//! Reading the file yields texts with their places; `resolve` reads the values, as it
//! does those of flags and variables. Whatever is not understood is an error: a typo
//! must not silently switch a limit off.

use std::borrow::Cow;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::path::Path;

use thiserror::Error;
use toml::Spanned;
use toml::de::{DeInteger, DeTable, DeValue};

use super::error::{ConfigError, Origin};
use super::kinds::Bare;
use super::near::nearest;
use super::options::{OPTIONS, Opt, find};
use crate::user_files::distrust;

/// One key of the file.
#[derive(Debug)]
pub(super) struct FileEntry {
    /// The option, as an index of [`OPTIONS`].
    pub(super) option: usize,
    /// The value, in the spelling of flags and variables.
    pub(super) value: OsString,
    /// The path, the line and the key.
    pub(super) origin: Origin,
}

/// Why a file yields no entries.
#[derive(Debug)]
pub(super) enum LoadError {
    /// The file cannot be used at all.
    Unusable(Unusable),
    /// The text of the file is wrong.
    Wrong(ConfigError),
}

/// Why a file cannot be used.
#[derive(Debug, Error)]
pub(super) enum Unusable {
    /// There is none.
    #[error(transparent)]
    Missing(io::Error),
    /// It cannot be read.
    #[error(transparent)]
    Unreadable(io::Error),
    /// Another user may have written it.
    #[error("{0}")]
    Distrusted(&'static str),
}

/// The entries of the file at `path`, in its order.
///
/// # Errors
///
/// A file that cannot be used, is not TOML, or has an unknown or repeated key, or a
/// value of a type that the key does not take.
pub(super) fn load(path: &Path) -> Result<Vec<FileEntry>, LoadError> {
    let text = read(path).map_err(LoadError::Unusable)?;
    FileText { path, text: &text }.entries().map_err(LoadError::Wrong)
}

fn read(path: &Path) -> Result<String, Unusable> {
    let missing_or_unreadable = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => Unusable::Missing(error),
        _ => Unusable::Unreadable(error),
    };
    let mut file = File::open(path).map_err(missing_or_unreadable)?;
    let metadata = file.metadata().map_err(Unusable::Unreadable)?;
    if let Some(reason) = distrust(&metadata) {
        return Err(Unusable::Distrusted(reason));
    }
    let mut text = String::new();
    file.read_to_string(&mut text).map_err(Unusable::Unreadable)?;
    Ok(text)
}

/// A file and its text.
struct FileText<'a> {
    path: &'a Path,
    text: &'a str,
}

impl FileText<'_> {
    fn entries(&self) -> Result<Vec<FileEntry>, ConfigError> {
        let root = DeTable::parse(self.text).map_err(|error| ConfigError::Syntax {
            path: self.path.to_owned(),
            line: self.line(error.span().as_ref()),
            message: error.message().to_owned(),
        })?;
        let mut entries = Vec::new();
        for (key, value) in in_order(root.get_ref()) {
            match (key.get_ref().as_ref(), value.get_ref()) {
                ("defaults", DeValue::Table(defaults)) => {
                    for (key, value) in in_order(defaults) {
                        let entry = self.entry(key, value)?;
                        let is_same = |other: &&FileEntry| other.option == entry.option;
                        if let Some(other) = entries.iter().find(is_same) {
                            let (origin, other) = (entry.origin, other.origin.clone());
                            return Err(ConfigError::Twice { origin, other });
                        }
                        entries.push(entry);
                    }
                }
                (name, value) => return Err(self.stranger(name, &key.span(), value)),
            }
        }
        Ok(entries)
    }

    fn entry(
        &self,
        key: &Spanned<Cow<'_, str>>,
        value: &Spanned<DeValue<'_>>,
    ) -> Result<FileEntry, ConfigError> {
        let (span, key) = (&key.span(), key.get_ref().as_ref());
        let Some(option) = find(key) else {
            let near = nearest(key, OPTIONS.iter().flat_map(Opt::names));
            let hint = near.map(|near| format!("; did you mean {near}?")).unwrap_or_default();
            return Err(self.unknown(span, format!("unknown key {key} in [defaults]"), hint));
        };
        let origin = Origin::File {
            path: self.path.to_owned(),
            line: self.line(Some(span)),
            key: key.to_owned(),
        };
        match as_text(value.get_ref(), (OPTIONS[option].face)().bare) {
            Ok(value) => Ok(FileEntry { option, value: value.into(), origin }),
            Err(reason) => {
                let written = self.text.get(value.span()).unwrap_or_default();
                let value = written.lines().next().unwrap_or_default().to_owned();
                Err(ConfigError::Value { origin, value, reason })
            }
        }
    }

    /// The error for an entry at the top level that is not the table `[defaults]`.
    fn stranger(&self, name: &str, span: &Range<usize>, value: &DeValue<'_>) -> ConfigError {
        let nothing = String::new;
        match (name, value) {
            ("defaults", _) => {
                self.unknown(span, "defaults must be a table: [defaults]".to_owned(), nothing())
            }
            ("agents", _) => {
                let what = "named agents are not supported yet".to_owned();
                let hint = "; give the agent's command after -- on the command line".to_owned();
                self.unknown(span, what, hint)
            }
            (name, DeValue::Table(_)) => {
                let near = nearest(name, ["defaults"]);
                let hint = near.map_or("; options stand in [defaults]".to_owned(), |near| {
                    format!("; did you mean [{near}]?")
                });
                self.unknown(span, format!("unknown table [{name}]"), hint)
            }
            (name, _) => {
                let what = format!("unknown key {name}");
                self.unknown(span, what, "; options stand in the table [defaults]".to_owned())
            }
        }
    }

    fn unknown(&self, span: &Range<usize>, what: String, hint: String) -> ConfigError {
        ConfigError::Unknown { path: self.path.to_owned(), line: self.line(Some(span)), what, hint }
    }

    /// The line in which `span` begins, counted from 1.
    fn line(&self, span: Option<&Range<usize>>) -> usize {
        let start = span.map_or(0, |span| span.start);
        self.text.bytes().take(start).filter(|byte| *byte == b'\n').count() + 1
    }
}

type Pair<'a, 'text> = (&'a Spanned<Cow<'text, str>>, &'a Spanned<DeValue<'text>>);

/// The pairs in the order of the file, so that the first mistake is the one reported.
fn in_order<'a, 'text>(table: &'a DeTable<'text>) -> Vec<Pair<'a, 'text>> {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<(String, String, usize)>, String> {
        let source = FileText { path: Path::new("c.toml"), text };
        let entries = source.entries().map_err(|error| error.to_string())?;
        let triple = |entry: FileEntry| {
            let line = match entry.origin {
                Origin::File { line, .. } => line,
                _ => 0,
            };
            let value = entry.value.to_string_lossy().into_owned();
            (OPTIONS[entry.option].name.to_owned(), value, line)
        };
        Ok(entries.into_iter().map(triple).collect())
    }

    fn triple(name: &str, value: &str, line: usize) -> (String, String, usize) {
        (name.to_owned(), value.to_owned(), line)
    }

    #[test]
    fn entries_come_with_their_lines() {
        let text = "# c\n[defaults]\nshare = \"cwd\"\n\nmax-sessions = 1_000\npreheat = true\n\
                    max-husks = 0x10\nsession-idle-timeout-ms = '30m'\n";
        let expected = vec![
            triple("share", "cwd", 3),
            triple("max-sessions", "1000", 5),
            triple("preheat", "true", 6),
            triple("max-husks", "16", 7),
            triple("session-idle-timeout-ms", "30m", 8),
        ];
        assert_eq!(read(text), Ok(expected));
        assert_eq!(read(""), Ok(vec![]));
        assert_eq!(read("defaults.share = 'cwd'"), Ok(vec![triple("share", "cwd", 1)]));
        let alias = "[defaults]\nterm-grace = '1m'";
        assert_eq!(read(alias), Ok(vec![triple("term-grace-ms", "1m", 2)]));
    }

    #[test]
    fn numbers_beyond_the_range_reach_the_reader_whole() {
        let huge = "[defaults]\nmax-sessions = 99999999999999999999999\n";
        let expected = vec![triple("max-sessions", "99999999999999999999999", 2)];
        assert_eq!(read(huge), Ok(expected));
    }

    #[test]
    fn what_is_not_understood_is_named_with_its_line() {
        for (text, expected) in [
            (
                "[defaults]\nmax-sesions = 1",
                "c.toml:2: unknown key max-sesions in [defaults]; did you mean max-sessions?",
            ),
            (
                "[defaults]\nmax_sessions = 1",
                "c.toml:2: unknown key max_sessions in [defaults]; did you mean max-sessions?",
            ),
            ("[defaults]\nzzz = 1", "c.toml:2: unknown key zzz in [defaults]"),
            ("\n[default]\n", "c.toml:2: unknown table [default]; did you mean [defaults]?"),
            ("[server]\n", "c.toml:1: unknown table [server]; options stand in [defaults]"),
            ("share = 'cwd'", "c.toml:1: unknown key share; options stand in the table [defaults]"),
            ("defaults = 1", "c.toml:1: defaults must be a table: [defaults]"),
            (
                "[agents.claude]\ncommand = 'npx'",
                "c.toml:1: named agents are not supported yet; give the agent's command after -- on the command line",
            ),
            (
                "[defaults]\nterm-grace-ms = 5\nterm-grace = '1m'",
                "c.toml:3: term-grace and c.toml:2: term-grace-ms are the same option; keep one of them",
            ),
            (
                "[defaults]\nmax-sessions = 1.5",
                "c.toml:2: max-sessions: \"1.5\" is refused: give a whole number or a string",
            ),
            (
                "[defaults]\nlog-file = false",
                "c.toml:2: log-file: \"false\" is refused: give a string",
            ),
        ] {
            assert_eq!(read(text), Err(expected.to_owned()), "{text}");
        }
        let error = read("[defaults]\nshare = \n").err().unwrap_or_default();
        assert!(error.starts_with("c.toml:2: not valid TOML: "), "{error}");
        let error = read("[defaults]\nshare = 'cwd'\nshare = 'cwd'\n").err().unwrap_or_default();
        assert!(error.starts_with("c.toml:3: not valid TOML: "), "{error}");
    }
}
