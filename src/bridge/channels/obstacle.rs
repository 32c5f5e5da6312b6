//! The obstacles to the placing of a call, and the one that lies outside of this bridge: an
//! earlier bridge may still hold the conversation.

use crate::bridge::books::call::Opening;
use crate::bridge::books::earlier_bridges::HoldElsewhere;
use crate::bridge::refusal::Refusal;
#[cfg(feature = "seeded-bugs")]
use crate::bridge::seeded;
use crate::bridge::step::Step;

/// Why a call cannot be placed.
pub enum Obstacle {
    /// Not now: the call waits, and is tried again.
    Wait,
    /// Not at all: the call is refused with this.
    Refuse(Refusal),
}

/// The obstacle to an open of a conversation that an earlier bridge may hold.
pub fn elsewhere(step: &Step<'_>, opening: &Opening) -> Result<(), Obstacle> {
    match step.books.hold_elsewhere(opening) {
        HoldElsewhere::Nothing => Ok(()),
        #[cfg(feature = "seeded-bugs")]
        HoldElsewhere::Ending if seeded::is(seeded::Bug::RestoreBesideEarlierBridge) => Ok(()),
        HoldElsewhere::Ending => Err(Obstacle::Wait),
        HoldElsewhere::Held => {
            let id = opening.public_id.as_deref().unwrap_or_default().to_owned();
            Err(Obstacle::Refuse(Refusal::SessionFenced { id }))
        }
    }
}
