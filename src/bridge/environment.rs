//! The environment of a client, as far as the core must know it: the runtime keeps the
//! variables with their values.

use std::sync::Arc;

use crate::bridge::id::EnvironmentId;

/// The environment of a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Environment {
    /// The number under which the runtime keeps the variables. Clients with the same variables
    /// have the same number.
    pub id: EnvironmentId,
    /// The variables by which clients are told apart, in the order of their names: clients that
    /// differ in one of them are not served by the same process.
    pub identity: Arc<[Variable]>,
}

/// A variable, or another fact about the start of an agent, by its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variable {
    /// Its name.
    pub name: Box<str>,
    /// A hash of its value, with a key of this bridge. The value itself may be a secret.
    pub hash: u64,
}

/// The place that a process is started from: that of the client that causes its start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The environment of the client.
    pub environment: EnvironmentId,
    /// The directory of the client, by which the agent's program is found.
    pub home: Box<str>,
}

impl Environment {
    /// An environment without variables.
    pub fn empty(id: EnvironmentId) -> Environment {
        Environment { id, identity: Arc::default() }
    }

    /// The names of the variables in which two environments differ.
    pub fn differences<'a>(&'a self, other: &'a Environment) -> Vec<&'a str> {
        let missing = |of: &'a [Variable], from: &'a [Variable]| {
            of.iter().filter(|variable| !from.contains(variable)).map(|variable| &*variable.name)
        };
        let mut names: Vec<&str> = missing(&self.identity, &other.identity)
            .chain(missing(&other.identity, &self.identity))
            .collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// Whether one process can serve clients with these two environments.
    pub fn is_like(&self, other: &Environment) -> bool {
        self.id == other.id || self.identity == other.identity
    }

    /// The identity as bytes.
    pub fn identity_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for Variable { name, hash } in &*self.identity {
            bytes.extend_from_slice(name.as_bytes());
            bytes.push(b'=');
            bytes.extend_from_slice(&hash.to_be_bytes());
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(id: u64, variables: &[(&str, u64)]) -> Environment {
        let variable = |(name, hash): &(&str, u64)| Variable { name: (*name).into(), hash: *hash };
        let identity = variables.iter().map(variable).collect();
        Environment { id: EnvironmentId(id), identity }
    }

    #[test]
    fn environments_differ_in_what_only_one_has_and_in_what_both_have_with_other_values() {
        let one = environment(1, &[("BAR", 1), ("FOO", 1), ("SAME", 7)]);
        let other = environment(2, &[("FOO", 2), ("MORE", 3), ("SAME", 7)]);
        assert_eq!(one.differences(&other), ["BAR", "FOO", "MORE"]);
        assert!(!one.is_like(&other) && one.differences(&one).is_empty());
        let same = environment(3, &[("BAR", 1), ("FOO", 1), ("SAME", 7)]);
        assert!(one.is_like(&same) && one.identity_bytes() == same.identity_bytes());
        assert_ne!(one.identity_bytes(), other.identity_bytes());
    }
}
