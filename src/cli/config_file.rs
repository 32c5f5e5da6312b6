//! The configuration file: where it is, and who has named it.

use std::ffi::OsStr;
use std::path::PathBuf;

use super::args::Flags;
use super::error::Origin;
use super::options::variable;
use super::process_environment::ProcessEnvironment;

/// The configuration file that was looked for.
pub(super) struct ConfigFile {
    /// Its path.
    pub(super) path: PathBuf,
    /// The place where it was named.
    pub(super) origin: Origin,
    /// Whether the file is there.
    pub(super) presence: Presence,
}

/// Whether a file is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Presence {
    /// The file was read.
    Read,
    /// The file does not exist, and need not exist.
    Absent,
    /// The file need not be read, and cannot be used.
    Unusable,
}

/// The path of the configuration file, and where it was named. `None`: it is named
/// nowhere, and there is no default path.
pub(super) fn file_to_read(
    flags: &Flags,
    environment: &ProcessEnvironment,
) -> Option<(PathBuf, Origin)> {
    let name = variable("config");
    if let Some(path) = flags.config_file() {
        Some((whole(path), Origin::Flag("config")))
    } else if let Some(path) = environment.get(&name) {
        Some((whole(path), Origin::Variable(name)))
    } else {
        environment.config_file().map(|path| (path, Origin::Default))
    }
}

/// The absolute path: a daemon goes to another directory, and reads the file again.
fn whole(path: &OsStr) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.into())
}
