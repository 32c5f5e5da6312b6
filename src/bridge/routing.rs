//! A frame arrives: what happens to each message of a client and of an agent.

pub mod connection;
pub mod fanout;
pub mod from_agent;
pub mod from_client;
pub mod listing;
pub mod passthrough;
pub mod stored;
pub mod stray;
pub mod withdrawal;
