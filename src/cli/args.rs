//! The flags of a command: options of the table, the configuration file, and the agent.

use std::ffi::{OsStr, OsString};
use std::marker::PhantomData;
use std::path::Path;

use clap::builder::{PossibleValue, TypedValueParser};
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};

use super::kinds::Bare;
use super::mode::Mode;
use super::options::{LOGS, OPTIONS, Opt, variable};

/// The flags of a command line: options of [`OPTIONS`], and the configuration file.
#[derive(Clone, Debug, Default)]
pub(super) struct Flags {
    /// For each flag that was given, its index in [`OPTIONS`] and its text.
    given: Vec<(usize, OsString)>,
    config_file: Option<OsString>,
    agent: Option<OsString>,
}

/// The arguments with `--` behind `--agent NAME`, which is the last option: editors append
/// arguments for a login, and those are the agent's.
pub(super) fn divided(mut arguments: Vec<OsString>) -> Vec<OsString> {
    let is_option = |word: &OsString| word.to_string_lossy().starts_with("--agent=");
    let found =
        arguments.iter().position(|word| word == "--" || word == "--agent" || is_option(word));
    let Some(place) = found.filter(|place| arguments[*place] != "--") else { return arguments };
    let rest = place + if is_option(&arguments[place]) { 1 } else { 2 };
    if arguments.get(rest).is_some_and(|next| next != "--") {
        arguments.insert(rest, "--".into());
    }
    arguments
}

impl Flags {
    /// The name of the agent that `--agent` names.
    pub(super) fn agent(&self) -> Option<&OsStr> {
        self.agent.as_deref()
    }

    /// For each flag that was given, its index in [`OPTIONS`] and its text.
    pub(super) fn given(&self) -> impl Iterator<Item = (usize, &OsStr)> {
        self.given.iter().map(|(index, value)| (*index, value.as_os_str()))
    }

    /// The names of the options that were given.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.given.iter().map(|(index, _)| OPTIONS[*index].name)
    }

    /// The same without these options.
    pub(super) fn without(mut self, names: &[&str]) -> Flags {
        self.given.retain(|(index, _)| !names.contains(&OPTIONS[*index].name));
        self
    }

    /// The same with the absolute path of the configuration file, for another directory.
    pub(super) fn absolute(mut self) -> Flags {
        let absolute = self.config_file.as_ref().and_then(|path| std::path::absolute(path).ok());
        self.config_file = absolute.map(Into::into).or(self.config_file);
        self
    }

    /// The flags as arguments of another process.
    pub(super) fn arguments(&self) -> impl Iterator<Item = OsString> {
        let given = self.given().map(|(index, value)| (OPTIONS[index].name, value));
        let config = self.config_file.as_deref().map(|file| ("config", file));
        // The last one, as `--agent` must be.
        let agent = self.agent().map(|name| ("agent", name));
        given.chain(config).chain(agent).map(|(name, value)| {
            let mut word = OsString::from(format!("--{name}="));
            word.push(value);
            word
        })
    }

    /// Those of them that a command has.
    pub(super) fn of(&self, mode: Mode) -> Flags {
        let mut flags = self.clone();
        flags.given.retain(|(index, _)| OPTIONS[*index].modes.have(mode));
        flags
    }

    /// The same flags with this configuration file.
    pub(super) fn reading(mut self, file: &Path) -> Flags {
        self.config_file = Some(file.into());
        self
    }

    /// The configuration file that `--config` names.
    pub(super) fn config_file(&self) -> Option<&OsStr> {
        self.config_file.as_deref()
    }
}

/// The command that flags belong to, as a type.
pub(super) trait OfMode: Clone + std::fmt::Debug + Default {
    /// The command.
    const MODE: Mode;
}

macro_rules! of_mode {
    ($($name:ident => $mode:ident),*) => {$(
        /// The command of this name.
        #[derive(Clone, Debug, Default)]
        pub(super) struct $name;

        impl OfMode for $name {
            const MODE: Mode = Mode::$mode;
        }
    )*};
}

of_mode!(OfRun => Run, OfServe => Serve, OfConnect => Connect);

/// The flags of one command.
#[derive(Clone, Debug, Default)]
pub(super) struct FlagsOf<M>(pub(super) Flags, PhantomData<M>);

impl<M: OfMode> Args for FlagsOf<M> {
    fn augment_args(command: Command) -> Command {
        let config = Arg::new("config")
            .long("config")
            .value_name("FILE")
            .value_parser(clap::value_parser!(OsString))
            .env(variable("config"))
            .hide_env_values(true)
            .help_heading(LOGS)
            .help(
                "Configuration file to read; it must exist [default: config.toml in the user's \
                 configuration directory, if it exists]",
            );
        let agent = Arg::new("agent")
            .long("agent")
            .value_name("NAME")
            .value_parser(clap::value_parser!(OsString))
            .help_heading(LOGS)
            .help(
                "Agent of this name in the configuration file, in place of a command. The last \
                 option: all that follows are more arguments of the agent [default: none]",
            );
        let command = command.args(OPTIONS.iter().map(|option| argument(option, M::MODE)));
        // A daemon serves every agent.
        command.arg(config).args((M::MODE != Mode::Serve).then_some(agent))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl<M: OfMode> FromArgMatches for FlagsOf<M> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut flags = FlagsOf::default();
        flags.update_from_arg_matches(matches)?;
        Ok(flags)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        // The parser knows the variables for the help alone: their values are read with the
        // rest of the environment.
        let is_flag = |name: &&str| matches.value_source(name) == Some(ValueSource::CommandLine);
        let value = |name| matches.get_one::<OsString>(Some(name).filter(is_flag)?).cloned();
        let given = OPTIONS.iter().enumerate();
        self.0.given = given.filter_map(|(index, o)| Some((index, value(o.name)?))).collect();
        self.0.config_file = value("config");
        self.0.agent = if M::MODE == Mode::Serve { None } else { value("agent") };
        Ok(())
    }
}

/// The flag of an option, for a command. One that has no effect there is hidden, and refused with
/// a better reason than that it is unknown.
fn argument(option: &'static Opt, mode: Mode) -> Arg {
    let face = (option.face)();
    let argument = Arg::new(option.name)
        .long(option.name)
        .aliases(option.alias())
        .env(variable(option.name))
        .hide_env_values(true)
        .value_name(face.value_name)
        .help_heading(option.heading)
        .help(format!("{} [default: {}]", option.help, option.default(mode)))
        .hide(!option.modes.have(mode))
        .hide_possible_values(true)
        .action(ArgAction::Set)
        // A negative number reaches `ValueKind::read`, whose error says what is accepted.
        .allow_negative_numbers(true)
        .value_parser(Raw { words: face.words });
    match face.bare {
        Bare::Boolean => {
            argument.num_args(0..=1).require_equals(true).default_missing_value("true")
        }
        Bare::Nothing | Bare::Integer => argument,
    }
}

/// Takes any text: values are read in one place, whether flag, variable or key.
/// The words are there for the completion scripts.
#[derive(Clone)]
struct Raw {
    words: Vec<&'static str>,
}

impl TypedValueParser for Raw {
    type Value = OsString;

    fn parse_ref(
        &self,
        _: &Command,
        _: Option<&Arg>,
        value: &OsStr,
    ) -> Result<OsString, clap::Error> {
        Ok(value.to_owned())
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        let values = self.words.iter().map(|word| PossibleValue::new(*word));
        (!self.words.is_empty()).then(|| Box::new(values) as Box<_>)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_follows_the_name_of_an_agent_is_the_agents() {
        for (line, expected) in [
            ("--share cwd --agent a --login -x", "--share cwd --agent a -- --login -x"),
            ("run --agent=a login", "run --agent=a -- login"),
            ("--agent a -- x -- y", "--agent a -- x -- y"),
            ("--agent a", "--agent a"),
            ("--agent", "--agent"),
            ("-- x --agent a b", "-- x --agent a b"),
            ("--agent-name n -- x", "--agent-name n -- x"),
        ] {
            let words = |line: &str| line.split(' ').map(OsString::from).collect::<Vec<_>>();
            assert_eq!(divided(words(line)), words(expected), "{line}");
        }
    }
}
