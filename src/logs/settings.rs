//! The settings of the log: levels, format, and where the lines go.

use std::path::PathBuf;

/// The settings of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogSettings {
    /// Which lines are logged: a level, or a list of `TARGET=LEVEL`.
    pub filter: String,
    /// How lines are written.
    pub format: LogFormat,
    /// The log file.
    pub file: LogFile,
    /// The directory of the file of [`LogFile::Auto`]; `None`: the user has none.
    pub directory: Option<PathBuf>,
}

impl Default for LogSettings {
    fn default() -> Self {
        LogSettings {
            filter: "info".to_owned(),
            format: LogFormat::Text,
            file: LogFile::Auto,
            directory: None,
        }
    }
}

/// How lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Which file log lines go to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogFile {
    /// `drawbridge.log` in the state directory, unless stderr is a terminal.
    Auto,
    /// No file.
    Off,
    /// This file, even if stderr is a terminal.
    At(PathBuf),
}
