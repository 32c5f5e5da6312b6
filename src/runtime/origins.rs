//! Where clients and agents come from: the agents that may be started, the environment and the
//! directory of each client, and what the core calls them.

mod environments;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use self::environments::Environments;
use super::children::Children;
use super::setup::AgentSetup;
use super::surroundings::Surroundings;
use crate::bridge::environment::Origin;
use crate::bridge::{AgentId, ChannelId, ClientId, EnvironmentId, Event};

/// The agents, the environments and the directories.
pub(super) struct Origins {
    agents: Vec<Rc<AgentSetup>>,
    environments: Environments,
    /// Directories whose names are not UTF-8, by the names that the core knows.
    odd: BTreeMap<String, PathBuf>,
}

/// The files and values that a process is started from.
pub(super) struct StartingPoint {
    pub(super) agent: Rc<AgentSetup>,
    pub(super) of_client: Rc<Surroundings>,
    pub(super) home: PathBuf,
    pub(super) cwd: PathBuf,
}

impl Origins {
    pub(super) fn new(agents: Vec<AgentSetup>) -> Origins {
        let agents = agents.into_iter().map(Rc::new).collect();
        Origins { agents, environments: Environments::default(), odd: BTreeMap::new() }
    }

    /// Adds an agent behind the others.
    pub(super) fn add_agent(&mut self, agent: AgentSetup) {
        self.agents.push(Rc::new(agent));
    }

    /// The name of an agent.
    pub(super) fn name_of_agent(&self, id: AgentId) -> String {
        self.agents.get(id.0).map(|agent| agent.config.name.clone()).unwrap_or_default()
    }

    /// Changes an agent, and returns its channels if its processes are started in another way
    /// now.
    pub(super) fn change_agent(
        &mut self,
        id: AgentId,
        agent: AgentSetup,
        children: &Children,
    ) -> Vec<ChannelId> {
        let Some(row) = self.agents.get_mut(id.0) else { return Vec::new() };
        let before = std::mem::replace(row, Rc::new(agent));
        match before.starts_like(row) {
            true => Vec::new(),
            false => children.of_agent(&before),
        }
    }

    /// The event that a client has connected; `None`: there is no such agent.
    pub(super) fn connected(
        &mut self,
        client: ClientId,
        agent: AgentId,
        surroundings: Surroundings,
        directory: &Path,
    ) -> Option<Event> {
        let setup = self.agents.get(agent.0)?;
        let environment = self.environments.add(surroundings, setup, directory);
        let cwd = self.name_of(directory);
        Some(Event::ClientConnected { client, agent, environment, cwd })
    }

    /// What a process is started from, where the core says this; `None`: there is no such agent.
    pub(super) fn starting_point(
        &self,
        agent: AgentId,
        origin: &Origin,
        cwd: &str,
    ) -> Option<StartingPoint> {
        Some(StartingPoint {
            agent: self.agents.get(agent.0)?.clone(),
            of_client: self.environments.get(origin.environment),
            home: self.directory_named(&origin.home),
            cwd: self.directory_named(cwd),
        })
    }

    /// An environment.
    pub(super) fn environment(&self, id: EnvironmentId) -> Rc<Surroundings> {
        self.environments.get(id)
    }

    pub(super) fn forget_environment(&mut self, id: EnvironmentId) {
        self.environments.forget(id);
    }

    /// The name of a directory for the core, which knows texts only.
    fn name_of(&mut self, directory: &Path) -> String {
        let Some(name) = directory.to_str() else {
            let mut name = directory.to_string_lossy().into_owned();
            while self.odd.get(&name).is_some_and(|other| other != directory) {
                name.push(char::REPLACEMENT_CHARACTER);
            }
            self.odd.insert(name.clone(), directory.to_owned());
            return name;
        };
        name.to_owned()
    }

    /// The directory that the core names so.
    fn directory_named(&self, name: &str) -> PathBuf {
        self.odd.get(name).cloned().unwrap_or_else(|| name.into())
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    use super::*;

    #[test]
    fn directories_are_known_apart_whatever_their_names() {
        let mut origins = Origins::new(Vec::new());
        let odd = |bytes: &'static [u8]| Path::new(OsStr::from_bytes(bytes));
        let (one, other) = (odd(b"/a\xff"), odd(b"/a\xfe"));
        let names = [one, other, one, Path::new("/plain")].map(|path| origins.name_of(path));
        assert!(names[0] != names[1] && names[0] == names[2]);
        let found = names.map(|name| origins.directory_named(&name));
        assert_eq!(found, [one, other, one, Path::new("/plain")]);
    }
}
