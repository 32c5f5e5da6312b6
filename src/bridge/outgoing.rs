//! What the bridge says: frames on their way out.

pub mod compose;
pub mod secrets;
pub mod translate;
