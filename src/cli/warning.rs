//! Faults of the configuration that a person should mend, although the start goes on.

use std::path::PathBuf;

use thiserror::Error;

/// A part of the configuration that is left out.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub(super) enum ConfigWarning {
    /// An environment variable with the prefix of the options that is no option: it may be
    /// misspelled, or belong to a newer version.
    #[error("the variable {name} is no option of drawbridge{}", meant(.near.as_deref()))]
    UnknownVariable {
        /// The variable.
        name: String,
        /// The variable that may have been meant.
        near: Option<String>,
    },
    /// An environment variable of an option that another command has.
    #[error("the variable {name} has no effect on drawbridge {command}")]
    NoEffect {
        /// The variable.
        name: String,
        /// The command.
        command: &'static str,
    },
    /// There is no daemon for the editor.
    #[error("this editor is served without the daemon: {reason}")]
    NoDaemon {
        /// Why there is none.
        reason: String,
    },
    /// A part of `RUST_LOG`, which other programs read too, that is no filter.
    #[error("RUST_LOG: \"{directive}\" is left out, since it is no filter")]
    ForeignFilter {
        /// The part.
        directive: String,
    },
    /// The default configuration file, which nobody has asked for.
    #[error("the configuration file {} is not read: {reason}; the defaults hold", .path.display())]
    UnusableFile {
        /// The file.
        path: PathBuf,
        /// The end of the sentence "it is not read, because …".
        reason: String,
    },
}

fn meant(near: Option<&str>) -> String {
    near.map_or_else(String::new, |near| format!("; did you mean {near}?"))
}
