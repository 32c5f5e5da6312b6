//! Requests that name a parked session: nearly all bring it back, and wait for that.

use crate::bridge::books::call::{Behind, OpenKind};
use crate::bridge::books::whose::Meaning;
use crate::bridge::id::{ClientId, SessionKey};
use crate::bridge::outgoing::compose;
use crate::bridge::reason::EndReason;
use crate::bridge::routing::held;
use crate::bridge::sessions::{park, revive};
use crate::bridge::step::Step;
use crate::wire::{Frame, Method};

/// Handles a request of a client that is dormant in the session which it names; `false`: it is
/// handled as if the session were merely stored.
pub fn request(step: &mut Step<'_>, client: ClientId, key: SessionKey, frame: &Frame) -> bool {
    match frame.method {
        Method::SessionClose => park::closed_by_client(step, client, key, frame),
        Method::BridgeDetach => {
            park::left(step, client, key, EndReason::LastClientDetached);
            let lane = step.books.lane_of_answer(client, frame);
            step.send_to_client(client, lane, compose::success(&frame.id(), b"{}"));
        }
        _ if is_for_live(frame) => {
            if held::behind_open(step, client, Behind::Revival, frame) {
                revive::begin(step, client, key);
            }
        }
        _ => return false,
    }
    true
}

/// Whether a request needs the session that it names to be live. The others are for the agent, which
/// has the record, or for nobody, or open the session themselves.
pub fn is_for_live(frame: &Frame) -> bool {
    let is_other = matches!(
        frame.method,
        Method::SessionClose
            | Method::SessionDelete
            | Method::SessionArchive
            | Method::SessionUnarchive
            | Method::SessionStatus
            | Method::SessionSetTitle
            | Method::BridgeDetach
            | Method::BridgeHeartbeat
    );
    !is_other && OpenKind::of(frame.method).is_none()
}

/// The kind of open that a request of a client waits for. `named`: the meaning of the session id in
/// it.
pub fn behind(step: &Step<'_>, client: ClientId, named: Option<Meaning>, frame: &Frame) -> Behind {
    let follows = || {
        let id = frame.session().unwrap_or_default();
        !step.books.waiting_for(client, &id).is_empty()
    };
    match named {
        Some(Meaning::Parked(_)) => Behind::Revival,
        named if step.books.is_behind_revival(named, frame) || follows() => Behind::Revival,
        _ => Behind::Open,
    }
}

/// Ends the requests of a client that wait until a session is brought back, because the client
/// closes the session.
pub fn end_waiting(step: &mut Step<'_>, client: ClientId, named: Option<Meaning>, frame: &Frame) {
    if let (Some(Meaning::Parked(_) | Meaning::Session(_)), Some(id)) = (named, frame.session()) {
        park::end_waiting(step, client, &id);
    }
}
