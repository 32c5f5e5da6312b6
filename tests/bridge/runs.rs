//! Updates that an agent wrote one behind the other are handled together, like each by itself.

use drawbridge::bridge::{ChannelId, ClientId, Event};
use drawbridge::wire::line::LineSplitter;
use drawbridge::wire::{FrameReader, Lines, Run};

use crate::harness::{INITIALIZE, NEW, World, notification, session, stored, update};

/// Updates of a session, as a peer's reader hands them on.
pub fn run(id: &str, texts: &[&str]) -> Run {
    let line = |text: &&str| notification("session/update", &update(id, text)) + "\n";
    let mut lines = LineSplitter::new(1 << 20);
    let mut reader = FrameReader::default();
    // So that the reader knows their beginning.
    for text in ["before", "that"] {
        lines.buffer().extend_from_slice(line(&text).as_bytes());
        assert!(matches!(reader.next(&mut lines, 100), Some(Lines::One(Ok(_)))));
    }
    let all: String = texts.iter().map(line).collect();
    lines.buffer().extend_from_slice(all.as_bytes());
    match reader.next(&mut lines, 100) {
        Some(Lines::Run(run)) if run.count() == texts.len() => run,
        other => panic!("{other:?}"),
    }
}

/// An agent writes updates about a session.
#[track_caller]
fn writes(world: &mut World, channel: ChannelId, id: &str, texts: &[&str]) {
    world.event(Event::ChannelRun { channel, run: run(id, texts) });
}

/// A client is shown updates of a session, and nothing else.
#[track_caller]
fn is_shown(world: &mut World, client: ClientId, id: &str, texts: &[&str]) {
    for text in texts {
        world.expect_notification(client, "session/update", &update(id, text));
    }
    world.assert_nothing_for(client);
}

fn with_transcripts(bytes: usize) -> World {
    World::with(|config| config.limits.replay_bytes = bytes)
}

#[test]
fn one_client_gets_them_in_one_piece() {
    for replay_bytes in [0, 1 << 20] {
        let mut world = with_transcripts(replay_bytes);
        let (client, channel) = world.start();
        world.open(client, channel, "a");
        let run = run("a", &["one", "two", "three"]);
        let sent = world.lanes.len();
        world.event(Event::ChannelRun { channel, run });
        assert_eq!(world.lanes.len() - sent, 1, "with {replay_bytes} bytes of transcript");
        is_shown(&mut world, client, "a", &["one", "two", "three"]);
    }
}

#[test]
fn a_client_that_comes_later_is_told_each_of_them() {
    let mut world = with_transcripts(1 << 20);
    let (client, channel) = world.start();
    world.open(client, channel, "a");
    writes(&mut world, channel, "a", &["one", "two", "three"]);
    is_shown(&mut world, client, "a", &["one", "two", "three"]);
    let numbered = INITIALIZE.replace(r#""events":true"#, r#""events":true,"seq":true"#);
    let (late, _) = world.start_with(&numbered);
    world.request(late, 80, "session/load", &stored("a"));
    for (text, seq) in [("one", 1), ("two", 2), ("three", 3)] {
        let line = world.next_line(late);
        assert!(line.contains(text) && line.contains(&format!(r#""seq":{seq}"#)), "{line}");
    }
    world.rest(late);
    // Now there are two, and each gets them in its own form.
    writes(&mut world, channel, "a", &["four", "five"]);
    is_shown(&mut world, client, "a", &["four", "five"]);
    for (text, seq) in [("four", 4), ("five", 5)] {
        let line = world.next_line(late);
        assert!(line.contains(text) && line.contains(&format!(r#""seq":{seq}"#)), "{line}");
    }
    world.assert_nothing_left();
}

#[test]
fn a_turn_that_becomes_too_long_within_them_is_missing_whole() {
    let mut world = with_transcripts(1_000);
    let (client, channel) = world.start();
    world.open(client, channel, "a");
    let long = "x".repeat(400);
    for _ in 0..2 {
        writes(&mut world, channel, "a", &[&long, &long, &long]);
    }
    world.rest(client);
    // The next turn is kept.
    world.prompt(client, channel, "a", 1);
    writes(&mut world, channel, "a", &["one", "two"]);
    world.rest(client);
    let late = world.join();
    world.request(late, 80, "session/load", &stored("a"));
    let told = format!("{:?}", world.rest(late));
    assert!(!told.contains(&long) && told.contains("not in memory"), "{told}");
    assert!(told.contains("one") && told.contains("two"), "{told}");
}

#[test]
fn what_they_are_about_may_not_be_open_yet() {
    let mut world = World::new();
    let (client, channel) = world.start();
    world.request(client, 1, "session/new", NEW);
    let number = world.expect_request(channel, "session/new", NEW);
    writes(&mut world, channel, "a", &["one", "two"]);
    world.assert_nothing_for(client);
    world.answer(channel, number, &session("a"));
    world.expect_answer(client, 1, &session("a"));
    is_shown(&mut world, client, "a", &["one", "two"]);
}

#[test]
fn of_what_is_closed_each_is_dropped() {
    let mut world = World::new();
    let (client, channel) = world.start();
    world.open(client, channel, "a");
    world.request(client, 5, "session/close", &session("a"));
    let number = world.expect_request(channel, "session/close", &session("a"));
    world.rest(client);
    let before = world.bridge.counters().late_frames;
    writes(&mut world, channel, "a", &["one", "two", "three"]);
    assert_eq!(world.bridge.counters().late_frames - before, 3);
    world.answer(channel, number, "{}");
    world.rest(client);
}

#[test]
fn two_clients_on_one_agent_get_those_of_their_own_session() {
    let mut world = World::new();
    let (first, channel) = world.start();
    let second = world.join();
    world.open(first, channel, "a");
    world.open(second, channel, "b");
    writes(&mut world, channel, "b", &["one", "two"]);
    is_shown(&mut world, second, "b", &["one", "two"]);
    writes(&mut world, channel, "a", &["three", "four"]);
    is_shown(&mut world, first, "a", &["three", "four"]);
    world.assert_nothing_left();
}

#[test]
fn a_session_that_is_known_by_an_alias_has_it_in_each_of_them() {
    let mut world = World::with(|config| config.agent.sessions_per_channel = 1);
    let (client, first) = world.start();
    world.open(client, first, "1");
    world.request(client, 2, "session/new", NEW);
    let second = world.expect_spawn("/home");
    world.handshake(second);
    let number = world.expect_request(second, "session/new", NEW);
    world.answer(second, number, &session("1"));
    world.expect_answer(client, 2, &session("~1~1"));
    writes(&mut world, second, "1", &["one", "two"]);
    is_shown(&mut world, client, "~1~1", &["one", "two"]);
    writes(&mut world, first, "1", &["one", "two"]);
    is_shown(&mut world, client, "1", &["one", "two"]);
}
