//! `RUST_LOG`: a filter that belongs to many programs, such as the agent itself.
//!
//! It never stops the start, and it never silences the bridge's warnings unless it names the
//! bridge.

use std::ffi::OsStr;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

/// A filter for the log, made of a `RUST_LOG`, and the parts that are no filter.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ForeignFilter {
    pub(super) filter: String,
    pub(super) left_out: Vec<String>,
}

/// Reads a `RUST_LOG`. `default` is the level where it gives none.
pub(super) fn read(value: &OsStr, default: &str) -> ForeignFilter {
    let value = value.to_string_lossy();
    let (mut level, mut targets, mut left_out) = (None, Vec::new(), Vec::new());
    for directive in value.split(',').map(str::trim).filter(|directive| !directive.is_empty()) {
        if let Ok(found) = directive.parse::<LevelFilter>() {
            // A level without a target is meant for every program, and not for this one.
            level = Some(found.max(LevelFilter::WARN).to_string());
        } else if EnvFilter::builder().parse(directive).is_ok() {
            targets.push(directive.to_owned());
        } else {
            left_out.push(directive.to_owned());
        }
    }
    let level = level.unwrap_or_else(|| default.to_owned());
    let filter = [vec![level], targets].concat().join(",");
    ForeignFilter { filter, left_out }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_meant_for_others_silences_nothing() {
        for (value, filter, left_out) in [
            ("debug", "debug", &[][..]),
            ("codex_core=debug", "info,codex_core=debug", &[]),
            ("error", "warn", &[]),
            ("off,hyper=trace", "warn,hyper=trace", &[]),
            ("trace, drawbridge=off", "trace,drawbridge=off", &[]),
            ("hyper=debug/tls.*", "info", &["hyper=debug/tls.*"]),
            ("*=info,warn", "warn", &["*=info"]),
            ("", "info", &[]),
        ] {
            let found = read(OsStr::new(value), "info");
            assert_eq!(
                (found.filter.as_str(), &found.left_out[..]),
                (filter, &left_out.iter().map(ToString::to_string).collect::<Vec<_>>()[..]),
                "{value}"
            );
            assert!(EnvFilter::builder().parse(&found.filter).is_ok(), "{value}");
        }
    }
}
