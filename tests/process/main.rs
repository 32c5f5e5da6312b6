//! The real binary in front of real processes: one file for each group of promises.
//!
//! Time is real here. Every wait is for a condition and has a limit; whatever a
//! test starts carries a mark in its environment, by which it is found in the
//! process table, and is ended when the test lets go of it.

// They look at `/proc`, to see what is really there.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "a test starts processes, reads the clock and panics as it likes"
)]

mod bridge;
mod client;
mod confinement;
mod many;
mod processes;
mod scratch;
mod site;

mod bad_agents;
mod bad_input;
mod bad_sessions;
mod bytes;
mod bytes_of_agents;
mod channels;
mod connect;
mod control;
mod conversation;
mod daemon_loss;
mod day;
mod editor;
mod environment;
mod freezes;
mod keeper;
mod ladder;
mod ledger;
mod liveness;
mod long_lines;
mod memory;
mod metrics;
mod odd_machines;
mod peers;
mod pressure;
mod programs;
mod reaper;
mod restarts;
mod revival;
mod secrets;
mod serve;
mod shared_agent;
mod shared_sessions;
mod sharing;
mod shutdown;
mod stderr;
mod stdio;
#[cfg(feature = "otel")]
mod telemetry;
mod top;
mod trace;
mod transcript;
mod trees;
mod updates;
mod words;
