//! The core's notices, as log lines.

use crate::bridge::Counters;
use crate::bridge::notice::{Level, Notice};

/// Logs a notice at its level.
pub(super) fn tell(notice: &Notice) {
    match notice.level() {
        Level::Debug => tracing::debug!(target: "drawbridge", "{notice}"),
        Level::Info => tracing::info!(target: "drawbridge", "{notice}"),
        Level::Warn => tracing::warn!(target: "drawbridge", "{notice}"),
        Level::Error => tracing::error!(target: "drawbridge", "{notice}"),
    }
}

/// Logs the counters, if any of them is not 0.
pub(super) fn counters(counters: &Counters) {
    if *counters != Counters::default() {
        tracing::info!(target: "drawbridge", "dropped or refused in this run: {counters}");
    }
}
