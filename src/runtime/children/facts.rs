//! The facts about the agents' processes that the loop may ask for.

use std::rc::Rc;

use super::Children;
use super::row::Row;
use super::tree::Trace;
use crate::bridge::ChannelId;
use crate::runtime::outbox::Outbox;
use crate::runtime::setup::AgentSetup;

impl Children {
    pub(in crate::runtime) fn pid(&self, channel: ChannelId) -> Option<u32> {
        self.rows.get(&channel)?.process.pid()
    }

    /// The process id of the keeper of a channel's agent.
    pub(in crate::runtime) fn keeper(&self, channel: ChannelId) -> Option<u32> {
        self.rows.get(&channel)?.process.trace().keeper()
    }

    /// How the processes of a channel are found.
    pub(in crate::runtime) fn trace(&self, channel: ChannelId) -> Option<Trace> {
        self.rows.get(&channel).map(|row| row.process.trace())
    }

    /// The bytes that wait for the agent of a channel.
    pub(in crate::runtime) fn waiting(&self, channel: ChannelId) -> usize {
        self.rows.get(&channel).map_or(0, |row| row.outbox.waiting())
    }

    pub(in crate::runtime) fn is_running(&self, channel: ChannelId) -> bool {
        self.rows.get(&channel).is_some_and(|row| !row.exit.is_reaped())
    }

    /// The channels whose processes were started for this agent.
    pub(in crate::runtime) fn of_agent(&self, agent: &Rc<AgentSetup>) -> Vec<ChannelId> {
        let is_its = |row: &Row| Rc::ptr_eq(&row.start.agent, agent);
        self.rows.iter().filter(|(_, row)| is_its(row)).map(|(id, _)| *id).collect()
    }

    /// The longest write queue of an agent.
    pub(in crate::runtime) fn fullest(&self) -> Option<&Outbox> {
        self.rows.values().map(|row| &row.outbox).max_by_key(|outbox| outbox.waiting())
    }

    /// The channels whose outboxes went over their high mark (`true`) or under their low one.
    pub(in crate::runtime) fn marks_passed(&self) -> Vec<(ChannelId, bool)> {
        let passed = |(id, row): (&ChannelId, &Row)| Some((*id, row.outbox.mark_passed()?));
        self.rows.iter().filter_map(passed).collect()
    }
}
