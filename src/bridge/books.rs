//! The books: every table and its rows.

pub mod call;
pub mod channel;
pub mod client;
pub mod deadlines;
pub mod fence;
pub mod id_set;
pub mod names;
pub mod registry;
pub mod session;
