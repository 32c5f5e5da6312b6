//! The wire: lines, heads and splices, from outside.
//!
//! One file per promise: what is read of a frame ([`heads`]), what is refused
//! ([`traps`]), that bytes pass through untouched ([`bytes`]), that what came before
//! changes nothing ([`streams`]).

// Tests: a panic is how they fail.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod bytes;
mod heads;
mod splices;
mod streams;
mod traps;

use drawbridge::wire::{Frame, Malformed};

/// Reads a line as the bridge does.
fn read(line: &str) -> Result<Frame, Malformed> {
    Frame::parse(line.as_bytes().to_vec().into())
}

/// Reads a line that is a message.
fn frame(line: &str) -> Frame {
    read(line).unwrap_or_else(|error| panic!("{line} is a message: {error:?}"))
}
