//! The kinds of values that are paths.

use std::ffi::OsStr;
use std::path::PathBuf;

use super::kinds::{Bare, Face, ValueKind};
use crate::logs::LogFile;

/// The place of the log file: a path, `auto` or `off`.
pub(super) struct LogPath;

impl ValueKind for LogPath {
    type Value = LogFile;

    fn read(&self, text: &OsStr) -> Result<LogFile, String> {
        match text.to_str() {
            Some("") => Err("give a path, auto or off".to_owned()),
            Some("auto") => Ok(LogFile::Auto),
            Some("off") => Ok(LogFile::Off),
            _ => Ok(LogFile::At(PathBuf::from(text))),
        }
    }

    fn write(&self, value: &LogFile) -> String {
        match value {
            LogFile::Auto => "auto".to_owned(),
            LogFile::Off => "off".to_owned(),
            LogFile::At(path) => path.display().to_string(),
        }
    }

    fn face(&self) -> Face {
        Face { value_name: "PATH", bare: Bare::Nothing, words: Vec::new() }
    }
}

/// A path, or a word that stands for none.
pub(super) struct OptionalPath {
    /// The word: `auto` or `none`.
    pub(super) word: &'static str,
}

impl ValueKind for OptionalPath {
    type Value = Option<PathBuf>;

    fn read(&self, text: &OsStr) -> Result<Option<PathBuf>, String> {
        if text.is_empty() {
            return Err(format!("give a path or {}", self.word));
        }
        Ok((text != self.word).then(|| PathBuf::from(text)))
    }

    fn write(&self, value: &Option<PathBuf>) -> String {
        value.as_ref().map_or_else(|| self.word.to_owned(), |path| path.display().to_string())
    }

    fn face(&self) -> Face {
        Face { value_name: "PATH", bare: Bare::Nothing, words: Vec::new() }
    }
}
