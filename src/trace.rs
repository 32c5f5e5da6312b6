//! Traces: the messages that pass a bridge, written to a file as they pass.
//!
//! A trace is for one who looks for a fault. It holds the heads of messages: when, between whom,
//! what sort, and about which session; their contents only where they were asked for, and even
//! then no value of an environment or a header. The loop hands messages over and never waits for
//! the file.

mod contents;
mod file;
mod line;

pub use self::file::{Passing, TraceFile};
pub use self::line::{Direction, Entry, Line, Note, Sort};
