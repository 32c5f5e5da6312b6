//! Messages that leave the bridge, for clients and agents, and the ids in them.

pub mod answer;
pub mod compose;
pub mod deliver;
pub mod dropped;
pub mod listeners;
pub mod messages;
pub mod numbering;
pub mod passing_ids;
pub mod secrets;
pub mod send;
pub mod translate;
