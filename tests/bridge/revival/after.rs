//! A session is brought back after whatever has ended its agent, if the agent can.

use drawbridge::bridge::config::{BackgroundWork, IdlePolicy};
use drawbridge::bridge::restore::{Experience, Record};
use drawbridge::bridge::{Limit, Notice};

use crate::harness::{Deed, END_TURN, NEW, prompt, session, update};
use crate::revival::stories::{LOADS, PUNCTUAL, VERSIONED, crashed, restored, world, world_with};

#[test]
fn a_crashed_session_answers_the_next_prompt_as_if_nothing_had_been() {
    let mut world = world();
    let editor = crashed(&mut world);
    world.request(editor, 7, "session/prompt", &prompt("s"));
    let channel = world.fresh();
    let number = world.expect_request(channel, "session/resume", &restored("s"));
    world.answer(channel, number, "{}");
    world.expect_restored(editor, "s");
    let number = world.expect_request(channel, "session/prompt", &prompt("s"));
    world.notify(channel, "session/update", &update("s", "hello"));
    world.answer(channel, number, END_TURN);
    world.expect_notification(editor, "session/update", &update("s", "hello"));
    world.expect_answer(editor, 7, END_TURN);
    world.turn(editor, channel, "s");
}

#[test]
fn a_load_that_restores_is_not_shown_but_its_state_is() {
    let mut world = world_with(LOADS, |_| {});
    world.believe(PUNCTUAL);
    let editor = crashed(&mut world);
    world.request(editor, 7, "session/prompt", &prompt("s"));
    let channel = world.fresh();
    let number = world.expect_request(channel, "session/load", &restored("s"));
    let commands = r#"{"sessionId":"s","update":{"sessionUpdate":"available_commands_update","availableCommands":[]}}"#;
    let tool = r#"{"sessionId":"s","update":{"sessionUpdate":"tool_call","toolCallId":"t"}}"#;
    let unknown = r#"{"sessionId":"s","update":{"sessionUpdate":"of_tomorrow"}}"#;
    for line in [&update("s", "old"), tool, commands, unknown, &update("child", "of a sub-agent")] {
        world.notify(channel, "session/update", line);
    }
    world.answer(channel, number, "null");
    world.expect_notification(editor, "session/update", commands);
    world.expect_restored(editor, "s");
    world.expect_request(channel, "session/prompt", &prompt("s"));
    assert_eq!(world.bridge.counters().muted, 4);
}

#[test]
fn a_turn_that_died_with_its_agent_is_not_repeated() {
    let mut world = world();
    let (editor, channel) = world.start();
    world.open(editor, channel, "s");
    world.turn(editor, channel, "s");
    world.prompt(editor, channel, "s", 5);
    world.exits(channel, 3);
    world.expect_parked(editor, "s", "channel_closed");
    let data = world.expect_refusal(editor, 5, -32603, "agent_exited");
    let text = data["details"].as_str().unwrap();
    assert!(text.contains("not repeated") && text.contains("next message"), "{text}");
    world.expect_warning(|it| matches!(it, Notice::ChannelExited { is_crash: true, .. }));
    world.request(editor, 6, "session/prompt", &prompt("s"));
    let channel = world.fresh();
    let number = world.expect_request(channel, "session/resume", &restored("s"));
    world.answer(channel, number, "{}");
    world.expect_restored(editor, "s");
    world.expect_request(channel, "session/prompt", &prompt("s"));
    world.assert_nothing_for(channel);
}

#[test]
fn an_agent_that_cannot_restore_says_so_and_what_to_do() {
    let mut world = world_with(r#"{"protocolVersion":1}"#, |_| {});
    let (editor, channel) = world.start();
    world.open(editor, channel, "s");
    world.turn(editor, channel, "s");
    world.prompt(editor, channel, "s", 5);
    world.exits(channel, 3);
    world.expect_died(editor, "s", "channel_closed", r#","exitCode":3"#);
    let data = world.expect_refusal(editor, 5, -32603, "agent_exited");
    let text = data["details"].as_str().unwrap();
    assert!(text.contains("open a new session"), "{text}");
    world.expect_warning(|it| matches!(it, Notice::ChannelExited { is_crash: true, .. }));
    world.request(editor, 6, "session/prompt", &prompt("s"));
    world.expect_refusal(editor, 6, -32002, "session_closed");
}

#[test]
fn a_reaped_session_of_a_proven_agent_comes_back_and_an_unproven_one_stays() {
    for (record, is_reaped) in [
        (Record::default(), false),
        (Record { load: Experience::Succeeded, ..PUNCTUAL }, true),
        (Record { resume: Experience::Succeeded, ..Record::default() }, true),
        (
            Record { resume: Experience::Refused, load: Experience::Refused, ..Record::default() },
            false,
        ),
    ] {
        let mut world = world_with(VERSIONED, |config| {
            config.agent.idle_policy = IdlePolicy::Restorable;
            config.agent.channel_idle_timeout = Limit::After(0);
            config.agent.background_work = BackgroundWork::Ignore;
        });
        world.believe(record);
        let (editor, channel) = world.start();
        world.open(editor, channel, "s");
        world.turn(editor, channel, "s");
        world.wait(7_200_000);
        if !is_reaped {
            world.wait(7_200_000);
            world.assert_nothing_left();
            continue;
        }
        world.expect_parked(editor, "s", "idle_timeout");
        let number = world.expect_request(channel, "session/close", &session("s"));
        world.answer(channel, number, "{}");
        world.expect(channel, Deed::CloseStdin);
        world.exits(channel, 0);
        world.request(editor, 7, "session/prompt", &prompt("s"));
        let channel = world.expect_spawn("/home");
        world.handshake(channel);
        let method =
            if record.load == Experience::Succeeded { "session/load" } else { "session/resume" };
        let number = world.expect_request(channel, method, &restored("s"));
        world.notify(channel, "session/update", &update("s", "old"));
        world.answer(channel, number, "{}");
        world.expect_restored(editor, "s");
        world.expect_request(channel, "session/prompt", &prompt("s"));
    }
}

#[test]
fn a_session_that_was_never_prompted_needs_no_proof() {
    let mut world = world_with(r#"{"protocolVersion":1}"#, |config| {
        config.agent.idle_policy = IdlePolicy::Restorable;
        config.agent.background_work = BackgroundWork::Ignore;
        config.agent.channel_idle_timeout = Limit::Never;
    });
    let (editor, channel) = world.start();
    world.open(editor, channel, "s");
    world.wait(3 * 3_600_000);
    world.expect_parked(editor, "s", "idle_timeout");
    world.request(editor, 7, "session/prompt", &prompt("s"));
    let number = world.expect_request(channel, "session/new", NEW);
    // An agent without `session/close` still has the first one.
    world.answer(channel, number, &session("s"));
    world.expect_restored(editor, "s");
    world.expect_request(channel, "session/prompt", &prompt("s"));
}

#[test]
fn the_first_refusal_of_a_record_ends_the_trust_and_the_recipe_stays() {
    let mut world = world();
    let editor = crashed(&mut world);
    world.request(editor, 7, "session/prompt", &prompt("s"));
    let channel = world.fresh();
    let number = world.expect_request(channel, "session/resume", &restored("s"));
    world.fail(channel, number, -32002);
    let data = world.expect_refusal(editor, 7, -32603, "restore_failed");
    assert!(
        data["details"].as_str().is_some_and(|text| text.contains("could not be brought back"))
    );
    world.expect_warning(|it| matches!(it, Notice::RestoreDistrusted { .. }));
    let (version, record) = world.experience.pop().unwrap();
    assert_eq!((&*version, record.resume), ("a 1", Experience::Refused));
    // It is tried again, in the other way that the agent offers.
    world.request(editor, 8, "session/prompt", &prompt("s"));
    world.expect_request(channel, "session/load", &restored("s"));
}

#[test]
fn an_agent_that_refused_one_session_may_still_bring_another_back() {
    let mut world = world_with(LOADS, |_| {});
    let (editor, channel) = world.start();
    for id in ["young", "old"] {
        world.open(editor, channel, id);
        world.turn(editor, channel, id);
    }
    world.crash(editor, channel, &["young", "old"]);
    world.request(editor, 7, "session/prompt", &prompt("young"));
    let channel = world.fresh();
    let number = world.expect_request(channel, "session/load", &restored("young"));
    world.fail(channel, number, -32603);
    world.expect_refusal(editor, 7, -32603, "restore_failed");
    world.expect_warning(|it| matches!(it, Notice::RestoreDistrusted { .. }));
    world.request(editor, 8, "session/prompt", &prompt("old"));
    let number = world.expect_request(channel, "session/load", &restored("old"));
    world.answer(channel, number, "{}");
    world.wait(300);
    world.expect_restored(editor, "old");
    world.expect_request(channel, "session/prompt", &prompt("old"));
}

#[test]
fn requests_that_wait_are_bounded_in_bytes_and_a_lone_one_is_not() {
    let mut world = world();
    let (editor, channel) = world.start();
    for id in ["s", "other"] {
        world.open(editor, channel, id);
        world.turn(editor, channel, id);
    }
    world.crash(editor, channel, &["s", "other"]);
    let long = |mib: usize| prompt("s").replacen('{', &format!("{{{}", " ".repeat(mib << 20)), 1);
    world.request(editor, 7, "session/prompt", &long(20));
    let channel = world.fresh();
    let number = world.expect_request(channel, "session/resume", &restored("s"));
    // What is refused brings nothing back, and what makes room is not refused.
    for (turn, id) in [(8, "s"), (9, "other")] {
        world.request(editor, turn, "session/prompt", &prompt(id));
        world.expect_refusal(editor, turn, -32603, "too_many_requests");
    }
    world.request(editor, 10, "session/close", &session("other"));
    world.expect_answer(editor, 10, "{}");
    world.answer(channel, number, "{}");
    world.expect_restored(editor, "s");
    let number = world.expect_request(channel, "session/prompt", &long(20));
    world.answer(channel, number, END_TURN);
    world.expect_answer(editor, 7, END_TURN);
}

#[test]
fn a_login_that_is_wanted_goes_to_the_client_that_waits() {
    let mut world = world();
    let editor = crashed(&mut world);
    world.request(editor, 7, "session/prompt", &prompt("s"));
    let channel = world.fresh();
    let number = world.expect_request(channel, "session/resume", &restored("s"));
    world.fail(channel, number, -32000);
    world.expect_failure(editor, 7, -32000);
    assert!(world.experience.is_empty());
    world.agreed(editor, channel, "authenticate", r#"{"methodId":"m"}"#);
    world.request(editor, 8, "session/prompt", &prompt("s"));
    let number = world.expect_request(channel, "session/resume", &restored("s"));
    world.answer(channel, number, "{}");
    world.expect_restored(editor, "s");
    world.expect_request(channel, "session/prompt", &prompt("s"));
}

#[test]
fn what_the_agent_asks_in_a_restore_is_for_the_client_that_waits() {
    let mut world = world();
    let editor = crashed(&mut world);
    world.request(editor, 7, "session/prompt", &prompt("s"));
    let channel = world.fresh();
    let number = world.expect_request(channel, "session/resume", &restored("s"));
    let params = r#"{"sessionId":"s","path":"/a"}"#;
    world.request(channel, 1, "fs/read_text_file", params);
    let question = world.expect_request(editor, "fs/read_text_file", params);
    world.answer(editor, question, r#"{"content":""}"#);
    world.expect_answer(channel, 1, r#"{"content":""}"#);
    world.answer(channel, number, "{}");
    world.expect_restored(editor, "s");
    world.expect_request(channel, "session/prompt", &prompt("s"));
}
