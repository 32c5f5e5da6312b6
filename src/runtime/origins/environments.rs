//! The environments of clients. The core knows each by a number; the variables are kept here
//! once, for as long as a client, a pool or a process has them.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::hash::BuildHasher;
use std::path::Path;
use std::rc::Rc;

use foldhash::fast::RandomState;

use crate::agent_environment::{VariableClass, Variables};
use crate::bridge::EnvironmentId;
use crate::bridge::environment::{Environment, Variable};
use crate::runtime::children::start::program;
use crate::runtime::setup::AgentSetup;
use crate::runtime::surroundings::Surroundings;

/// The name under which the path of the agent's program is compared.
const PROGRAM: &str = "the path of the agent's program";

/// Directories of one boot or login: programs there are not what tells clients apart.
const PASSING: [&str; 4] = ["/tmp", "/var/tmp", "/run/user", "/dev/shm"];

/// All environments.
#[derive(Default)]
pub(super) struct Environments {
    rows: BTreeMap<EnvironmentId, Rc<Surroundings>>,
    last: u64,
    /// The key of the hashes that the core gets: a value cannot be guessed from one.
    hasher: RandomState,
}

impl Environments {
    /// Keeps the environment of a client that wants this agent and is in this directory, and
    /// returns it as the core knows it.
    pub(super) fn add(
        &mut self,
        surroundings: Surroundings,
        agent: &AgentSetup,
        home: &Path,
    ) -> Environment {
        let identity = self.identity(&surroundings.variables, agent, home);
        let known = self.rows.iter().find(|(_, row)| ***row == surroundings).map(|(id, _)| *id);
        let id = known.unwrap_or_else(|| {
            self.last += 1;
            let id = EnvironmentId(self.last);
            self.rows.insert(id, Rc::new(surroundings));
            id
        });
        Environment { id, identity: identity.into() }
    }

    /// An environment; empty if it was forgotten.
    pub(super) fn get(&self, id: EnvironmentId) -> Rc<Surroundings> {
        self.rows.get(&id).cloned().unwrap_or_default()
    }

    /// Forgets an environment.
    pub(super) fn forget(&mut self, id: EnvironmentId) {
        self.rows.remove(&id);
    }

    /// The variables that decide whether clients are served by the same process: all that the
    /// agent gets but handles, and the path of its program.
    fn identity(&self, variables: &Variables, agent: &AgentSetup, home: &Path) -> Vec<Variable> {
        let given = agent.passing.apply(variables);
        let variable = |name: &OsStr, value: &OsStr| Variable {
            name: name.to_string_lossy().into(),
            hash: self.hasher.hash_one(value),
        };
        let counts =
            |(name, _): &&(OsString, OsString)| VariableClass::of(name) != VariableClass::Handle;
        let mut identity: Vec<Variable> = given
            .iter()
            .filter(counts)
            .map(|(name, value)| match name == "PATH" {
                true => variable(name, &lasting(value)),
                false => variable(name, value),
            })
            .collect();
        // A program that is not there fails the start, and not the connection.
        let path = program(agent, variables, home).unwrap_or_default();
        identity.push(variable(OsStr::new(PROGRAM), path.as_os_str()));
        identity.sort_by(|a, b| a.name.cmp(&b.name));
        identity
    }
}

/// A `PATH` without the entries under directories that pass.
fn lasting(path: &OsStr) -> OsString {
    let entries: Vec<_> = std::env::split_paths(path)
        .filter(|entry| !PASSING.iter().any(|passing| entry.starts_with(passing)))
        .collect();
    std::env::join_paths(entries).unwrap_or_else(|_| path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn surroundings(pairs: &[(&str, &str)]) -> Surroundings {
        let pair = |(name, value): &(&str, &str)| ((*name).into(), (*value).into());
        Surroundings { variables: pairs.iter().map(pair).collect(), umask: None }
    }

    fn agent() -> AgentSetup {
        AgentSetup { command: vec!["/bin/cat".into()], ..AgentSetup::default() }
    }

    #[test]
    fn the_same_variables_are_kept_once_and_for_as_long_as_they_are_wanted() {
        let mut all = Environments::default();
        let home = Path::new("/");
        let [one, same, other] = [("A", "1"), ("A", "1"), ("A", "2")]
            .map(|pair| all.add(surroundings(&[pair]), &agent(), home));
        assert_eq!(one, same);
        assert!(!one.is_like(&other) && one.differences(&other) == ["A"]);
        assert_eq!((all.rows.len(), &*all.get(one.id)), (2, &surroundings(&[("A", "1")])));
        all.forget(one.id);
        assert!(all.get(one.id).variables.is_empty());
        assert_ne!(all.add(surroundings(&[("A", "1")]), &agent(), home).id, one.id);
    }

    #[test]
    fn clients_are_told_apart_by_what_they_want_and_not_by_where_they_sit() {
        let mut all = Environments::default();
        let mut differences = |a: &[(&str, &str)], b: &[(&str, &str)]| {
            let [a, b] = [a, b].map(|row| all.add(surroundings(row), &agent(), Path::new("/")));
            a.differences(&b).join(",")
        };
        assert_eq!(differences(&[("TERM", "a")], &[("TERM", "b")]), "");
        assert_eq!(differences(&[("SSH_AUTH_SOCK", "a")], &[]), "");
        let path = |path| [("PATH", path), ("K", "v")];
        assert_eq!(differences(&path("/bin:/tmp/x:/usr/bin"), &path("/bin:/usr/bin")), "");
        assert_eq!(differences(&path("/bin"), &path("/usr/bin:/bin")), "PATH");
        assert_eq!(differences(&[("A", "1"), ("B", "2")], &[("B", "2"), ("A", "1")]), "");
        assert_eq!(differences(&[("A", "1"), ("B", "2")], &[("B", "3")]), "A,B");
    }

    #[test]
    fn the_program_counts_and_its_name_does_not() {
        let mut all = Environments::default();
        let mut at = |command: &str| {
            let agent = AgentSetup { command: vec![command.into()], ..AgentSetup::default() };
            all.add(surroundings(&[("PATH", "/bin:/usr/bin")]), &agent, Path::new("/"))
        };
        let (short, long, other) = (at("sh"), at(&resolved("sh")), at("cat"));
        assert!(short.is_like(&long));
        assert_eq!(short.differences(&other), [PROGRAM]);
    }

    fn resolved(name: &str) -> String {
        let agent = AgentSetup { command: vec![name.into()], ..AgentSetup::default() };
        let path = surroundings(&[("PATH", "/bin:/usr/bin")]);
        program(&agent, &path.variables, Path::new("/")).unwrap().display().to_string()
    }
}
