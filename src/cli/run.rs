//! `drawbridge -- AGENT…`: the embedded mode.

use std::process::ExitCode;

use tokio::sync::watch;

use super::control_socket;
use super::exit_code::{NO_AGENT, SURVIVORS, UNUSABLE};
use super::mode::Mode;
use super::print::failure;
use super::settings::Settings;
use super::startup_line;
use super::trace_file;
use super::warning::ConfigWarning;
use crate::api::ConfigValue;
use crate::logs::Logs;
use crate::own_process;
use crate::runtime::{AgentSetup, Outcome, Setup, run_embedded};

/// Runs a bridge until its end.
pub(super) fn run(
    settings: Settings,
    warnings: &[ConfigWarning],
    values: Vec<ConfigValue>,
) -> ExitCode {
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
    tracing::info!("{}", startup_line::embedded(&settings.config, logs.file().as_deref()));
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    let values = watch::Sender::new(values);
    let (_control, control) =
        control_socket::open(&settings, Mode::Run, (None, logs.file()), &values);
    let setup = Setup {
        restores: settings.log.directory.clone(),
        state: settings.log.directory,
        limits: settings.config.limits,
        agents: vec![AgentSetup {
            config: settings.config.agent,
            command: settings.agent,
            program: None,
            passing: settings.passing,
            spare: settings.spare,
        }],
        max_frame_bytes: settings.max_frame_bytes,
        outbox_bytes: settings.outbox_bytes,
        // The sum is that of one client and its agents.
        outbox_total_bytes: usize::MAX,
        descriptor_limit: None,
        trees: None,
        keeper: !settings.no_keeper,
        control,
        trace: trace_file::open(&settings.trace, Mode::Run),
        log: logs.place(),
        stderr: logs.stderr(),
    };
    let outcome = run_embedded(setup);
    logs.flush();
    match outcome {
        Ok(Outcome::Clean) => ExitCode::SUCCESS,
        Ok(Outcome::Survivors) => ExitCode::from(SURVIVORS),
        // The last line on stderr: some editors show that one.
        Ok(Outcome::NoAgent(sentence)) => failure(&sentence, NO_AGENT),
        Err(error) => failure(&format_args!("the bridge cannot run: {error}"), UNUSABLE),
    }
}
