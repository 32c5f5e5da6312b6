//! The agent that is checked, and how: what the command line says.

use std::ffi::OsString;
use std::time::Duration;

use super::trial::Patience;
use crate::agent_command::Runs;
use crate::cli::args::Flags;
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
    pub(super) wait: Option<Duration>,
}

impl Plan {
    /// The arguments of the bridge: the options that were given, with others that suit a check
    /// where they were not.
    pub(super) fn arguments(&self) -> Vec<OsString> {
        let wait = format!("--initialize-timeout-ms={}", self.patience().first.as_millis());
        let own = ["--log=warn", "--log-file=off", &wait];
        let is_given = |option: &&&str| {
            let name = option.trim_start_matches('-').split('=').next().unwrap_or_default();
            self.flags.names().any(|given| given == name)
        };
        let own = own.iter().filter(|option| !is_given(option)).map(OsString::from);
        own.chain(self.flags.arguments()).chain(["--".into()]).chain(self.rest.clone()).collect()
    }

    /// The time for each answer.
    pub(super) fn patience(&self) -> Patience {
        let may_fetch = matches!(Runs::of(&self.settings.agent), Some(Runs::Package(_)));
        let first = if may_fetch { FETCHED } else { FIRST_ANSWER };
        Patience { first: self.wait.unwrap_or(first), further: self.wait.unwrap_or(ANSWER) }
    }
}
