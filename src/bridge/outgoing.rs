//! What the bridge says: frames on their way out.

pub mod answer;
pub mod compose;
pub mod deliver;
pub mod secrets;
pub mod send;
pub mod translate;
