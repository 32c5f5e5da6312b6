//! The agents that a daemon knows, by what editors call them, and the numbers that the bridge
//! knows them by.
//!
//! An agent of the configuration file is told by its name and the further arguments that an
//! editor gives; a command by the program that it leads to, so that two spellings of one command
//! are one agent, whose conversations no two processes may hold.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::agent_command::agent_name;
use crate::agent_environment::Variables;
use crate::bridge::config::Limits;
use crate::link::control::{Hello, Text, WantedAgent, WhyKind};
use crate::runtime::{AgentSetup, program_of};

/// The most agents that a daemon knows in its life.
const MOST_AGENTS: usize = 1024;

/// The agents of a daemon, and the limits.
#[derive(Clone, Debug)]
pub struct Configuration {
    /// The limits of the bridge as a whole.
    pub limits: Limits,
    /// The agents of the configuration file, with their names.
    pub named: Vec<(String, AgentSetup)>,
    /// The pattern for an agent that is given as a command: one without a command.
    pub pattern: AgentSetup,
    /// The configuration file; `None`: there is no place for one.
    pub file: Option<PathBuf>,
}

/// How an agent is told from others.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Key {
    /// By its name in the configuration file and further arguments.
    Named(String, Vec<OsString>),
    /// By the path of its program and its arguments.
    Program(PathBuf, Vec<OsString>),
    /// By its command, whose program was not found.
    Unfound(Vec<OsString>),
}

/// An agent that an editor has wanted.
#[derive(Debug)]
struct Known {
    key: Key,
    /// The command and the name that it was first wanted by, if it is not of the configuration
    /// file.
    command: Vec<OsString>,
    name: Option<String>,
}

/// All agents that editors have wanted.
#[derive(Debug)]
pub(super) struct Roster {
    configuration: Configuration,
    /// The number of an agent is its place here, plus one: 0 is the pattern.
    known: Vec<Known>,
}

/// Why there is no agent for an editor.
pub(super) type Refused = (WhyKind, String);

impl Roster {
    pub(super) fn new(configuration: Configuration) -> Roster {
        Roster { configuration, known: Vec::new() }
    }

    /// The pattern for agents.
    pub(super) fn pattern(&self) -> AgentSetup {
        self.configuration.pattern.clone()
    }

    /// Makes sure that an editor uses no other configuration file than this daemon.
    pub(super) fn check_file(&self, hello: &Hello) -> Result<(), Refused> {
        let Some(named) = hello.config.clone().map(|path| PathBuf::from(OsString::from(path)))
        else {
            return Ok(());
        };
        let whole = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let own = self.configuration.file.as_deref();
        if own.is_some_and(|own| whole(own) == whole(&named)) {
            return Ok(());
        }
        let own = own.map_or_else(|| "none".to_owned(), |own| own.display().to_string());
        let why = format!(
            "The daemon reads another configuration file (config_differs): {own}, and not {}.",
            named.display()
        );
        Err((WhyKind::ConfigDiffers, why))
    }

    /// The number of the agent that an editor wants, and its settings if it is new.
    pub(super) fn wanted(
        &mut self,
        wanted: WantedAgent,
        variables: &Variables,
        directory: &Path,
    ) -> Result<(usize, Option<AgentSetup>), Refused> {
        let known = self.identify(wanted, variables, directory);
        let setup = self.setup(&known)?;
        if let Some(place) = self.known.iter().position(|other| other.key == known.key) {
            return Ok((place + 1, None));
        }
        if self.known.len() >= MOST_AGENTS {
            let why = format!("The daemon knows {MOST_AGENTS} agents already; restart it.");
            return Err((WhyKind::TooMany, why));
        }
        self.known.push(known);
        Ok((self.known.len(), Some(setup)))
    }

    fn identify(&self, wanted: WantedAgent, variables: &Variables, directory: &Path) -> Known {
        let texts = |texts: Vec<Text>| texts.into_iter().map(OsString::from).collect::<Vec<_>>();
        match wanted {
            WantedAgent::Named { name, arguments } => {
                let key = Key::Named(name, texts(arguments));
                Known { key, command: Vec::new(), name: None }
            }
            WantedAgent::Command { words, name } => {
                let command = texts(words);
                let own = AgentSetup { command: command.clone(), ..self.pattern() };
                let key = match program_of(&own, variables, directory) {
                    Ok(program) => Key::Program(program, command[1..].to_vec()),
                    Err(_) => Key::Unfound(command.clone()),
                };
                Known { key, command, name }
            }
        }
    }

    fn no_such_agent(&self, name: &str) -> Refused {
        let file = self.configuration.file.as_deref();
        let file = file.map_or_else(|| "none".to_owned(), |file| file.display().to_string());
        let why = format!(
            "The configuration of the daemon has no agent {name} (its file: {file}). If the file \
             was changed, `drawbridge reload` makes the daemon read it again."
        );
        (WhyKind::NoSuchAgent, why)
    }

    /// The settings of an agent, as the configuration is now. An error: it has no such agent.
    fn setup(&self, known: &Known) -> Result<AgentSetup, Refused> {
        let mut setup = match &known.key {
            Key::Named(name, arguments) => {
                let found = self.configuration.named.iter().find(|(own, _)| own == name);
                let (_, named) = found.ok_or_else(|| self.no_such_agent(name))?;
                let command = [named.command.clone(), arguments.clone()].concat();
                return Ok(AgentSetup { command, ..named.clone() });
            }
            Key::Program(program, _) => {
                AgentSetup { program: Some(program.clone()), ..self.pattern() }
            }
            Key::Unfound(_) => self.pattern(),
        };
        setup.command = known.command.clone();
        setup.config.name = known.name.clone().unwrap_or_else(|| agent_name(&known.command));
        Ok(setup)
    }

    /// Takes another configuration, and returns the agents with their numbers. Those that it does
    /// not have any more stay as they were, for the editors that use them.
    pub(super) fn reconfigure(&mut self, configuration: Configuration) -> Vec<(usize, AgentSetup)> {
        self.configuration = configuration;
        let all = self.known.iter().enumerate();
        all.filter_map(|(place, known)| Some((place + 1, self.setup(known).ok()?))).collect()
    }

    /// The limits of the bridge as a whole.
    pub(super) fn limits(&self) -> Limits {
        self.configuration.limits.clone()
    }
}
