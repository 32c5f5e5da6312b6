//! The looks at running agents before a session is opened: whether one that is started now would
//! be better.

use super::Children;
use super::dead_handle::dead_handle;
use super::installed::{Installed, Latest};
use super::row::Row;
use crate::agent_environment::Variables;
use crate::bridge::{ChannelId, Outdated};

impl Children {
    /// Notes the files of an agent as they are.
    pub(in crate::runtime) fn note_files(&mut self, channel: ChannelId) {
        if let Some(row) = self.rows.get_mut(&channel) {
            row.installed = Some(Installed::now(&row.start));
        }
    }

    /// The channels among these whose agents would be better ones if they were started now.
    /// `handles_of`: the variables of the client that would cause the start, if its handles count.
    pub(in crate::runtime) fn outdated(
        &mut self,
        channels: &[ChannelId],
        handles_of: Option<&Variables>,
    ) -> Vec<(ChannelId, Outdated)> {
        let mut now = Latest::default();
        let rows = channels.iter().filter_map(|id| Some((*id, self.rows.get(id)?)));
        let found = rows.filter_map(|(id, row)| Some((id, row.outdated(&mut now, handles_of)?)));
        let found: Vec<(ChannelId, Outdated)> = found.collect();
        for (id, _) in found.iter().filter(|(_, what)| matches!(what, Outdated::Updated { .. })) {
            // Each change is told once.
            self.note_files(*id);
        }
        found
    }
}

impl Row {
    /// The first thing that the agent would have if it were started now, and has not: its files as
    /// they are now, or a living login handle in place of a dead one. `handles_of`: the variables
    /// of the client that would cause the start, if its handles count.
    fn outdated<'a>(
        &'a self,
        now: &mut Latest<'a>,
        handles_of: Option<&Variables>,
    ) -> Option<Outdated> {
        let installed = self.installed.as_ref();
        if let Some(file) = installed.and_then(|noted| noted.changed(now.of(&self.start))) {
            return Some(Outdated::Updated { file: file.display().to_string() });
        }
        let of_client = self.start.agent.passing.apply(handles_of?);
        let name = dead_handle(&self.start.environment(), &of_client)?;
        Some(Outdated::DeadHandle { name })
    }
}
