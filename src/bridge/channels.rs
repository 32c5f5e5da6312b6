//! The life of channels: which one serves a request, how a process starts, and how it
//! ends.

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
