//! Whether a session can be restored by another process of the agent.

use std::io;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use super::facts::{has, text};
use super::plan::Plan;
use super::report::{Report, time};
use super::trial::{Trial, chunk};
use crate::bridge::words::counted;
use crate::control::report::one_line;

/// The silence after which a replay is over, for agents that answer before.
const REPLAYED: Duration = Duration::from_millis(300);

/// Tries each way of restoring a session that the agent offers, each in a process of its own.
pub(super) fn tried(
    plan: &Plan,
    answer: &Value,
    (session, prompt): (&str, &str),
    directory: &Path,
    report: &mut Report,
) -> io::Result<()> {
    let ways: Vec<&str> = ["load", "resume"].into_iter().filter(|way| has(answer, way)).collect();
    if ways.is_empty() {
        return report.say("restore", "not offered: a session ends with its process");
    }
    let last = ways.len() - 1;
    for (place, way) in ways.into_iter().enumerate() {
        let mut trial = Trial::start(&plan.arguments(), plan.patience())?;
        if let Err(why) = trial.introduced() {
            report.problem(way, &one_line(&why.to_string()))?;
            continue;
        }
        restore(&mut trial, way, (session, prompt), directory, report)?;
        if place == last {
            leave_nothing(&mut trial, answer, session, report)?;
        }
        if let Err(why) = trial.quit()? {
            report.problem(way, &why)?;
        }
    }
    Ok(())
}

fn restore(
    trial: &mut Trial,
    way: &str,
    (session, prompt): (&str, &str),
    directory: &Path,
    report: &mut Report,
) -> io::Result<()> {
    let params = json!({"sessionId": session, "cwd": directory, "mcpServers": []});
    let (mut messages, mut asked) = (0, String::new());
    let mut heard = |message: &Value| {
        messages += 1;
        asked.push_str(chunk(message, "user_message_chunk").unwrap_or_default());
    };
    let begun = super::trial::now();
    let took = match trial.result(&format!("session/{way}"), &params, &mut heard) {
        Ok(_) => time(begun.elapsed()),
        Err(why) => {
            let why = one_line(&why.to_string());
            return report.problem(way, &format!("another process does not restore it: {why}"));
        }
    };
    trial.hear_out(REPLAYED, &mut heard);
    let replayed = counted(messages, "message", "messages");
    match way {
        "load" if !asked.contains(prompt) => {
            let text = format!(
                "answered by another process after {took}, but the prompt is not among the \
                 {replayed} of the replay: the record is lost"
            );
            report.problem(way, &text)
        }
        "load" => {
            let text =
                format!("another process has the session, after {took}, {replayed} replayed");
            report.say(way, &text)
        }
        _ => report.say(way, &format!("another process has the session, after {took}")),
    }
}

/// Deletes the stored session, where the agent can do that.
fn leave_nothing(
    trial: &mut Trial,
    answer: &Value,
    session: &str,
    report: &mut Report,
) -> io::Result<()> {
    let session = json!({"sessionId": session});
    let deleted = has(answer, "delete").then(|| trial.measured("session/delete", &session));
    match deleted {
        Some(Ok(_)) => report.say("delete", "the stored session is deleted"),
        Some(Err(why)) => report.problem("delete", &one_line(&why.to_string())),
        None => {
            let id = one_line(text(&session["sessionId"]));
            report.say("stored", &format!("the agent keeps its record of the session {id}"))
        }
    }
}
