//! The life of sessions and of what is open in them.

pub mod close;
pub mod open;
pub mod question;
pub mod reaper;
pub mod turn;
