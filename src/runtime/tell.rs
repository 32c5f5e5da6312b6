//! The core's notices, as log lines.

use super::children::Children;
use crate::bridge::Counters;
use crate::bridge::notice::{Level, Notice, Stray};

/// Logs a notice at its level, without the secrets in what it quotes of an agent.
pub(super) fn tell(notice: Notice, children: &Children) {
    let notice = match notice {
        Notice::StrayLine { channel, what: Stray::Text(text) } => {
            let what = Stray::Text(children.masked(channel, &text));
            Notice::StrayLine { channel, what }
        }
        other => other,
    };
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
