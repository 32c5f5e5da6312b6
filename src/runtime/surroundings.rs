//! The properties of a client that the processes which are started for it inherit.

use crate::agent_environment::Variables;

/// The surroundings of a client.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Surroundings {
    /// Its environment.
    pub(super) variables: Variables,
    /// Its file mode creation mask; `None`: that of the bridge.
    pub(super) umask: Option<u32>,
}
