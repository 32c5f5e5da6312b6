//! The tree of bridges, agents, channels and sessions, as rows.

use std::collections::BTreeMap;

use super::look::Look;
use crate::api::{
    BridgeMode, ChannelState, ChannelStatus, ClientStatus, Fate, SessionState, SessionStatus,
    Status,
};
use crate::bridge::words::counted;
use crate::control::report::{channel_state, duration, fate, names_of, one_line, size};

/// The thing that a row is about. The numbers are the process ids of bridges.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Subject {
    Bridge(u32),
    Agent(u32, String),
    Channel(u32, String),
    /// A session by its name in the bridge, on this channel.
    Session(u32, String, Option<String>),
    /// A session that is being opened, the how many-th on this channel.
    Opening(u32, Option<String>, usize),
}

impl Subject {
    /// The process id of its bridge.
    pub(super) const fn pid(&self) -> u32 {
        match self {
            Subject::Bridge(pid)
            | Subject::Agent(pid, _)
            | Subject::Channel(pid, _)
            | Subject::Session(pid, ..)
            | Subject::Opening(pid, ..) => *pid,
        }
    }

    /// The channel that is meant.
    pub(super) fn channel(&self) -> Option<&str> {
        match self {
            Subject::Channel(_, channel) | Subject::Session(_, _, Some(channel)) => Some(channel),
            _ => None,
        }
    }
}

/// The colour of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tone {
    Heading,
    Plain,
    /// Something works.
    Busy,
    /// Somebody is asked.
    Asks,
    /// It ends, or is on its way out.
    Ending,
    /// Something is wrong.
    Wrong,
}

/// A row of the tree.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) subject: Subject,
    /// The number of rows above it in the tree.
    pub(super) depth: usize,
    pub(super) name: String,
    pub(super) state: String,
    pub(super) memory: String,
    pub(super) processor: String,
    pub(super) queue: String,
    /// Its future, in a word or two and in a sentence.
    pub(super) soon: String,
    pub(super) next: String,
    /// All about it, for the row that is chosen.
    pub(super) detail: String,
    pub(super) tone: Tone,
}

/// The share of a processor that each channel has used between two looks, by the process id of
/// its bridge and its name, in hundredths.
pub(super) type Shares = BTreeMap<(u32, String), u64>;

/// The clients of a bridge, with their names for people.
struct Named<'a> {
    by_id: BTreeMap<String, String>,
    clients: &'a [ClientStatus],
}

/// All rows.
pub(super) fn rows(looks: &[Look], shares: &Shares) -> Vec<Row> {
    looks.iter().flat_map(|look| of_bridge(look, shares)).collect()
}

fn of_bridge(look: &Look, shares: &Shares) -> Vec<Row> {
    let status = &look.bridge.status;
    let pid = look.bridge.pid();
    let named = Named { by_id: names_of(&status.clients), clients: &status.clients };
    let mut rows = vec![bridge(pid, status)];
    for agent in &status.agents {
        let channels: Vec<&ChannelStatus> =
            status.channels.iter().filter(|channel| channel.agent == agent.name).collect();
        let trees = channels.iter().filter_map(|channel| channel.tree);
        let share = |channel: &&ChannelStatus| shares.get(&(pid, channel.id.clone())).copied();
        let sessions = counted(agent.sessions, "session", "sessions");
        let processes =
            agent.saving.map(|saving| counted(saving.processes, "process", "processes"));
        let memory = agent.saving.and_then(|saving| saving.memory_bytes).map(size);
        let (soon, next) = match (processes, memory) {
            (Some(processes), Some(memory)) => {
                (format!("saves {memory}"), format!("sharing saves {processes}, about {memory}"))
            }
            (Some(processes), None) => {
                (format!("saves {processes}"), format!("sharing saves {processes}"))
            }
            (None, _) => (String::new(), String::new()),
        };
        let apart = agent.apart.iter().map(|name| one_line(name)).collect::<Vec<_>>().join(", ");
        let apart = if apart.is_empty() { apart } else { format!("; apart by {apart}") };
        let name = one_line(&agent.name);
        rows.push(Row {
            subject: Subject::Agent(pid, agent.name.clone()),
            depth: 1,
            state: sessions.clone(),
            memory: size(trees.map(|tree| tree.memory_bytes).sum()),
            processor: percent(channels.iter().filter_map(share).reduce(|sum, one| sum + one)),
            queue: queued(channels.iter().map(|channel| channel.queued_bytes).sum()),
            detail: format!(
                "{name}: {sessions}, {}; {next}{apart}",
                counted(agent.channels, "channel", "channels")
            ),
            soon,
            next,
            name,
            tone: Tone::Heading,
        });
        for channel in channels {
            rows.push(of_channel(pid, channel, share(&channel)));
            let on_it = |session: &&SessionStatus| session.channel.as_ref() == Some(&channel.id);
            rows.extend(
                look.sessions
                    .iter()
                    .filter(on_it)
                    .enumerate()
                    .map(|row| of_session(pid, row, &named)),
            );
        }
        let waiting =
            |session: &&SessionStatus| session.channel.is_none() && session.agent == agent.name;
        rows.extend(
            look.sessions
                .iter()
                .filter(waiting)
                .enumerate()
                .map(|row| of_session(pid, row, &named)),
        );
    }
    rows
}

fn bridge(pid: u32, status: &Status) -> Row {
    let bridge = &status.bridge;
    let name = match (bridge.mode, &bridge.started_by) {
        (BridgeMode::Daemon, _) => format!("daemon {pid}"),
        (BridgeMode::Embedded, Some(program)) => format!("{} {pid}", one_line(&program.name)),
        (BridgeMode::Embedded, None) => format!("bridge {pid}"),
    };
    let (next, tone) = if bridge.is_ending {
        ("shuts down", Tone::Ending)
    } else if bridge.is_leaving {
        ("ends as soon as nobody would lose anything", Tone::Ending)
    } else {
        ("", Tone::Heading)
    };
    let mode = match bridge.mode {
        BridgeMode::Daemon => "daemon",
        BridgeMode::Embedded => "embedded",
    };
    let places = bridge.socket.iter().map(|path| format!(", socket {}", one_line(path)));
    let places =
        places.chain(bridge.log_file.iter().map(|path| format!(", log {}", one_line(path))));
    Row {
        subject: Subject::Bridge(pid),
        depth: 0,
        state: format!("up {}", duration(bridge.age_ms)),
        memory: bridge.memory_bytes.map(size).unwrap_or_default(),
        processor: String::new(),
        queue: queued(status.counts.queued_bytes),
        soon: next.to_owned(),
        next: next.to_owned(),
        detail: format!(
            "drawbridge {} ({mode}), process {pid}{}",
            bridge.version,
            places.collect::<String>()
        ),
        name,
        tone,
    }
}

fn of_channel(pid: u32, channel: &ChannelStatus, share: Option<u64>) -> Row {
    let tone = match &channel.state {
        _ if channel.is_deaf || channel.is_paused || channel.wants_login => Tone::Wrong,
        ChannelState::Draining { .. } | ChannelState::Stopping { .. } => Tone::Ending,
        ChannelState::Spawned | ChannelState::Starting { .. } => Tone::Busy,
        ChannelState::Ready { .. } if channel.questions > 0 => Tone::Asks,
        ChannelState::Ready { .. } if channel.in_turn > 0 => Tone::Busy,
        ChannelState::Ready { .. } => Tone::Plain,
    };
    let (soon, next) = (soon(&channel.fate), fate(&channel.fate));
    let process = channel.tree.map(|tree| {
        let processes = counted(tree.processes, "process", "processes");
        format!(", process {}, {processes}", tree.pid)
    });
    let outdated = channel.outdated.as_deref().map(|why| format!(", outdated: {}", one_line(why)));
    Row {
        subject: Subject::Channel(pid, channel.id.clone()),
        depth: 2,
        name: channel.id.clone(),
        state: channel_state(channel),
        memory: channel.tree.map(|tree| size(tree.memory_bytes)).unwrap_or_default(),
        processor: percent(share),
        queue: queued(channel.queued_bytes),
        detail: format!(
            "{} of {}{}{}: {next}",
            channel.id,
            one_line(&channel.agent),
            process.unwrap_or_default(),
            outdated.unwrap_or_default()
        ),
        soon,
        next,
        tone,
    }
}

fn of_session(pid: u32, (place, row): (usize, &SessionStatus), named: &Named<'_>) -> Row {
    let of_row = |client: &&ClientStatus| row.clients.contains(&client.id);
    let clients: Vec<&ClientStatus> = named.clients.iter().filter(of_row).collect();
    let programs = clients.iter().map(|client| client.name.as_deref().unwrap_or(&client.id));
    let programs = none_or(&programs.map(one_line).collect::<Vec<_>>());
    let clients =
        none_or(&clients.iter().map(|client| named.by_id[&client.id].clone()).collect::<Vec<_>>());
    let directory = one_line(&row.directory);
    let (subject, key) = match &row.key {
        Some(key) => (Subject::Session(pid, key.clone(), row.channel.clone()), key.clone()),
        None => (Subject::Opening(pid, row.channel.clone(), place), "new".to_owned()),
    };
    let state = match row.turn_ms {
        Some(turn) => format!("{} {}", row.state, duration(turn)),
        None => format!("{} {}", row.state, duration(row.idle_ms)),
    };
    let tone = match row.state {
        SessionState::Question => Tone::Asks,
        SessionState::Quiet | SessionState::Parked => Tone::Plain,
        _ => Tone::Busy,
    };
    let id = row.id.as_deref().map(|id| format!(" ({})", one_line(id))).unwrap_or_default();
    let (soon, next) = (soon(&row.fate), fate(&row.fate));
    // The last part of a directory says most.
    let folder = directory.rsplit('/').find(|part| !part.is_empty()).unwrap_or("/");
    Row {
        subject,
        depth: 3,
        name: format!("{key} {folder} {programs}"),
        state,
        memory: String::new(),
        processor: String::new(),
        queue: match row.queued {
            0 => String::new(),
            prompts => counted(prompts, "prompt", "prompts"),
        },
        detail: format!("{key}{id} in {directory}, {clients}: {next}"),
        soon,
        next,
        tone,
    }
}

fn none_or(clients: &[String]) -> String {
    if clients.is_empty() { "no client".to_owned() } else { clients.join(", ") }
}

/// The future of a row in a word or two.
fn soon(fate: &Fate) -> String {
    match fate {
        Fate::Ends { in_ms, .. } => format!("ends in {}", duration(*in_ms)),
        Fate::Waits { .. } => "waits".to_owned(),
        Fate::Stays { .. } => "stays".to_owned(),
    }
}

fn queued(bytes: u64) -> String {
    if bytes == 0 { String::new() } else { size(bytes) }
}

fn percent(hundredths: Option<u64>) -> String {
    hundredths.map(|share| format!("{share}%")).unwrap_or_default()
}
