//! A session that is brought back is as it was before a request reaches its agent.

use drawbridge::bridge::Notice;
use drawbridge::bridge::restore::{Record, Replay};

use crate::harness::{CANCELLED, END_TURN, prompt, session, update};
use crate::revival::stories::{
    LOADS, crashed, in_code, in_mode, mode_update, restored, set_mode, world, world_with,
};

#[test]
fn the_mode_is_what_it_was_before_a_prompt_reaches_the_agent() {
    let mut world = world();
    let (editor, channel, number) = in_code(&mut world);
    world.answer(channel, number, &in_mode("ask"));
    let number = world.expect_request(channel, "session/set_mode", &set_mode("s", "code"));
    world.notify(channel, "session/update", &mode_update("s", "code"));
    world.assert_nothing_for(channel);
    world.answer(channel, number, "{}");
    world.expect_restored(editor, "s");
    world.expect_request(channel, "session/prompt", &prompt("s"));
}

#[test]
fn a_mode_that_the_agent_told_itself_counts_too() {
    let mut world = world();
    let (editor, channel) = world.start();
    world.open(editor, channel, "s");
    world.turn(editor, channel, "s");
    world.notify(channel, "session/update", &mode_update("s", "code"));
    world.expect_notification(editor, "session/update", &mode_update("s", "code"));
    world.crash(editor, channel, &["s"]);
    world.request(editor, 7, "session/prompt", &prompt("s"));
    let channel = world.fresh();
    let number = world.expect_request(channel, "session/resume", &restored("s"));
    world.answer(channel, number, &in_mode("ask"));
    world.expect_request(channel, "session/set_mode", &set_mode("s", "code"));
}

#[test]
fn a_mode_that_is_refused_means_that_no_prompt_reaches_the_agent() {
    let mut world = world();
    let (editor, channel, number) = in_code(&mut world);
    world.answer(channel, number, &in_mode("ask"));
    let number = world.expect_request(channel, "session/set_mode", &set_mode("s", "code"));
    world.fail(channel, number, -32602);
    world.expect_parked(editor, "s", "restore_failed");
    world.expect_refusal(editor, 7, -32603, "restore_failed");
    world.expect_warning(|it| matches!(it, Notice::RestoreFailed { .. }));
    world.expect_warning(|it| matches!(it, Notice::RestoreDistrusted { .. }));
    let number = world.expect_request(channel, "session/close", &session("s"));
    world.answer(channel, number, "{}");
}

#[test]
fn the_answer_is_the_agents_last_word_on_a_mode() {
    let mut world = world();
    let (editor, channel, number) = in_code(&mut world);
    world.answer(channel, number, &in_mode("ask"));
    let number = world.expect_request(channel, "session/set_mode", &set_mode("s", "code"));
    world.notify(channel, "session/update", &mode_update("s", "code"));
    world.notify(channel, "session/update", &mode_update("s", "ask"));
    world.answer(channel, number, "{}");
    world.expect_restored(editor, "s");
    world.expect_request(channel, "session/prompt", &prompt("s"));
}

#[test]
fn a_mode_that_changes_back_before_the_prompt_means_that_none_is_sent() {
    let mut world = world();
    let (editor, channel) = world.start();
    world.open(editor, channel, "s");
    world.turn(editor, channel, "s");
    world.agreed(editor, channel, "session/set_mode", &set_mode("s", "code"));
    let mood = r#"{"sessionId":"s","mood":"good"}"#;
    world.agreed(editor, channel, "session/set_mood", mood);
    world.crash(editor, channel, &["s"]);
    world.request(editor, 7, "session/prompt", &prompt("s"));
    let channel = world.fresh();
    let number = world.expect_request(channel, "session/resume", &restored("s"));
    world.answer(channel, number, &in_mode("ask"));
    let number = world.expect_request(channel, "session/set_mode", &set_mode("s", "code"));
    world.answer(channel, number, "{}");
    let number =
        world.expect_request(channel, "session/set_mood", r#"{"sessionId":"s","mood":"good"}"#);
    world.notify(channel, "session/update", &mode_update("s", "ask"));
    world.answer(channel, number, "{}");
    world.expect_parked(editor, "s", "restore_failed");
    world.expect_refusal(editor, 7, -32603, "restore_failed");
    world.expect_warning(|it| matches!(it, Notice::RestoreFailed { .. }));
    world.expect_warning(|it| matches!(it, Notice::RestoreDistrusted { .. }));
    world.expect_request(channel, "session/close", &session("s"));
}

#[test]
fn a_mode_that_is_not_offered_any_more_is_dropped_and_told() {
    let mut world = world();
    let (editor, channel, number) = in_code(&mut world);
    let result = r#"{"modes":{"currentModeId":"ask","availableModes":[{"id":"ask"}]}}"#;
    world.answer(channel, number, result);
    world.expect_notification(editor, "session/update", &mode_update("s", "ask"));
    world.expect_restored(editor, "s");
    world.expect_warning(|it| matches!(it, Notice::SettingDropped { .. }));
    world.expect_request(channel, "session/prompt", &prompt("s"));
}

#[test]
fn every_setting_is_set_again_in_the_order_of_success() {
    let mut world = world();
    let (editor, channel) = world.start();
    world.open(editor, channel, "s");
    world.turn(editor, channel, "s");
    let option = |value: &str| format!(r#"{{"sessionId":"s","configId":"o","value":"{value}"}}"#);
    let mood = r#"{"sessionId":"s","mood":{"a":1.0}}"#;
    let requests = [
        ("session/set_config_option", option("low")),
        ("session/set_mood", mood.to_owned()),
        ("session/set_mode", set_mode("s", "code")),
        ("session/set_config_option", option("high")),
    ];
    for (method, params) in &requests {
        world.agreed(editor, channel, method, params);
    }
    world.request(editor, 9, "session/set_mode", &set_mode("s", "refused"));
    let number = world.expect_request(channel, "session/set_mode", &set_mode("s", "refused"));
    world.fail(channel, number, -32602);
    world.expect_failure(editor, 9, -32602);
    world.crash(editor, channel, &["s"]);
    world.request(editor, 7, "session/prompt", &prompt("s"));
    let channel = world.fresh();
    let number = world.expect_request(channel, "session/resume", &restored("s"));
    world.answer(channel, number, "{}");
    for (method, params) in &requests[1..] {
        let number = world.expect_request(channel, method, params);
        world.assert_nothing_for(channel);
        world.answer(channel, number, "{}");
    }
    world.expect_restored(editor, "s");
    world.expect_request(channel, "session/prompt", &prompt("s"));
}

#[test]
fn an_agent_known_for_a_late_replay_is_given_time_for_it() {
    let mut world = world_with(LOADS, |_| {});
    let late = Record { replay: Replay::AfterAnswer, ..Record::default() };
    world.believe(late);
    let editor = crashed(&mut world);
    world.request(editor, 7, "session/prompt", &prompt("s"));
    let channel = world.fresh();
    let number = world.expect_request(channel, "session/load", &restored("s"));
    world.notify(channel, "session/update", &update("s", "one"));
    world.answer(channel, number, "{}");
    world.wait(200);
    world.notify(channel, "session/update", &update("s", "two"));
    world.wait(299);
    world.assert_nothing_left();
    world.wait(1);
    world.expect_restored(editor, "s");
    world.expect_request(channel, "session/prompt", &prompt("s"));
}

#[test]
fn an_agent_of_which_nothing_is_known_is_given_time_for_its_replay_once() {
    let mut world = world_with(LOADS, |_| {});
    let editor = crashed(&mut world);
    for (turn, delay) in [(7, 300), (8, 0)] {
        world.request(editor, turn, "session/prompt", &prompt("s"));
        let channel = world.fresh();
        let number = world.expect_request(channel, "session/load", &restored("s"));
        world.notify(channel, "session/update", &update("s", "one"));
        world.answer(channel, number, "{}");
        world.wait(delay);
        world.expect_restored(editor, "s");
        let number = world.expect_request(channel, "session/prompt", &prompt("s"));
        world.answer(channel, number, END_TURN);
        world.expect_answer(editor, turn, END_TURN);
        world.crash(editor, channel, &["s"]);
    }
}

#[test]
fn a_late_replay_is_learned_from_a_load_of_a_client() {
    let mut world = world_with(LOADS, |_| {});
    let (editor, channel) = world.start();
    world.load(editor, channel, "s");
    world.notify(channel, "session/update", &update("s", "late"));
    world.expect_notification(editor, "session/update", &update("s", "late"));
    let learned = Record { replay: Replay::AfterAnswer, ..Record::default() };
    assert_eq!(world.experience, [("a 1".into(), learned)]);
}

#[test]
fn a_close_while_the_settings_are_made_what_they_were_ends_it_at_once() {
    let mut world = world();
    let (editor, channel, number) = in_code(&mut world);
    world.answer(channel, number, &in_mode("ask"));
    let number = world.expect_request(channel, "session/set_mode", &set_mode("s", "code"));
    world.request(editor, 9, "session/close", &session("s"));
    world.expect_answer(editor, 7, CANCELLED);
    world.expect_closed(editor, "s", "client_close");
    let close = world.expect_request(channel, "session/close", &session("s"));
    world.answer(channel, number, "{}");
    world.answer(channel, close, "{}");
    world.expect_answer(editor, 9, "{}");
}
