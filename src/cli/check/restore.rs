//! Whether a session can be restored by another process of the agent.

use std::cell::RefCell;
use std::io;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use super::facts::{has, version};
use super::plan::Plan;
use super::report::{Report, time};
use super::trial::{Trial, chunk, now};
use crate::bridge::restore::{Experience, Record, Way};
use crate::bridge::words::counted;
use crate::restores::RestoreMemory;

/// The silence after which a replay is over, once the prompt was in it and before: some agents
/// answer before they replay.
const REPLAYED: Duration = Duration::from_millis(300);
const AWAITED: Duration = Duration::from_secs(3);

/// Tries each way of restoring a session that the agent offers, each in a process of its own, and
/// remembers for all bridges of the user what was found out.
pub(super) fn tried(
    plan: &Plan,
    answer: &Value,
    (session, prompt): (&str, &str),
    directory: &Path,
    report: &mut Report,
) -> io::Result<()> {
    // A resume shows nothing of the record, so the load comes last.
    let offered = Way::ALL.into_iter().filter(|way| has(answer, name(*way)));
    let offered: Vec<Way> = offered.collect();
    if offered.is_empty() {
        return report.say("restore", "not offered: a session ends with its process");
    }
    let mut record = Record::default();
    for way in offered {
        let experience = in_another(plan, name(way), report, |trial, report| {
            restore(trial, way, (session, prompt), directory, report)
        })?;
        record.note(way, experience.unwrap_or_default());
    }
    let record = without_doubt(record);
    if record == Record::default() {
        return Ok(());
    }
    let version = version(answer);
    if version.is_empty() {
        let text = "nothing is remembered of an agent that does not say its name";
        return report.say("record", text);
    }
    for state in &plan.states {
        RestoreMemory::in_state(Some(state.clone())).note_checked(&version, record);
    }
    let is_proven = Way::ALL.into_iter().any(|way| record.with(way) == Experience::Succeeded);
    let text = match is_proven {
        true => "restores sessions: --idle-policy restorable may end idle ones",
        false => "loses sessions: --idle-policy restorable leaves them alone",
    };
    report.say("record", &format!("{version} {text}"))
}

/// The record without a resume that proves nothing: it shows no history, and the load has shown that
/// there is none.
fn without_doubt(record: Record) -> Record {
    match record {
        Record { load: Experience::Refused, resume: Experience::Succeeded, .. } => {
            Record { resume: Experience::None, ..record }
        }
        other => other,
    }
}

/// The name of a way, as the agent offers it.
fn name(way: Way) -> &'static str {
    match way {
        Way::Load => "load",
        Way::Resume => "resume",
    }
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
    let done = in_another(plan, "delete", report, |trial, report| {
        match trial.measured("session/delete", &json!({"sessionId": session})) {
            Ok(_) => report.say("delete", "the stored session is deleted"),
            // Without a prompt there may be no record.
            Err(_) if plan.prompt.is_none() => Ok(()),
            Err(why) => report.problem("delete", &why.to_string()),
        }
    });
    done.map(Option::unwrap_or_default)
}

/// Does something with another process of the agent; `None`: there is none.
fn in_another<T>(
    plan: &Plan,
    name: &str,
    report: &mut Report,
    what: impl FnOnce(&mut Trial, &mut Report) -> io::Result<T>,
) -> io::Result<Option<T>> {
    let mut trial = Trial::start(plan)?;
    let done = match trial.introduced() {
        Ok(_) => Some(what(&mut trial, report)?),
        Err(why) => {
            report.problem(name, &format!("another process does not start: {why}"))?;
            None
        }
    };
    if let Err(why) = trial.quit()? {
        report.problem(name, &why)?;
    }
    Ok(done)
}

/// Restores the session, and says how that went.
fn restore(
    trial: &mut Trial,
    way: Way,
    (session, prompt): (&str, &str),
    directory: &Path,
    report: &mut Report,
) -> io::Result<Experience> {
    let params = json!({"sessionId": session, "cwd": directory, "mcpServers": []});
    let replay = RefCell::new(Replay::default());
    let begun = now();
    let hear = |message: &Value| replay.borrow_mut().hear(message);
    let took = match trial.result(way.method(), &params, hear) {
        Ok(_) => time(begun.elapsed()),
        Err(why) => {
            report.problem(name(way), &format!("another process does not restore it: {why}"))?;
            return Ok(match why.is_refusal_of_agent() {
                true => Experience::Refused,
                false => Experience::None,
            });
        }
    };
    let has_prompt = || replay.borrow().has(prompt);
    if way == Way::Load {
        trial.hear_out(|| if has_prompt() { REPLAYED } else { AWAITED }, hear);
    }
    let is_whole = has_prompt();
    let replayed = counted(replay.into_inner().messages, "message", "messages");
    match way {
        Way::Load if !is_whole => {
            let text = format!(
                "answered by another process after {took}, but the prompt is not among the \
                 {replayed} of the replay: the record is lost"
            );
            report.problem(name(way), &text)?;
            return Ok(Experience::Refused);
        }
        Way::Load => {
            let text =
                format!("another process has the session, after {took}, {replayed} replayed");
            report.say(name(way), &text)?;
        }
        Way::Resume => {
            report.say(name(way), &format!("another process has the session, after {took}"))?;
        }
    }
    Ok(Experience::Succeeded)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resume_proves_nothing_where_the_load_has_shown_a_loss() {
        use Experience::{None as Nothing, Refused, Succeeded};
        for (resume, load, expected) in [
            (Succeeded, Refused, Nothing),
            (Succeeded, Succeeded, Succeeded),
            (Succeeded, Nothing, Succeeded),
            (Refused, Succeeded, Refused),
        ] {
            let record = Record { resume, load, ..Record::default() };
            let kept = without_doubt(record);
            assert_eq!((kept.resume, kept.load), (expected, load), "{record:?}");
        }
    }
}
