//! From flags, variables and the file to settings that make sense.
//!
//! Later layers win: defaults, file, environment, flags. A value is checked
//! even if another one overrules it, since it counts once the other one is removed.
//! `RUST_LOG` is read by other programs, too, and so counts only if nothing else sets
//! the filter.

use std::ffi::OsStr;

use super::args::Flags;
use super::config_file::file_to_read;
pub(super) use super::config_file::{ConfigFile, Presence};
use super::error::{ConfigError, Origin};
use super::file::{self, Contents, LoadError, Unusable};
use super::mode::Mode;
use super::named_agents::NamedAgent;
use super::near::nearest;
use super::options::{OPTIONS, Opt, PREFIX, find, variable};
use super::process_environment::ProcessEnvironment;
use super::rust_log;
use super::settings::Settings;
use super::warning::ConfigWarning;
use crate::agent_environment::COOKIE;
use crate::bridge::config::Share;

/// Settings, and where each came from.
pub(super) struct Resolved {
    /// The settings.
    pub(super) settings: Settings,
    /// The origin of each option, by its index in [`OPTIONS`].
    pub(super) origins: Vec<Origin>,
    /// The agents that have names.
    pub(super) agents: Vec<NamedAgent>,
    /// The settings for each of them, if all are served.
    pub(super) served: Vec<(String, Settings)>,
    /// The configuration file, if there is a place for one.
    pub(super) file: Option<ConfigFile>,
    /// The parts of the configuration that are left out.
    pub(super) warnings: Vec<ConfigWarning>,
}

impl Resolved {
    /// Whether an option is set nowhere.
    pub(super) fn is_default(&self, name: &str) -> bool {
        find(name).is_some_and(|index| self.origins[index] == Origin::Default)
    }
}

/// The settings that `flags`, `environment` and the file ask for.
///
/// # Errors
///
/// A configuration file that cannot be used, the first value that does not parse, an agent
/// that the file does not have, or values that exclude each other.
pub(super) fn resolve(
    mode: Mode,
    flags: &Flags,
    environment: &ProcessEnvironment,
) -> Result<Resolved, ConfigError> {
    let (settings, warnings) = (Settings::of(mode), unknown_variables(environment));
    let (origins, agents) = (vec![Origin::Default; OPTIONS.len()], Vec::new());
    let mut draft = Draft { mode, settings, origins, agents, warnings };
    draft.settings.log.directory = environment.log_directory();
    let file = draft.read_file(flags, environment)?;
    // A daemon serves every agent of the file.
    let served = match mode {
        Mode::Serve => draft.every_agent(flags, environment)?,
        Mode::Run | Mode::Connect => Vec::new(),
    };
    let named = flags.agent().map(|name| draft.find_agent(name, file.as_ref())).transpose()?;
    let Draft { settings, origins, agents, warnings, .. } =
        draft.with_agent(named, flags, environment)?;
    Ok(Resolved { settings, origins, agents, served, file, warnings })
}

fn unknown_variables(environment: &ProcessEnvironment) -> Vec<ConfigWarning> {
    let names = || OPTIONS.iter().flat_map(Opt::names).chain(["config"]);
    let is_known = |name: &str| name == COOKIE || names().any(|known| variable(known) == name);
    environment
        .names()
        .filter_map(|name| {
            let name = name.to_string_lossy();
            let option = name.strip_prefix(PREFIX).filter(|_| !is_known(&name))?;
            let near = nearest(option, names()).map(variable);
            Some(ConfigWarning::UnknownVariable { name: name.into_owned(), near })
        })
        .collect()
}

/// The settings and origins while they are still being read.
#[derive(Clone)]
struct Draft {
    mode: Mode,
    settings: Settings,
    origins: Vec<Origin>,
    agents: Vec<NamedAgent>,
    warnings: Vec<ConfigWarning>,
}

impl Draft {
    fn read_file(
        &mut self,
        flags: &Flags,
        environment: &ProcessEnvironment,
    ) -> Result<Option<ConfigFile>, ConfigError> {
        let Some((path, origin)) = file_to_read(flags, environment) else {
            return Ok(None);
        };
        let presence = match file::load(&path) {
            Ok(Contents { defaults, agents }) => {
                for entry in defaults {
                    self.set(entry.option, &entry.value, entry.origin)?;
                }
                // Also the agents that are not asked for count once they are.
                for entry in agents.iter().flat_map(|agent| &agent.entries) {
                    read(&mut self.settings.clone(), entry.option, &entry.value, &entry.origin)?;
                }
                self.agents = agents;
                Presence::Read
            }
            // Nobody has asked for the default file.
            Err(LoadError::Unusable(reason)) if origin == Origin::Default => match reason {
                Unusable::Missing(_) => Presence::Absent,
                other => {
                    let (path, reason) = (path.clone(), other.to_string());
                    self.warnings.push(ConfigWarning::UnusableFile { path, reason });
                    Presence::Unusable
                }
            },
            Err(LoadError::Unusable(reason)) => {
                let reason = reason.to_string();
                return Err(ConfigError::Unreadable { path, origin, reason });
            }
            Err(LoadError::Wrong(error)) => return Err(error),
        };
        Ok(Some(ConfigFile { path, origin, presence }))
    }

    /// The settings for each agent of the file.
    fn every_agent(
        &self,
        flags: &Flags,
        environment: &ProcessEnvironment,
    ) -> Result<Vec<(String, Settings)>, ConfigError> {
        let all = self.agents.iter().enumerate();
        let settings = |(place, agent): (usize, &NamedAgent)| {
            let draft = self.clone().with_agent(Some(place), flags, environment)?;
            Ok((agent.name.clone(), draft.settings))
        };
        all.map(settings).collect()
    }

    /// Reads what overrules the file, for the agent at this place among all, or for none.
    fn with_agent(
        mut self,
        place: Option<usize>,
        flags: &Flags,
        environment: &ProcessEnvironment,
    ) -> Result<Draft, ConfigError> {
        let agent = place.and_then(|place| self.agents.get(place)).cloned();
        for entry in agent.iter().flat_map(|agent| &agent.entries) {
            self.set(entry.option, &entry.value, entry.origin.clone())?;
        }
        self.read_environment(environment)?;
        self.read_flags(flags)?;
        self.read_rust_log(environment);
        self.check()?;
        if let Some(agent) = agent {
            self.settings.agent = agent.command;
            self.settings.agent_name.get_or_insert(agent.name);
            let set = std::mem::take(&mut self.settings.passing.set);
            self.settings.passing.set = set.or(&agent.environment);
        }
        Ok(self)
    }

    /// The place of the agent with this name among all.
    fn find_agent(&self, name: &OsStr, file: Option<&ConfigFile>) -> Result<usize, ConfigError> {
        let found = self.agents.iter().position(|agent| name == agent.name.as_str());
        found.ok_or_else(|| ConfigError::UnknownAgent {
            name: name.to_string_lossy().into_owned(),
            known: self.agents.iter().map(|agent| agent.name.clone()).collect(),
            file: file.map(|file| file.path.clone()),
        })
    }

    fn read_environment(&mut self, environment: &ProcessEnvironment) -> Result<(), ConfigError> {
        for (index, option) in OPTIONS.iter().enumerate() {
            let given = |name| {
                let name = variable(name);
                Some((environment.get(&name)?, Origin::Variable(name)))
            };
            let mut given = option.names().filter_map(given);
            let Some((value, other)) = given.next() else { continue };
            if let Some((_, origin)) = given.next() {
                return Err(ConfigError::Twice { origin, other });
            }
            if !option.modes.have(self.mode) {
                let (name, command) = (other.to_string(), self.mode.command());
                self.warnings.push(ConfigWarning::NoEffect { name, command });
            }
            self.set(index, value, other)?;
        }
        Ok(())
    }

    fn read_flags(&mut self, flags: &Flags) -> Result<(), ConfigError> {
        for (index, value) in flags.given() {
            let option = &OPTIONS[index];
            if !option.modes.have(self.mode) {
                return Err(ConfigError::NoEffect { name: option.name, mode: self.mode });
            }
            self.set(index, value, Origin::Flag(OPTIONS[index].name))?;
        }
        Ok(())
    }

    fn read_rust_log(&mut self, environment: &ProcessEnvironment) {
        const NAME: &str = "RUST_LOG";
        let (Some(index), Some(value)) = (find("log"), environment.get(NAME)) else { return };
        if self.origins[index] == Origin::Default && !value.is_empty() {
            let found = rust_log::read(value, &self.settings.log.filter);
            self.settings.log.filter = found.filter;
            self.origins[index] = Origin::Variable(NAME.to_owned());
            let left_out = found.left_out.into_iter();
            self.warnings
                .extend(left_out.map(|directive| ConfigWarning::ForeignFilter { directive }));
        }
    }

    fn set(&mut self, index: usize, value: &OsStr, origin: Origin) -> Result<(), ConfigError> {
        if OPTIONS[index].modes.count_for(self.mode) {
            read(&mut self.settings, index, value, &origin)?;
            self.origins[index] = origin;
            return Ok(());
        }
        // It is checked all the same: it counts for another command.
        read(&mut self.settings.clone(), index, value, &origin)
    }

    /// Refuses values that exclude each other. A default gives way to what was set.
    fn check(&mut self) -> Result<(), ConfigError> {
        let is_default = |name| *self.origin(name) == Origin::Default;
        let defaults = (is_default("max-channels"), is_default("max-sessions"));
        let config = &mut self.settings.config;
        let limits = &mut config.limits;
        let (channels, sessions) = (limits.max_channels, limits.max_sessions);
        if config.agent.share == Share::Session && channels != 0 && channels < sessions {
            match defaults {
                (true, _) => limits.max_channels = sessions,
                (false, true) => limits.max_sessions = channels,
                (false, false) => return self.too_few_channels(channels, sessions),
            }
        }
        let open = self.settings.metrics_listen.filter(|address| !address.ip().is_loopback());
        match open {
            Some(address) if self.settings.metrics_token_file.is_none() => {
                Err(ConfigError::OpenMetrics { address, origin: self.origin("metrics-listen") })
            }
            _ => Ok(()),
        }
    }

    fn too_few_channels(&self, channels: usize, sessions: usize) -> Result<(), ConfigError> {
        Err(ConfigError::TooFewChannels {
            channels,
            channels_origin: self.origin("max-channels"),
            sessions,
            sessions_origin: self.origin("max-sessions"),
            share_origin: self.origin("share"),
        })
    }

    fn origin(&self, name: &str) -> Box<Origin> {
        Box::new(find(name).map_or(Origin::Default, |index| self.origins[index].clone()))
    }
}

/// Reads the value of an option into settings.
fn read(
    settings: &mut Settings,
    index: usize,
    value: &OsStr,
    origin: &Origin,
) -> Result<(), ConfigError> {
    (OPTIONS[index].set)(settings, value).map_err(|reason| {
        let value = value.to_string_lossy().into_owned();
        ConfigError::Value { origin: origin.clone(), value, reason }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bridge::Limit;

    fn from_environment(variables: &[(&str, &str)]) -> Result<Settings, String> {
        let environment = ProcessEnvironment::of(variables);
        resolve(Mode::Run, &Flags::default(), &environment)
            .map(|resolved| resolved.settings)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn nothing_said_means_the_defaults() {
        assert_eq!(from_environment(&[]), Ok(Settings::default()));
    }

    #[test]
    fn a_variable_with_and_without_its_unit_is_the_same_option() {
        let graces = |variables: &[(&str, &str)]| {
            from_environment(variables).map(|settings| settings.config.agent.term_grace)
        };
        let (long, short) = ("DRAWBRIDGE_TERM_GRACE_MS", "DRAWBRIDGE_TERM_GRACE");
        assert_eq!(graces(&[(long, "1m")]), Ok(Limit::After(60_000)));
        assert_eq!(graces(&[(short, "1m")]), Ok(Limit::After(60_000)));
        let expected = format!("{short} and {long} are the same option; keep one of them");
        assert_eq!(graces(&[(long, "1m"), (short, "1m")]), Err(expected));
    }

    #[test]
    fn a_misspelled_variable_is_noticed() {
        let unknown = |name| {
            let environment = ProcessEnvironment::of(&[(name, "1")]);
            unknown_variables(&environment).iter().map(ToString::to_string).collect::<String>()
        };
        assert_eq!(
            unknown("DRAWBRIDGE_MAX_SESION"),
            "the variable DRAWBRIDGE_MAX_SESION is no option of drawbridge; did you mean \
             DRAWBRIDGE_MAX_SESSIONS?"
        );
        assert_eq!(
            unknown("DRAWBRIDGE_SEED"),
            "the variable DRAWBRIDGE_SEED is no option of drawbridge"
        );
        for known in ["DRAWBRIDGE_CONFIG", "DRAWBRIDGE_TERM_GRACE", COOKIE, "DRAWBRIDG", "PATH"] {
            assert_eq!(unknown(known), "", "{known}");
        }
    }

    #[test]
    fn rust_log_is_asked_last() {
        let filter = |variables: &[(&str, &str)]| {
            from_environment(variables).map(|settings| settings.log.filter)
        };
        assert_eq!(filter(&[("RUST_LOG", "debug")]), Ok("debug".to_owned()));
        assert_eq!(filter(&[("RUST_LOG", "")]), Ok("info".to_owned()));
        let both = [("RUST_LOG", "a=loud"), ("DRAWBRIDGE_LOG", "warn")];
        assert_eq!(filter(&both), Ok("warn".to_owned()));
        assert_eq!(filter(&[("RUST_LOG", "a=loud,b=debug")]), Ok("info,b=debug".to_owned()));
    }

    #[test]
    fn a_channel_limit_below_the_session_limit_needs_sharing() {
        let limits = |share, channels, sessions| {
            from_environment(&[
                ("DRAWBRIDGE_SHARE", share),
                ("DRAWBRIDGE_MAX_CHANNELS", channels),
                ("DRAWBRIDGE_MAX_SESSIONS", sessions),
            ])
        };
        let error = limits("session", "2", "4").err().unwrap_or_default();
        assert!(error.contains("DRAWBRIDGE_MAX_CHANNELS"), "{error}");
        assert!(error.contains("DRAWBRIDGE_SHARE"), "{error}");
        assert!(limits("agent", "2", "4").is_ok());
        assert!(limits("session", "4", "4").is_ok());
        assert!(limits("session", "0", "4").is_ok());
        assert!(limits("session", "2", "0").is_ok());
    }
}
