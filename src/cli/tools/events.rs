//! `events`: every event from now on.

use std::process::ExitCode;
use std::time::{Duration, UNIX_EPOCH};

use humantime::format_rfc3339_millis;
use tokio::time::timeout;

use super::args::EventsArgs;
use super::bridges::{Bridges, Failure, only};
use crate::api::{BridgeEvent, Happening, TurnEnd};
use crate::cli::exit_code::UNUSABLE;
use crate::cli::print::part;
use crate::control::ControlApiClient;
use crate::control::report::{duration, one_line, time_of_day};

/// The time from the last event of a bridge that ends to the end of its connections.
const LONGEST_GOODBYE: Duration = Duration::from_secs(1);

pub(super) async fn events(args: EventsArgs) -> Result<ExitCode, Failure> {
    let bridge = only(Bridges::reached().await.meant(&args.which)?)?;
    let mut events = bridge.link.events().await?;
    while let Some(event) = events.next().await {
        let event = event.map_err(|error| Failure::new(UNUSABLE, error.to_string()))?;
        let line = match args.json {
            true => serde_json::to_string(&event).unwrap_or_default(),
            false => text(&event),
        };
        if let Err(code) = part((line + "\n").as_bytes()) {
            return Ok(code);
        }
    }
    // Either the bridge has ended, or it has ended this subscription alone.
    match timeout(LONGEST_GOODBYE, bridge.link.on_disconnect()).await {
        Ok(_) => Ok(ExitCode::SUCCESS),
        Err(_) => Err(Failure::new(UNUSABLE, "the events were not read fast enough")),
    }
}

/// An event as a line for a person.
fn text(event: &BridgeEvent) -> String {
    format!("{}  {}", moment(event), happened(event))
}

/// The same with the time of the day alone.
pub(super) fn text_of_today(event: &BridgeEvent) -> String {
    format!("{}  {}", time_of_day(&moment(event)), happened(event))
}

fn moment(event: &BridgeEvent) -> String {
    format_rfc3339_millis(UNIX_EPOCH + Duration::from_millis(event.at)).to_string()
}

fn happened(event: &BridgeEvent) -> String {
    one_line(&what(&event.what))
}

fn what(happening: &Happening) -> String {
    match happening {
        Happening::SessionOpened { key, id, channel, how } => {
            format!("{key} ({id}): {how} on {channel}")
        }
        Happening::SessionRestored { key, id, channel } => {
            format!("{key} ({id}): as it was before, on {channel}")
        }
        Happening::SessionClosed { key, id, channel, reason, idle_ms, restorable } => {
            let how = if *restorable { "parked" } else { "closed" };
            format!("{key} ({id}): {how} on {channel}, {reason}, idle for {}", duration(*idle_ms))
        }
        Happening::SessionDied { key, id, channel, reason, restorable } => {
            let how = if *restorable { "parked" } else { "died" };
            format!("{key} ({id}): {how} on {channel}, {reason}")
        }
        Happening::TurnBegan { key, client } => match client {
            Some(client) => format!("{key}: turn of {client} began"),
            None => format!("{key}: turn began"),
        },
        Happening::TurnEnded { key, how, after_ms } => {
            let how = match how {
                TurnEnd::Answered => "ended",
                TurnEnd::Failed => "failed",
                TurnEnd::Unanswered => "was not answered",
            };
            format!("{key}: turn {how} after {}", duration(*after_ms))
        }
        Happening::ChannelSpawned { channel } => format!("{channel}: starting"),
        Happening::ChannelReady { channel, after_ms } => {
            format!("{channel}: ready after {}", duration(*after_ms))
        }
        Happening::ChannelDraining { channel, reason } => {
            format!("{channel}: draining, because {reason}")
        }
        Happening::ChannelStopping { channel, reason } => {
            format!("{channel}: stopping, because {reason}")
        }
        Happening::ChannelStopped { channel, status } => format!("{channel}: stopped, {status}"),
        Happening::ClientConnected { client } => format!("{client}: connected"),
        Happening::ClientAttached { client, session } => format!("{client}: attached to {session}"),
        Happening::ClientDetached { client, session } => {
            format!("{client}: detached from {session}")
        }
        Happening::ClientDropped { client } => format!("{client}: dropped, does not read"),
        Happening::ClientLost { client, sessions } => {
            format!("{client}: gone, leaves {sessions} sessions")
        }
        Happening::ShuttingDown { reason } => format!("shutting down, because {reason}"),
    }
}
