//! Channels that get no new sessions because an agent that is started now would be another: it
//! was updated, lost a handle of its login, or runs for very long.

use drawbridge::bridge::{
    AgentId, ChannelId, ClientId, Event, Limit, Notice, Outdated, StopReason,
};

use crate::harness::{CAPABLE, Deed, END_TURN, INITIALIZE, NEW, World, environment, session};

const DAY: u64 = 86_400_000;

fn outdated(world: &mut World, channel: ChannelId, client: ClientId, what: Outdated) {
    world.event(Event::ChannelOutdated { channel, client, what });
}

fn updated() -> Outdated {
    Outdated::Updated { file: "/opt/agent".to_owned() }
}

fn dead() -> Outdated {
    Outdated::DeadHandle { name: "SSH_AUTH_SOCK".to_owned() }
}

/// A new session of this client goes to a new channel, which is returned.
#[track_caller]
fn opens_elsewhere(world: &mut World, client: ClientId, id: &str) -> ChannelId {
    world.request(client, 90, "session/new", NEW);
    let channel = world.expect_spawn("/home");
    world.handshake(channel);
    world.opened(client, channel, id, "90");
    channel
}

#[test]
fn an_updated_agent_keeps_its_sessions_and_gets_no_more() {
    let mut world = World::new();
    let (first, old) = world.start();
    let second = world.join();
    world.open(first, old, "a");
    outdated(&mut world, old, second, updated());
    let new = opens_elsewhere(&mut world, second, "b");
    // The old session goes on where it is, the next one of either client does not.
    let turn = world.prompt(first, old, "a", 1);
    world.answer(old, turn, END_TURN);
    world.expect_answer(first, 1, END_TURN);
    world.open(first, new, "c");
    world.close(first, old, "a");
    world.expect(old, Deed::CloseStdin);
    assert!(world.notices.iter().any(|notice| matches!(
        notice,
        Notice::ChannelDraining { channel, reason: StopReason::AgentUpdated { .. } } if *channel == old
    )));
}

#[test]
fn a_newcomer_hears_the_answer_of_the_updated_agent_and_later_ones_too() {
    let mut world = World::new();
    let (first, old) = world.start();
    world.open(first, old, "a");
    let newcomer = world.connect();
    outdated(&mut world, old, newcomer, updated());
    world.request(newcomer, 0, "initialize", INITIALIZE);
    let new = world.expect_spawn("/home");
    let number = world.expect_request(new, "initialize", INITIALIZE);
    let newest = CAPABLE.replacen('{', r#"{"agentInfo":{"name":"agent","version":"2"},"#, 1);
    world.answer(new, number, &newest);
    assert!(world.next_line(newcomer).contains(r#""version":"2""#));
    world.open(newcomer, new, "b");
    let third = world.connect();
    world.request(third, 0, "initialize", INITIALIZE);
    assert!(world.next_line(third).contains(r#""version":"2""#));
}

#[test]
fn where_there_is_no_room_for_the_updated_agent_the_old_one_answers() {
    let mut world = World::with(|config| config.limits.max_channels = 1);
    let (first, old) = world.start();
    world.open(first, old, "a");
    let newcomer = world.connect();
    outdated(&mut world, old, newcomer, updated());
    world.request(newcomer, 0, "initialize", INITIALIZE);
    assert!(world.next_line(newcomer).contains("result"));
    // It can come back to a session that lives there, and opens no other.
    world.load(newcomer, old, "a");
    world.request(newcomer, 1, "session/new", NEW);
    world.expect_refusal(newcomer, 1, -32603, "channel_limit");
}

#[test]
fn a_dead_handle_matters_to_clients_that_would_share_the_process() {
    let mut world = World::new();
    let (first, old) = world.start();
    world.open(first, old, "a");
    // This one is in another pool, and brings its handle to another process.
    let stranger = world.connect_as(AgentId(0), environment(&[("X", 1)]), "/home");
    world.request(stranger, 0, "initialize", INITIALIZE);
    let own = world.expect_spawn("/home");
    world.handshake(own);
    world.next_line(stranger);
    outdated(&mut world, old, stranger, dead());
    world.open(first, old, "b");
    let second = world.join();
    outdated(&mut world, old, second, dead());
    opens_elsewhere(&mut world, second, "c");
}

#[test]
fn one_that_starts_serves_those_who_wait_for_it() {
    let mut world = World::new();
    let client = world.connect();
    world.request(client, 0, "initialize", INITIALIZE);
    let channel = world.expect_spawn("/home");
    outdated(&mut world, channel, client, updated());
    world.handshake(channel);
    world.next_line(client);
    world.open(client, channel, "a");
}

#[test]
fn the_process_of_another_protocol_version_is_left_alone() {
    let mut world = World::new();
    let client = world.connect();
    world.request(client, 0, "initialize", INITIALIZE);
    let channel = world.expect_spawn("/home");
    let number = world.expect_request(channel, "initialize", INITIALIZE);
    world.answer(channel, number, r#"{"protocolVersion":2}"#);
    world.next_line(client);
    outdated(&mut world, channel, client, updated());
    world.request(client, 1, "session/new", NEW);
    let number = world.expect_request(channel, "session/new", NEW);
    world.answer(channel, number, &session("a"));
    world.expect_answer(client, 1, &session("a"));
}

#[test]
fn an_old_channel_gets_no_new_sessions_where_its_age_is_limited() {
    let mut world = World::with(|config| {
        config.agent.channel_max_age = Limit::After(DAY);
        config.limits.session_reap_interval = Limit::Never;
        config.agent.channel_idle_timeout = Limit::Never;
    });
    let (client, old) = world.start();
    world.open(client, old, "a");
    world.wait(DAY - 1);
    world.open(client, old, "b");
    world.wait(1);
    let new = opens_elsewhere(&mut world, client, "c");
    world.close(client, old, "a");
    world.close(client, old, "b");
    world.expect(old, Deed::CloseStdin);
    world.open(client, new, "d");
}
