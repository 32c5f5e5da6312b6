//! The first line of the log: the version, the agent or the socket, the times after which sessions
//! and channels are closed for being idle, and the log file.

use std::path::Path;

use crate::bridge::Limit;
use crate::bridge::config::{Config, IdlePolicy};
use crate::bridge::time::spelled;

/// The line of a bridge for one editor.
pub(super) fn embedded(config: &Config, log: Option<&Path>) -> String {
    let version = env!("CARGO_PKG_VERSION");
    let agent = &config.agent.name;
    format!("drawbridge {version} in front of `{agent}`; {}", limits(config, log))
}

/// The line of a daemon.
pub(super) fn served(config: &Config, socket: &str, log: Option<&Path>) -> String {
    let version = env!("CARGO_PKG_VERSION");
    let lost = match config.limits.lost_client_timeout {
        Limit::After(millis) => {
            format!("the sessions of an editor that is gone are closed after {}", spelled(millis))
        }
        Limit::Never => "the sessions of an editor that is gone stay".to_owned(),
    };
    format!("drawbridge {version} serves {socket}; {lost}; {}", limits(config, log))
}

fn limits(config: &Config, log: Option<&Path>) -> String {
    let sessions = idle_sessions(config);
    let channel = match config.agent.channel_idle_timeout {
        Limit::After(0) => "an agent without work stops at once".to_owned(),
        Limit::After(millis) => format!("an agent without work stops after {}", spelled(millis)),
        Limit::Never => "an agent without work keeps running".to_owned(),
    };
    let log = log
        .map_or_else(|| "no log file".to_owned(), |path| format!("log file: {}", path.display()));
    format!("{sessions}; {channel}; {log}")
}

fn idle_sessions(config: &Config) -> String {
    let none = |option| format!("no session is closed for being idle ({option})");
    let interval = config.limits.session_reap_interval.zero_is_never();
    let detached = config.agent.session_idle_timeout.zero_is_never();
    let attached = match config.agent.idle_policy {
        IdlePolicy::Detached => Limit::Never,
        IdlePolicy::Restorable | IdlePolicy::All => {
            config.agent.attached_idle_timeout.zero_is_never()
        }
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
