//! The life of channels: agent processes.

pub mod capacity;
pub mod handshake;
pub mod liveness;
pub mod placement;
pub mod pressure;
pub mod stop;
