//! The state of a bridge, as a table.

use std::collections::BTreeMap;

use super::explanation::fate;
use super::table::Table;
use super::words::{duration, names_of, one_line, size};
use crate::api::{
    AgentStatus, BridgeMode, BridgeStatus, ChannelState, ChannelStatus, Counts, Status,
};
use crate::bridge::words::counted;

/// The state of a bridge, its agents and their channels.
pub fn status(status: &Status) -> String {
    let mut lines = head(&status.bridge);
    let names = names_of(&status.clients);
    if !status.channels.is_empty() {
        let headings = ["AGENT", "CHANNEL", "STATE", "SESSIONS", "MEMORY", "CLIENTS", "WHAT NEXT"];
        let mut table = Table::new(&headings);
        for channel in &status.channels {
            table.row(cells(channel, &names));
        }
        lines.push(String::new());
        lines.extend(table.lines());
    }
    lines.push(String::new());
    lines.push(totals(&status.counts));
    lines.extend(status.agents.iter().flat_map(of_agent));
    lines.extend(slow(status));
    lines.join("\n") + "\n"
}

fn head(bridge: &BridgeStatus) -> Vec<String> {
    let mode = match bridge.mode {
        BridgeMode::Daemon => "daemon",
        BridgeMode::Embedded => "embedded",
    };
    let mut line = format!(
        "drawbridge {} ({mode}), process {}, up {}",
        bridge.version,
        bridge.pid,
        duration(bridge.age_ms)
    );
    if let Some(bytes) = bridge.memory_bytes {
        line += &format!(", {}", size(bytes));
    }
    if let Some(program) = &bridge.started_by {
        line += &format!(", for {} ({})", one_line(&program.name), program.pid);
    }
    let mut lines = vec![line];
    if bridge.is_ending {
        lines.push("It shuts down.".to_owned());
    } else if bridge.is_leaving {
        lines.push("It ends as soon as nobody would lose anything.".to_owned());
    }
    let mut places = Vec::new();
    places.extend(bridge.socket.iter().map(|path| format!("socket {}", one_line(path))));
    places.extend(bridge.log_file.iter().map(|path| format!("log {}", one_line(path))));
    places.extend(bridge.metrics.iter().map(|address| format!("metrics http://{address}/metrics")));
    if !places.is_empty() {
        lines.push(places.join(", "));
    }
    lines
}

fn cells(channel: &ChannelStatus, names: &BTreeMap<String, String>) -> [String; 7] {
    let sessions = match (channel.sessions, channel.opening) {
        (live, 0) => live.to_string(),
        (live, opening) => format!("{live} + {opening} opening"),
    };
    let sessions = match channel.in_turn {
        0 => sessions,
        turns => format!("{sessions}, {}", counted(turns, "turn", "turns")),
    };
    let memory = channel.tree.map_or_else(|| "-".to_owned(), |tree| size(tree.memory_bytes));
    let clients: Vec<&str> = channel
        .clients
        .iter()
        .map(|id| names.get(id).map_or(id.as_str(), String::as_str))
        .collect();
    let clients = if clients.is_empty() { "-".to_owned() } else { clients.join(", ") };
    let (agent, id) = (one_line(&channel.agent), channel.id.clone());
    [agent, id, channel_state(channel), sessions, memory, clients, fate(&channel.fate)]
}

/// The state of a channel in a few words.
pub fn channel_state(channel: &ChannelStatus) -> String {
    let word = channel.state.word();
    let state = match &channel.state {
        ChannelState::Starting { for_ms } | ChannelState::Stopping { for_ms, .. } => {
            format!("{word} {}", duration(*for_ms))
        }
        ChannelState::Ready { idle_ms: Some(idle) } => format!("{word}, idle {}", duration(*idle)),
        ChannelState::Ready { idle_ms: None } if channel.questions > 0 => {
            format!("{word}, {}", counted(channel.questions, "question", "questions"))
        }
        _ => word.to_owned(),
    };
    match (channel.is_deaf, channel.is_paused) {
        (true, _) => format!("{state}, does not read"),
        (_, true) => format!("{state}, not read"),
        _ => state,
    }
}

fn totals(counts: &Counts) -> String {
    let mut details = Vec::new();
    let mut detail = |count: usize, text: String| {
        if count > 0 {
            details.push(text);
        }
    };
    detail(counts.in_turn, format!("{} in a turn", counts.in_turn));
    detail(counts.questions, counted(counts.questions, "open question", "open questions"));
    detail(counts.without_client, format!("{} without a client", counts.without_client));
    detail(counts.opening, format!("{} opening", counts.opening));
    let parked = match counts.parked {
        0 => String::new(),
        parked => format!(", {parked} parked"),
    };
    let details =
        if details.is_empty() { String::new() } else { format!(" ({})", details.join(", ")) };
    format!(
        "{}{details}{parked}, {}, {}",
        counted(counts.sessions, "session", "sessions"),
        counted(counts.channels, "channel", "channels"),
        counted(counts.clients, "client", "clients")
    )
}

fn of_agent(agent: &AgentStatus) -> Vec<String> {
    let name = one_line(&agent.name);
    let saving = agent.saving.map(|saving| {
        let about = saving.memory_bytes.map(|bytes| format!(", about {}", size(bytes)));
        let processes = counted(saving.processes, "process", "processes");
        format!("{name}: sharing saves {processes}{}", about.unwrap_or_default())
    });
    let apart = (!agent.apart.is_empty()).then(|| {
        let names: Vec<String> = agent.apart.iter().map(|name| one_line(name)).collect();
        format!("{name}: its channels could be fewer; apart by: {}", names.join(", "))
    });
    let parked = (agent.could_be_parked > 0).then(|| {
        let sessions = counted(agent.could_be_parked, "idle session", "idle sessions");
        format!(
            "{name}: {sessions} could be closed and would come back with the next message, for which \
             the provider reads the whole conversation anew (--idle-policy restorable)"
        )
    });
    saving.into_iter().chain(apart).chain(parked).collect()
}

fn slow(status: &Status) -> Vec<String> {
    let names = names_of(&status.clients);
    let slow = status.clients.iter().filter_map(|client| Some((client, client.slow_ms?)));
    let line = |(client, millis): (&crate::api::ClientStatus, u64)| {
        format!(
            "{} has been slow to read for {}; {} wait for it",
            names[&client.id],
            duration(millis),
            size(client.queued_bytes)
        )
    };
    slow.map(line).collect()
}
