//! A frame arrives: where it goes.

pub mod connection;
pub mod fanout;
pub mod from_agent;
pub mod from_client;
pub mod listing;
pub mod passthrough;
pub mod stored;
pub mod stray;
pub mod withdrawal;
