//! Sessions, as a table.

use super::explanation::fate;
use super::table::Table;
use super::words::{duration, names_of, one_line};
use crate::api::{ClientStatus, SessionStatus};

/// The sessions of a bridge.
pub fn sessions(sessions: &[SessionStatus], clients: &[ClientStatus]) -> String {
    let names = names_of(clients);
    let headings =
        ["SESSION", "ID", "AGENT", "CHANNEL", "STATE", "IDLE", "CLIENTS", "DIRECTORY", "WHAT NEXT"];
    let mut table = Table::new(&headings);
    let none = || "-".to_owned();
    for row in sessions {
        let clients: Vec<&str> = row
            .clients
            .iter()
            .map(|id| names.get(id).map_or(id.as_str(), String::as_str))
            .collect();
        let state = match row.turn_ms {
            Some(turn) => format!("{} {}", row.state, duration(turn)),
            None => row.state.to_string(),
        };
        table.row([
            row.key.clone().unwrap_or_else(none),
            row.id.as_deref().map_or_else(none, one_line),
            one_line(&row.agent),
            row.channel.clone().unwrap_or_else(none),
            state,
            duration(row.idle_ms),
            if clients.is_empty() { none() } else { clients.join(", ") },
            one_line(&row.directory),
            fate(&row.fate),
        ]);
    }
    table.lines().join("\n") + "\n"
}
