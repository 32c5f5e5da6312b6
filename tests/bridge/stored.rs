//! Stored conversations whose ids mean something else on another process.

use drawbridge::bridge::{ChannelId, ClientId};

use crate::harness::{END_TURN, NEW, World, session};

const PAGE: &str = r#"{"sessions":[{"sessionId":"s1"}]}"#;

/// Two processes that count alike: `s1` of the first is live, and `~1~s1` of the second.
fn two_that_count() -> (World, ClientId, ChannelId, ChannelId) {
    let mut world = World::with(|config| config.agent.sessions_per_channel = 2);
    let (editor, first) = world.start();
    world.open(editor, first, "s1");
    world.open(editor, first, "s2");
    world.request(editor, 1, "session/new", NEW);
    let second = world.expect_spawn("/home");
    world.handshake(second);
    let new = world.expect_request(second, "session/new", NEW);
    world.answer(second, new, &session("s1"));
    world.expect_answer(editor, 1, &session("~1~s1"));
    (world, editor, first, second)
}

fn lists(world: &mut World, editor: ClientId, channel: ChannelId, shown: &str) {
    world.request(editor, 2, "session/list", "{}");
    let list = world.expect_request(channel, "session/list", "{}");
    world.answer(channel, list, PAGE);
    world.expect_answer(editor, 2, shown);
}

#[test]
fn a_closed_session_is_listed_by_the_id_that_its_clients_knew() {
    let (mut world, editor, _, second) = two_that_count();
    let shown = r#"{"sessions":[{"sessionId":"~1~s1"}]}"#;
    lists(&mut world, editor, second, shown);
    world.request(editor, 3, "session/close", &session("~1~s1"));
    world.expect_closed(editor, "~1~s1", "client_close");
    let close = world.expect_request(second, "session/close", &session("s1"));
    world.answer(second, close, "{}");
    world.expect_answer(editor, 3, "{}");
    lists(&mut world, editor, second, shown);
    // What it is deleted by leads to it, and not to the live one.
    world.request(editor, 4, "session/delete", &session("~1~s1"));
    let delete = world.expect_request(second, "session/delete", &session("s1"));
    world.answer(second, delete, "{}");
    world.expect_answer(editor, 4, "{}");
}

#[test]
fn a_fork_of_a_closed_session_goes_where_that_was() {
    let (mut world, editor, first, _) = two_that_count();
    world.close(editor, first, "s1");
    world.request(editor, 2, "session/fork", &session("s1"));
    let fork = world.expect_request(first, "session/fork", &session("s1"));
    world.answer(first, fork, &session("copy"));
    world.expect_answer(editor, 2, &session("copy"));
}

#[test]
fn a_fork_that_would_copy_another_conversation_is_refused() {
    let (mut world, editor, first, second) = two_that_count();
    world.close(editor, first, "s1");
    world.open(editor, first, "s3");
    // The first process has no room.
    world.request(editor, 2, "session/fork", &session("s1"));
    world.expect_refusal(editor, 2, -32603, "session_fenced");
    world.assert_nothing_for(second);
}

#[test]
fn an_unknown_cursor_is_for_the_agent_to_judge() {
    let mut world = World::new();
    let (editor, channel) = world.start();
    for cursor in [r#"{"cursor":""}"#, r#"{"cursor":"offset:50"}"#] {
        world.request(editor, 1, "session/list", cursor);
        let list = world.expect_request(channel, "session/list", cursor);
        world.fail(channel, list, -32602);
        world.expect_failure(editor, 1, -32602);
    }
}

#[test]
fn a_request_without_a_session_goes_to_the_process_whose_session_was_used_last() {
    let (mut world, editor, first, second) = two_that_count();
    world.agreed(editor, second, "_x/usage", "{}");
    let turn = world.prompt(editor, first, "s1", 2);
    world.answer(first, turn, END_TURN);
    world.expect_answer(editor, 2, END_TURN);
    world.agreed(editor, first, "_x/usage", "{}");
}
