//! The settings of one run, with their defaults.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;

use super::error::ConfigError;
use super::mode::Mode;
use crate::agent_command;
use crate::agent_environment::EnvironmentRules;
use crate::bridge::Config;
use crate::bridge::config::{Limits, Share};
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
    /// The limit of all outboxes of a daemon together, in bytes.
    pub outbox_total_bytes: usize,
    /// The socket of the daemon; `None`: that of the user.
    pub socket: Option<PathBuf>,
    /// Whether the daemon lets in processes that live in other namespaces.
    pub allow_foreign_namespaces: bool,
    /// Whether there is a control socket.
    pub control: bool,
    /// The address at which metrics are served by HTTP; `None`: nowhere.
    pub metrics_listen: Option<SocketAddr>,
    /// The file with the token that is asked for there; `None`: none is.
    pub metrics_token_file: Option<PathBuf>,
    /// The collector of OpenTelemetry that gets events; `None`: none does.
    #[cfg(feature = "otel")]
    pub otlp_endpoint: Option<String>,
    /// The trace of the messages that pass.
    pub trace: TraceSettings,
    /// Whether agents run without keepers.
    pub no_keeper: bool,
    /// Processes that are left alone when the tree of an agent is ended.
    pub spare: Spare,
    /// Which variables agents get.
    pub passing: EnvironmentRules,
    /// The settings of the log.
    pub log: LogSettings,
    /// The agent's name in messages; `None`: it is derived from the agent's command.
    pub agent_name: Option<String>,
    /// The agent's command and its arguments; empty where none has been named.
    pub agent: Vec<OsString>,
}

/// The trace of the messages that pass.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TraceSettings {
    /// Its file; `None`: there is none.
    pub file: Option<PathBuf>,
    /// Whether it holds the contents of messages.
    pub contents: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            config: Config::default(),
            max_frame_bytes: 64 << 20,
            outbox_bytes: 64 << 20,
            outbox_total_bytes: 256 << 20,
            socket: None,
            allow_foreign_namespaces: false,
            control: true,
            #[cfg(feature = "otel")]
            otlp_endpoint: None,
            trace: TraceSettings::default(),
            metrics_listen: None,
            metrics_token_file: None,
            no_keeper: false,
            spare: Spare::default(),
            passing: EnvironmentRules::default(),
            log: LogSettings::default(),
            agent_name: None,
            agent: Vec::new(),
        }
    }
}

impl Settings {
    /// The defaults of a command.
    pub(super) fn of(mode: Mode) -> Settings {
        let mut settings = Settings::default();
        if mode == Mode::Serve {
            settings.config.limits = Limits::for_many_clients();
            settings.config.agent.share = Share::Cwd;
        }
        settings
    }

    /// The settings with an agent to run: the one that was named and these arguments more, or
    /// this command.
    ///
    /// # Errors
    ///
    /// [`ConfigError::NoAgent`] if the command is empty.
    pub(super) fn with_agent(mut self, rest: Vec<OsString>) -> Result<Self, ConfigError> {
        let agent = [std::mem::take(&mut self.agent), rest].concat();
        let command = agent.first().filter(|command| !command.is_empty());
        command.ok_or(ConfigError::NoAgent)?;
        self.config.agent.name =
            self.agent_name.clone().unwrap_or_else(|| agent_command::agent_name(&agent));
        self.agent = agent;
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_agent_is_named_after_its_program() {
        let named = |agent_name: Option<&str>, command: &str| {
            let agent_name = agent_name.map(str::to_owned);
            let settings = Settings { agent_name, ..Settings::default() };
            settings
                .with_agent(vec![command.into()])
                .map(|settings| settings.config.agent.name)
                .ok()
        };
        assert_eq!(named(None, "/opt/bin/claude").as_deref(), Some("claude"));
        assert_eq!(named(Some("Claude"), "/opt/bin/claude").as_deref(), Some("Claude"));
        assert_eq!(named(None, ""), None);
        assert!(Settings::default().with_agent(Vec::new()).is_err());
    }
}
