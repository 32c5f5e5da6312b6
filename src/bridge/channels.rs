//! The life of channels: agent processes.

pub mod capacity;
pub mod handshake;
pub mod held;
pub mod liveness;
pub mod placement;
pub mod pressure;
pub mod retirement;
pub mod set_up;
pub mod start;
pub mod stop;
