//! `drawbridge -- AGENT…`: the embedded mode.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use super::print::failure;
use super::resolve::UnknownVariable;
use super::settings::Settings;
use crate::bridge::Limit;
use crate::bridge::config::{Config, IdlePolicy};
use crate::bridge::time::spelled;
use crate::logs::{Logs, STARTUP};
use crate::runtime::{Outcome, Setup, run_embedded};

/// The exit code when our own stdio, the logs or the system's signals cannot be used.
const UNUSABLE: u8 = 1;
/// The exit code when processes of agents would not die.
const SURVIVORS: u8 = 70;
/// What the log's writers get at the exit.
const LAST_LINES: Duration = Duration::from_millis(200);

/// Runs a bridge until its editor is gone.
pub(super) fn run(settings: Settings, unknown: &[UnknownVariable]) -> ExitCode {
    let logs = match Logs::start(&settings.log) {
        Ok(logs) => logs,
        Err(error) => {
            return failure(&format_args!("the logs cannot be started: {error}"), UNUSABLE);
        }
    };
    tracing::info!(target: STARTUP, "{}", startup_line(&settings.config, logs.file()));
    for variable in unknown {
        tracing::warn!("{variable}");
    }
    let ledgers = settings.log.directory.as_ref().map(|state| state.join("agents"));
    let setup = Setup {
        ledgers,
        config: settings.config,
        agent: settings.agent,
        max_frame_bytes: settings.max_frame_bytes,
        outbox_bytes: settings.outbox_bytes,
        keeper: !settings.no_keeper,
        spare: settings.spare,
        passing: settings.passing,
        stderr: logs.stderr(),
    };
    let code = match run_embedded(setup) {
        Ok(Outcome::Clean) => ExitCode::SUCCESS,
        Ok(Outcome::Survivors) => ExitCode::from(SURVIVORS),
        Err(error) => {
            tracing::error!("cannot run: {error}");
            ExitCode::from(UNUSABLE)
        }
    };
    logs.flush(LAST_LINES);
    code
}

/// What runs, whether the reaper does and with which thresholds, and where the log is.
fn startup_line(config: &Config, log: Option<&Path>) -> String {
    let version = env!("CARGO_PKG_VERSION");
    let agent = &config.agent.name;
    let interval = config.limits.session_reap_interval.zero_is_never();
    let detached = config.agent.session_idle_timeout.zero_is_never();
    let reaper = match (interval, detached) {
        (Limit::Never, _) => "no reaper (--session-reap-interval-ms)".to_owned(),
        (_, Limit::Never) => "no reaper (--session-idle-timeout-ms)".to_owned(),
        (Limit::After(interval), Limit::After(detached)) => {
            let attached = match (
                config.agent.idle_policy,
                config.agent.attached_idle_timeout.zero_is_never(),
            ) {
                (IdlePolicy::Detached, _) => "attached ones never (policy detached)".to_owned(),
                (IdlePolicy::All, Limit::Never) => "attached ones never (policy all)".to_owned(),
                (IdlePolicy::All, Limit::After(millis)) => {
                    format!("attached ones after {} (policy all)", spelled(millis))
                }
            };
            format!(
                "reaper every {}: sessions without a client after {}, {attached}",
                spelled(interval),
                spelled(detached)
            )
        }
    };
    let idle = match config.agent.channel_idle_timeout {
        Limit::After(0) => "an idle agent stops at once".to_owned(),
        Limit::After(millis) => format!("an idle agent stops after {}", spelled(millis)),
        Limit::Never => "an idle agent is kept".to_owned(),
    };
    let log =
        log.map_or_else(|| "no log file".to_owned(), |path| format!("log: {}", path.display()));
    format!("drawbridge {version} in front of `{agent}`; {reaper}; {idle}; {log}")
}
