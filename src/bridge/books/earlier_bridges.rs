//! Earlier bridges that may still hold conversations: one that was killed, while its agents are
//! being ended, and one that goes on beside this one until its clients are gone.

use std::collections::BTreeSet;

use crate::bridge::books::Books;
use crate::bridge::books::call::{OpenKind, Opening};
use crate::bridge::event::EarlierBridges;

/// The hold of earlier bridges on a conversation that a call wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HoldElsewhere {
    /// None.
    Nothing,
    /// Agents of a bridge that is gone may hold it, and are being ended.
    Ending,
    /// A bridge that goes on holds it.
    Held,
}

impl Books {
    /// The hold of earlier bridges on the conversation that an open restores or copies.
    pub fn hold_elsewhere(&self, opening: &Opening) -> HoldElsewhere {
        let source = opening.agent_id.as_ref().filter(|_| opening.kind != OpenKind::New);
        let Some(source) = source else { return HoldElsewhere::Nothing };
        let is_held = |id: &str| self.earlier.held.iter().any(|held| held == id);
        if self.earlier.are_ending {
            HoldElsewhere::Ending
        } else if is_held(source) || opening.public_id.as_deref().is_some_and(is_held) {
            HoldElsewhere::Held
        } else {
            HoldElsewhere::Nothing
        }
    }

    /// Notes a change of the earlier bridges. Restores that wait for them are tried again.
    pub fn set_earlier_bridges(&mut self, earlier: EarlierBridges) {
        self.earlier = earlier;
        self.touch_placement();
    }

    /// The ids of all conversations that agents of this bridge hold or may hold, as clients and
    /// as agents know them.
    pub fn held_ids(&self) -> BTreeSet<Box<str>> {
        let live = self.sessions.values().flat_map(|row| [row.id.clone(), row.agent_id.clone()]);
        let opening = self.calls.values().filter_map(|call| call.opening());
        let opening = opening.flat_map(|row| [row.public_id.clone(), row.agent_id.clone()]);
        let closed = self.channels.values().flat_map(|row| row.tombstones.iter());
        let fenced = closed
            .filter(|tomb| tomb.hold().fences())
            .flat_map(|tomb| [tomb.id().into(), tomb.agent_id.clone()]);
        live.chain(opening.flatten()).chain(fenced).collect()
    }
}
