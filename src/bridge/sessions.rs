//! The life of sessions and of what is open in them.

pub mod attach;
pub mod cancel;
pub mod close;
pub mod heartbeat;
pub mod open;
pub mod question;
pub mod question_end;
pub mod reaper;
pub mod turn;
