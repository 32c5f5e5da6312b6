//! Conversations of several agents, directories and environments: the same id never leads from
//! one to another.

use drawbridge::bridge::{AgentConfig, AgentId, ChannelId, ClientId, Environment};

use crate::harness::{
    CAPABLE, END_TURN, INITIALIZE, World, environment, notification, prompt, session, update,
};

fn world() -> World {
    World::with(|config| config.limits.replay_bytes = 1 << 20)
}

/// A client that has shaken hands with an agent that was started for it.
#[track_caller]
fn first(
    world: &mut World,
    agent: AgentId,
    environment: Environment,
    home: &str,
) -> (ClientId, ChannelId) {
    let client = world.connect_as(agent, environment, home);
    world.request(client, 0, "initialize", INITIALIZE);
    let channel = world.expect_spawn(home);
    let number = world.expect_request(channel, "initialize", INITIALIZE);
    world.answer(channel, number, CAPABLE);
    world.next_line(client);
    (client, channel)
}

/// A client that an agent serves which runs already.
#[track_caller]
fn further(world: &mut World, agent: AgentId, environment: Environment, home: &str) -> ClientId {
    let client = world.connect_as(agent, environment, home);
    world.request(client, 0, "initialize", INITIALIZE);
    world.next_line(client);
    client
}

fn load(id: &str, cwd: &str) -> String {
    format!(r#"{{"sessionId":"{id}","cwd":"{cwd}","mcpServers":[]}}"#)
}

/// A client loads a stored conversation, and this channel's agent opens it.
#[track_caller]
fn loads(world: &mut World, client: ClientId, channel: ChannelId, id: &str, cwd: &str) {
    world.request(client, 1, "session/load", &load(id, cwd));
    let number = world.expect_request(channel, "session/load", &load(id, cwd));
    world.answer(channel, number, "{}");
    world.expect_answer(client, 1, "{}");
}

/// What each agent says under the id, and what each client asks under it, stays between them.
#[track_caller]
fn are_apart(world: &mut World, pairs: [(ClientId, ChannelId); 2], id: &str) {
    for (client, channel) in pairs {
        let number = world.prompt(client, channel, id, 7);
        world.notify(channel, "session/update", &update(id, "hello"));
        world.expect_notification(client, "session/update", &update(id, "hello"));
        let asked = world.ask(channel, client, id, "70");
        world.answer(client, asked, crate::harness::ALLOWED);
        world.expect_answer(channel, 70, crate::harness::ALLOWED);
        world.answer(channel, number, END_TURN);
        world.expect_answer(client, 7, END_TURN);
        world.assert_nothing_left();
    }
}

#[test]
fn ids_of_two_agents_never_meet() {
    let mut world = world();
    let other = world.bridge.add_agent(AgentConfig::default());
    let one = first(&mut world, AgentId(0), environment(&[]), "/home");
    let two = first(&mut world, other, environment(&[]), "/home");
    loads(&mut world, one.0, one.1, "s", "/work");
    loads(&mut world, two.0, two.1, "s", "/work");
    are_apart(&mut world, [one, two], "s");
    // A third client of the second agent joins the session of that one.
    let third = further(&mut world, other, environment(&[]), "/home");
    world.request(third, 1, "session/resume", &load("s", "/work"));
    world.expect_answer(third, 1, "{}");
    world.notify(two.1, "session/update", &update("s", "news"));
    for client in [two.0, third] {
        world.expect_notification(client, "session/update", &update("s", "news"));
    }
}

#[test]
fn the_same_id_in_two_directories_is_two_conversations_in_two_processes() {
    let mut world = world();
    let one = first(&mut world, AgentId(0), environment(&[]), "/home");
    loads(&mut world, one.0, one.1, "s", "/a");
    let client = further(&mut world, AgentId(0), environment(&[]), "/home");
    world.request(client, 1, "session/load", &load("s", "/b"));
    // The agent of the first one could not tell them apart.
    let channel = world.expect_spawn("/home");
    world.handshake(channel);
    let number = world.expect_request(channel, "session/load", &load("s", "/b"));
    world.answer(channel, number, "{}");
    world.expect_answer(client, 1, "{}");
    are_apart(&mut world, [one, (client, channel)], "s");
    // Who joins gets the one in its directory, however that is spelled.
    let third = further(&mut world, AgentId(0), environment(&[]), "/home");
    world.request(third, 1, "session/resume", &load("s", "/b/"));
    world.expect_answer(third, 1, "{}");
    world.notify(channel, "session/update", &update("s", "news"));
    for client in [client, third] {
        world.expect_notification(client, "session/update", &update("s", "news"));
    }
    // The end of one is not the end of the other.
    world.request(one.0, 2, "session/close", &session("s"));
    world.expect_closed(one.0, "s", "client_close");
    let number = world.expect_request(one.1, "session/close", &session("s"));
    world.answer(one.1, number, "{}");
    world.expect_answer(one.0, 2, "{}");
    world.prompt(client, channel, "s", 8);
}

#[test]
fn a_close_in_one_directory_holds_up_no_load_in_another() {
    let mut world = world();
    let one = first(&mut world, AgentId(0), environment(&[]), "/home");
    loads(&mut world, one.0, one.1, "s", "/a");
    let client = further(&mut world, AgentId(0), environment(&[]), "/home");
    world.request(one.0, 2, "session/close", &session("s"));
    world.expect_closed(one.0, "s", "client_close");
    let close = world.expect_request(one.1, "session/close", &session("s"));
    // Here the conversation is still held;
    world.request(one.0, 3, "session/load", &load("s", "/a"));
    world.assert_nothing_left();
    // this is another one.
    world.request(client, 1, "session/load", &load("s", "/b"));
    let channel = world.expect_spawn("/home");
    world.handshake(channel);
    let number = world.expect_request(channel, "session/load", &load("s", "/b"));
    world.answer(channel, number, "{}");
    world.expect_answer(client, 1, "{}");
    world.answer(one.1, close, "{}");
    world.expect_answer(one.0, 2, "{}");
    world.expect_request(one.1, "session/load", &load("s", "/a"));
}

#[test]
fn a_client_means_its_own_session_wherever_it_asks_for_it() {
    let mut world = world();
    let (editor, channel) = first(&mut world, AgentId(0), environment(&[]), "/home");
    loads(&mut world, editor, channel, "s", "/a");
    world.request(editor, 2, "session/load", &load("s", "/b"));
    let number = world.expect_request(channel, "session/load", &load("s", "/b"));
    world.answer(channel, number, "{}");
    world.expect_answer(editor, 2, "{}");
}

#[test]
fn another_environment_has_another_process() {
    let mut world = world();
    let one = first(&mut world, AgentId(0), environment(&[("KEY", 1)]), "/home");
    let two = first(&mut world, AgentId(0), environment(&[("KEY", 2)]), "/home");
    assert_ne!(one.1, two.1);
    // The same again, from another place.
    let third = further(&mut world, AgentId(0), environment(&[("KEY", 2)]), "/elsewhere");
    world.open(third, two.1, "x");
    // Counted ids of two processes are shown apart.
    for (client, channel, shown) in [(one.0, one.1, "1"), (two.0, two.1, "~1~1")] {
        world.request(client, 2, "session/new", crate::harness::NEW);
        let number = world.expect_request(channel, "session/new", crate::harness::NEW);
        world.answer(channel, number, &session("1"));
        world.expect_answer(client, 2, &session(shown));
    }
}

#[test]
fn a_conversation_that_somebody_has_in_another_environment_is_not_joined() {
    let mut world = world();
    let one = first(&mut world, AgentId(0), environment(&[("FOO", 1), ("SAME", 5)]), "/home");
    loads(&mut world, one.0, one.1, "s", "/work");
    let two = first(&mut world, AgentId(0), environment(&[("BAR", 2), ("SAME", 5)]), "/home");
    for method in ["session/load", "session/resume"] {
        world.request(two.0, 1, method, &load("s", "/work"));
        let data = world.expect_refusal(two.0, 1, -32603, "session_elsewhere");
        let details = data["details"].as_str().unwrap();
        assert!(details.contains("they differ in BAR, FOO"), "{details}");
    }
    // It is asked for: then it is joined.
    world.request(two.0, 2, "_drawbridge/attach", &session("s"));
    world.expect_answer(two.0, 2, r#"{"replayed":0,"gap":false}"#);
    world.notify(one.1, "session/update", &update("s", "news"));
    for client in [one.0, two.0] {
        world.expect_notification(client, "session/update", &update("s", "news"));
    }
}

#[test]
fn a_quiet_conversation_that_nobody_has_is_moved_to_the_newcomers_environment() {
    let mut world = world();
    let one = first(&mut world, AgentId(0), environment(&[("FOO", 1)]), "/home");
    loads(&mut world, one.0, one.1, "s", "/work");
    let two = first(&mut world, AgentId(0), environment(&[("FOO", 2)]), "/home");
    let turn = world.prompt(one.0, one.1, "s", 3);
    world.gone(one.0);
    // In a turn it is not taken away.
    world.request(two.0, 1, "session/load", &load("s", "/work"));
    world.expect_refusal(two.0, 1, -32603, "session_elsewhere");
    world.answer(one.1, turn, END_TURN);
    world.request(two.0, 2, "session/load", &load("s", "/work"));
    let close = world.expect_request(one.1, "session/close", &session("s"));
    world.assert_nothing_left();
    world.answer(one.1, close, "{}");
    let number = world.expect_request(two.1, "session/load", &load("s", "/work"));
    world.answer(two.1, number, "{}");
    world.expect_answer(two.0, 2, "{}");
    world.request(two.0, 3, "session/prompt", &prompt("s"));
    world.expect_request(two.1, "session/prompt", &prompt("s"));
}

#[test]
fn what_an_agent_says_to_all_goes_to_the_clients_of_its_own_pool() {
    let mut world = world();
    let other = world.bridge.add_agent(AgentConfig::default());
    let one = first(&mut world, AgentId(0), environment(&[("FOO", 1)]), "/home");
    let two = first(&mut world, AgentId(0), environment(&[("FOO", 2)]), "/home");
    let three = first(&mut world, other, environment(&[("FOO", 1)]), "/home");
    for (client, channel) in [one, two, three] {
        world.says(channel, notification("_auth/status_update", "{}"));
        world.expect_line(client, &notification("_auth/status_update", "{}"));
        world.assert_nothing_left();
        world.request(client, 5, "authenticate", r#"{"methodId":"m"}"#);
        let number = world.expect_request(channel, "authenticate", r#"{"methodId":"m"}"#);
        world.answer(channel, number, "{}");
        world.expect_answer(client, 5, "{}");
    }
}
