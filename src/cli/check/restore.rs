//! Whether a session can be restored by another process of the agent.

use std::cell::RefCell;
use std::io;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use super::facts::has;
use super::plan::Plan;
use super::report::{Report, time};
use super::trial::{Trial, chunk, now};
use crate::bridge::words::counted;

/// The silence after which a replay is over, once the prompt was in it and before: some agents
/// answer before they replay.
const REPLAYED: Duration = Duration::from_millis(300);
const AWAITED: Duration = Duration::from_secs(3);

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
    for way in ways {
        in_another(plan, way, report, |trial, report| {
            restore(trial, way, (session, prompt), directory, report)
        })?;
    }
    Ok(())
}

/// Deletes the stored session, where the agent can do that.
pub(super) fn leave_nothing(
    plan: &Plan,
    answer: &Value,
    session: &str,
    report: &mut Report,
) -> io::Result<()> {
    if !has(answer, "delete") {
        return match plan.prompt {
            Some(_) => report
                .say("stored", &format!("the agent keeps its record of the session {session}")),
            None => Ok(()),
        };
    }
    in_another(plan, "delete", report, |trial, report| {
        match trial.measured("session/delete", &json!({"sessionId": session})) {
            Ok(_) => report.say("delete", "the stored session is deleted"),
            // Without a prompt there may be no record.
            Err(_) if plan.prompt.is_none() => Ok(()),
            Err(why) => report.problem("delete", &why.to_string()),
        }
    })
}

/// Does something with another process of the agent.
fn in_another(
    plan: &Plan,
    name: &str,
    report: &mut Report,
    what: impl FnOnce(&mut Trial, &mut Report) -> io::Result<()>,
) -> io::Result<()> {
    let mut trial = Trial::start(plan)?;
    match trial.introduced() {
        Ok(_) => what(&mut trial, report)?,
        Err(why) => report.problem(name, &format!("another process does not start: {why}"))?,
    }
    match trial.quit()? {
        Ok(_) => Ok(()),
        Err(why) => report.problem(name, &why),
    }
}

fn restore(
    trial: &mut Trial,
    way: &str,
    (session, prompt): (&str, &str),
    directory: &Path,
    report: &mut Report,
) -> io::Result<()> {
    let params = json!({"sessionId": session, "cwd": directory, "mcpServers": []});
    let replay = RefCell::new(Replay::default());
    let begun = now();
    let hear = |message: &Value| replay.borrow_mut().hear(message);
    let took = match trial.result(&format!("session/{way}"), &params, hear) {
        Ok(_) => time(begun.elapsed()),
        Err(why) => {
            return report.problem(way, &format!("another process does not restore it: {why}"));
        }
    };
    let has_prompt = || replay.borrow().has(prompt);
    if way == "load" {
        trial.hear_out(|| if has_prompt() { REPLAYED } else { AWAITED }, hear);
    }
    let is_whole = has_prompt();
    let replayed = counted(replay.into_inner().messages, "message", "messages");
    match way {
        "load" if !is_whole => {
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

/// The things that an agent says of a restored session.
#[derive(Default)]
struct Replay {
    messages: usize,
    /// The texts of the person.
    asked: String,
}

impl Replay {
    fn hear(&mut self, message: &Value) {
        self.messages += 1;
        self.asked.push_str(chunk(message, "user_message_chunk").unwrap_or_default());
    }

    /// Whether the prompt is among them, however its white space is kept.
    fn has(&self, prompt: &str) -> bool {
        let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        words(&self.asked).contains(&words(prompt))
    }
}
