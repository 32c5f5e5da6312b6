//! What the bridge says: messages to clients and agents, and under which ids.

pub mod answer;
pub mod compose;
pub mod deliver;
pub mod messages;
pub mod secrets;
pub mod send;
pub mod translate;
