//! There is no agent for a client: its `initialize` fails, and it gets nothing else.

use drawbridge::bridge::{ChannelId, ClientId, Event, Limit, Notice, ShutdownCause, StopReason};

use crate::harness::{Deed, INITIALIZE, NEW, World, failure};

/// An editor whose `initialize`, under the id 1, is with an agent.
fn asked(world: &mut World) -> (ClientId, ChannelId, u64) {
    let editor = world.connect();
    world.request(editor, 1, "initialize", INITIALIZE);
    let channel = world.expect_spawn("/home");
    let id = world.expect_request(channel, "initialize", INITIALIZE);
    (editor, channel, id)
}

/// A line that is no message.
fn prose(world: &mut World, channel: ChannelId) {
    world.says(channel, "Welcome to the program!");
}

fn stops(notice: &Notice) -> bool {
    matches!(notice, Notice::ChannelStopping { reason: StopReason::NotAcp(_), .. })
}

/// The sentence that the editor got, and the cause for the bridge to end.
#[track_caller]
fn given_up(world: &mut World, editor: ClientId) -> (String, ShutdownCause) {
    let (client, sentence, cause) = world.without_agent.pop().expect("there is no agent");
    assert_eq!((client, world.without_agent.len()), (editor, 0));
    (sentence, cause)
}

#[test]
fn what_was_sent_behind_it_gets_the_same_sentence() {
    let mut world = World::new();
    let editor = world.connect();
    world.request(editor, 1, "initialize", INITIALIZE);
    world.request(editor, 2, "session/new", NEW);
    world.notify(editor, "_some", "{}");
    let channel = world.expect_spawn("/home");
    world.next(channel);
    world.event(Event::SpawnFailed { channel, error: "no such file".to_owned() });
    world.expect_warning(|notice| matches!(notice, Notice::SpawnFailed { .. }));
    let lines = [world.next_line(editor), world.next_line(editor)];
    let (sentence, cause) = given_up(&mut world, editor);
    assert!(sentence.contains("no such file") && lines.iter().all(|line| line.contains(&sentence)));
    assert_eq!(cause, ShutdownCause::InitializeFailed);
    world.shutdown(cause);
    world.expect_exit(&[]);
    world.request(editor, 3, "session/new", NEW);
    world.expect_refusal(editor, 3, -32603, "agent_spawn_failed");
}

#[test]
fn an_agent_that_exits_in_the_handshake_was_none() {
    for (code, kind) in [(3, "agent_exited"), (0, "not_an_acp_agent")] {
        let mut world = World::new();
        let (editor, channel, _) = asked(&mut world);
        world.exits(channel, code);
        world.expect_refusal(editor, 1, -32603, kind);
        world.expect_warning(|notice| matches!(notice, Notice::ChannelExited { .. }));
        assert_eq!(given_up(&mut world, editor).1, ShutdownCause::InitializeFailed);
    }
}

#[test]
fn a_program_that_sends_everything_back_is_none_and_ends_in_150_ms() {
    let mut world = World::new();
    let (editor, channel, id) = asked(&mut world);
    world.request(channel, id, "initialize", INITIALIZE);
    world.expect_warning(stops);
    world.expect(channel, Deed::CloseStdin);
    world.expect_refusal(editor, 1, -32603, "not_an_acp_agent");
    let (_, cause) = given_up(&mut world, editor);
    world.shutdown(cause);
    world.wait(1);
    world.expect(channel, Deed::Terminate);
    world.wait(148);
    world.assert_nothing_left();
    world.wait(1);
    world.expect(channel, Deed::Kill);
    world.expect_warning(|notice| matches!(notice, Notice::ShutdownForced));
    world.expect_warning(|notice| matches!(notice, Notice::ChannelKilled { .. }));
    world.exits(channel, 0);
    world.expect_exit(&[]);
}

#[test]
fn a_program_that_writes_prose_and_no_answer_is_none() {
    let mut world = World::new();
    let (editor, channel, _) = asked(&mut world);
    world.wait(10_000);
    prose(&mut world, channel);
    world.expect_warning(|notice| matches!(notice, Notice::StrayLine { .. }));
    world.wait(19_999);
    world.expect_warning(|notice| matches!(notice, Notice::HandshakeSlow { .. }));
    world.assert_nothing_left();
    world.wait(1);
    world.expect_warning(stops);
    world.expect(channel, Deed::CloseStdin);
    world.expect_refusal(editor, 1, -32603, "not_an_acp_agent");
    given_up(&mut world, editor);
    world.exits(channel, 0);
}

#[test]
fn an_agent_may_write_prose_beside_its_messages() {
    let mut world = World::new();
    let (editor, channel, id) = asked(&mut world);
    prose(&mut world, channel);
    world.notify(channel, "_starting", "{}");
    world.next_line(editor);
    prose(&mut world, channel);
    world.wait(200_000);
    world.answer(channel, id, world.agent);
    world.next_line(editor);
    assert!(world.without_agent.is_empty());
    world.rest(channel);
}

#[test]
fn an_agent_that_only_is_late_has_the_normal_time_to_leave() {
    let mut world = World::with(|config| config.agent.initialize_timeout = Limit::After(5_000));
    let (editor, channel, _) = asked(&mut world);
    world.wait(5_000);
    world.expect_warning(|notice| matches!(notice, Notice::ChannelStopping { .. }));
    world.expect_refusal(editor, 1, -32603, "handshake_timeout");
    world.expect(channel, Deed::CloseStdin);
    let (_, cause) = given_up(&mut world, editor);
    assert_eq!(cause, ShutdownCause::InitializeTimedOut);
    world.shutdown(cause);
    world.wait(1_999);
    world.assert_nothing_left();
    world.exits(channel, 0);
    world.expect_exit(&[]);
}

#[test]
fn after_the_agents_own_refusal_a_client_tries_again_on_the_same_connection() {
    let mut world = World::new();
    let (editor, channel, id) = asked(&mut world);
    world.fail(channel, id, -32_000);
    world.expect_line(editor, &failure(1, -32_000));
    world.expect(channel, Deed::CloseStdin);
    world.expect_warning(|notice| matches!(notice, Notice::ChannelStopping { .. }));
    world.request(editor, 2, "initialize", INITIALIZE);
    world.wait(1_000);
    let second = world.expect_spawn("/home");
    world.next(second);
    world.exits(second, 3);
    world.expect_refusal(editor, 2, -32603, "agent_exited");
    world.expect_warning(|notice| matches!(notice, Notice::ChannelExited { .. }));
    assert!(world.without_agent.is_empty(), "the client has heard an agent");
    world.exits(channel, 0);
}

#[test]
fn an_initialize_that_is_withdrawn_or_ends_with_the_bridge_is_no_failure() {
    let mut world = World::new();
    let (editor, channel, _) = asked(&mut world);
    world.notify(editor, "$/cancel_request", r#"{"requestId":1}"#);
    world.shutdown(ShutdownCause::StdinEnded);
    world.exits(channel, 3);
    world.rest(editor);
    world.rest(channel);
    world.expect_exit(&[]);
    assert!(world.without_agent.is_empty());
}
