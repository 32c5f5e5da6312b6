//! A frame arrives: where it goes.

pub mod fanout;
pub mod from_agent;
pub mod from_client;
pub mod passthrough;
