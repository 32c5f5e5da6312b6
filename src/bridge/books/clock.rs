//! What is known of a channel that is silent.

use crate::bridge::time::Moment;

/// What is known of an agent that is silent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Silence {
    /// Nothing: it was not looked at.
    #[default]
    Unknown,
    /// The runtime is looking; with what was seen before.
    Asked(Option<Look>),
    /// It was looked at.
    Seen(Look),
}

/// A look at a silent agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// When.
    pub at: Moment,
    /// The time that its tree has spent on the processor until then (ms), if
    /// that could be seen.
    pub worked: Option<u64>,
    /// Intervals without a sign of life until then, in a row.
    pub strikes: usize,
}
