//! The life of channels: which one serves a request, how a process starts, and how it
//! ends.

pub mod backpressure;
pub mod capacity;
pub mod handshake;
pub mod home;
pub mod liveness;
pub mod obstacle;
pub mod placement;
pub mod pressure;
pub mod retirement;
pub mod set_up_replay;
pub mod start;
pub mod stop;
pub mod waiting;
