//! The link between a shim, which an editor has started, and the daemon: where they meet, whom
//! each lets in, and what they say to each other beside the messages of ACP.
//!
//! The rules S1 and S5 of `docs/operations.md` (“Who may use the daemon”) are kept here.

pub mod ask;
pub mod control;
pub mod machine;
pub mod peer;
pub mod place;
pub mod streams;

/// The number of the line protocol. A shim and a daemon with different numbers do not understand
/// each other; their sockets have different names.
pub const WIRE: u32 = 1;
