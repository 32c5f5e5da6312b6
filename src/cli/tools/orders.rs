//! `close`, `cancel`, `retire` and `stop`.

use std::process::ExitCode;
use std::time::Duration;

use jsonrpsee::core::ClientError;

use super::args::{CancelArgs, CloseArgs, RetireArgs, StopArgs, Which};
use super::bridges::{Bridge, Bridges, Failure, fault_of, only};
use crate::api::{FaultKind, Retirement, Stop, Stopped, StoppedHow, Unfinished};
use crate::bridge::words::counted;
use crate::cli::exit_code::{NO_BRIDGE, UNFINISHED, UNUSABLE};
use crate::cli::print::{failure, output};
use crate::control::report::fate;
use crate::control::{ControlApiClient, found};

/// The time for a bridge to end.
const LONGEST_END: Duration = Duration::from_secs(30);

/// The time between two looks whether it has.
const BETWEEN_LOOKS: Duration = Duration::from_millis(20);

/// The bridges in which a session may be: one that is named, else every one.
async fn with_sessions(which: &Which) -> Result<Vec<Bridge>, Failure> {
    let bridges = Bridges::reached().await;
    match (which.bridge, &which.socket) {
        (None, None) if !bridges.all.is_empty() => Ok(bridges.all),
        _ => bridges.meant(which),
    }
}

fn unknown(session: &str) -> Failure {
    let why = format!("no bridge has a live session {session}; drawbridge sessions names them");
    Failure::new(UNUSABLE, why)
}

/// The one bridge that has a session; a name such as `s-7` is one of each bridge.
async fn bridge_of(session: &str, which: &Which) -> Result<Bridge, Failure> {
    let mut having = Vec::new();
    for bridge in with_sessions(which).await? {
        let (mut after, mut has) = (None, false);
        loop {
            let page = bridge.link.sessions(after, None).await?;
            let is_it = |name: &Option<String>| name.as_deref() == Some(session);
            has |= page.sessions.iter().any(|row| is_it(&row.key) || is_it(&row.id));
            match page.next {
                Some(next) if !has => after = Some(next),
                _ => break,
            }
        }
        if has {
            having.push(bridge);
        }
    }
    if having.is_empty() { Err(unknown(session)) } else { only(having) }
}

fn unknown_or(error: ClientError, session: &str) -> Failure {
    // It may have ended meanwhile.
    if fault_of(&error) == Some(FaultKind::UnknownSession) {
        unknown(session)
    } else {
        error.into()
    }
}

pub(super) async fn close(args: CloseArgs) -> Result<ExitCode, Failure> {
    let CloseArgs { which, session } = args;
    let bridge = bridge_of(&session, &which).await?;
    let closed = bridge.link.close_session(session.clone()).await;
    let closed = closed.map_err(|error| unknown_or(error, &session))?;
    let turn = if closed.in_turn { ", and its turn is cancelled" } else { "" };
    Ok(output(format!("{} is closed{turn}.\n", closed.key).as_bytes()))
}

pub(super) async fn cancel(args: CancelArgs) -> Result<ExitCode, Failure> {
    let CancelArgs { which, session, .. } = args;
    let bridges = match &session {
        Some(session) => vec![bridge_of(session, &which).await?],
        None => with_sessions(&which).await?,
    };
    if bridges.is_empty() {
        return Err(Failure::new(NO_BRIDGE, "there is no bridge of this user on this machine"));
    }
    let mut cancelled = Vec::new();
    for bridge in bridges {
        let done = bridge.link.cancel_turn(session.clone()).await;
        let done =
            done.map_err(|error| unknown_or(error, session.as_deref().unwrap_or_default()))?;
        cancelled.extend(done.sessions);
    }
    let text = match cancelled.as_slice() {
        [] => "No turn runs.\n".to_owned(),
        sessions => format!("Cancelled what goes on in {}.\n", sessions.join(", ")),
    };
    Ok(output(text.as_bytes()))
}

pub(super) async fn retire(args: RetireArgs) -> Result<ExitCode, Failure> {
    let RetireArgs { which, channel, now } = args;
    let bridge = only(Bridges::reached().await.meant(&which)?)?;
    let how = if now { Retirement::Now } else { Retirement::Drain };
    let status = bridge.link.retire_channel(channel, how).await?;
    let next = fate(&status.fate);
    Ok(output(format!("{} is {}; {next}.\n", status.id, status.state.word()).as_bytes()))
}

pub(super) async fn stop(args: StopArgs) -> Result<ExitCode, Failure> {
    let how = match (args.now, args.when_idle) {
        (true, _) => Stop::Now,
        (_, true) => Stop::WhenIdle,
        (false, false) => Stop::IfIdle,
    };
    let bridges = Bridges::reached().await;
    let (meant, refusals) = if args.all {
        (bridges.all, bridges.refusals)
    } else if args.which.bridge.is_some() {
        (bridges.meant(&args.which)?, Vec::new())
    } else {
        // A bridge that serves one editor is not ended without being named.
        let daemon = bridges.daemon(args.which.socket)?.ok_or_else(|| {
            let why = "there is no daemon there; drawbridge ls shows other bridges, which \
                       stop --bridge PID or stop --all ends";
            Failure::new(NO_BRIDGE, why)
        })?;
        (vec![daemon], Vec::new())
    };
    if meant.is_empty() && refusals.is_empty() {
        return Ok(output(b"No bridge of this user runs on this machine.\n"));
    }
    let mut code = ExitCode::SUCCESS;
    for refusal in refusals {
        code = failure(&refusal, UNUSABLE);
    }
    for bridge in meant {
        let ended = end(&bridge, how).await.unwrap_or_else(Failure::exit);
        if ended != ExitCode::SUCCESS {
            code = ended;
        }
    }
    Ok(code)
}

async fn end(bridge: &Bridge, how: Stop) -> Result<ExitCode, Failure> {
    let pid = bridge.pid();
    let Stopped { how, unfinished } = order_stop(bridge, how).await?;
    let what = lost(unfinished);
    let text = match how {
        StoppedHow::Ends if has_ended(pid).await => format!("The bridge {pid} has ended.\n"),
        StoppedHow::Ends => format!("The bridge {pid} is ending.\n"),
        StoppedHow::EndsWhenIdle => {
            format!("The bridge {pid} ends when nothing is under way ({what}).\n")
        }
        StoppedHow::Refused => {
            let why = format!(
                "the bridge {pid} goes on, since this would be lost: {what}. \
                 --when-idle ends it as soon as nothing is under way, --now at once"
            );
            return Err(Failure::new(UNFINISHED, why));
        }
    };
    Ok(output(text.as_bytes()))
}

/// Gives the order. A bridge that ends may be gone before its answer comes.
pub(super) async fn order_stop(bridge: &Bridge, how: Stop) -> Result<Stopped, Failure> {
    match bridge.link.stop(how).await {
        Ok(stopped) => Ok(stopped),
        Err(ClientError::RestartNeeded(_)) if has_ended(bridge.pid()).await => {
            Ok(Stopped { how: StoppedHow::Ends, unfinished: Unfinished::default() })
        }
        Err(error) => Err(error.into()),
    }
}

/// The work that is lost when a bridge ends now, for people.
pub(super) fn lost(unfinished: Unfinished) -> String {
    let Unfinished { turns, questions, opening, requests, sessions, kept } = unfinished;
    // A later daemon brings the others back.
    let sessions = sessions - kept.min(sessions);
    let parts = [
        (turns, "running turn", "running turns"),
        (questions, "open question", "open questions"),
        (opening, "session being opened", "sessions being opened"),
        (requests, "other request", "other requests"),
        (sessions, "open session", "open sessions"),
    ];
    let parts = parts.into_iter().filter(|(count, ..)| *count > 0);
    let parts: Vec<String> = parts.map(|(count, one, many)| counted(count, one, many)).collect();
    if parts.is_empty() { "nothing".to_owned() } else { parts.join(", ") }
}

/// Waits for the end of a bridge; says whether it came.
pub(super) async fn has_ended(pid: u32) -> bool {
    let ended = async {
        while found().iter().any(|socket| socket.pid() == pid) {
            tokio::time::sleep(BETWEEN_LOOKS).await;
        }
    };
    tokio::time::timeout(LONGEST_END, ended).await.is_ok()
}
