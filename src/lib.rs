//! drawbridge: one ACP endpoint in front of many agent processes.
pub mod bridge;
pub mod wire;
