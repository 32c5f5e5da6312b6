//! `drawbridge -- AGENT…`: the embedded mode.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use super::exit_code::{NO_AGENT, SURVIVORS, UNUSABLE};
use super::print::failure;
use super::settings::Settings;
use super::warning::ConfigWarning;
use crate::bridge::Limit;
use crate::bridge::config::{Config, IdlePolicy};
use crate::bridge::time::spelled;
use crate::logs::Logs;
use crate::own_process;
use crate::runtime::{AgentSetup, Outcome, Setup, run_embedded};

/// The time that the log's writers get at the exit.
const LAST_LINES: Duration = Duration::from_millis(200);

/// Runs a bridge until its end.
pub(super) fn run(settings: Settings, warnings: &[ConfigWarning]) -> ExitCode {
    own_process::fit();
    own_process::withhold_inherited_descriptors();
    if let Err(reason) = own_process::check_free_descriptors() {
        return failure(&format_args!("the bridge cannot run: {reason}"), UNUSABLE);
    }
    let logs = match Logs::start(&settings.log) {
        Ok(logs) => logs,
        Err(error) => {
            return failure(&format_args!("the logs cannot be started: {error}"), UNUSABLE);
        }
    };
    tracing::info!("{}", startup_line(&settings.config, logs.file().as_deref()));
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    let setup = Setup {
        state: settings.log.directory,
        limits: settings.config.limits,
        agents: vec![AgentSetup {
            config: settings.config.agent,
            command: settings.agent,
            passing: settings.passing,
            spare: settings.spare,
        }],
        max_frame_bytes: settings.max_frame_bytes,
        outbox_bytes: settings.outbox_bytes,
        // The sum is that of one client and its agents.
        outbox_total_bytes: usize::MAX,
        keeper: !settings.no_keeper,
        log: logs.place(),
        stderr: logs.stderr(),
    };
    let outcome = run_embedded(setup);
    logs.flush(LAST_LINES);
    match outcome {
        Ok(Outcome::Clean) => ExitCode::SUCCESS,
        Ok(Outcome::Survivors) => ExitCode::from(SURVIVORS),
        // The last line on stderr: some editors show that one.
        Ok(Outcome::NoAgent(sentence)) => failure(&sentence, NO_AGENT),
        Err(error) => failure(&format_args!("the bridge cannot run: {error}"), UNUSABLE),
    }
}

/// The first line of the log: the version, the agent, the times after which sessions and
/// channels are closed for being idle, and the log file.
fn startup_line(config: &Config, log: Option<&Path>) -> String {
    let version = env!("CARGO_PKG_VERSION");
    let agent = &config.agent.name;
    let sessions = idle_sessions(config);
    let channel = match config.agent.channel_idle_timeout {
        Limit::After(0) => "an agent without work stops at once".to_owned(),
        Limit::After(millis) => format!("an agent without work stops after {}", spelled(millis)),
        Limit::Never => "an agent without work keeps running".to_owned(),
    };
    let log = log
        .map_or_else(|| "no log file".to_owned(), |path| format!("log file: {}", path.display()));
    format!("drawbridge {version} in front of `{agent}`; {sessions}; {channel}; {log}")
}

fn idle_sessions(config: &Config) -> String {
    let none = |option| format!("no session is closed for being idle ({option})");
    let interval = config.limits.session_reap_interval.zero_is_never();
    let detached = config.agent.session_idle_timeout.zero_is_never();
    let attached = match config.agent.idle_policy {
        IdlePolicy::Detached => Limit::Never,
        IdlePolicy::All => config.agent.attached_idle_timeout.zero_is_never(),
    };
    let closed = |idle| match idle {
        Limit::After(millis) => format!("after {}", spelled(millis)),
        Limit::Never => "never".to_owned(),
    };
    match (interval, detached, attached) {
        (Limit::Never, ..) => none("--session-reap-interval-ms"),
        (_, Limit::Never, _) => none("--session-idle-timeout-ms"),
        (Limit::After(interval), ..) => format!(
            "idle sessions are closed {} without a client, {} with a client (checked every {})",
            closed(detached),
            closed(attached),
            spelled(interval)
        ),
    }
}
