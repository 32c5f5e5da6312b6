//! `status`, `sessions`, `metrics` and `ls`: the state of bridges.

use std::io::{self, IsTerminal};
use std::process::ExitCode;
use std::time::Duration;

use serde::Serialize;

use super::args::{LsArgs, SessionsArgs, StatusArgs, Which};
use super::bridges::{Bridge, Bridges, Failure, fault_of, only};
use crate::api::{BridgeMode, Explanation, FaultKind, SessionStatus, Status};
use crate::bridge::words::counted;
use crate::cli::exit_code::UNUSABLE;
use crate::cli::print::{output, part, warning};
use crate::control::report::{self, Table, duration, one_line, size};
use crate::control::{ControlApiClient, Link};

/// The time between two looks of `status --watch`.
const BETWEEN_LOOKS: Duration = Duration::from_secs(1);

/// The sequence that clears a terminal and goes to its upper left corner.
const CLEAR: &str = "\u{1b}[H\u{1b}[2J";

pub(super) async fn status(args: StatusArgs) -> Result<ExitCode, Failure> {
    loop {
        let bridges = Bridges::reached().await;
        let others = bridges.all.len();
        let meant = bridges.meant(&args.which)?;
        let others = others - meant.len();
        let text = match (args.json, args.explain) {
            (true, false) => json(&states(&meant))?,
            (true, true) => json(&explained(&meant, args.channel.as_deref()).await?)?,
            (false, true) => explanations(&meant, args.channel.as_deref()).await?,
            (false, false) => overview(&meant, others),
        };
        if !args.watch {
            return Ok(output(text.as_bytes()));
        }
        let clear = if io::stdout().is_terminal() { CLEAR } else { "" };
        if let Err(code) = part(format!("{clear}{text}").as_bytes()) {
            return Ok(code);
        }
        tokio::time::sleep(BETWEEN_LOOKS).await;
    }
}

fn states(bridges: &[Bridge]) -> Vec<&Status> {
    bridges.iter().map(|bridge| &bridge.status).collect()
}

/// Statements about the rows of one bridge, in JSON.
#[derive(Serialize)]
struct Of<T> {
    pid: u32,
    #[serde(flatten)]
    rows: T,
}

#[derive(Serialize)]
struct Channels {
    channels: Vec<Explanation>,
}

#[derive(Serialize)]
struct Listed {
    sessions: Vec<SessionStatus>,
}

fn json(value: &impl Serialize) -> Result<String, Failure> {
    let text = serde_json::to_string_pretty(value);
    let text = text.map_err(|error| Failure::new(UNUSABLE, error.to_string()))?;
    Ok(text + "\n")
}

fn overview(bridges: &[Bridge], others: usize) -> String {
    let texts: Vec<String> = bridges.iter().map(|bridge| report::status(&bridge.status)).collect();
    let others = match others {
        0 => String::new(),
        count => format!("\n{} besides: drawbridge ls\n", counted(count, "bridge", "bridges")),
    };
    texts.join("\n") + &others
}

/// The explanations of the channel with this name, or of all, of each bridge. A bridge without a
/// channel of that name is left out.
async fn explained(
    bridges: &[Bridge],
    channel: Option<&str>,
) -> Result<Vec<Of<Channels>>, Failure> {
    let (mut all, mut refusal) = (Vec::new(), None);
    for bridge in bridges {
        match bridge.link.explain(channel.map(str::to_owned)).await {
            Ok(channels) => all.push(Of { pid: bridge.pid(), rows: Channels { channels } }),
            Err(error) if fault_of(&error) == Some(FaultKind::UnknownChannel) => {
                refusal = Some(error);
            }
            Err(error) => return Err(error.into()),
        }
    }
    match refusal {
        Some(error) if all.is_empty() => Err(error.into()),
        _ => Ok(all),
    }
}

async fn explanations(bridges: &[Bridge], channel: Option<&str>) -> Result<String, Failure> {
    let explained = explained(bridges, channel).await?;
    let clients = |pid: u32| {
        let bridge = bridges.iter().find(|bridge| bridge.pid() == pid);
        bridge.map_or(&[][..], |bridge| &bridge.status.clients)
    };
    let several = bridges.len() > 1;
    let texts = explained
        .iter()
        .map(|of| head(of.pid, several) + &report::explanation(&of.rows.channels, clients(of.pid)));
    Ok(texts.collect::<Vec<_>>().join("\n"))
}

/// The line above the rows of one bridge, where there are those of several.
fn head(pid: u32, several: bool) -> String {
    if several { format!("bridge {pid}\n") } else { String::new() }
}

pub(super) async fn sessions(args: SessionsArgs) -> Result<ExitCode, Failure> {
    let bridges = Bridges::reached().await.meant(&args.which)?;
    let mut found = Vec::new();
    for bridge in &bridges {
        let sessions = all_sessions(&bridge.link).await?;
        found.push(Of { pid: bridge.pid(), rows: Listed { sessions } });
    }
    if args.json {
        return Ok(output(json(&found)?.as_bytes()));
    }
    let several = bridges.len() > 1;
    let texts = found.iter().zip(&bridges).map(|(of, bridge)| {
        head(of.pid, several) + &report::sessions(&of.rows.sessions, &bridge.status.clients)
    });
    Ok(output(texts.collect::<Vec<_>>().join("\n").as_bytes()))
}

/// Every session of a bridge, page by page.
pub(super) async fn all_sessions(link: &Link) -> Result<Vec<SessionStatus>, Failure> {
    let (mut all, mut opening, mut after) = (Vec::new(), Vec::new(), None);
    loop {
        let page = link.sessions(after, None).await?;
        let (live, new): (Vec<_>, Vec<_>) =
            page.sessions.into_iter().partition(|session| session.key.is_some());
        all.extend(live);
        opening.extend(new);
        match page.next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    all.extend(opening);
    Ok(all)
}

pub(super) async fn metrics(which: Which) -> Result<ExitCode, Failure> {
    let bridge = only(Bridges::reached().await.meant(&which)?)?;
    Ok(output(bridge.link.metrics().await?.as_bytes()))
}

pub(super) async fn ls(args: LsArgs) -> Result<ExitCode, Failure> {
    let Bridges { all, refusals } = Bridges::reached().await;
    let text = match args.json {
        true => json(&states(&all))?,
        false => list(&all),
    };
    for refusal in refusals {
        warning(&refusal);
    }
    Ok(output(text.as_bytes()))
}

fn list(bridges: &[Bridge]) -> String {
    if bridges.is_empty() {
        return "No bridge of this user runs on this machine.\n".to_owned();
    }
    let headings = ["PID", "KIND", "UP", "MEMORY", "AGENTS", "CHANNELS", "SESSIONS", "FOR"];
    let mut table = Table::new(&headings);
    for Bridge { status, .. } in bridges {
        let bridge = &status.bridge;
        let agents: Vec<String> = status.agents.iter().map(|agent| one_line(&agent.name)).collect();
        let whom = match (&bridge.socket, &bridge.started_by) {
            (Some(socket), _) => one_line(socket),
            (None, Some(program)) => format!("{} ({})", one_line(&program.name), program.pid),
            (None, None) => "-".to_owned(),
        };
        table.row([
            bridge.pid.to_string(),
            match bridge.mode {
                BridgeMode::Daemon => "daemon".to_owned(),
                BridgeMode::Embedded => "embedded".to_owned(),
            },
            duration(bridge.age_ms),
            bridge.memory_bytes.map_or_else(|| "-".to_owned(), size),
            if agents.is_empty() { "-".to_owned() } else { agents.join(", ") },
            status.counts.channels.to_string(),
            status.counts.sessions.to_string(),
            whom,
        ]);
    }
    table.lines().join("\n") + "\n"
}
