//! The settings of one run, with their defaults.

use std::ffi::OsString;
use std::path::Path;

use super::error::ConfigError;
use crate::agent_environment::EnvironmentRules;
use crate::bridge::Config;
use crate::logs::LogSettings;
use crate::processes::Spare;

/// The settings of one run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The configuration of the core.
    pub config: Config,
    /// The longest message taken from a peer, in bytes.
    pub max_frame_bytes: usize,
    /// The limit of a peer's outbox, in bytes.
    pub outbox_bytes: usize,
    /// Whether agents run without keepers.
    pub no_keeper: bool,
    /// Processes that are left alone when the tree of an agent is ended.
    pub spare: Spare,
    /// Which variables agents get.
    pub passing: EnvironmentRules,
    /// The settings of the log.
    pub log: LogSettings,
    /// The agent's command and its arguments; empty where a command needs none.
    pub agent: Vec<OsString>,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            config: Config::default(),
            max_frame_bytes: 64 << 20,
            outbox_bytes: 64 << 20,
            no_keeper: false,
            spare: Spare::default(),
            passing: EnvironmentRules::default(),
            log: LogSettings::default(),
            agent: Vec::new(),
        }
    }
}

impl Settings {
    /// The settings with an agent to run.
    ///
    /// # Errors
    ///
    /// [`ConfigError::NoAgent`] if the command is empty.
    pub(super) fn with_agent(mut self, agent: Vec<OsString>) -> Result<Self, ConfigError> {
        let command = agent.first().filter(|command| !command.is_empty());
        let command = Path::new(command.ok_or(ConfigError::NoAgent)?);
        let name = command.file_name().unwrap_or(command.as_os_str());
        self.config.agent.name = name.to_string_lossy().into_owned();
        self.agent = agent;
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_agent_is_named_after_its_program() {
        let settings = |command: &str| Settings::default().with_agent(vec![command.into()]);
        let name = |command| settings(command).map(|settings| settings.config.agent.name).ok();
        assert_eq!(name("npx"), Some("npx".to_owned()));
        assert_eq!(name("/opt/bin/claude"), Some("claude".to_owned()));
        assert!(settings("").is_err());
        assert!(Settings::default().with_agent(Vec::new()).is_err());
    }
}
