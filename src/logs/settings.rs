//! The settings of the log: levels, format, and where the lines go.

use std::io;
use std::path::{PathBuf, absolute};

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

impl LogFormat {
    /// The formats, each with its word.
    pub const WORDS: [(&str, LogFormat); 2] =
        [("text", LogFormat::Text), ("json", LogFormat::Json)];
}

/// The name of the default log file.
pub const LOG_NAME: &str = "drawbridge.log";

/// Where a log file lies: it decides which files are trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogFilePath {
    /// The default file, in a directory of the user.
    Own {
        /// The directory.
        directory: PathBuf,
    },
    /// A file that the user has named, whoever its directory belongs to.
    Named(PathBuf),
}

impl LogFilePath {
    /// The path of the file.
    pub fn path(&self) -> PathBuf {
        match self {
            LogFilePath::Own { directory } => directory.join(LOG_NAME),
            LogFilePath::Named(path) => path.clone(),
        }
    }

    /// The same place, for another process, which may run in another directory.
    pub fn absolute(&self) -> io::Result<LogFilePath> {
        Ok(match self {
            LogFilePath::Own { directory } => LogFilePath::Own { directory: absolute(directory)? },
            LogFilePath::Named(path) => LogFilePath::Named(absolute(path)?),
        })
    }
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
