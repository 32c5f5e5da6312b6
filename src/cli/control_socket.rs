//! The control socket of the bridge that this process runs.

use std::path::PathBuf;

use tokio::sync::watch;

use super::mode::Mode;
use super::settings::Settings;
use crate::api::{BridgeMode, BridgeStatus, ConfigValue, Program};
use crate::control::{Control, ControlSetup, start};
use crate::link::peer::Namespaces;
use crate::processes;
use crate::runtime::ControlPort;

/// The values of all options, for the socket, which may change when the file is read again.
pub(super) type Values = watch::Sender<Vec<ConfigValue>>;

/// Opens the control socket, unless `--control=false`. A bridge goes on without one that cannot be
/// opened: it is there for people alone.
pub(super) fn open(
    settings: &Settings,
    mode: Mode,
    (socket, log_file): (Option<String>, Option<PathBuf>),
    values: &Values,
) -> (Option<Control>, Option<ControlPort>) {
    if !settings.control {
        return (None, None);
    }
    let is_daemon = mode == Mode::Serve;
    let bridge = BridgeStatus {
        pid: std::process::id(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        mode: if is_daemon { BridgeMode::Daemon } else { BridgeMode::Embedded },
        age_ms: 0,
        is_ending: false,
        is_leaving: false,
        socket,
        log_file: log_file.map(|path| path.display().to_string()),
        memory_bytes: None,
        started_by: if is_daemon { None } else { parent() },
    };
    let namespaces = match settings.allow_foreign_namespaces {
        true => Namespaces::Any,
        false => Namespaces::Own,
    };
    match start(ControlSetup { bridge, config: values.subscribe(), namespaces }) {
        Ok((control, port)) => (Some(control), Some(port)),
        Err(error) if is_daemon => {
            tracing::warn!("there is no control socket: {error}");
            (None, None)
        }
        // An editor may show a warning as an error.
        Err(error) => {
            tracing::info!("there is no control socket: {error}");
            (None, None)
        }
    }
}

/// The program that has started this process.
fn parent() -> Option<Program> {
    let entry = processes::at(std::os::unix::process::parent_id())?;
    Some(Program { pid: entry.pid, name: entry.name })
}
