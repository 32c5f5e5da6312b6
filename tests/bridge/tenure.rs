//! A bridge for many clients among others: when it ends by itself, what it holds back while an
//! earlier one may still hold conversations, and what the connections of its clients remember.

use drawbridge::bridge::config::Limits;
use drawbridge::bridge::{EarlierBridges, Event, Limit, ShutdownCause};

use crate::harness::{Deed, END_TURN, World, prompt, session};

const MINUTE: u64 = 60_000;

/// A world that ends after 15 minutes without use, in which a lost client is missed for two.
fn daemon() -> World {
    World::with(|config| {
        config.limits.is_succeeded = true;
        config.limits.daemon_idle_timeout = Limit::After(15 * MINUTE);
        config.limits.lost_client_timeout = Limit::After(2 * MINUTE);
    })
}

fn ends_for(world: &World, cause: ShutdownCause) -> bool {
    let phrase = cause.phrase();
    world.notices.iter().any(|notice| notice.to_string().contains(&*phrase))
}

fn earlier(are_ending: bool, held: &[&str]) -> Event {
    let held = held.iter().map(ToString::to_string).collect();
    Event::EarlierBridges(EarlierBridges { are_ending, held })
}

#[test]
fn a_bridge_that_nobody_ever_used_ends() {
    let mut world = daemon();
    world.wait(15 * MINUTE - 1);
    world.assert_nothing_left();
    world.wait(1);
    world.expect_exit(&[]);
    assert!(ends_for(&world, ShutdownCause::Unused));
}

#[test]
fn a_client_and_a_session_without_one_are_uses() {
    let mut world = daemon();
    let (editor, channel) = world.start();
    world.open(editor, channel, "a");
    world.wait(20 * MINUTE);
    assert!(!world.bridge.is_ending());
    world.gone(editor);
    // The session is kept for its client, and closed two minutes later.
    world.wait(2 * MINUTE);
    let number = world.expect_request(channel, "session/close", &session("a"));
    world.answer(channel, number, "{}");
    world.wait(10 * MINUTE);
    world.expect(channel, Deed::CloseStdin);
    world.exits(channel, 0);
    world.wait(5 * MINUTE - 1);
    assert!(!world.bridge.is_ending());
    world.wait(1);
    world.expect_exit(&[]);
    assert!(ends_for(&world, ShutdownCause::Unused));
}

#[test]
fn without_the_limit_it_stays() {
    let mut world = World::new();
    world.wait(10_000 * MINUTE);
    world.assert_nothing_left();
}

#[test]
fn a_superseded_bridge_ends_when_nobody_would_lose_anything() {
    let mut world = daemon();
    let (editor, channel) = world.start();
    world.open(editor, channel, "a");
    world.request(editor, 7, "session/prompt", &prompt("a"));
    let turn = world.expect_request(channel, "session/prompt", &prompt("a"));
    world.event(Event::Superseded);
    assert!(!world.bridge.is_ending());
    world.gone(editor);
    assert!(!world.bridge.is_ending(), "the turn goes on");
    world.answer(channel, turn, END_TURN);
    world.wait(0);
    assert!(ends_for(&world, ShutdownCause::Superseded));
    let number = world.expect_request(channel, "session/close", &session("a"));
    world.answer(channel, number, "{}");
    world.expect(channel, Deed::CloseStdin);
    world.exits(channel, 0);
    world.expect_exit(&[]);
}

#[test]
fn a_superseded_bridge_without_a_client_ends_at_once() {
    let mut world = daemon();
    world.event(Event::Superseded);
    world.wait(0);
    world.expect_exit(&[]);
}

#[test]
fn restores_wait_until_the_agents_of_a_lost_bridge_are_gone() {
    let mut world = daemon();
    world.event(earlier(true, &[]));
    let (editor, channel) = world.start();
    world.open(editor, channel, "new");
    for (id, method) in [(1, "session/load"), (2, "session/resume"), (3, "session/fork")] {
        let stored = format!(r#"{{"sessionId":"s{id}","cwd":"/work","mcpServers":[]}}"#);
        world.request(editor, id, method, &stored);
    }
    world.assert_nothing_for(channel);
    world.event(earlier(false, &[]));
    for (id, method) in [(1, "session/load"), (2, "session/resume"), (3, "session/fork")] {
        let stored = format!(r#"{{"sessionId":"s{id}","cwd":"/work","mcpServers":[]}}"#);
        let number = world.expect_request(channel, method, &stored);
        world.fail(channel, number, -32603);
        world.expect_failure(editor, id, -32603);
    }
}

#[test]
fn a_restore_waits_no_longer_than_its_timeout() {
    let mut world = daemon();
    world.event(earlier(true, &[]));
    let (editor, channel) = world.start();
    let stored = r#"{"sessionId":"s","cwd":"/work","mcpServers":[]}"#;
    world.request(editor, 1, "session/load", stored);
    world.wait(2 * MINUTE);
    world.expect_refusal(editor, 1, -32603, "open_timeout");
    world.assert_nothing_for(channel);
}

#[test]
fn a_conversation_that_another_bridge_holds_is_refused_until_it_lets_go() {
    let mut world = daemon();
    world.event(earlier(false, &["s"]));
    let (editor, channel) = world.start();
    let stored = r#"{"sessionId":"s","cwd":"/work","mcpServers":[]}"#;
    world.request(editor, 1, "session/load", stored);
    world.expect_refusal(editor, 1, -32603, "session_fenced");
    world.load(editor, channel, "other");
    world.event(earlier(false, &[]));
    world.load(editor, channel, "s");
    let held: Vec<String> = world.bridge.held_ids().iter().map(ToString::to_string).collect();
    assert_eq!(held, ["other", "s"]);
}

#[test]
fn what_names_a_session_of_a_lost_bridge_is_told_so() {
    let mut world = daemon();
    let (editor, channel) = world.start();
    let (client, sessions) = (editor, vec!["s".to_owned()]);
    world.event(Event::Adopted { client, sessions });
    world.request(editor, 1, "session/prompt", &prompt("s"));
    world.expect_refusal(editor, 1, -32002, "daemon_lost");
    world.request(editor, 2, "session/close", &session("s"));
    world.expect_answer(editor, 2, "{}");
    world.load(editor, channel, "s");
    world.request(editor, 3, "session/prompt", &prompt("s"));
    let turn = world.expect_request(channel, "session/prompt", &prompt("s"));
    world.answer(channel, turn, END_TURN);
    world.expect_answer(editor, 3, END_TURN);
}

#[test]
fn the_connection_of_a_client_knows_its_sessions() {
    let mut world = daemon();
    let (editor, channel) = world.start();
    let other = world.join();
    world.open(editor, channel, "a");
    world.load(other, channel, "b");
    world.request(editor, 5, "session/close", &session("a"));
    let number = world.expect_request(channel, "session/close", &session("a"));
    world.answer(channel, number, "{}");
    world.expect_closed(editor, "a", "client_close");
    world.expect_answer(editor, 5, "{}");
    let kept = world.kept.iter().map(|(id, name, is_kept)| (*id, &**name, *is_kept));
    let kept: Vec<_> = kept.collect();
    assert_eq!(kept, [(editor, "a", true), (other, "b", true), (editor, "a", false)]);
}

#[test]
fn at_the_end_of_the_bridge_its_connection_keeps_what_it_had() {
    let mut world = daemon();
    let (editor, channel) = world.start();
    world.open(editor, channel, "a");
    world.shutdown(ShutdownCause::Signal("SIGTERM"));
    world.expect_died(editor, "a", "shutdown", "");
    let number = world.expect_request(channel, "session/close", &session("a"));
    world.answer(channel, number, "{}");
    world.expect(channel, Deed::CloseStdin);
    world.exits(channel, 0);
    world.expect_exit(&[]);
    let kept: Vec<bool> = world.kept.iter().map(|(_, _, is_kept)| *is_kept).collect();
    assert_eq!(kept, [true]);
}

#[test]
fn changed_limits_count_for_what_is_there() {
    let mut world = daemon();
    let (editor, channel) = world.start();
    world.open(editor, channel, "a");
    world.gone(editor);
    world.wait(MINUTE);
    world.assert_nothing_left();
    let lost_client_timeout = Limit::After(MINUTE);
    let limits = Limits { lost_client_timeout, ..Limits::default() };
    world.event(Event::Reconfigured { limits: Box::new(limits), agents: Vec::new() });
    world.wait(0);
    let number = world.expect_request(channel, "session/close", &session("a"));
    world.answer(channel, number, "{}");
}

#[test]
fn the_numbers_of_questions_begin_where_they_are_told_to() {
    let mut world = daemon();
    world.bridge.number_questions_after(1_000_000);
    let (editor, channel) = world.start();
    world.open(editor, channel, "a");
    world.request(editor, 1, "session/prompt", &prompt("a"));
    let turn = world.expect_request(channel, "session/prompt", &prompt("a"));
    let asked = r#"{"sessionId":"a","path":"/x"}"#;
    world.request(channel, 9, "fs/read_text_file", asked);
    let number = world.expect_request(editor, "fs/read_text_file", asked);
    assert!(number > 1_000_000, "{number}");
    world.answer(editor, number, r#"{"content":""}"#);
    world.expect_answer(channel, 9, r#"{"content":""}"#);
    world.answer(channel, turn, END_TURN);
    world.expect_answer(editor, 1, END_TURN);
}

#[test]
fn an_idle_limit_that_comes_later_counts_from_the_last_use() {
    let mut world = World::new();
    let (editor, channel) = world.start();
    world.wait(10 * MINUTE);
    world.expect(channel, Deed::CloseStdin);
    world.exits(channel, 0);
    world.wait(10 * MINUTE);
    world.gone(editor);
    world.wait(MINUTE);
    let daemon_idle_timeout = Limit::After(15 * MINUTE);
    let limits = Limits { daemon_idle_timeout, ..Limits::default() };
    world.event(Event::Reconfigured { limits: Box::new(limits), agents: Vec::new() });
    world.wait(14 * MINUTE - 1);
    assert!(!world.bridge.is_ending());
    world.wait(1);
    world.expect_exit(&[]);
}
