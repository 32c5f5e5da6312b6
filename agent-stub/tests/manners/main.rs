//! The stub's own tests: what it says in a conversation, and a bad manner of each sort.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]
#![allow(clippy::disallowed_methods, reason = "a test drives real processes in real time")]
#![allow(clippy::needless_pass_by_value, reason = "a literal reads best by value")]

mod faults;
mod sessions;
mod stub;
