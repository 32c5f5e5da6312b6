//! A turn: how it begins, runs its script, and is answered.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::agent::{Agent, Interrupted, Outcome, cancelled_request};
use crate::manners::SecondPrompt;
use crate::message::{Fault, Request, chunk, text};
use crate::script::Script;
use crate::store::Speaker;
use crate::turns::Ending;
use crate::{commands, faults};

/// Begins a turn, or does with a second prompt what the flags say.
pub(crate) fn prompt(agent: &Arc<Agent>, request: Request) {
    let session = text(&request.params["sessionId"]);
    let script = script_of(&request.params["prompt"]);
    faults::leak(agent.manners.leak);
    match admit(agent, &session, &script, &request) {
        Err(fault) => agent.answer(&request, Err(fault)),
        Ok(None) => {}
        Ok(Some(number)) => {
            let agent = Arc::clone(agent);
            thread::spawn(move || run(&agent, number, session, request));
        }
    }
}

/// The number of the new turn; `None` if the prompt was merged into a running one.
fn admit(
    agent: &Agent,
    session: &str,
    script: &str,
    request: &Request,
) -> Result<Option<u64>, Fault> {
    let mut state = agent.lock();
    state.store.live(session)?;
    let second = agent.manners.second_prompt;
    if second == SecondPrompt::Refuse && state.turns.is_busy(session) {
        return Err(Fault::about(-32600, "a turn is already running", session));
    }
    state.store.remember(session, Speaker::User, script);
    state.store.save(session);
    let lines = script.lines().map(str::to_owned);
    if second == SecondPrompt::Merge
        && let Some(turn) = state.turns.open(session)
    {
        turn.lines.extend(lines);
        turn.requests.push(request.clone());
        return Ok(None);
    }
    Ok(Some(state.turns.begin(session, request.clone(), lines.collect())))
}

/// The text of a prompt: all its text blocks.
fn script_of(prompt: &Value) -> String {
    let blocks = prompt.as_array().map(Vec::as_slice).unwrap_or_default();
    let texts: Vec<&str> = blocks.iter().filter_map(|block| block["text"].as_str()).collect();
    texts.join("\n")
}

fn run(agent: &Arc<Agent>, number: u64, session: String, request: Request) {
    if agent.manners.second_prompt == SecondPrompt::Queue {
        agent.wait(None, |state| {
            let turns = &state.turns;
            (turns.is_first(number, &session) || turns.is_ending(number)).then_some(())
        });
    }
    let mut script = Script::new(agent, number, session, request);
    while let Some(line) = next_line(agent, number) {
        if let Err(Interrupted) = commands::run(&mut script, &line) {
            break;
        }
    }
    finish(agent, number, script);
}

/// The next line of the script. `None` when the turn is over; from then on no prompt is
/// merged into it.
fn next_line(agent: &Agent, number: u64) -> Option<String> {
    let mut state = agent.lock();
    let turn = state.turns.get(number)?;
    let line = if turn.ending.is_none() { turn.lines.pop_front() } else { None };
    turn.finishing = line.is_none();
    line
}

/// Answers the turn's prompts and removes the turn.
fn finish(agent: &Arc<Agent>, number: u64, script: Script<'_>) {
    let Script { session, stop, later, twice, .. } = script;
    agent.wait_for_gate();
    let (requests, ending) = {
        let mut state = agent.lock();
        state.store.save(&session);
        let Some(turn) = state.turns.get(number) else {
            return;
        };
        turn.finishing = true;
        (turn.requests.clone(), turn.ending.clone())
    };
    let outcome = |request: &Request| -> Outcome {
        let reason = match &ending {
            Some(Ending::Request(id)) if *id == request.id => return Err(cancelled_request()),
            Some(Ending::Cancelled) if agent.manners.cancel_means_end_turn => "end_turn",
            Some(_) => "cancelled",
            None => &stop,
        };
        Ok(json!({ "stopReason": reason }).to_string())
    };
    let Some((last, others)) = requests.split_last() else {
        return;
    };
    for request in others {
        agent.answer(request, outcome(request));
    }
    if twice {
        agent.answer(last, outcome(last));
    }
    agent.answer_then(last, outcome(last), move |agent| {
        agent.change(|state| state.turns.remove(number));
        for (delay, text) in later {
            update_later(agent, session.clone(), delay, text);
        }
    });
}

fn update_later(agent: &Arc<Agent>, session: String, delay: Duration, text: String) {
    let agent = Arc::clone(agent);
    thread::spawn(move || {
        thread::sleep(delay);
        agent.update(&session, &chunk("agent_message_chunk", &text));
    });
}
