//! Why a channel is alive, in sentences.

use std::collections::BTreeMap;

use super::words::{duration, names_of, one_line, size};
use crate::api::{
    ChannelState, ClientStatus, Explanation, Fate, Keep, QuestionStatus, RequestStage,
    RequestStatus, SessionState, SessionStatus, TreeProcess,
};
use crate::bridge::words::counted;

/// The future of a row, for people.
pub fn fate(fate: &Fate) -> String {
    match fate {
        Fate::Ends { in_ms, cause } => format!("ends in {}: {}", duration(*in_ms), one_line(cause)),
        Fate::Waits { event, at_most_ms: Some(limit) } => {
            format!("waits for {}, at most {}", one_line(event), duration(*limit))
        }
        Fate::Waits { event, at_most_ms: None } => format!("waits for {}", one_line(event)),
        Fate::Stays { because } => format!("stays: {}", one_line(because)),
    }
}

/// Why channels are alive.
pub fn explanation(explained: &[Explanation], clients: &[ClientStatus]) -> String {
    let names = names_of(clients);
    let texts: Vec<String> = explained.iter().map(|one| channel(one, &names)).collect();
    if texts.is_empty() { "No agent runs.\n".to_owned() } else { texts.join("\n") }
}

type Names = BTreeMap<String, String>;

fn named<'a>(names: &'a Names, id: &'a str) -> &'a str {
    names.get(id).map_or(id, String::as_str)
}

fn channel(explained: &Explanation, names: &Names) -> String {
    let Explanation { channel, keeps, sessions, requests, processes } = explained;
    let mut text = format!("{} {}: {}", channel.id, one_line(&channel.agent), state(explained));
    text += &format!(", {} old", duration(channel.age_ms));
    if let Some(tree) = channel.tree {
        let processes = counted(tree.processes, "process", "processes");
        text += &format!(", process {}, {} in {processes}", tree.pid, size(tree.memory_bytes));
    }
    text.push('\n');
    let mut line = |label: &str, value: String| text += &format!("  {label}: {value}\n");
    if let Some(directory) = &channel.directory {
        line("directory", one_line(directory));
    }
    let keeps: Vec<String> = keeps.iter().map(|keep| one_line(&kept_by(keep))).collect();
    line("kept by", if keeps.is_empty() { "nothing".to_owned() } else { keeps.join("; ") });
    line("what next", fate(&channel.fate));
    if let Some(why) = &channel.outdated {
        line("outdated", one_line(why));
    }
    if channel.husks > 0 {
        line("closed sessions that it still holds", channel.husks.to_string());
    }
    if channel.is_deaf {
        line("it does not read", format!("{} wait for it", size(channel.queued_bytes)));
    }
    if channel.is_paused {
        line("it is not read", "a client that gets its messages is slow".to_owned());
    }
    if channel.wants_login {
        line("login", "it asks for one".to_owned());
    }
    let rows = sessions.iter().map(|row| session(row, names)).map(|row| ("session", row));
    let rows = rows.chain(requests.iter().map(|row| ("request", request(row, names))));
    let rows = rows.chain(processes.iter().map(|row| ("process", process(row))));
    rows.for_each(|(label, value)| line(label, value));
    let shown = sessions.iter().filter(|row| row.key.is_some()).count();
    if let more @ 1.. = channel.sessions.saturating_sub(shown) {
        line("and", format!("{} more", counted(more, "session", "sessions")));
    }
    text
}

fn state(explained: &Explanation) -> String {
    let state = &explained.channel.state;
    let word = state.word();
    match state {
        ChannelState::Spawned => word.to_owned(),
        ChannelState::Starting { for_ms } => {
            format!("{word}, for {} since it was sent initialize", duration(*for_ms))
        }
        ChannelState::Ready { idle_ms: None } => word.to_owned(),
        ChannelState::Ready { idle_ms: Some(idle) } => {
            format!("{word}, without work for {}", duration(*idle))
        }
        ChannelState::Draining { reason } => format!("{word}, because {}", one_line(reason)),
        ChannelState::Stopping { reason, rung, for_ms } => {
            let ago = duration(*for_ms);
            format!("{word}, because {}; {rung} ({ago} ago)", one_line(reason))
        }
    }
}

fn session(row: &SessionStatus, names: &Names) -> String {
    let name = match (&row.key, &row.id) {
        (Some(key), Some(id)) => format!("{key} ({})", one_line(id)),
        (None, Some(id)) => one_line(id),
        (_, None) => "a new one".to_owned(),
    };
    let clients: Vec<&str> = row.clients.iter().map(|id| named(names, id)).collect();
    let clients = if clients.is_empty() { "no client".to_owned() } else { clients.join(", ") };
    let mut text = format!("{name} in {}, {}, {clients}; ", one_line(&row.directory), doing(row));
    for question in &row.questions {
        text += &format!("{}; ", asked(question, names));
    }
    text + &fate(&row.fate)
}

fn doing(row: &SessionStatus) -> String {
    let queued = match row.queued {
        0 => String::new(),
        queued => format!(" with {} behind it", counted(queued, "prompt", "prompts")),
    };
    match (row.state, row.turn_ms) {
        (SessionState::Opening, _) => format!("opening for {}", duration(row.idle_ms)),
        (SessionState::Restoring, _) => "being brought back".to_owned(),
        (SessionState::Parked, _) => format!("parked for {}", duration(row.idle_ms)),
        (_, Some(turn)) => format!("in a turn for {}{queued}", duration(turn)),
        (SessionState::Background, _) => {
            format!("idle for {}, with background work", duration(row.idle_ms))
        }
        (SessionState::Request | SessionState::Question, _) => "with an open request".to_owned(),
        (SessionState::Quiet | SessionState::Turn, _) => {
            format!("idle for {}", duration(row.idle_ms))
        }
    }
}

fn asked(question: &QuestionStatus, names: &Names) -> String {
    let whom: Vec<&str> = question.asked.iter().map(|id| named(names, id)).collect();
    let whom =
        if whom.is_empty() { "nobody is there to answer".to_owned() } else { whom.join(", ") };
    let end = question.ends_in_ms.map(|millis| format!(", cancelled in {}", duration(millis)));
    format!(
        "{} asked {} ago ({whom}{})",
        one_line(&question.method),
        duration(question.age_ms),
        end.unwrap_or_default()
    )
}

fn request(row: &RequestStatus, names: &Names) -> String {
    let client = row.client.as_deref().map(|id| format!(" of {}", named(names, id)));
    let session = row.session.as_deref().map(|key| format!(" in {key}"));
    let stage = match row.stage {
        RequestStage::Waiting => "waiting",
        RequestStage::Sent => "sent",
        RequestStage::Overdue => "overdue",
    };
    let end = row.ends_in_ms.map(|millis| format!(", given up in {}", duration(millis)));
    format!(
        "{}{}{}, {stage}, {} old{}",
        one_line(&row.method),
        client.unwrap_or_default(),
        session.unwrap_or_default(),
        duration(row.age_ms),
        end.unwrap_or_default()
    )
}

fn process(row: &TreeProcess) -> String {
    format!("{} {}, {}", row.pid, one_line(&row.name), size(row.memory_bytes))
}

fn kept_by(keep: &Keep) -> String {
    match keep {
        Keep::Sessions { count } => counted(*count, "session", "sessions"),
        Keep::Opens { count } => counted(*count, "session being opened", "sessions being opened"),
        Keep::Closes { count } => counted(
            *count,
            "close that the agent has not answered",
            "closes that the agent has not answered",
        ),
        Keep::Requests { count } => {
            counted(*count, "request without an answer", "requests without an answer")
        }
        Keep::Leases { clients } => {
            format!("the agent may hold something for {}", clients.join(", "))
        }
        Keep::PassingIds { count } => counted(
            *count,
            "id of an extension or a sub-agent in use",
            "ids of extensions or sub-agents in use",
        ),
        Keep::FirstUse => "its first session is expected".to_owned(),
        Keep::Login => "a client has just logged in".to_owned(),
        Keep::Preheat => "--preheat".to_owned(),
        Keep::NoIdleTimeout => "--channel-idle-timeout-ms never".to_owned(),
        Keep::Passthrough => {
            "its client speaks another protocol version, and may have sessions".to_owned()
        }
    }
}
