//! Lines of agents that are no messages, as notices tell of them.

use std::fmt;

/// A line of an agent that is no message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stray {
    /// This is how it begins; it may hold secrets until they are masked.
    Text(String),
    /// It is JSON, but no message.
    NotMessage,
    /// It is a batch of messages.
    Batch,
}

impl fmt::Display for Stray {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // Quoted, so that it stays one line.
            Stray::Text(text) => write!(f, "{text:?}"),
            Stray::NotMessage => f.write_str("it is JSON, but no message"),
            Stray::Batch => f.write_str("it is a batch"),
        }
    }
}
