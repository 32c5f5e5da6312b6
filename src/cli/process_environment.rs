//! The environment variables of the process, and the user's directories.
//!
//! They are read once, so that all callers work on the same values and a test can
//! pass its own.

use std::collections::BTreeMap;
use std::env;
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use nix::unistd::{User, geteuid};

use super::options::PREFIX;
use crate::user_files::belongs_to_another;

/// The environment variables and the home directory.
#[derive(Clone, Debug, Default)]
pub(super) struct ProcessEnvironment {
    variables: BTreeMap<OsString, OsString>,
    home: Option<PathBuf>,
}

impl ProcessEnvironment {
    /// The environment of this process.
    pub(super) fn of_process() -> Self {
        ProcessEnvironment { variables: env::vars_os().collect(), home: home() }
    }

    /// The same without the variables of options.
    pub(super) fn without_options(mut self) -> Self {
        let is_option = |name: &OsString| name.as_encoded_bytes().starts_with(PREFIX.as_bytes());
        self.variables.retain(|name, _| !is_option(name));
        self
    }

    /// The value of a variable; `None`: it is not set.
    pub(super) fn get(&self, name: &str) -> Option<&OsStr> {
        self.variables.get(OsStr::new(name)).map(OsString::as_os_str)
    }

    /// The names of all variables.
    pub(super) fn names(&self) -> impl Iterator<Item = &OsStr> {
        self.variables.keys().map(OsString::as_os_str)
    }

    /// The default path of the configuration file; `None`: no directory for it is known.
    pub(super) fn config_file(&self) -> Option<PathBuf> {
        let directory = if cfg!(target_os = "macos") {
            self.home.as_ref()?.join("Library/Application Support")
        } else {
            self.base("XDG_CONFIG_HOME", ".config")?
        };
        Some(directory.join("drawbridge/config.toml"))
    }

    /// The state directory, where the log file is by default; `None`: none is known.
    pub(super) fn log_directory(&self) -> Option<PathBuf> {
        let directory = if cfg!(target_os = "macos") {
            self.home.as_ref()?.join("Library/Logs")
        } else {
            self.base("XDG_STATE_HOME", ".local/state")?
        };
        Some(directory.join("drawbridge"))
    }

    /// The state directory of a bridge in whose environment no other is named, such as a daemon
    /// that `connect` has started; `None`: none is known.
    pub(super) fn usual_log_directory(&self) -> Option<PathBuf> {
        ProcessEnvironment { variables: BTreeMap::new(), home: self.home.clone() }.log_directory()
    }

    /// A base directory: the variable if it is an absolute path (the others are
    /// to be ignored, says the standard), else the place under the home directory.
    fn base(&self, variable: &str, under_home: &str) -> Option<PathBuf> {
        self.get(variable)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
            .or_else(|| self.home.as_ref().map(|home| home.join(under_home)))
    }
}

/// The default path of the configuration file for a process whose environment names no other:
/// that in the home of the user's record.
pub(super) fn default_config_file() -> Option<PathBuf> {
    let home = User::from_uid(geteuid()).ok()?.map(|user| user.dir);
    ProcessEnvironment { variables: BTreeMap::new(), home }.config_file()
}

/// The user's home directory: that of `HOME`, unless it belongs to another user, as under
/// `sudo`; then that of the user's record.
fn home() -> Option<PathBuf> {
    let is_ours = |home: &PathBuf| home.is_absolute() && !belongs_to_another(home);
    let named = env::var_os("HOME").map(PathBuf::from).filter(is_ours);
    named.or_else(|| User::from_uid(geteuid()).ok()?.map(|user| user.dir).filter(is_ours))
}

#[cfg(test)]
impl ProcessEnvironment {
    /// An environment with these variables and without a home directory.
    pub(super) fn of(variables: &[(&str, &str)]) -> Self {
        let variables = variables.iter().map(|(name, value)| (name.into(), value.into())).collect();
        ProcessEnvironment { variables, home: None }
    }
}

#[cfg(all(test, not(target_os = "macos")))]
mod tests {
    use super::*;

    #[test]
    fn relative_base_directories_are_ignored() {
        let mut environment = ProcessEnvironment::of(&[("XDG_CONFIG_HOME", "here")]);
        assert_eq!(environment.config_file(), None);
        environment.home = Some(PathBuf::from("/home/ada"));
        let expected = PathBuf::from("/home/ada/.config/drawbridge/config.toml");
        assert_eq!(environment.config_file(), Some(expected));
        let expected = PathBuf::from("/home/ada/.local/state/drawbridge");
        assert_eq!(environment.log_directory(), Some(expected));
    }
}
