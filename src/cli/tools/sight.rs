//! `status`, `sessions` and `ls`: what is there.

use std::io::{self, IsTerminal};
use std::process::ExitCode;
use std::time::Duration;

use serde::Serialize;

use super::args::{LsArgs, SessionsArgs, StatusArgs, Which};
use super::bridges::{Bridge, Bridges, Failure, only};
use crate::api::{BridgeMode, Explanation, SessionStatus, Status};
use crate::cli::exit_code::UNUSABLE;
use crate::cli::print::output;
use crate::control::report::{self, Table, counted, duration, one_line, size};
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
            (true, false) => json(&first_or_all(&meant))?,
            (true, true) => json(&explained(&meant, &args).await?)?,
            (false, true) => explanations(&meant, &args).await?,
            (false, false) => overview(&meant, others),
        };
        if !args.watch {
            return Ok(output(text.as_bytes()));
        }
        let clear = if io::stdout().is_terminal() { CLEAR } else { "" };
        if output(format!("{clear}{text}").as_bytes()) != ExitCode::SUCCESS {
            return Ok(ExitCode::FAILURE);
        }
        tokio::time::sleep(BETWEEN_LOOKS).await;
    }
}

/// One bridge as it is, several as a list.
#[derive(Serialize)]
#[serde(untagged)]
enum FirstOrAll<'a> {
    First(&'a Status),
    All(Vec<&'a Status>),
}

fn first_or_all(bridges: &[Bridge]) -> FirstOrAll<'_> {
    match bridges {
        [only] => FirstOrAll::First(&only.status),
        all => FirstOrAll::All(all.iter().map(|bridge| &bridge.status).collect()),
    }
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
        count => format!("\n{} besides: drawbridge ls\n", counted(count, "bridge")),
    };
    texts.join("\n") + &others
}

async fn explained(bridges: &[Bridge], args: &StatusArgs) -> Result<Vec<Explanation>, Failure> {
    let mut all = Vec::new();
    for bridge in bridges {
        all.extend(bridge.link.explain(args.channel.clone()).await?);
    }
    Ok(all)
}

async fn explanations(bridges: &[Bridge], args: &StatusArgs) -> Result<String, Failure> {
    let mut texts = Vec::new();
    for bridge in bridges {
        let explained = bridge.link.explain(args.channel.clone()).await?;
        texts.push(report::explanation(&explained, &bridge.status.clients));
    }
    Ok(texts.join("\n"))
}

pub(super) async fn sessions(args: SessionsArgs) -> Result<ExitCode, Failure> {
    let bridges = Bridges::reached().await.meant(&args.which)?;
    let mut found = Vec::new();
    for bridge in &bridges {
        found.push((bridge, all_sessions(&bridge.link).await?));
    }
    if args.json {
        let all: Vec<&SessionStatus> = found.iter().flat_map(|(_, sessions)| sessions).collect();
        return Ok(output(json(&all)?.as_bytes()));
    }
    let several = bridges.len() > 1;
    let texts = found.iter().map(|(bridge, sessions)| {
        let head = match several {
            true => format!("bridge {}\n", bridge.pid()),
            false => String::new(),
        };
        head + &report::sessions(sessions, &bridge.status.clients)
    });
    Ok(output(texts.collect::<Vec<_>>().join("\n").as_bytes()))
}

/// Every session of a bridge, page by page.
async fn all_sessions(link: &Link) -> Result<Vec<SessionStatus>, Failure> {
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
        true => json(&all.iter().map(|bridge| &bridge.status).collect::<Vec<_>>())?,
        false => list(&all),
    };
    for refusal in refusals {
        crate::cli::print::warning(&refusal);
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
