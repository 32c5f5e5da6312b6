//! Sharing: pools, who serves whom, and what of a pool outlives its clients.

use drawbridge::bridge::config::Share;

use crate::harness::{INITIALIZE, NEW, World, session, update};

#[test]
fn another_pool_gets_a_process_of_its_own() {
    let others = [
        INITIALIZE.replace("\"terminal\":true", "\"terminal\":false"),
        INITIALIZE.replacen('{', r#"{"clientInfo":{"name":"other"},"#, 1),
        INITIALIZE.replacen('{', r#"{"_meta":{"theirs":1},"#, 1),
    ];
    for params in others {
        let mut world = World::new();
        world.start();
        let other = world.connect();
        world.request(other, 1, "initialize", &params);
        let channel = world.expect_spawn("/home");
        world.expect_request(channel, "initialize", &params);
    }
}

#[test]
fn what_a_client_asks_goes_to_the_processes_of_its_own_pool() {
    let mut world = World::new();
    world.start();
    let params = INITIALIZE.replace("\"terminal\":true", "\"terminal\":false");
    let (other, its) = world.start_with(&params);
    world.open(other, its, "a");
    world.request(other, 1, "authenticate", "{}");
    world.expect_request(its, "authenticate", "{}");
    // A request of its agent without a session is for it as well.
    world.close(other, its, "a");
    world.request(its, 2, "_some/question", "{}");
    world.expect_request(other, "_some/question", "{}");
}

#[test]
fn what_an_agent_without_clients_asks_is_not_put_to_one_of_another_pool() {
    let mut world = World::new();
    world.start();
    let params = INITIALIZE.replace("\"terminal\":true", "\"terminal\":false");
    let (other, its) = world.start_with(&params);
    world.gone(other);
    world.request(its, 1, "_some/question", "{}");
    world.expect_refusal(its, 1, -32603, "nobody_to_ask");
}

#[test]
fn an_agent_that_wants_a_login_is_replaced_for_clients_of_its_own_pool_alone() {
    let mut world = World::new();
    let (editor, channel) = world.start();
    world.request(editor, 1, "session/new", NEW);
    let number = world.expect_request(channel, "session/new", NEW);
    world.fail(channel, number, -32000);
    world.expect_failure(editor, 1, -32000);
    let params = INITIALIZE.replace("\"terminal\":true", "\"terminal\":false");
    let (other, its) = world.start_with(&params);
    world.open(other, its, "a");
    world.assert_nothing_for(channel);
}

#[test]
fn a_client_whose_process_is_gone_is_not_served_by_that_of_another_pool() {
    let mut world = World::new();
    world.start();
    let params = INITIALIZE.replace("\"terminal\":true", "\"terminal\":false");
    let (other, its) = world.start_with(&params);
    world.exits(its, 0);
    world.request(other, 1, "_x", "{}");
    let next = world.expect_spawn("/home");
    world.expect_request(next, "initialize", &params);
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
fn updates_of_two_sessions_by_turns_reach_each_its_own_client() {
    let mut world = World::new();
    let (first, channel) = world.start();
    let second = world.join();
    world.open(first, channel, "a");
    world.open(second, channel, "b");
    for _ in 0..2 {
        for (client, id) in [(first, "a"), (second, "b")] {
            world.notify(channel, "session/update", &update(id, "x"));
            world.expect_notification(client, "session/update", &update(id, "x"));
        }
    }
}

#[test]
fn a_channel_whose_clients_are_gone_serves_the_next_one_like_them() {
    let mut world = World::new();
    let (editor, channel) = world.start();
    world.open(editor, channel, "a");
    world.gone(editor);
    let next = world.join();
    world.open(next, channel, "b");
}

#[test]
fn the_settings_of_a_pool_end_with_its_last_client_and_its_last_channel() {
    for channel_first in [true, false] {
        let mut world = World::new();
        let (editor, channel) = world.start();
        world.agreed(editor, channel, "providers/set", "{}");
        if channel_first {
            world.exits(channel, 0);
            world.gone(editor);
        } else {
            world.gone(editor);
            world.exits(channel, 0);
        }
        world.start();
    }
}
