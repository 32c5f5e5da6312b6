//! Sessions that are brought back: after what ends they are parked, how a request brings them back,
//! and what their clients notice of it.

mod after;
mod interleavings;
mod kept;
mod limits;
mod settings;
mod stories;
