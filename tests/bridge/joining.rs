//! Clients that join a live session, and what they are told of it.

use drawbridge::bridge::{ChannelId, ClientId, Config, Limit, Notice};
use serde_json::Value;

use crate::harness::{
    ALLOWED, END_TURN, Got, INITIALIZE, NOT_ALLOWED, World, notification, permission, session,
    stored, update,
};

const PERMISSION: &str = "session/request_permission";
const ELICITATION: &str = "elicitation/create";

fn shared(config: &mut Config) {
    config.limits.replay_bytes = 1 << 20;
}

/// A world in which a session keeps its last turns.
fn world() -> World {
    World::with(shared)
}

/// Params of an `initialize` that asks for sequence numbers.
fn numbered() -> String {
    INITIALIZE.replace(r#""events":true"#, r#""events":true,"seq":true"#)
}

/// The params of a prompt with one text.
fn prompt(id: &str, text: &str) -> String {
    format!(r#"{{"sessionId":"{id}","prompt":[{{"type":"text","text":"{text}"}}]}}"#)
}

/// The prompt as others see it.
fn echo(id: &str, text: &str) -> String {
    let params = format!(
        r#"{{"sessionId":"{id}","update":{{"sessionUpdate":"user_message_chunk","content":{{"type":"text","text":"{text}"}}}}}}"#
    );
    notification("session/update", &params)
}

fn said(id: &str, text: &str) -> String {
    notification("session/update", &update(id, text))
}

fn state(id: &str, kind: &str, rest: &str) -> String {
    let params = format!(r#"{{"sessionId":"{id}","update":{{"sessionUpdate":"{kind}",{rest}}}}}"#);
    notification("session/update", &params)
}

/// A whole turn of a client: a prompt, an update, the end.
#[track_caller]
fn turn(world: &mut World, client: ClientId, channel: ChannelId, text: &str) {
    let token = world.token();
    world.request(client, &token, "session/prompt", &prompt("a", text));
    let number = world.expect_request(channel, "session/prompt", &prompt("a", text));
    let reply = format!("re {text}");
    world.says(channel, said("a", &reply));
    world.expect_line(client, &said("a", &reply));
    world.answer(channel, number, END_TURN);
    world.expect_answer(client, &token, END_TURN);
}

fn lines(got: Vec<Got>) -> Vec<String> {
    let line = |got| match got {
        Got::Line(line) => line,
        other => panic!("{other:?} in place of a line"),
    };
    got.into_iter().map(line).collect()
}

/// What a client gets when it sends this request.
#[track_caller]
fn asks(world: &mut World, client: ClientId, method: &str, params: &str) -> Vec<String> {
    world.request(client, 90, method, params);
    lines(world.rest(client))
}

fn answer(result: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":90,"result":{result}}}"#)
}

#[test]
fn a_load_of_a_live_session_is_answered_with_its_turns_and_its_state() {
    let mut world = world();
    let (editor, channel) = world.start();
    world.open(editor, channel, "a");
    turn(&mut world, editor, channel, "one");
    let usage = state("a", "usage_update", r#""used":1"#);
    let newer = state("a", "usage_update", r#""used":2"#);
    for line in [&usage, &newer] {
        world.says(channel, line.clone());
        world.expect_line(editor, line);
    }
    turn(&mut world, editor, channel, "two");
    let late = world.join();
    let got = asks(&mut world, late, "session/load", &stored("a"));
    let expected = [
        echo("a", "one"),
        said("a", "re one"),
        echo("a", "two"),
        said("a", "re two"),
        newer,
        answer("{}"),
    ];
    assert_eq!(got, expected);
    // From now on both get what happens, and the other one's prompts.
    world.says(channel, said("a", "more"));
    for client in [editor, late] {
        world.expect_line(client, &said("a", "more"));
    }
    world.request(late, 1, "session/prompt", &prompt("a", "three"));
    world.expect_line(editor, &echo("a", "three"));
    let number = world.expect_request(channel, "session/prompt", &prompt("a", "three"));
    world.answer(channel, number, END_TURN);
    world.expect_answer(late, 1, END_TURN);
    let told = [("running", editor), ("idle", editor)].map(|(word, id)| (id, word.to_owned()));
    assert_eq!(world.turns, told);
}

#[test]
fn a_resume_never_replays_and_is_answered_before_the_state() {
    let mut world = world();
    let (editor, channel) = world.start();
    world.open(editor, channel, "a");
    turn(&mut world, editor, channel, "one");
    let plan = state("a", "plan", r#""entries":[]"#);
    world.says(channel, plan.clone());
    world.expect_line(editor, &plan);
    let late = world.join();
    let got = asks(&mut world, late, "session/resume", &stored("a"));
    assert_eq!(got, [answer("{}"), plan]);
}

#[test]
fn in_a_turn_a_load_gets_what_came_so_far_and_then_what_comes() {
    let mut world = world();
    let (editor, channel) = world.start();
    world.open(editor, channel, "a");
    world.request(editor, 1, "session/prompt", &prompt("a", "one"));
    let number = world.expect_request(channel, "session/prompt", &prompt("a", "one"));
    world.says(channel, said("a", "half"));
    world.expect_line(editor, &said("a", "half"));
    world.gone(editor);
    world.says(channel, said("a", "unseen"));
    let again = world.join();
    let got = asks(&mut world, again, "session/load", &stored("a"));
    let expected = [echo("a", "one"), said("a", "half"), said("a", "unseen"), answer("{}")];
    assert_eq!(got, expected);
    world.says(channel, said("a", "rest"));
    world.expect_line(again, &said("a", "rest"));
    world.answer(channel, number, END_TURN);
    assert_eq!(world.turns, [(again, "idle".to_owned())]);
}

#[test]
fn the_settings_that_hold_now_are_in_the_answer() {
    let mut world = world();
    let (editor, channel) = world.start();
    world.request(editor, 1, "session/new", crate::harness::NEW);
    let number = world.expect_request(channel, "session/new", crate::harness::NEW);
    let opened = r#"{"sessionId":"a","modes":{"currentModeId":"ask","availableModes":[]},"models":{"currentModelId":"m1"},"configOptions":[1],"_meta":{"x":1.0}}"#;
    world.answer(channel, number, opened);
    world.expect_answer(editor, 1, opened);
    let other = world.join();
    let got = asks(&mut world, other, "session/resume", &stored("a"));
    let same = opened.replace(r#""sessionId":"a","#, "");
    assert_eq!(got, [answer(&same)]);
    // One client changes the mode, the model and an option; the other one is told of what it
    // can be told.
    for (method, rest, result, told) in [
        (
            "session/set_mode",
            r#","modeId":"code""#,
            "{}",
            Some(("current_mode_update", r#""currentModeId":"code""#)),
        ),
        ("session/set_model", r#","modelId":"m2""#, "{}", None),
        (
            "session/set_config_option",
            r#","configId":"c","value":"v""#,
            r#"{"configOptions":[2]}"#,
            Some(("config_option_update", r#""configOptions":[2]"#)),
        ),
    ] {
        let params = format!(r#"{{"sessionId":"a"{rest}}}"#);
        world.request(editor, 2, method, &params);
        let number = world.expect_request(channel, method, &params);
        world.answer(channel, number, result);
        world.expect_answer(editor, 2, result);
        if let Some((kind, rest)) = told {
            world.expect_line(other, &state("a", kind, rest));
        }
        world.assert_nothing_left();
    }
    let third = world.join();
    let got = asks(&mut world, third, "session/resume", &stored("a"));
    let now = same.replace("ask", "code").replace("m1", "m2").replace("[1]", "[2]");
    assert_eq!(got[0], answer(&now));
    assert_eq!(got.len(), 3, "{got:?}");
}

#[test]
fn a_setting_that_the_agent_tells_itself_is_not_told_twice() {
    let mut world = world();
    let (editor, channel) = world.start();
    world.open(editor, channel, "a");
    let other = world.join();
    asks(&mut world, other, "session/resume", &stored("a"));
    let params = r#"{"sessionId":"a","modeId":"code"}"#;
    world.request(editor, 2, "session/set_mode", params);
    let number = world.expect_request(channel, "session/set_mode", params);
    let told = state("a", "current_mode_update", r#""currentModeId":"code""#);
    world.says(channel, told.clone());
    world.answer(channel, number, "{}");
    world.expect_line(editor, &told);
    world.expect_answer(editor, 2, "{}");
    world.expect_line(other, &told);
}

#[test]
fn what_the_ring_has_given_up_is_told_and_asked_of_the_agent_where_it_can_be() {
    let mut world = World::with(|config| config.limits.replay_bytes = 900);
    let (editor, channel) = world.start();
    world.open(editor, channel, "a");
    for text in ["one", "two", "three"] {
        turn(&mut world, editor, channel, text);
    }
    world.request(editor, 1, "session/prompt", &prompt("a", "four"));
    let running = world.expect_request(channel, "session/prompt", &prompt("a", "four"));
    let late = world.join();
    let got = asks(&mut world, late, "session/load", &stored("a"));
    assert!(got[0].contains("is not in memory any more"), "{got:?}");
    assert_eq!(got[1], echo("a", "three"), "whole turns, from their prompt on");
    assert_eq!(got.last(), Some(&answer("{}")));
    world.answer(channel, running, END_TURN);
    world.expect_answer(editor, 1, END_TURN);
    // When nothing runs, the agent has the whole of it; only the newcomer gets its replay.
    let third = world.join();
    world.request(third, 1, "session/load", &stored("a"));
    let number = world.expect_request(channel, "session/load", &stored("a"));
    world.says(channel, said("a", "old"));
    world.expect_line(third, &said("a", "old"));
    // A prompt of another client must not mix with it.
    world.request(editor, 2, "session/prompt", &prompt("a", "five"));
    world.assert_nothing_left();
    world.answer(channel, number, "null");
    world.expect_answer(third, 1, "null");
    world.expect_request(channel, "session/prompt", &prompt("a", "five"));
    for client in [late, third] {
        world.expect_line(client, &echo("a", "five"));
    }
}

#[test]
fn one_who_comes_back_gets_what_it_has_missed_and_nothing_twice() {
    let mut world = world();
    let (editor, channel) = world.start_with(&numbered());
    world.open(editor, channel, "a");
    let seq = |line: &str| {
        let value: Value = serde_json::from_str(line).unwrap();
        value["params"]["_meta"]["drawbridge"]["seq"].as_u64().unwrap()
    };
    let mut last = 0;
    for text in ["1", "2", "3"] {
        world.says(channel, said("a", text));
        last = seq(&world.next_line(editor));
    }
    assert_eq!(last, 3);
    world.gone(editor);
    for text in ["4", "5"] {
        world.says(channel, said("a", text));
    }
    let again = world.connect();
    world.request(again, 0, "initialize", &numbered());
    world.next_line(again);
    let params = r#"{"sessionId":"a","afterSeq":3}"#;
    let got = asks(&mut world, again, "_drawbridge/attach", params);
    let numbers: Vec<u64> = got[..2].iter().map(|line| seq(line)).collect();
    assert_eq!((numbers, &got[2]), (vec![4, 5], &answer(r#"{"replayed":2,"gap":false}"#)));
    world.says(channel, said("a", "6"));
    assert_eq!(seq(&world.next_line(again)), 6);
    // From the beginning, and from a number that is not in memory.
    let got = asks(&mut world, again, "_drawbridge/attach", &session("a"));
    assert_eq!(got.last(), Some(&answer(r#"{"replayed":6,"gap":false}"#)));
    assert_eq!(seq(&got[0]), 1);
}

#[test]
fn a_gap_is_told() {
    let mut world = World::with(|config| config.limits.replay_bytes = 900);
    let (editor, channel) = world.start();
    world.open(editor, channel, "a");
    for text in ["one", "two", "three"] {
        turn(&mut world, editor, channel, text);
    }
    let late = world.join();
    for (after, expected) in [(0, "true"), (6, "false")] {
        let params = format!(r#"{{"sessionId":"a","afterSeq":{after}}}"#);
        let got = asks(&mut world, late, "_drawbridge/attach", &params);
        let end = format!(r#","gap":{expected}}}}}"#);
        assert!(got.last().is_some_and(|line| line.ends_with(&end)), "{got:?}");
    }
    world.request(late, 1, "_drawbridge/attach", &session("nothing"));
    world.expect_refusal(late, 1, -32002, "unknown_session");
}

#[test]
fn other_values_of_what_a_session_works_with_are_not_taken_and_that_is_said() {
    let mut world = world();
    let (editor, channel) = world.start();
    world.open(editor, channel, "a");
    let late = world.join();
    let params = r#"{"sessionId":"a","cwd":"/work","mcpServers":[{"name":"x"}]}"#;
    world.request(late, 90, "session/load", params);
    let kept = r#"{"_meta":{"drawbridge":{"kept":["mcpServers"]}}}"#;
    world.expect_answer(late, 90, kept);
    world.expect_warning(|notice| matches!(notice, Notice::SessionKept { .. }));
}

#[test]
fn a_newcomer_is_asked_what_nobody_else_can_answer() {
    let mut world = world();
    let (editor, channel) = world.start();
    let observer = world.join();
    world.open(editor, channel, "a");
    asks(&mut world, observer, "session/resume", &stored("a"));
    world.request(editor, 1, "session/prompt", &prompt("a", "one"));
    world.expect_line(observer, &echo("a", "one"));
    let running = world.expect_request(channel, "session/prompt", &prompt("a", "one"));
    let asked = world.ask(channel, editor, "a", "7");
    world.assert_nothing_left();
    world.gone(editor);
    // An observer decides nothing, although it is the only one that is there.
    world.wait(60_000);
    world.assert_nothing_left();
    let late = world.join();
    let got = asks(&mut world, late, "session/load", &stored("a"));
    let line = got.last().cloned().unwrap();
    assert!(line.contains("session/request_permission") && asked > 0, "{got:?}");
    let id: Value = serde_json::from_str(&line).unwrap();
    world.answer(late, &id["id"], ALLOWED);
    world.expect_answer(channel, 7, ALLOWED);
    world.answer(channel, running, END_TURN);
}

#[test]
fn an_observer_that_prompts_is_asked_from_then_on() {
    let mut world = world();
    let (editor, channel) = world.start();
    let observer = world.join();
    world.open(editor, channel, "a");
    asks(&mut world, observer, "session/resume", &stored("a"));
    world.request(editor, 1, "session/prompt", &prompt("a", "one"));
    world.expect_line(observer, &echo("a", "one"));
    let running = world.expect_request(channel, "session/prompt", &prompt("a", "one"));
    world.ask(channel, editor, "a", "7");
    world.gone(editor);
    world.request(observer, 1, "session/prompt", &prompt("a", "two"));
    let asked = world.expect_request(observer, "session/request_permission", &permission("a"));
    world.answer(observer, asked, ALLOWED);
    world.expect_answer(channel, 7, ALLOWED);
    world.answer(channel, running, END_TURN);
    world.expect_request(channel, "session/prompt", &prompt("a", "two"));
}

#[test]
fn an_agent_that_repeats_prompts_is_not_repeated() {
    let mut world = world();
    let (editor, channel) = world.start();
    let other = world.join();
    world.open(editor, channel, "a");
    asks(&mut world, other, "session/resume", &stored("a"));
    world.request(editor, 1, "session/prompt", &prompt("a", "one"));
    let number = world.expect_request(channel, "session/prompt", &prompt("a", "one"));
    world.expect_line(other, &echo("a", "one"));
    world.says(channel, echo("a", "one"));
    world.expect_line(editor, &echo("a", "one"));
    world.expect_line(other, &echo("a", "one"));
    world.answer(channel, number, END_TURN);
    world.expect_answer(editor, 1, END_TURN);
    world.request(editor, 2, "session/prompt", &prompt("a", "two"));
    world.expect_request(channel, "session/prompt", &prompt("a", "two"));
    world.assert_nothing_left();
}

#[test]
fn a_number_of_an_earlier_life_of_the_session_means_that_all_is_missing() {
    let mut world = world();
    let (editor, channel) = world.start();
    world.open(editor, channel, "a");
    turn(&mut world, editor, channel, "one");
    let late = world.join();
    let params = r#"{"sessionId":"a","afterSeq":500}"#;
    let got = asks(&mut world, late, "_drawbridge/attach", params);
    let expected = [echo("a", "one"), said("a", "re one"), answer(r#"{"replayed":2,"gap":true}"#)];
    assert_eq!(got, expected);
}

#[test]
fn after_the_only_clients_own_load_the_state_is_what_the_agent_has_said_then() {
    let mut world = world();
    let (editor, channel) = world.start();
    world.open(editor, channel, "a");
    let mode =
        |word: &str| state("a", "current_mode_update", &format!(r#""currentModeId":"{word}""#));
    let usage = |used: u8| state("a", "usage_update", &format!(r#""used":{used}"#));
    for line in [mode("code"), usage(1)] {
        world.says(channel, line.clone());
        world.expect_line(editor, &line);
    }
    world.request(editor, 1, "session/load", &stored("a"));
    let number = world.expect_request(channel, "session/load", &stored("a"));
    world.says(channel, usage(2));
    world.expect_line(editor, &usage(2));
    let modes = r#"{"modes":{"currentModeId":"ask","availableModes":[]}}"#;
    world.answer(channel, number, modes);
    world.expect_answer(editor, 1, modes);
    let late = world.join();
    let got = asks(&mut world, late, "session/resume", &stored("a"));
    assert_eq!(got, [answer(modes), usage(2)]);
}

#[test]
fn what_a_sub_agent_hears_is_no_echo_of_a_prompt() {
    let mut world = world();
    let (editor, channel) = world.start();
    world.open(editor, channel, "a");
    world.request(editor, 1, "session/prompt", &prompt("a", "one"));
    let number = world.expect_request(channel, "session/prompt", &prompt("a", "one"));
    world.says(channel, echo("kid", "do this"));
    world.expect_line(editor, &echo("kid", "do this"));
    world.answer(channel, number, END_TURN);
    world.expect_answer(editor, 1, END_TURN);
    let late = world.join();
    asks(&mut world, late, "session/resume", &stored("a"));
    world.request(editor, 2, "session/prompt", &prompt("a", "two"));
    world.expect_request(channel, "session/prompt", &prompt("a", "two"));
    world.expect_line(late, &echo("a", "two"));
}

#[test]
fn the_next_client_reads_why_a_question_was_cancelled() {
    let long = "x".repeat(201);
    let cut = format!(" (“{}…”)", &long[1..]);
    let permission = |title: &str| format!(r#""toolCall":{{"title":"{title}"}}"#);
    for (method, subject, quoted, what, waits, spelled) in [
        (PERMISSION, permission("Run it"), " (“Run it”)", "permission", 60_000, "1m"),
        (PERMISSION, permission(&long), &cut, "permission", 60_000, "1m"),
        (PERMISSION, permission(""), "", "permission", 60_000, "1m"),
        (ELICITATION, r#""message":"Name?""#.to_owned(), " (“Name?”)", "input", 30_000, "30s"),
    ] {
        let mut world = World::with(|config| {
            shared(config);
            config.limits.permission_timeout = Limit::After(60_000);
        });
        let (editor, channel) = world.start();
        let watcher = world.join();
        world.open(editor, channel, "a");
        world.request(editor, 1, "session/prompt", &prompt("a", "go"));
        world.expect_request(channel, "session/prompt", &prompt("a", "go"));
        let watches = what == "permission";
        if watches {
            // One that has not prompted decides nothing.
            asks(&mut world, watcher, "session/resume", &stored("a"));
        }
        world.gone(editor);
        world.request(channel, 50, method, &format!(r#"{{"sessionId":"a",{subject}}}"#));
        world.wait(waits - 1);
        world.assert_nothing_left();
        world.wait(1);
        let why = said(
            "a",
            &format!(
                "\\n\\n(drawbridge: for {spelled} nobody was here who could answer the agent's \
                 request for {what}{quoted}, and it was cancelled)\\n\\n"
            ),
        );
        if watches {
            world.expect_line(watcher, &why);
        }
        let answer = world.next_line(channel);
        assert!(answer.contains("cancel"), "{answer}");
        world.rest(channel);
        let late = world.join();
        let got = asks(&mut world, late, "session/load", &stored("a"));
        assert!(got.contains(&why), "{got:#?}");
    }
}

#[test]
fn a_question_of_a_turn_that_was_cancelled_needs_no_remark() {
    let mut world = world();
    let (editor, channel) = world.start();
    world.open(editor, channel, "a");
    world.request(editor, 1, "session/prompt", &prompt("a", "go"));
    world.expect_request(channel, "session/prompt", &prompt("a", "go"));
    world.ask(channel, editor, "a", "50");
    world.notify(editor, "session/cancel", &session("a"));
    world.expect_notification(channel, "session/cancel", &session("a"));
    world.gone(editor);
    world.wait(10_000);
    world.expect_answer(channel, 50, NOT_ALLOWED);
    let late = world.join();
    let got = asks(&mut world, late, "session/load", &stored("a"));
    assert!(!got.concat().contains("drawbridge:"), "{got:#?}");
}
