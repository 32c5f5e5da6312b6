//! Conversations as data: the steps of a client, one a line.
//!
//! ```text
//! # a comment
//! ask LINE              sends a request and waits for its answer
//! send LINE             sends a line; it goes out together with what is sent next
//! turn SESSION          a prompt, whose text are the indented lines below, and its answer
//! begin SESSION         the same without waiting for the answer
//! wait METHOD           waits for a message; if it is a question, that stays open
//! reply LINE            answers the question that was left open
//! ended                 waits for the answer to the prompt that was begun
//! answer METHOD LINE    the answer to each question of that method from now on; METHOD may
//!                       be `*`, for all that have no answer of their own
//! ```
//!
//! `$ID` in an answer is the id of the question, `$TURN` in a line that is sent the id of
//! the prompt that was begun, and `$DEEP` anywhere a list in a list, 200 levels deep.

const LEVELS: usize = 200;

/// One step of a client.
pub(super) enum Step {
    Ask(String),
    Send(String),
    Turn { session: String, script: Vec<String> },
    Begin { session: String, script: Vec<String> },
    Wait(String),
    Reply(String),
    Ended,
    Answer { method: String, line: String },
}

pub(super) fn parse(text: &str) -> Vec<Step> {
    let text = text.replace("$DEEP", &format!("{}{}", "[".repeat(LEVELS), "]".repeat(LEVELS)));
    let mut steps = Vec::new();
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        match line.strip_prefix("  ") {
            Some(command) => script(&mut steps, line).push(command.to_owned()),
            None => steps.push(step(line)),
        }
    }
    steps
}

/// The script of the last step.
fn script<'s>(steps: &'s mut [Step], line: &str) -> &'s mut Vec<String> {
    match steps.last_mut() {
        Some(Step::Turn { script, .. } | Step::Begin { script, .. }) => script,
        _ => panic!("`{line}` stands under no prompt"),
    }
}

fn step(line: &str) -> Step {
    let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
    let rest = rest.to_owned();
    match word {
        "ask" => Step::Ask(rest),
        "send" => Step::Send(rest),
        "turn" => Step::Turn { session: rest, script: Vec::new() },
        "begin" => Step::Begin { session: rest, script: Vec::new() },
        "wait" => Step::Wait(rest),
        "reply" => Step::Reply(rest),
        "ended" => Step::Ended,
        "answer" => {
            let (method, line) = rest.split_once(' ').expect("answer METHOD LINE");
            Step::Answer { method: method.to_owned(), line: line.to_owned() }
        }
        _ => panic!("`{line}` is no step"),
    }
}
