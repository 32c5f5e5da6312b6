//! The settings of the log: its levels, and its places.

use std::path::PathBuf;

/// The levels of the log, and its places.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogSettings {
    /// Which lines: a level, or a list of `TARGET=LEVEL`.
    pub filter: String,
    /// How lines are written.
    pub format: LogFormat,
    /// The log file.
    pub file: LogFile,
    /// Where [`LogFile::Auto`] puts it; `None` if the user has no such place.
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

/// Which file lines go to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogFile {
    /// `drawbridge.log` in the state directory, unless stderr is a terminal.
    Auto,
    /// None.
    Off,
    /// This one, in any case.
    At(PathBuf),
}
