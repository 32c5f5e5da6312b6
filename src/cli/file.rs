//! The configuration file: the table `[defaults]`, whose keys are the options, and a table
//! `[agents.NAME]` for each agent that has a name.
//!
//! Reading the file yields texts with their places; `resolve` reads the values, as it
//! does those of flags and variables. Whatever is not understood is an error: a typo
//! must not silently switch a limit off.

use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::path::Path;

use thiserror::Error;
use toml::de::{DeTable, DeValue};

use super::error::ConfigError;
use super::file_text::{FileEntry, FileText, add, in_order};
use super::named_agents::NamedAgent;
use super::near::nearest;
use super::options::{OPTIONS, Opt};
use crate::user_files::distrust;

/// The contents of a file.
#[derive(Debug, Default)]
pub(super) struct Contents {
    /// The entries of `[defaults]`, in their order.
    pub(super) defaults: Vec<FileEntry>,
    /// The agents, in their order.
    pub(super) agents: Vec<NamedAgent>,
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

/// The contents of the file at `path`.
///
/// # Errors
///
/// A file that cannot be used, is not TOML, or has an unknown or repeated key, or a
/// value of a type that the key does not take.
pub(super) fn load(path: &Path) -> Result<Contents, LoadError> {
    let text = read(path).map_err(LoadError::Unusable)?;
    FileText { path, text: &text }.contents().map_err(LoadError::Wrong)
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

impl FileText<'_> {
    pub(super) fn contents(&self) -> Result<Contents, ConfigError> {
        let root = DeTable::parse(self.text).map_err(|error| ConfigError::Syntax {
            path: self.path.to_owned(),
            line: self.line(error.span().as_ref()),
            message: error.message().to_owned(),
        })?;
        let mut contents = Contents::default();
        for (key, value) in in_order(root.get_ref()) {
            match (key.get_ref().as_ref(), value.get_ref()) {
                ("defaults", DeValue::Table(defaults)) => {
                    for (key, value) in in_order(defaults) {
                        let names = || OPTIONS.iter().flat_map(Opt::names);
                        let entry = self.entry(key, value, "[defaults]", names)?;
                        add(&mut contents.defaults, entry)?;
                    }
                }
                ("agents", DeValue::Table(agents)) => contents.agents = self.agents(agents)?,
                (name, value) => return Err(self.stranger(name, &key.span(), value)),
            }
        }
        Ok(contents)
    }

    /// The error for an entry at the top level that is not the table `[defaults]`.
    fn stranger(&self, name: &str, span: &Range<usize>, value: &DeValue<'_>) -> ConfigError {
        let nothing = String::new;
        match (name, value) {
            ("defaults", _) => {
                self.unknown(span, "defaults must be a table: [defaults]".to_owned(), nothing())
            }
            ("agents", _) => {
                let what = "agents must hold tables: [agents.NAME]".to_owned();
                self.unknown(span, what, nothing())
            }
            (name, DeValue::Table(_)) => {
                let near = nearest(name, ["defaults", "agents"]);
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
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::error::Origin;

    fn read(text: &str) -> Result<Vec<(String, String, usize)>, String> {
        let source = FileText { path: Path::new("c.toml"), text };
        let entries = source.contents().map_err(|error| error.to_string())?.defaults;
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
            ("[agent.x]\n", "c.toml:1: unknown table [agent]; did you mean [agents]?"),
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
