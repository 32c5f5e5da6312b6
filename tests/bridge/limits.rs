//! Caps: sessions, channels, sharing, requests, prompts.

use drawbridge::bridge::config::{AtCapacity, BackgroundWork, IdlePolicy, Share};
use drawbridge::bridge::{Effect, Event, Limit, Notice};

use crate::harness::{Deed, END_TURN, INITIALIZE, NEW, World, prompt, request, session, stored};

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
    // The oldest works in the background, so the next one is looked at.
    world.expect(channel, Deed::Survey);
    world.surveyed(channel, vec![]);
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
fn a_newcomer_waits_for_an_exit_within_its_open_budget() {
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
fn share_agent_means_one_channel_for_all() {
    let mut world = World::new();
    let (editor, channel) = world.start();
    for (id, cwd) in [(1, "/one"), (2, "/two")] {
        let params = format!(r#"{{"cwd":"{cwd}","mcpServers":[]}}"#);
        world.request(editor, id, "session/new", &params);
        let number = world.expect_request(channel, "session/new", &params);
        world.answer(channel, number, &session(cwd));
        world.expect_answer(editor, id, &session(cwd));
    }
}

#[test]
fn share_cwd_means_one_channel_per_directory() {
    let mut world = World::with(|config| config.agent.share = Share::Cwd);
    let (editor, first) = world.start();
    let params = |cwd: &str| format!(r#"{{"cwd":"{cwd}","mcpServers":[]}}"#);
    let open = |world: &mut World, channel, id: &str, cwd: &str| {
        let number = world.expect_request(channel, "session/new", &params(cwd));
        world.answer(channel, number, &session(id));
        world.expect_answer(editor, 1, &session(id));
    };
    // The first one takes the channel that was only greeted.
    world.request(editor, 1, "session/new", &params("/one"));
    open(&mut world, first, "a", "/one");
    world.request(editor, 1, "session/new", &params("/two"));
    let second = world.expect_spawn("/two");
    world.handshake(second);
    open(&mut world, second, "b", "/two");
    world.request(editor, 1, "session/new", &params("/one"));
    open(&mut world, first, "c", "/one");
}

#[test]
fn share_session_means_one_channel_each_also_while_opening() {
    let mut world = World::with(|config| config.agent.share = Share::Session);
    let (editor, first) = world.start();
    for id in 1..4 {
        world.request(editor, id, "session/new", NEW);
    }
    let second = world.expect_spawn("/work");
    let third = world.expect_spawn("/work");
    world.opened(editor, first, "a", "1");
    world.handshake(third);
    world.opened(editor, third, "c", "3");
    world.handshake(second);
    world.opened(editor, second, "b", "2");
    // One that became free is used again.
    world.close(editor, second, "b");
    world.open(editor, second, "d");
}

#[test]
fn sessions_per_channel_and_the_fullest_with_room_is_current() {
    let mut world = World::with(|config| config.agent.sessions_per_channel = 2);
    let (editor, first) = world.start();
    world.open(editor, first, "a");
    world.open(editor, first, "b");
    world.request(editor, 1, "session/new", NEW);
    let second = world.expect_spawn("/home");
    world.handshake(second);
    world.opened(editor, second, "c", "1");
    world.open(editor, second, "d");
    world.close(editor, second, "c");
    world.close(editor, first, "a");
    world.close(editor, first, "b");
    // The first is empty, the second holds one: the second is fuller.
    world.open(editor, second, "e");
    world.open(editor, first, "f");
}

#[test]
fn pending_requests_are_capped_per_client_and_per_agent() {
    let mut world = World::new();
    let (editor, channel) = world.start();
    let other = world.join();
    for id in 0..1_024 {
        world.says(editor, request(id, "_slow/one", "{}"));
        world.expect_request(channel, "_slow/one", "{}");
    }
    world.says(editor, request(2_000, "_slow/one", "{}"));
    world.expect_refusal(editor, 2_000, -32603, "too_many_requests");
    world.says(other, request(1, "_slow/one", "{}"));
    world.expect_request(channel, "_slow/one", "{}");
    for id in 0..1_024 {
        world.says(channel, request(id, "_ask/one", "{}"));
        world.expect_request(editor, "_ask/one", "{}");
    }
    world.says(channel, request(2_000, "_ask/one", "{}"));
    world.expect_refusal(channel, 2_000, -32603, "too_many_requests");
}

#[test]
fn an_agent_that_does_not_read_is_sent_no_more_requests() {
    let mut world = World::new();
    let (editor, channel) = world.start();
    world.open(editor, channel, "a");
    let turn = world.prompt(editor, channel, "a", 1);
    let question = world.ask(channel, editor, "a", "50");
    world.event(Event::ChannelSaturated { channel, over: true });
    world.expect_warning(|notice| matches!(notice, Notice::AgentNotReading { .. }));
    world.request(editor, 2, "session/prompt", &prompt("a"));
    let data = world.expect_refusal(editor, 2, -32603, "agent_not_reading");
    assert_eq!(data["retryAfterMs"], 1_000);
    world.request(editor, 3, "session/new", NEW);
    world.expect_refusal(editor, 3, -32603, "agent_not_reading");
    // Answers and cancels still enter, and closes.
    world.answer(editor, question, "{}");
    world.expect_answer(channel, 50, "{}");
    world.notify(editor, "session/cancel", &session("a"));
    world.expect_notification(channel, "session/cancel", &session("a"));
    world.answer(channel, turn, END_TURN);
    world.expect_answer(editor, 1, END_TURN);
    world.close(editor, channel, "a");
    world.event(Event::ChannelSaturated { channel, over: false });
    world.open(editor, channel, "b");
}

#[test]
fn an_agent_that_does_not_read_is_notified_of_no_more_than_a_bound() {
    let mut world = World::new();
    let (editor, channel) = world.start();
    world.open(editor, channel, "a");
    world.event(Event::ChannelSaturated { channel, over: true });
    world.expect_warning(|notice| matches!(notice, Notice::AgentNotReading { .. }));
    let long = format!(r#"{{"sessionId":"a","text":"{}"}}"#, "x".repeat(300_000));
    for count in 1..=5 {
        world.notify(editor, "_x/said", &long);
        if count <= 3 {
            world.expect_notification(channel, "_x/said", &long);
        }
    }
    assert_eq!(world.bridge.counters().unrouted, 2);
    // There is still room for what matters.
    world.notify(editor, "session/cancel", &session("a"));
    world.expect_notification(channel, "session/cancel", &session("a"));
    world.event(Event::ChannelSaturated { channel, over: false });
    world.notify(editor, "_x/said", &long);
    world.expect_notification(channel, "_x/said", &long);
    world.assert_nothing_left();
}

#[test]
fn a_slow_client_pauses_the_channels_that_feed_it_and_no_others() {
    let mut world = World::with(|config| config.agent.sessions_per_channel = 1);
    let (slow, first) = world.start();
    let fast = world.join();
    world.open(slow, first, "a");
    world.request(fast, 1, "session/new", NEW);
    let second = world.expect_spawn("/home");
    world.handshake(second);
    world.opened(fast, second, "b", "1");
    world.event(Event::ClientSaturated { client: slow, over: true });
    world.expect(first, Deed::Pause);
    world.prompt(fast, second, "b", 2);
    world.assert_nothing_left();
    world.event(Event::ClientSaturated { client: slow, over: false });
    world.expect(first, Deed::Resume);
    // Also when it is gone, or when the channel is to leave.
    world.event(Event::ClientSaturated { client: slow, over: true });
    world.expect(first, Deed::Pause);
    world.gone(slow);
    world.expect(first, Deed::Resume);
}

#[test]
fn at_both_caps_a_newcomer_waits_for_the_close_that_makes_room() {
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
    let carried = world.connect();
    let params = INITIALIZE.replacen(":1", ":2", 1);
    world.request(carried, 0, "initialize", &params);
    let channel = world.expect_spawn("/home");
    let id = world.expect_request(channel, "initialize", &params);
    world.answer(channel, id, r#"{"protocolVersion":2}"#);
    world.next_line(carried);
    let other = world.connect();
    world.request(other, 1, "initialize", INITIALIZE);
    world.expect_refusal(other, 1, -32603, "channel_limit");
}

#[test]
fn an_open_that_names_no_directory_is_in_that_of_its_client() {
    let mut world = World::with(|config| config.agent.share = Share::Cwd);
    let (editor, channel) = world.start();
    for (id, params) in [("a", "{}"), ("b", r#"{"cwd":"/home"}"#)] {
        world.request(editor, 1, "session/new", params);
        let number = world.expect_request(channel, "session/new", params);
        world.answer(channel, number, &session(id));
        world.expect_answer(editor, 1, &session(id));
    }
}

#[test]
fn an_open_does_not_wait_for_a_channel_that_is_starting_if_a_ready_one_has_room() {
    let mut world = World::with(|config| config.agent.sessions_per_channel = 2);
    let (editor, first) = world.start();
    world.open(editor, first, "a");
    world.open(editor, first, "b");
    world.request(editor, 1, "session/new", NEW);
    let second = world.expect_spawn("/home");
    world.expect_request(second, "initialize", INITIALIZE);
    world.close(editor, first, "a");
    world.close(editor, first, "b");
    world.open(editor, first, "c");
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
fn a_request_for_all_is_refused_if_one_agent_does_not_read() {
    let mut world = World::with(|config| config.agent.sessions_per_channel = 1);
    let (editor, first) = world.start();
    world.open(editor, first, "a");
    world.request(editor, 1, "session/new", NEW);
    let second = world.expect_spawn("/home");
    world.handshake(second);
    world.opened(editor, second, "b", "1");
    world.event(Event::ChannelSaturated { channel: second, over: true });
    world.expect_warning(|notice| matches!(notice, Notice::AgentNotReading { .. }));
    for (id, method) in [(2, "providers/set"), (3, "logout")] {
        world.request(editor, id, method, "{}");
        world.expect_refusal(editor, id, -32603, "agent_not_reading");
    }
}

#[test]
fn an_agent_without_sessions_is_paused_for_a_slow_client_of_its_own_pool() {
    let mut world = World::new();
    let (slow, channel) = world.start();
    let others = INITIALIZE.replace("\"terminal\":true", "\"terminal\":false");
    world.start_with(&others);
    for _ in 0..2 {
        world.event(Event::ClientSaturated { client: slow, over: true });
        world.expect(channel, Deed::Pause);
        world.assert_nothing_left();
        world.event(Event::ClientSaturated { client: slow, over: false });
        world.expect(channel, Deed::Resume);
    }
}
