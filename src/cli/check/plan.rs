//! The agent that is checked, and how: what the command line says.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use super::running::Running;
use crate::agent_command::Runs;
use crate::bridge::Limit;
use crate::cli::args::Flags;
use crate::cli::commands::CheckArgs;
use crate::cli::error::ConfigError;
use crate::cli::mode::Mode;
use crate::cli::process_environment::ProcessEnvironment;
use crate::cli::resolve::resolve;
use crate::cli::settings::Settings;

/// The time for the first answer of an agent.
const FIRST_ANSWER: Duration = Duration::from_secs(10);

/// The same where a package may have to be fetched first.
const FETCHED: Duration = Duration::from_secs(5 * 60);

/// The time for any other answer.
const ANSWER: Duration = Duration::from_secs(2 * 60);

/// The agent that is checked, and how.
pub(super) struct Plan {
    pub(super) settings: Settings,
    pub(super) flags: Flags,
    /// The arguments behind `--`.
    pub(super) rest: Vec<OsString>,
    pub(super) prompt: Option<String>,
    /// The time for each answer.
    pub(super) patience: Patience,
    pub(super) running: Running,
    /// The state directories of the user's bridges: that of this environment, and that of one that
    /// names none, as a daemon has.
    pub(super) states: BTreeSet<PathBuf>,
    wait: Option<Duration>,
}

/// The time for each answer.
#[derive(Clone, Copy)]
pub(super) struct Patience {
    /// For the first answer.
    pub(super) first: Duration,
    /// For all others.
    pub(super) further: Duration,
}

impl Plan {
    /// The plan of a command line.
    pub(super) fn of(arguments: CheckArgs) -> Result<Plan, ConfigError> {
        let CheckArgs { flags, prompt, wait, rest } = arguments;
        let environment = ProcessEnvironment::of_process();
        let resolved = resolve(Mode::Run, &flags.0, &environment)?;
        let has_own = !resolved.is_default("initialize-timeout-ms");
        let settings = resolved.settings.with_agent(rest.clone())?;
        let own = match settings.config.agent.initialize_timeout {
            Limit::After(millis) if has_own => Some(Duration::from_millis(millis)),
            Limit::After(_) => None,
            Limit::Never => Some(Duration::MAX),
        };
        let usual = match Runs::of(&settings.agent) {
            Some(Runs::Package(_)) => FETCHED,
            _ => FIRST_ANSWER,
        };
        let patience =
            Patience { first: wait.or(own).unwrap_or(usual), further: wait.unwrap_or(ANSWER) };
        let running = Running::default();
        let states = [environment.log_directory(), environment.usual_log_directory()];
        let states = states.into_iter().flatten().collect();
        Ok(Plan { settings, flags: flags.0, rest, prompt, patience, running, states, wait })
    }

    /// The arguments of the bridge: the options that were given, with others that suit a check
    /// where they were not.
    pub(super) fn arguments(&self) -> Vec<OsString> {
        let first = format!("--initialize-timeout-ms={}", self.patience.first.as_millis());
        let opens = self.wait.map(|wait| format!("--session-open-timeout-ms={}", wait.as_millis()));
        let alone = ["--metrics-listen=off", "--trace-frames=off"];
        let own = ["--log=warn", "--log-file=off", &first].into_iter().chain(opens.as_deref());
        let own = own.chain(alone);
        let is_given = |option: &&str| {
            let name = option.trim_start_matches('-').split('=').next().unwrap_or_default();
            self.flags.names().any(|given| given == name)
        };
        let own = own.filter(|option| !is_given(option)).map(OsString::from);
        own.chain(self.flags.arguments()).chain(["--".into()]).chain(self.rest.clone()).collect()
    }
}
