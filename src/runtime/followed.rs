//! The notices of the core as events, for those who follow the bridge.

use super::Loop;
use super::clock::since_epoch;
use crate::api::{BridgeEvent, Happening, TurnEnd};
use crate::bridge::{Event, Notice};
use crate::wire::FrameKind;

impl Loop {
    /// Tells a notice of the core to those who follow.
    pub(super) fn tell_notice(&mut self, notice: &Notice) {
        if !self.events.are_followed() {
            if self.events.were_followed() {
                self.bridge.handle(self.clock.now(), Event::Followed(false));
            }
            return;
        }
        if let Some(what) = happening(notice) {
            self.events.tell(BridgeEvent { at: since_epoch(), what });
        }
    }

    /// Tells an event of the runtime to those who follow.
    pub(super) fn tell_happening(&self, what: impl FnOnce() -> Happening) {
        if self.events.are_followed() {
            self.events.tell(BridgeEvent { at: since_epoch(), what: what() });
        }
    }
}

/// The event for a notice; `None`: it is for the log alone.
fn happening(notice: &Notice) -> Option<Happening> {
    Some(match notice {
        Notice::SessionOpened { session, id, channel, how } => Happening::SessionOpened {
            key: session.to_string(),
            id: id.clone(),
            channel: channel.to_string(),
            how: (*how).to_owned(),
        },
        Notice::SessionRestored { session, id, channel } => Happening::SessionRestored {
            key: session.to_string(),
            id: id.clone(),
            channel: channel.to_string(),
        },
        Notice::SessionEnded { session, id, channel, reason, restorable, .. }
            if reason.is_death() =>
        {
            Happening::SessionDied {
                key: session.to_string(),
                id: id.clone(),
                channel: channel.to_string(),
                reason: reason.word().to_owned(),
                restorable: *restorable,
            }
        }
        Notice::SessionEnded { session, id, channel, reason, idle_ms, restorable } => {
            Happening::SessionClosed {
                key: session.to_string(),
                id: id.clone(),
                channel: channel.to_string(),
                reason: reason.word().to_owned(),
                idle_ms: *idle_ms,
                restorable: *restorable,
            }
        }
        Notice::TurnBegan { session, client } => Happening::TurnBegan {
            key: session.to_string(),
            client: client.map(|client| client.to_string()),
        },
        Notice::TurnEnded { session, how, after_ms } => Happening::TurnEnded {
            key: session.to_string(),
            how: match how {
                Some(FrameKind::Failure) => TurnEnd::Failed,
                Some(_) => TurnEnd::Answered,
                None => TurnEnd::Unanswered,
            },
            after_ms: *after_ms,
        },
        Notice::ChannelSpawning { channel } => {
            Happening::ChannelSpawned { channel: channel.to_string() }
        }
        Notice::ChannelReady { channel, after_ms } => {
            Happening::ChannelReady { channel: channel.to_string(), after_ms: *after_ms }
        }
        Notice::ChannelDraining { channel, reason } => {
            Happening::ChannelDraining { channel: channel.to_string(), reason: reason.to_string() }
        }
        Notice::ChannelStopping { channel, reason } => {
            Happening::ChannelStopping { channel: channel.to_string(), reason: reason.to_string() }
        }
        Notice::ChannelExited { channel, status, .. } => {
            Happening::ChannelStopped { channel: channel.to_string(), status: status.to_string() }
        }
        // The text may hold a path, and is in the log.
        Notice::SpawnFailed { channel, .. } => Happening::ChannelStopped {
            channel: channel.to_string(),
            status: "it could not be started".to_owned(),
        },
        Notice::ClientDropped { client } => Happening::ClientDropped { client: client.to_string() },
        Notice::ClientGone { client, sessions } => {
            Happening::ClientLost { client: client.to_string(), sessions: *sessions }
        }
        Notice::ShuttingDown { cause, .. } => {
            Happening::ShuttingDown { reason: cause.phrase().into_owned() }
        }
        _ => return None,
    })
}
