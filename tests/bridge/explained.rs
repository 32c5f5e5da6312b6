//! The bridge's own account of itself: a scene with every state of a channel and of a session, as
//! `drawbridge status --explain` shows it, and what keeps pools apart.

use drawbridge::api::{Fate, SessionState};
use drawbridge::bridge::config::{IdlePolicy, Share};
use drawbridge::bridge::{
    AgentConfig, AgentId, ChannelId, ClientId, Event, Limit, Order, Process, SessionKey,
};
use drawbridge::control::report;

use crate::harness::{
    Deed, END_TURN, INITIALIZE, NEW, World, environment, permission, prompt, session,
};

/// Opens a session on a channel of its own.
fn open(world: &mut World, client: ClientId, token: u64, id: &str) -> ChannelId {
    world.request(client, token, "session/new", NEW);
    let channel = world.expect_spawn("/work");
    let number = world.expect_request(channel, "initialize", INITIALIZE);
    world.answer(channel, number, world.agent);
    let number = world.expect_request(channel, "session/new", NEW);
    world.answer(channel, number, &session(id));
    world.rest(client);
    channel
}

fn prompts(world: &mut World, client: ClientId, channel: ChannelId, token: u64, id: &str) {
    world.request(client, token, "session/prompt", &prompt(id));
    world.expect_request(channel, "session/prompt", &prompt(id));
}

fn order(world: &mut World, order: Order) {
    world.event(Event::Operator(order));
}

fn leaves(world: &mut World, client: ClientId, channel: ChannelId, token: u64, id: &str) {
    world.request(client, token, "session/close", &session(id));
    let number = world.expect_request(channel, "session/close", &session(id));
    world.answer(channel, number, "{}");
    world.rest(client);
}

/// A world with every state. Its channels and clients have more to say than is looked at.
fn scene() -> World {
    let mut world = World::with(|config| {
        config.agent.name = "claude".to_owned();
        config.agent.share = Share::Session;
        config.agent.channel_idle_timeout = Limit::After(3_600_000);
        config.agent.stdin_grace = Limit::After(10_000);
        config.agent.term_grace = Limit::After(10_000);
        config.agent.kill_grace = Limit::After(10_000);
        config.limits.lost_client_timeout = Limit::After(120_000);
        config.limits.lost_turn_timeout = Limit::After(600_000);
    });
    let ahead = AgentConfig { name: "codex".to_owned(), ..AgentConfig::default() };
    let ahead = world.bridge.add_agent(ahead);
    // One that is started ahead.
    let third = world.connect_as(ahead, environment(&[]), "/home");
    world.event(Event::Preheat { client: third });
    let spawned = world.expect_spawn("/home");
    let (one, quiet) = world.start();
    world.open(one, quiet, "quiet");
    let [turn, question, idle, drained] =
        [(2, "turn"), (3, "question"), (4, "idle"), (5, "drained")]
            .map(|(token, id)| open(&mut world, one, token, id));
    // Four on their way to the end, each one rung before the next.
    let ended = [(6, "a"), (7, "b"), (8, "c"), (9, "d")]
        .map(|(token, id)| open(&mut world, one, token, id));
    for (place, channel) in ended.into_iter().enumerate() {
        if place > 0 {
            world.wait(10_000);
        }
        order(&mut world, Order::Stop(channel));
    }
    world.wait(5_000);
    order(&mut world, Order::Drain(drained));
    // Two whose client is gone, one of them in a turn.
    let other = world.connect();
    world.request(other, 0, "initialize", INITIALIZE);
    let lost = open(&mut world, other, 1, "lost");
    let unwatched = open(&mut world, other, 2, "unwatched");
    prompts(&mut world, other, unwatched, 3, "unwatched");
    world.gone(other);
    prompts(&mut world, one, turn, 11, "turn");
    prompts(&mut world, one, question, 12, "question");
    world.request(question, 1, "session/request_permission", &permission("question"));
    // One that is being opened, on a process that has not answered yet.
    world.request(one, 13, "session/new", NEW);
    let starting = world.expect_spawn("/work");
    leaves(&mut world, one, idle, 10, "idle");
    world.wait(3_000);
    for peer in [one, third] {
        world.rest(peer);
    }
    for channel in [quiet, turn, question, idle, drained, lost, unwatched, starting, spawned] {
        world.rest(channel);
    }
    ended.into_iter().for_each(|channel| drop(world.rest(channel)));
    world
}

fn explained(world: &World) -> String {
    let view = world.bridge.view(world.now);
    let ids = view.channel_ids().into_iter();
    let explained: Vec<_> = ids.filter_map(|id| view.explain(id, 1000)).collect();
    let clients: Vec<_> = view.clients().map(|(_, client)| client).collect();
    report::explanation(&explained, &clients)
}

#[test]
fn every_state_is_explained() {
    let text = explained(&scene());
    let expected = include_str!("explained.txt");
    assert!(text == expected, "tests/bridge/explained.txt differs:\n{text}");
}

#[test]
fn what_keeps_processes_apart_is_named() {
    let mut world = World::new();
    let agent = AgentId(0);
    let names = |world: &World| world.bridge.view(world.now).agents()[0].apart.clone();
    let mut channels = Vec::new();
    for (variables, home) in [(&[("FOO", 1)][..], "/a"), (&[("FOO", 2), ("BAR", 1)][..], "/b")] {
        let client = world.connect_as(agent, environment(variables), home);
        world.request(client, 0, "initialize", INITIALIZE);
        let channel = world.expect_spawn(home);
        let number = world.expect_request(channel, "initialize", INITIALIZE);
        world.answer(channel, number, world.agent);
        world.rest(client);
        channels.push(channel);
    }
    assert_eq!(names(&world), ["BAR", "FOO"]);
    // A process that ends is none that could be shared.
    order(&mut world, Order::Stop(channels[1]));
    assert!(names(&world).is_empty());
    world.rest(channels[1]);
}

#[test]
fn background_work_is_a_state_of_its_own() {
    let mut world = World::with(|config| {
        config.agent.idle_policy = IdlePolicy::All;
        config.agent.attached_idle_timeout = Limit::After(60_000);
        config.limits.session_reap_interval = Limit::After(60_000);
    });
    let (client, channel) = world.start();
    world.open(client, channel, "s");
    world.request(client, 7, "session/prompt", &prompt("s"));
    let number = world.expect_request(channel, "session/prompt", &prompt("s"));
    world.wait(1_000);
    let born = world.now;
    let waits = world.bridge.view(world.now).sessions(None, None);
    assert_eq!(waits.sessions[0].state, SessionState::Turn);
    world.answer(channel, number, END_TURN);
    world.expect_answer(client, 7, END_TURN);
    world.wait(120_000);
    world.surveyed(channel, vec![Process { pid: 9, name: "build".to_owned(), born }]);
    let sessions = world.bridge.view(world.now).sessions(None, None).sessions;
    assert_eq!(sessions[0].state, SessionState::Background);
    let waits =
        |event: &str| matches!(&sessions[0].fate, Fate::Waits { event: own, .. } if own == event);
    assert!(waits("the end of its background work"), "{sessions:?}");
    world.rest(channel);
    world.rest(client);
}

#[test]
fn a_lease_outlasts_the_last_session() {
    let mut world = World::with(|config| {
        config.limits.lost_client_timeout = Limit::After(60_000);
    });
    let (client, channel) = world.start();
    let other = world.connect();
    world.request(other, 0, "initialize", INITIALIZE);
    world.rest(other);
    world.open(client, channel, "s");
    let fate = |world: &World| world.bridge.view(world.now).channel(channel).unwrap().fate;
    assert!(matches!(fate(&world), Fate::Stays { because } if because.contains("(s-1)")));
    // The agent has answered a method that the bridge does not know.
    world.request(other, 1, "vendor/hold", "{}");
    let number = world.expect_request(channel, "vendor/hold", "{}");
    let event = "the agent's answer to a request of a client".to_owned();
    assert_eq!(fate(&world), Fate::Waits { event, at_most_ms: None });
    world.answer(channel, number, "{}");
    world.rest(other);
    world.gone(client);
    let because = "the agent may hold something for a client";
    assert_eq!(fate(&world), Fate::Stays { because: because.to_owned() });
    world.rest(channel);
    // Without the lease it would end so, and does not with it.
    world.wait(60_000);
    world.rest(channel);
    world.wait(3_600_000);
    assert!(world.bridge.view(world.now).channel(channel).is_some());
    world.rest(channel);
}

#[test]
fn a_draining_channel_waits_for_the_close_of_its_last_session() {
    let mut world = World::new();
    let (client, channel) = world.start();
    world.open(client, channel, "s");
    order(&mut world, Order::Drain(channel));
    world.request(client, 7, "session/close", &session("s"));
    let number = world.expect_request(channel, "session/close", &session("s"));
    world.rest(client);
    let fate = world.bridge.view(world.now).channel(channel).unwrap().fate;
    let event = "the agent's answer to session/close".to_owned();
    assert_eq!(fate, Fate::Waits { event, at_most_ms: Some(10_000) });
    world.answer(channel, number, "{}");
    world.rest(client);
    world.expect(channel, Deed::CloseStdin);
}

#[test]
fn sessions_come_in_pages() {
    let mut world = World::new();
    let (client, channel) = world.start();
    for id in ["a", "b", "c", "d", "e"] {
        world.open(client, channel, id);
    }
    let page = |after| {
        let page = world.bridge.view(world.now).sessions(after, Some(2));
        let ids: Vec<_> = page.sessions.iter().filter_map(|row| row.id.clone()).collect();
        (ids.join(""), page.next)
    };
    assert_eq!(page(None), ("ab".to_owned(), Some(2)));
    assert_eq!(page(Some(2)), ("cd".to_owned(), Some(4)));
    assert_eq!(page(Some(4)), ("e".to_owned(), None));
    let view = world.bridge.view(world.now);
    assert_eq!(view.sessions_named("s-3"), [SessionKey(3)]);
    assert_eq!(view.sessions_named("c"), [SessionKey(3)]);
    assert!(view.sessions_named("s-9").is_empty() && view.channel_named("ch-9").is_none());
}
