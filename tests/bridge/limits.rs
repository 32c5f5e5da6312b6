//! Caps: sessions, channels, requests.

use drawbridge::bridge::config::{AtCapacity, BackgroundWork, IdlePolicy, Share};
use drawbridge::bridge::{ChannelId, ClientId, Effect, Limit, Notice};

use crate::harness::{Deed, END_TURN, INITIALIZE, NEW, World, request, session, stored};

#[test]
fn eviction_of_the_longest_idle_session_that_the_policy_allows() {
    let mut world = World::with(|config| {
        config.limits.max_sessions = 3;
        config.agent.idle_policy = IdlePolicy::All;
        config.agent.background_work = BackgroundWork::Ignore;
    });
    let (editor, channel) = world.start();
    for id in ["a", "b", "c"] {
        world.open(editor, channel, id);
        world.wait(1_000);
    }
    // The oldest is busy, the second was used a moment ago: the third goes.
    world.prompt(editor, channel, "a", 1);
    world.notify(editor, "_drawbridge/heartbeat", &session("b"));
    world.request(editor, 2, "session/new", NEW);
    world.expect_closed(editor, "c", "evicted");
    world.expect_request(channel, "session/close", &session("c"));
    world.opened(editor, channel, "d", "2");
}

#[test]
fn eviction_takes_nothing_from_those_who_are_there() {
    let mut world = World::with(|config| config.limits.max_sessions = 2);
    let (editor, channel) = world.start();
    let other = world.join();
    world.open(editor, channel, "a");
    world.open(other, channel, "b");
    world.request(editor, 1, "session/new", NEW);
    world.expect_refusal(editor, 1, -32603, "session_limit");
    world.gone(other);
    world.request(editor, 2, "session/new", NEW);
    world.expect_request(channel, "session/close", &session("b"));
    world.opened(editor, channel, "c", "2");
}

#[test]
fn eviction_looks_for_background_work_first() {
    let mut world = World::with(|config| {
        config.limits.max_sessions = 2;
        config.agent.idle_policy = IdlePolicy::All;
    });
    let (editor, channel) = world.start();
    world.open(editor, channel, "a");
    world.wait(1_000);
    let turn = world.prompt(editor, channel, "a", 1);
    world.wait(1_000);
    world.answer(channel, turn, END_TURN);
    world.expect_answer(editor, 1, END_TURN);
    world.open(editor, channel, "b");
    world.notify(editor, "_drawbridge/heartbeat", &session("b"));
    world.wait(1_000);
    world.request(editor, 2, "session/new", NEW);
    world.expect(channel, Deed::Survey);
    let born = drawbridge::bridge::Moment::from_millis(1_500);
    let left = drawbridge::bridge::Process { pid: 1, name: "make".to_owned(), born };
    world.surveyed(channel, vec![left]);
    // The oldest works in the background, and what was seen is enough for the next one.
    world.expect_closed(editor, "b", "evicted");
    world.expect_request(channel, "session/close", &session("b"));
    world.opened(editor, channel, "c", "2");
}

#[test]
fn refuse_at_max_sessions_counts_live_and_opening_together() {
    let mut world = World::with(|config| {
        config.limits.max_sessions = 2;
        config.limits.at_capacity = AtCapacity::Refuse;
    });
    let (editor, channel) = world.start();
    world.open(editor, channel, "a");
    world.request(editor, 1, "session/new", NEW);
    let opening = world.expect_request(channel, "session/new", NEW);
    for (id, method, params) in [
        (2, "session/new", NEW.to_owned()),
        (3, "session/load", stored("x")),
        (4, "session/fork", stored("a")),
        (5, "session/fork", stored("never heard of")),
    ] {
        world.request(editor, id, method, &params);
        world.expect_refusal(editor, id, -32603, "session_limit");
    }
    // What fails makes room.
    world.fail(channel, opening, -32603);
    world.expect_failure(editor, 1, -32603);
    world.request(editor, 6, "session/fork", &stored("a"));
    let fork = world.expect_request(channel, "session/fork", &stored("a"));
    world.answer(channel, fork, &session("f"));
    world.expect_answer(editor, 6, &session("f"));
}

#[test]
fn at_max_channels_the_longest_idle_one_stops_and_the_newcomer_waits_for_its_exit() {
    let mut world = World::with(|config| {
        config.limits.max_channels = 2;
        config.agent.share = Share::Cwd;
    });
    let (editor, first) = world.start();
    let in_dir = |dir: &str| format!(r#"{{"cwd":"{dir}","mcpServers":[]}}"#);
    world.request(editor, 1, "session/new", &in_dir("/one"));
    let number = world.expect_request(first, "session/new", &in_dir("/one"));
    world.answer(first, number, &session("a"));
    world.expect_answer(editor, 1, &session("a"));
    world.request(editor, 2, "session/new", &in_dir("/two"));
    let second = world.expect_spawn("/two");
    world.handshake(second);
    let number = world.expect_request(second, "session/new", &in_dir("/two"));
    world.answer(second, number, &session("b"));
    world.expect_answer(editor, 2, &session("b"));
    // All have work.
    world.request(editor, 3, "session/new", &in_dir("/three"));
    world.expect_refusal(editor, 3, -32603, "channel_limit");
    // One has none: it stops, and dying ones count until they are gone.
    world.close(editor, first, "a");
    world.request(editor, 4, "session/new", &in_dir("/three"));
    world.expect(first, Deed::CloseStdin);
    world.wait(3_999);
    world.assert_nothing_left();
    world.exits(first, 0);
    let third = world.expect_spawn("/three");
    world.handshake(third);
    let number = world.expect_request(third, "session/new", &in_dir("/three"));
    world.answer(third, number, &session("c"));
    world.expect_answer(editor, 4, &session("c"));
}

#[test]
fn a_newcomer_waits_for_an_exit_within_its_open_timeout() {
    let mut world = World::with(|config| {
        config.limits.max_channels = 1;
        config.agent.channel_idle_timeout = Limit::After(0);
        config.agent.session_open_timeout = Limit::After(500);
    });
    let (editor, channel) = world.start();
    world.open(editor, channel, "a");
    world.close(editor, channel, "a");
    world.expect(channel, Deed::CloseStdin);
    world.request(editor, 1, "session/new", NEW);
    world.wait(500);
    world.expect_refusal(editor, 1, -32603, "open_timeout");
}

#[test]
fn pending_requests_are_capped_per_client_and_per_agent() {
    let mut world = World::new();
    let (editor, channel) = world.start();
    for id in 0..1_024 {
        world.says(editor, request(id, "_slow/one", "{}"));
        world.expect_request(channel, "_slow/one", "{}");
    }
    world.says(editor, request(2_000, "_slow/one", "{}"));
    world.expect_refusal(editor, 2_000, -32603, "too_many_requests");
    for id in 0..1_024 {
        world.says(channel, request(id, "_ask/one", "{}"));
        world.expect_request(editor, "_ask/one", "{}");
    }
    world.says(channel, request(2_000, "_ask/one", "{}"));
    world.expect_refusal(channel, 2_000, -32603, "too_many_requests");
    let other = world.join();
    world.says(other, request(1, "_slow/one", "{}"));
    world.expect_request(channel, "_slow/one", "{}");
}

#[test]
fn at_both_limits_a_newcomer_waits_for_the_close_that_makes_room() {
    let mut world = World::with(|config| {
        config.agent.share = Share::Session;
        config.limits.max_sessions = 1;
        config.limits.max_channels = 1;
        config.agent.idle_policy = IdlePolicy::All;
        config.agent.background_work = BackgroundWork::Ignore;
    });
    let (editor, channel) = world.start();
    world.open(editor, channel, "a");
    let elsewhere = r#"{"cwd":"/elsewhere","mcpServers":[]}"#;
    world.request(editor, 2, "session/new", elsewhere);
    world.expect_closed(editor, "a", "evicted");
    let close = world.expect_request(channel, "session/close", &session("a"));
    assert!(world.waits(editor, 2));
    world.answer(channel, close, "{}");
    world.expect(channel, Deed::CloseStdin);
    world.exits(channel, 0);
    let next = world.expect_spawn("/elsewhere");
    world.handshake(next);
    let number = world.expect_request(next, "session/new", elsewhere);
    world.answer(next, number, &session("b"));
    world.expect_answer(editor, 2, &session("b"));
}

#[test]
fn of_very_many_sessions_that_are_due_at_once_a_prompt_waits_for_a_part_only() {
    let mut world = World::with(|config| {
        config.agent.idle_policy = IdlePolicy::All;
        config.agent.background_work = BackgroundWork::Ignore;
        config.agent.attached_idle_timeout = Limit::After(600_000);
    });
    let (editor, channel) = world.start();
    for number in 0..700 {
        world.open(editor, channel, &format!("s{number}"));
    }
    let due = world.now.plus_millis(600_000);
    let mut rounds = Vec::new();
    while world.bridge.poll_timeout().is_some_and(|at| at <= due) {
        world.bridge.handle_timeout(due);
        world.bridge.check().unwrap();
        let effects = std::iter::from_fn(|| world.bridge.poll_effect());
        rounds.push(effects.filter(|effect| matches!(effect, Effect::ToChannel { .. })).count());
    }
    assert_eq!(rounds.iter().sum::<usize>(), 700, "each was closed at its agent: {rounds:?}");
    assert!(rounds.iter().all(|closed| *closed <= 256), "{rounds:?}");
}

#[test]
fn at_max_sessions_who_came_first_is_not_refused_for_those_who_came_later() {
    let mut world = World::with(|config| config.limits.max_sessions = 1);
    let (editor, channel) = world.start();
    // Two conversations that the agent has not let go of, each wanted again.
    let closes = ["a", "b"].map(|id| {
        world.open(editor, channel, id);
        world.request(editor, format!("\"{id}\""), "session/close", &session(id));
        world.expect_closed(editor, id, "client_close");
        world.expect_request(channel, "session/close", &session(id))
    });
    world.request(editor, 1, "session/load", &stored("a"));
    world.request(editor, 2, "session/load", &stored("b"));
    world.assert_nothing_left();
    // The first has its place, although the second still waits.
    world.answer(channel, closes[0], "{}");
    world.expect_answer(editor, "\"a\"", "{}");
    let load = world.expect_request(channel, "session/load", &stored("a"));
    // The second counts the first, which came before.
    world.answer(channel, closes[1], "{}");
    world.expect_answer(editor, "\"b\"", "{}");
    world.expect_refusal(editor, 2, -32603, "session_limit");
    world.answer(channel, load, "null");
    world.expect_answer(editor, 1, "null");
}

#[test]
fn at_max_sessions_two_loads_of_one_conversation_are_one_session() {
    let mut world = World::with(|config| config.limits.max_sessions = 1);
    let (first, channel) = world.start();
    let second = world.join();
    world.open(first, channel, "a");
    world.request(first, 1, "session/close", &session("a"));
    world.expect_closed(first, "a", "client_close");
    let close = world.expect_request(channel, "session/close", &session("a"));
    for client in [first, second] {
        world.request(client, 2, "session/load", &stored("a"));
    }
    world.assert_nothing_left();
    world.answer(channel, close, "{}");
    world.expect_answer(first, 1, "{}");
    for client in [first, second] {
        let load = world.expect_request(channel, "session/load", &stored("a"));
        world.answer(channel, load, "null");
        world.expect_answer(client, 2, "null");
    }
}

#[test]
fn at_max_channels_the_one_that_goes_is_neither_the_oldest_nor_the_youngest_but_the_longest_idle() {
    let mut world = World::with(|config| {
        config.limits.max_channels = 3;
        config.agent.sessions_per_channel = 1;
        config.agent.share = Share::Cwd;
    });
    let (editor, first) = world.start();
    let in_dir = |dir: &str| format!(r#"{{"cwd":"{dir}","mcpServers":[]}}"#);
    let mut channels = vec![first];
    for dir in ["/0", "/1", "/2"] {
        world.request(editor, 1, "session/new", &in_dir(dir));
        if dir != "/0" {
            channels.push(world.expect_spawn(dir));
            world.handshake(channels[channels.len() - 1]);
        }
        let channel = channels[channels.len() - 1];
        let number = world.expect_request(channel, "session/new", &in_dir(dir));
        world.answer(channel, number, &session(dir));
        world.expect_answer(editor, 1, &session(dir));
    }
    for (at, dir) in [(1, "/1"), (2, "/2"), (0, "/0")] {
        world.close(editor, channels[at], dir);
        world.wait(1);
    }
    world.request(editor, 2, "session/new", &in_dir("/3"));
    world.expect(channels[1], Deed::CloseStdin);
    world.exits(channels[1], 0);
    let fourth = world.expect_spawn("/3");
    world.handshake(fourth);
    world.expect_request(fourth, "session/new", &in_dir("/3"));
    // The next one is the one that is idle longest by now.
    world.request(editor, 3, "session/new", &in_dir("/4"));
    world.expect(channels[2], Deed::CloseStdin);
}

#[test]
fn eviction_does_not_believe_a_look_that_is_older_than_the_last_turn() {
    let mut world = World::with(|config| {
        config.limits.max_sessions = 1;
        config.agent.idle_policy = IdlePolicy::All;
    });
    let (editor, channel) = world.start();
    world.open(editor, channel, "a");
    world.request(editor, 1, "session/new", NEW);
    world.expect(channel, Deed::Survey);
    let turn = world.prompt(editor, channel, "a", 2);
    world.expect_refusal(editor, 1, -32603, "session_limit");
    world.surveyed(channel, vec![]);
    world.wait(500);
    world.answer(channel, turn, END_TURN);
    world.expect_answer(editor, 2, END_TURN);
    // What that turn has left behind was born after the look.
    world.request(editor, 3, "session/new", NEW);
    world.expect(channel, Deed::Survey);
    let born = drawbridge::bridge::Moment::from_millis(250);
    let left = drawbridge::bridge::Process { pid: 1, name: "make".to_owned(), born };
    world.surveyed(channel, vec![left]);
    world.expect_refusal(editor, 3, -32603, "session_limit");
}

#[test]
fn at_max_channels_one_that_is_carried_does_not_make_room() {
    let mut world = World::with(|config| config.limits.max_channels = 1);
    let passthrough = world.connect();
    let params = INITIALIZE.replacen(":1", ":2", 1);
    world.request(passthrough, 0, "initialize", &params);
    let channel = world.expect_spawn("/home");
    let id = world.expect_request(channel, "initialize", &params);
    world.answer(channel, id, r#"{"protocolVersion":2}"#);
    world.next_line(passthrough);
    let other = world.connect();
    world.request(other, 1, "initialize", INITIALIZE);
    world.expect_refusal(other, 1, -32603, "channel_limit");
}

#[test]
fn a_client_with_as_many_requests_as_it_may_have_can_still_close() {
    let mut world = World::new();
    let (editor, channel) = world.start();
    world.open(editor, channel, "a");
    for id in 0..1_024 {
        world.says(editor, request(id, "_slow/one", "{}"));
        world.expect_request(channel, "_slow/one", "{}");
    }
    world.close(editor, channel, "a");
}

#[test]
fn an_open_that_nobody_waits_for_any_more_does_not_count_at_max_sessions() {
    for is_kept in [false, true] {
        let mut world = World::with(|config| {
            config.limits.max_sessions = 1 + usize::from(is_kept);
        });
        let (editor, first) = world.start();
        if is_kept {
            world.open(editor, first, "a");
        }
        world.open_too_late(editor, first, "session/new", NEW);
        if !is_kept {
            world.expect(first, Deed::CloseStdin);
        }
        world.request(editor, 1, "session/new", NEW);
        let second = world.expect_spawn("/home");
        world.handshake(second);
        world.opened(editor, second, "b", "1");
    }
}

#[test]
fn a_refusal_at_max_sessions_says_how_many_there_are() {
    let mut world = World::with(|config| config.limits.max_sessions = 1);
    let (editor, channel) = world.start();
    world.open(editor, channel, "a");
    world.request(editor, 1, "session/new", NEW);
    let line = world.next_line(editor);
    assert!(line.contains("Sessions open: 1,"), "{line}");
}

#[test]
fn at_max_channels_nobody_waits_for_the_exit_of_one_that_does_not_die() {
    let mut world = World::with(|config| {
        config.limits.max_channels = 1;
        config.agent.sessions_per_channel = 1;
        config.agent.channel_idle_timeout = Limit::After(0);
    });
    let (editor, old) = world.start();
    world.open(editor, old, "a");
    world.close(editor, old, "a");
    world.wait(11_000);
    for step in [Deed::CloseStdin, Deed::Terminate, Deed::Kill] {
        world.expect(old, step);
    }
    world.expect_warning(|notice| matches!(notice, Notice::ChannelKilled { .. }));
    world.expect_warning(|notice| matches!(notice, Notice::ChannelStuck { .. }));
    world.request(editor, 1, "session/new", NEW);
    let fresh = world.expect_spawn("/home");
    world.handshake(fresh);
    world.opened(editor, fresh, "b", "1");
    world.request(editor, 2, "session/new", NEW);
    world.expect_refusal(editor, 2, -32603, "channel_limit");
}

#[test]
fn at_max_channels_nobody_waits_for_a_close_on_a_channel_with_other_sessions() {
    let mut world = World::with(|config| {
        config.limits.max_channels = 1;
        config.agent.sessions_per_channel = 2;
    });
    let (editor, channel) = world.start();
    world.open(editor, channel, "a");
    world.open(editor, channel, "b");
    world.request(editor, 1, "session/close", &session("a"));
    world.expect_closed(editor, "a", "client_close");
    world.expect_request(channel, "session/close", &session("a"));
    world.open(editor, channel, "c");
    world.request(editor, 2, "session/new", NEW);
    world.expect_refusal(editor, 2, -32603, "channel_limit");
}

/// A session that works in the background, and did not give way to a newcomer for that.
fn working() -> (World, ClientId, ChannelId) {
    let mut world = World::with(|config| {
        config.limits.max_sessions = 1;
        config.agent.idle_policy = IdlePolicy::All;
    });
    let (editor, channel) = world.start();
    world.open(editor, channel, "a");
    let turn = world.prompt(editor, channel, "a", 1);
    world.wait(1_000);
    world.answer(channel, turn, END_TURN);
    world.expect_answer(editor, 1, END_TURN);
    world.wait(1_000);
    world.request(editor, 2, "session/new", NEW);
    world.expect(channel, Deed::Survey);
    let born = drawbridge::bridge::Moment::from_millis(500);
    world.surveyed(
        channel,
        vec![drawbridge::bridge::Process { pid: 1, name: "make".to_owned(), born }],
    );
    world.expect_refusal(editor, 2, -32603, "session_limit");
    (world, editor, channel)
}

#[test]
fn what_works_in_the_background_for_nobody_gives_way() {
    let (mut world, editor, channel) = working();
    let other = world.join();
    world.gone(editor);
    world.request(other, 3, "session/new", NEW);
    let close = world.expect_request(channel, "session/close", &session("a"));
    world.answer(channel, close, "{}");
    world.opened(other, channel, "b", "3");
}

#[test]
fn what_worked_in_the_background_is_looked_at_again_after_a_minute() {
    let (mut world, editor, channel) = working();
    world.wait(60_000);
    world.request(editor, 3, "session/new", NEW);
    world.expect_refusal(editor, 3, -32603, "session_limit");
    world.wait(1);
    world.request(editor, 4, "session/new", NEW);
    world.expect(channel, Deed::Survey);
}
