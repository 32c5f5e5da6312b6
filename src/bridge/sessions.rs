//! The life of sessions: how they open and close, turns, questions, who is attached,
//! and the reaper.

pub mod absence;
pub mod attach;
pub mod cancel;
pub mod close;
pub mod close_call;
pub mod echo;
pub mod experience;
pub mod heartbeat;
pub mod join;
pub mod open;
pub mod opened;
pub mod park;
pub mod publish;
pub mod question;
pub mod question_end;
pub mod reaper;
pub mod reapply;
pub mod repeated_login;
pub mod revive;
pub mod setting;
pub mod survey;
pub mod turn;
