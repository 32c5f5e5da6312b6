//! The control socket of the bridge that this process runs, and its listener for metrics.

use std::path::PathBuf;

use tokio::sync::watch;

use super::mode::Mode;
use super::or_without::or_without;
use super::settings::Settings;
use crate::api::{BridgeMode, BridgeStatus, ConfigValue, Program};
use crate::control::{Control, ControlSetup, ControlSocket, HttpDoor, start};
use crate::link::peer::Namespaces;
use crate::processes;
use crate::runtime::ControlPort;

/// The values of all options, for the socket, which may change when the file is read again.
pub(super) type Values = watch::Sender<Vec<ConfigValue>>;

/// Opens the control socket, unless `--control=false`, and the listener for metrics, if there is
/// to be one. A bridge goes on without those that cannot be opened: they are there for people alone.
pub(super) fn open(
    settings: &Settings,
    mode: Mode,
    (socket, log_file): (Option<String>, Option<PathBuf>),
    values: &Values,
) -> (Option<Control>, Option<ControlPort>) {
    let namespaces = match settings.allow_foreign_namespaces {
        true => Namespaces::Any,
        false => Namespaces::Own,
    };
    let control =
        settings.control.then(|| or_without(mode, "no control socket", ControlSocket::bind()));
    let http = settings.metrics_listen.map(|address| {
        let opened = HttpDoor::open(address, settings.metrics_token_file.as_deref());
        or_without(mode, &format!("no listener for metrics at {address}"), opened)
    });
    let (control, http) = (control.flatten(), http.flatten());
    #[cfg(feature = "otel")]
    let is_watched = settings.otlp_endpoint.is_some();
    #[cfg(not(feature = "otel"))]
    let is_watched = false;
    if control.is_none() && http.is_none() && !is_watched {
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
        metrics: None,
        memory_bytes: None,
        started_by: if is_daemon { None } else { parent() },
    };
    let socket = control.map(|socket| (socket, namespaces));
    let setup = ControlSetup {
        bridge,
        config: values.subscribe(),
        socket,
        http,
        #[cfg(feature = "otel")]
        collector: settings.otlp_endpoint.clone(),
    };
    or_without(mode, "no thread for the control socket", start(setup)).unzip()
}

/// The program that has started this process.
fn parent() -> Option<Program> {
    let entry = processes::at(std::os::unix::process::parent_id())?;
    Some(Program { pid: entry.pid, name: entry.name })
}
