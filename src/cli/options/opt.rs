//! A row of the table of options.

use std::ffi::OsStr;
use std::iter;

use crate::cli::kinds::Face;
use crate::cli::mode::{Mode, Modes};
use crate::cli::settings::Settings;

/// One option: a flag, a variable and a key of the file.
pub(in crate::cli) struct Opt {
    /// `session-idle-timeout-ms`: the flag without its dashes, and the key.
    pub(in crate::cli) name: &'static str,
    /// The commands that it is an option of.
    pub(in crate::cli) modes: Modes,
    /// The heading that the help lists it under.
    pub(in crate::cli) heading: &'static str,
    /// Its meaning, with its edge values; the default is added from the settings.
    pub(in crate::cli) help: &'static str,
    /// The look of its values.
    pub(in crate::cli) face: fn() -> Face,
    /// The place of its value in the settings.
    pub(in crate::cli) place: &'static str,
    /// Reads the text into the settings, or says why not.
    pub(in crate::cli) set: fn(&mut Settings, &OsStr) -> Result<(), String>,
    /// The value in the settings, as a person reads it.
    pub(in crate::cli) get: fn(&Settings) -> String,
}

impl Opt {
    /// The name without its unit, which means the same: `session-idle-timeout`.
    pub(in crate::cli) fn alias(&self) -> Option<&'static str> {
        self.name.strip_suffix("-ms")
    }

    /// All names of the option, the main one first.
    pub(in crate::cli) fn names(&self) -> impl Iterator<Item = &'static str> {
        iter::once(self.name).chain(self.alias())
    }

    /// Whether its value is that of one agent, and may stand in that agent's table of the file.
    pub(in crate::cli) fn is_of_agent(&self) -> bool {
        let places = ["config.agent.", "passing.", "spare"];
        places.iter().any(|place| self.place.starts_with(place))
    }

    /// The default value for a command, as a person reads it.
    pub(in crate::cli) fn default(&self, mode: Mode) -> String {
        (self.get)(&Settings::of(mode))
    }
}

/// The heading of the options of logs, and of `--config`, which has no row: it names the file that sets options.
pub(in crate::cli) const LOGS: &str = "Logs and configuration";
