//! The programs at the other ends of the connections: if one still lives when its connection is
//! lost, the person has closed that chat on purpose.

use std::collections::BTreeMap;

use crate::bridge::ClientId;
use crate::processes::ProcessIdentity;

/// The most editors that are remembered; those of the oldest clients give way.
const MOST: usize = 1024;

/// The editors of clients, also of those that are gone.
#[derive(Debug, Default)]
pub(super) struct Editors(BTreeMap<ClientId, ProcessIdentity>);

impl Editors {
    pub(super) fn add(&mut self, client: ClientId, editor: ProcessIdentity) {
        self.0.insert(client, editor);
        if self.0.len() > MOST {
            self.0.pop_first();
        }
    }

    /// The process id of the editor of a client.
    pub(super) fn pid(&self, client: ClientId) -> Option<u32> {
        self.0.get(&client).map(|editor| editor.pid)
    }

    /// Whether the editor of a client that is gone still lives.
    pub(super) fn lives(&self, client: ClientId) -> bool {
        self.0.get(&client).is_some_and(|editor| editor.lives())
    }
}
