//! The things that are kept of parked sessions, and for whom.

use drawbridge::bridge::{AgentId, Event, Notice};

use crate::harness::{END_TURN, INITIALIZE, NEW, prompt, request, session, stored, update};
use crate::revival::stories::{
    VERSIONED, crashed, daemon, in_mode, pair, restored, set_mode, world, world_with,
};

#[test]
fn a_session_that_was_never_prompted_is_opened_anew_behind_its_id() {
    let mut world = world();
    let (editor, channel) = world.start();
    world.open(editor, channel, "s");
    world.crash(editor, channel, &["s"]);
    world.request(editor, 7, "session/prompt", &prompt("s"));
    let channel = world.fresh();
    let number = world.expect_request(channel, "session/new", NEW);
    world.answer(channel, number, &session("other"));
    world.expect_restored(editor, "s");
    assert_eq!(world.pairs, [pair()]);
    let number = world.expect_request(channel, "session/prompt", &prompt("other"));
    world.notify(channel, "session/update", &update("other", "hello"));
    world.expect_notification(editor, "session/update", &update("s", "hello"));
    world.answer(channel, number, END_TURN);
    world.expect_answer(editor, 7, END_TURN);
    // From now on the agent has a record of it.
    world.crash(editor, channel, &["s"]);
    world.request(editor, 8, "session/prompt", &prompt("s"));
    let channel = world.fresh();
    world.expect_request(channel, "session/resume", &restored("other"));
}

#[test]
fn an_agent_that_gives_a_live_session_in_its_place_is_asked_once() {
    let mut world = world();
    let (editor, channel) = world.start();
    world.open(editor, channel, "s");
    world.crash(editor, channel, &["s"]);
    world.request(editor, 1, "session/new", NEW);
    let channel = world.fresh();
    world.opened(editor, channel, "t", "1");
    world.request(editor, 7, "session/prompt", &prompt("s"));
    let number = world.expect_request(channel, "session/new", NEW);
    world.answer(channel, number, &session("t"));
    world.expect_refusal(editor, 7, -32603, "protocol_broken");
    world.assert_nothing_for(channel);
}

#[test]
fn the_next_bridge_knows_a_session_that_was_opened_anew() {
    let mut world = world();
    let pairs = vec![pair()];
    world.event(Event::Pairs { agent: AgentId(0), pairs });
    let (editor, channel) = world.start();
    world.request(editor, 1, "session/load", &stored("s"));
    let number = world.expect_request(channel, "session/load", &stored("other"));
    world.notify(channel, "session/update", &update("other", "old"));
    world.expect_notification(editor, "session/update", &update("s", "old"));
    world.answer(channel, number, "null");
    world.expect_answer(editor, 1, "null");
    world.request(editor, 2, "session/list", "{}");
    let number = world.expect_request(channel, "session/list", "{}");
    world.answer(
        channel,
        number,
        r#"{"sessions":[{"sessionId":"other","cwd":"/work"},{"sessionId":"t"}]}"#,
    );
    world.expect_answer(
        editor,
        2,
        r#"{"sessions":[{"sessionId":"s","cwd":"/work"},{"sessionId":"t"}]}"#,
    );
}

#[test]
fn a_session_of_another_client_is_not_brought_back_by_naming_it() {
    let mut world = world();
    let (editor, channel) = world.start();
    world.open(editor, channel, "s");
    world.turn(editor, channel, "s");
    let other = world.join();
    world.crash(editor, channel, &["s"]);
    world.request(other, 7, "session/prompt", &prompt("s"));
    world.expect_refusal(other, 7, -32002, "unknown_session");
    assert_eq!(world.bridge.counters().muted, 0);
    let line = request(8, "_other/thing", &session("s"));
    world.says(other, line);
    world.expect_refusal(other, 8, -32002, "unknown_session");
}

#[test]
fn whoever_brings_it_back_all_who_had_it_have_it_again() {
    let mut world = world();
    let (editor, channel) = world.start();
    world.open(editor, channel, "s");
    world.turn(editor, channel, "s");
    let other = world.join();
    world.request(other, 1, "_drawbridge/attach", &session("s"));
    world.rest(other);
    world.exits(channel, 3);
    world.expect_parked(editor, "s", "channel_closed");
    world.expect_parked(other, "s", "channel_closed");
    world.expect_warning(|it| matches!(it, Notice::ChannelExited { is_crash: true, .. }));
    world.request(other, 7, "session/prompt", &prompt("s"));
    let channel = world.fresh();
    let number = world.expect_request(channel, "session/resume", &restored("s"));
    world.answer(channel, number, "{}");
    for client in [editor, other] {
        world.expect_restored(client, "s");
    }
    world.expect_request(channel, "session/prompt", &prompt("s"));
    world.notify(channel, "session/update", &update("s", "hello"));
    let lines = [editor, other].map(|client| world.rest(client));
    assert!(lines.iter().all(|lines| format!("{lines:?}").contains("hello")), "{lines:?}");
}

#[test]
fn a_client_that_has_left_is_not_given_it_again() {
    let mut world = world();
    let editor = crashed(&mut world);
    world.gone(editor);
    let (editor, channel) = {
        world.wait(1_000);
        let editor = world.connect();
        world.request(editor, 0, "initialize", INITIALIZE);
        let channel = world.expect_spawn("/home");
        world.handshake(channel);
        world.rest(editor);
        (editor, channel)
    };
    // The conversation is the client's for the loading.
    world.request(editor, 1, "session/load", &stored("s"));
    let number = world.expect_request(channel, "session/load", &stored("s"));
    world.notify(channel, "session/update", &update("s", "old"));
    world.expect_notification(editor, "session/update", &update("s", "old"));
    world.answer(channel, number, &in_mode("ask"));
    world.expect_answer(editor, 1, &in_mode("ask"));
    world.turn(editor, channel, "s");
}

#[test]
fn a_client_whose_load_died_with_the_agent_does_not_have_the_session() {
    let mut world = world();
    let (editor, channel) = world.start();
    world.open(editor, channel, "s");
    world.turn(editor, channel, "s");
    let other = world.join();
    world.request(other, 1, "session/load", &stored("s"));
    world.expect_request(channel, "session/load", &stored("s"));
    world.crash(editor, channel, &["s"]);
    world.expect_refusal(other, 1, -32603, "agent_exited");
    world.request(other, 2, "session/prompt", &prompt("s"));
    world.expect_refusal(other, 2, -32002, "unknown_session");
    world.request(editor, 7, "session/prompt", &prompt("s"));
    let channel = world.fresh();
    let number = world.expect_request(channel, "session/resume", &restored("s"));
    world.answer(channel, number, "{}");
    world.expect_restored(editor, "s");
    world.expect_request(channel, "session/prompt", &prompt("s"));
}

#[test]
fn others_who_had_a_session_without_a_record_get_it_back_with_its_settings() {
    let mut world = world();
    let (editor, channel) = world.start();
    world.open(editor, channel, "s");
    let other = world.join();
    world.request(other, 1, "_drawbridge/attach", &session("s"));
    world.rest(other);
    world.agreed(editor, channel, "session/set_mode", &set_mode("s", "code"));
    world.rest(other);
    world.exits(channel, 3);
    world.rest(editor);
    world.rest(other);
    world.request(editor, 7, "session/load", &stored("s"));
    let channel = world.fresh();
    let number = world.expect_request(channel, "session/new", NEW);
    world.answer(channel, number, &in_mode("ask").replacen('{', r#"{"sessionId":"s","#, 1));
    world.expect_answer(editor, 7, &in_mode("ask"));
    world.expect_request(channel, "session/set_mode", &set_mode("s", "code"));
}

#[test]
fn a_delete_of_a_parked_session_needs_an_agent_and_ends_it_with_success() {
    let mut world = world();
    let editor = crashed(&mut world);
    world.request(editor, 7, "session/status", &session("s"));
    world.expect_answer(editor, 7, r#"{"status":"saved"}"#);
    world.request(editor, 8, "session/delete", &session("s"));
    let channel = world.fresh();
    let number = world.expect_request(channel, "session/delete", &session("s"));
    world.fail(channel, number, -32603);
    world.expect_failure(editor, 8, -32603);
    world.request(editor, 9, "session/delete", &session("s"));
    let number = world.expect_request(channel, "session/delete", &session("s"));
    world.answer(channel, number, "{}");
    world.expect_answer(editor, 9, "{}");
    world.request(editor, 10, "session/prompt", &prompt("s"));
    world.expect_refusal(editor, 10, -32002, "session_closed");
}

#[test]
fn a_heartbeat_tells_that_it_is_parked_and_does_not_bring_it_back() {
    let mut world = world();
    let editor = crashed(&mut world);
    world.wait(5_000);
    world.request(editor, 7, "_drawbridge/heartbeat", &session("s"));
    let parked = r#"{"sessions":[{"sessionId":"s","state":"parked","idleMs":5000}]}"#;
    world.expect_answer(editor, 7, parked);
    world.request(editor, 8, "_drawbridge/detach", &session("s"));
    world.expect_answer(editor, 8, "{}");
    world.request(editor, 9, "session/prompt", &prompt("s"));
    world.expect_refusal(editor, 9, -32002, "session_closed");
}

#[test]
fn the_table_is_bounded_and_who_loses_a_session_is_told() {
    let mut world = world_with(VERSIONED, |config| config.limits.parked.rows = 1);
    let (editor, channel) = world.start();
    for id in ["s", "t"] {
        world.open(editor, channel, id);
        world.turn(editor, channel, id);
    }
    world.exits(channel, 3);
    world.expect_parked(editor, "s", "channel_closed");
    world.expect_parked(editor, "t", "channel_closed");
    world.expect_warning(|it| matches!(it, Notice::ParkedGaveWay { .. }));
    world.expect_warning(|it| matches!(it, Notice::ChannelExited { is_crash: true, .. }));
    world.request(editor, 7, "session/prompt", &prompt("s"));
    world.expect_refusal(editor, 7, -32002, "session_closed");
}

#[test]
fn a_new_conversation_under_the_id_of_a_parked_one_gets_another() {
    let mut world = world();
    let editor = crashed(&mut world);
    world.request(editor, 1, "session/new", NEW);
    let channel = world.fresh();
    let number = world.expect_request(channel, "session/new", NEW);
    world.answer(channel, number, &session("s"));
    world.expect_answer(editor, 1, &session("~1~s"));
    // The agent has given the id to another conversation: the old one cannot be restored.
    world.request(editor, 7, "session/prompt", &prompt("s"));
    world.expect_refusal(editor, 7, -32002, "session_closed");
}

#[test]
fn an_adopted_session_is_brought_back_when_it_is_used() {
    let mut world = daemon();
    let (editor, channel) = world.start();
    world.open(editor, channel, "s");
    world.turn(editor, channel, "s");
    world.agreed(editor, channel, "session/set_mode", &set_mode("s", "code"));
    let keepsake = world.keepsakes.pop().unwrap();

    let mut next = daemon();
    let (editor, channel) = next.start();
    let texts = vec![keepsake.clone(), "unreadable".to_owned()];
    next.event(Event::Adopted { client: editor, sessions: texts });
    next.assert_nothing_left();
    next.request(editor, 7, "session/prompt", &prompt("s"));
    next.request(editor, 8, "session/prompt", &prompt("unreadable"));
    let number = next.expect_request(channel, "session/resume", &restored("s"));
    next.expect_refusal(editor, 8, -32002, "daemon_lost");
    next.answer(channel, number, &in_mode("ask"));
    let number = next.expect_request(channel, "session/set_mode", &set_mode("s", "code"));
    next.answer(channel, number, "{}");
    next.expect_restored(editor, "s");
    next.expect_request(channel, "session/prompt", &prompt("s"));
    // Another connection that had it finds it live: it is no second holder.
    let other = next.join();
    next.event(Event::Adopted { client: other, sessions: vec![keepsake] });
    next.expect_warning(|it| matches!(it, Notice::AdoptionRefused { .. }));
}

#[test]
fn two_clients_that_bring_the_same_session_share_it() {
    let mut world = daemon();
    let (editor, channel) = world.start();
    world.open(editor, channel, "s");
    let keepsake = world.keepsakes.pop().unwrap();
    world.turn(editor, channel, "s");
    let later = world.keepsakes.pop().unwrap();
    assert_ne!(keepsake, later, "the session has a record now");

    let mut next = daemon();
    let (editor, channel) = next.start();
    let other = next.join();
    for client in [editor, other] {
        next.event(Event::Adopted { client, sessions: vec![later.clone()] });
    }
    next.request(other, 7, "session/prompt", &prompt("s"));
    let number = next.expect_request(channel, "session/resume", &restored("s"));
    next.answer(channel, number, "{}");
    for client in [editor, other] {
        next.expect_restored(client, "s");
    }
    next.expect_request(channel, "session/prompt", &prompt("s"));
}
