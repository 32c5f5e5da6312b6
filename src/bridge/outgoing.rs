//! Messages that leave the bridge, for clients and agents, and the ids in them.

pub mod answer;
pub mod compose;
pub mod deliver;
pub mod messages;
pub mod secrets;
pub mod send;
pub mod translate;
