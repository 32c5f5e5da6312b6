//! Whatever a client and an agent can say to each other: it is the same through the bridge.
//!
//! Each conversation is played twice, to the stub itself and to a bridge in front of
//! it. The lines that the client receives, and those that the agent receives, are then
//! compared in order and to the byte, but for the table of differences below. The
//! conversations are data, in `transcript/`.

mod line;
mod player;
mod script;

use crate::bridge::{Bridge, Setup};
use line::{id, member, method, replaced, without};

/// Takes an allowed difference out of a line that one side has received; the ids are
/// those of the requests that came on the same wire before, in their order.
type Difference = fn(&[String], &str) -> String;

/// All that may differ. A difference that stands in no row of `docs/protocol.md` does
/// not belong here.
const DIFFERENCES: [Difference; 4] = [
    // "Method by method", `initialize`: `sessionCapabilities.close` is always offered.
    close_is_offered,
    // "Method by method", `initialize`: `_meta.drawbridge` is merged into the answer.
    the_bridge_names_itself,
    // "Ids", `$/cancel_request`: its `requestId` names a request of the same wire and is
    // translated. The `requestId` of `elicitation/create` is translated, too, but it names
    // a request of the client: with the bridge as without, that is the client's own id.
    what_is_taken_back,
    // "Ids": the bridge gives every request a number of its own on the other side.
    the_number_of_a_request,
];

fn is_answer_to_initialize(line: &str) -> bool {
    member(line, &["result", "agentCapabilities"]).is_some()
}

fn close_is_offered(_: &[String], line: &str) -> String {
    without(line, &["result", "agentCapabilities", "sessionCapabilities", "close"])
}

fn the_bridge_names_itself(_: &[String], line: &str) -> String {
    if !is_answer_to_initialize(line) {
        return line.to_owned();
    }
    let line = without(line, &["result", "_meta", "drawbridge"]);
    match member(&line, &["result", "_meta"]) {
        Some("{}") => without(&line, &["result", "_meta"]),
        _ => line,
    }
}

fn what_is_taken_back(requests: &[String], line: &str) -> String {
    let reference = member(line, &["params", "requestId"]);
    match reference.filter(|_| method(line).as_deref() == Some("$/cancel_request")) {
        Some(reference) => {
            let age = requests.iter().rev().position(|id| id == reference);
            replaced(line, reference, &format!("#{age:?}"))
        }
        None => line.to_owned(),
    }
}

fn the_number_of_a_request(_: &[String], line: &str) -> String {
    match id(line).filter(|_| method(line).is_some()) {
        Some(id) => replaced(line, id, "#"),
        None => line.to_owned(),
    }
}

/// The lines of one wire without what may differ.
fn comparable(lines: &[String]) -> Vec<String> {
    let mut requests: Vec<String> = Vec::new();
    let mut comparable = Vec::new();
    for line in lines {
        let take_out = |line: String, difference: &Difference| difference(&requests, &line);
        comparable.push(DIFFERENCES.iter().fold(line.clone(), take_out));
        if let Some(id) = id(line).filter(|_| method(line).is_some()) {
            requests.push(id.to_owned());
        }
    }
    comparable
}

/// The lines that only one of the two has: `-` without the bridge, `+` through it.
fn differences(direct: &[String], bridged: &[String]) -> Vec<String> {
    // In row i and column j: how many lines are the same, in order, from i and j on.
    let mut same = vec![vec![0_usize; bridged.len() + 1]; direct.len() + 1];
    for i in (0..direct.len()).rev() {
        for j in (0..bridged.len()).rev() {
            same[i][j] = match direct[i] == bridged[j] {
                true => same[i + 1][j + 1] + 1,
                false => same[i + 1][j].max(same[i][j + 1]),
            };
        }
    }
    let (mut i, mut j) = (0, 0);
    let mut found = Vec::new();
    while i < direct.len() || j < bridged.len() {
        let is_only_direct =
            j == bridged.len() || (i < direct.len() && same[i + 1][j] >= same[i][j + 1]);
        if i < direct.len() && j < bridged.len() && direct[i] == bridged[j] {
            (i, j) = (i + 1, j + 1);
        } else if is_only_direct {
            found.push(format!("- {}", direct[i]));
            i += 1;
        } else {
            found.push(format!("+ {}", bridged[j]));
            j += 1;
        }
    }
    found
}

/// Plays a conversation with and without the bridge and compares what came.
fn compare(script: &str, flags: &[&str]) {
    let steps = script::parse(script);
    let direct = Setup::new(&[], flags).logged().direct().start();
    let direct = player::play(direct, Bridge::pid, &steps);
    let bridged = Setup::new(&[], flags).logged().start();
    let bridged = player::play(bridged, Bridge::agent, &steps);
    let mut found = Vec::new();
    let sides = [("client", direct.client, bridged.client), ("agent", direct.agent, bridged.agent)];
    for (side, direct, bridged) in sides {
        assert!(direct.len() > 1, "the {side} receives something");
        let only = differences(&comparable(&direct), &comparable(&bridged));
        found.extend(only.into_iter().map(|line| format!("{side} {line}")));
    }
    assert!(
        found.is_empty(),
        "received without the bridge (-), through it (+):\n{}",
        found.join("\n")
    );
}

#[test]
fn an_editor_and_an_agent_exchange_the_same_messages_through_the_bridge() {
    compare(include_str!("transcript/client.txt"), &[]);
}

#[test]
fn an_agent_tells_its_editor_the_same_through_the_bridge() {
    compare(include_str!("transcript/updates.txt"), &[]);
}

#[test]
fn an_agent_asks_its_editor_the_same_and_hears_the_same_answers_through_the_bridge() {
    compare(include_str!("transcript/questions.txt"), &["--ask-in-new"]);
}

#[test]
fn ids_of_every_kind_come_back_as_they_were_through_the_bridge() {
    compare(include_str!("transcript/ids.txt"), &[]);
}

#[test]
fn odd_spellings_are_the_same_through_the_bridge() {
    compare(include_str!("transcript/spellings.txt"), &["--exotic"]);
}

#[test]
fn a_login_is_asked_for_and_made_through_the_bridge_as_without_it() {
    compare(include_str!("transcript/login.txt"), &["--needs-login"]);
}

#[test]
fn an_agent_is_introduced_in_its_own_words() {
    let none: &[&str] = &[];
    for flags in [none, &["--exotic"], &["--without", "close"]] {
        compare(include_str!("transcript/introduction.txt"), flags);
    }
}

#[test]
fn a_difference_that_is_not_allowed_is_found() {
    let owned = |lines: &[&str]| lines.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>();
    let direct = owned(&[
        r#"{"id":"a","method":"m"}"#,
        r#"{"method":"$/cancel_request","params":{"requestId":"a"}}"#,
        r#"{"id":1,"result":{"_meta":{"of":1.0 } ,"agentCapabilities":{"sessionCapabilities":{ }}}}"#,
    ]);
    let bridged = owned(&[
        r#"{"id":17,"method":"m"}"#,
        r#"{"method":"$/cancel_request","params":{"requestId":17}}"#,
        r#"{"id":1,"result":{"_meta":{"of":1.0 ,"drawbridge":{"version":"1"}} ,"agentCapabilities":{"sessionCapabilities":{"close":{} }}}}"#,
    ]);
    assert_eq!(comparable(&direct), comparable(&bridged));
    for (place, from, to) in [
        (0, r#""m""#, r#""m" "#),
        (1, "17", "18"),
        (1, r#""requestId":17"#, r#""requestId":17.0"#),
        (2, r#""id":1"#, r#""id":2"#),
        (2, "1.0", "1"),
    ] {
        let mut other = bridged.clone();
        other[place] = other[place].replacen(from, to, 1);
        assert_eq!(differences(&comparable(&direct), &comparable(&other)).len(), 2, "{to}");
    }
}
