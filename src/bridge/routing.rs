//! A frame arrives: what happens to each message of a client and of an agent.

pub mod cancel_request;
pub mod connection;
pub mod fanout;
pub mod from_agent;
pub mod from_client;
pub mod held;
pub mod parked;
pub mod pass_on;
pub mod passthrough;
pub mod released;
pub mod session_list;
pub mod stored_sessions;
pub mod stray_lines;
