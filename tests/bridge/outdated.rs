//! Channels that get no new sessions because an agent that is started now would be another: it
//! was updated, lost a handle of its login, or runs for very long.

use drawbridge::bridge::config::Share;
use drawbridge::bridge::{
    AgentConfig, AgentId, ChannelId, ClientId, Event, Limit, Notice, Outdated, StopReason,
};
use drawbridge::wire::Frame;

use crate::harness::{CAPABLE, Deed, END_TURN, INITIALIZE, NEW, World, environment, session};

const DAY: u64 = 86_400_000;

const SETTING: (&str, &str) = ("providers/set", r#"{"id":"p"}"#);

fn outdated(world: &mut World, channel: ChannelId, what: Outdated) {
    world.event(Event::ChannelOutdated { channel, what });
}

fn updated() -> Outdated {
    Outdated::Updated { file: "/opt/agent".to_owned() }
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

/// Whether a channel drains because its agent was updated.
fn drains(world: &World, old: ChannelId) -> bool {
    world.notices.iter().any(|notice| matches!(
        notice,
        Notice::ChannelDraining { channel, reason: StopReason::AgentUpdated { .. } } if *channel == old
    ))
}

/// Starts a process for a client with another environment; it is without work.
fn of_another_pool(world: &mut World) {
    let client = world.connect_as(AgentId(0), environment(&[("HTTP_PROXY", 1)]), "/home");
    world.request(client, 0, "initialize", INITIALIZE);
    let channel = world.expect_spawn("/home");
    world.handshake(channel);
    world.next_line(client);
}

#[test]
fn an_updated_agent_keeps_its_sessions_and_gets_no_more() {
    let mut world = World::new();
    let (first, old) = world.start();
    let second = world.join();
    world.open(first, old, "a");
    outdated(&mut world, old, updated());
    let new = opens_elsewhere(&mut world, second, "b");
    assert!(drains(&world, old));
    // The old session goes on where it is, the next one of either client does not.
    let turn = world.prompt(first, old, "a", 1);
    world.answer(old, turn, END_TURN);
    world.expect_answer(first, 1, END_TURN);
    world.open(first, new, "c");
    world.close(first, old, "a");
    world.expect(old, Deed::CloseStdin);
}

#[test]
fn a_newcomer_hears_the_answer_of_the_updated_agent_and_later_ones_too() {
    let mut world = World::new();
    let (first, old) = world.start();
    world.open(first, old, "a");
    let newcomer = world.connect();
    outdated(&mut world, old, updated());
    world.request(newcomer, 0, "initialize", INITIALIZE);
    let new = world.expect_spawn("/home");
    let number = world.expect_request(new, "initialize", INITIALIZE);
    // A younger process of another pool is ready before it.
    of_another_pool(&mut world);
    let newest = CAPABLE.replacen('{', r#"{"agentInfo":{"name":"agent","version":"2"},"#, 1);
    world.answer(new, number, &newest);
    assert!(world.next_line(newcomer).contains(r#""version":"2""#));
    world.open(newcomer, new, "b");
    let third = world.connect();
    world.request(third, 0, "initialize", INITIALIZE);
    assert!(world.next_line(third).contains(r#""version":"2""#));
}

#[test]
fn where_there_is_no_room_for_the_updated_agent_the_old_one_serves_on() {
    let mut world = World::with(|config| config.limits.max_channels = 1);
    let (first, old) = world.start();
    world.open(first, old, "a");
    let newcomer = world.connect();
    outdated(&mut world, old, updated());
    world.request(newcomer, 0, "initialize", INITIALIZE);
    assert!(world.next_line(newcomer).contains("result"));
    world.load(newcomer, old, "a");
    world.open(newcomer, old, "b");
}

/// A client whose agent was updated asks for a session, and the successor is started.
fn successor() -> (World, ClientId, [ChannelId; 2]) {
    successor_with(&[])
}

/// The same after these requests, which the successor is told again.
fn successor_with(settings: &[(&str, &str)]) -> (World, ClientId, [ChannelId; 2]) {
    let mut world = World::new();
    let (client, old) = world.start();
    world.open(client, old, "a");
    for (method, params) in settings {
        world.agreed(client, old, method, params);
    }
    assert_eq!(std::mem::take(&mut world.noted), [old]);
    outdated(&mut world, old, updated());
    world.request(client, 90, "session/new", NEW);
    let new = world.expect_spawn("/home");
    (world, client, [old, new])
}

#[test]
fn an_update_that_does_not_start_takes_nothing_away() {
    type Fails = fn(&mut World, ChannelId);
    let ways: [Fails; 5] = [
        |world, new| world.exits(new, 1),
        |world, new| {
            let error = "no such file".to_owned();
            world.event(Event::SpawnFailed { channel: new, error });
        },
        |world, new| {
            let number = world.expect_request(new, "initialize", INITIALIZE);
            world.answer(new, number, r#"{"protocolVersion":2}"#);
        },
        |world, new| {
            let number = world.expect_request(new, "initialize", INITIALIZE);
            world.fail(new, number, -32603);
        },
        |world, _| world.wait(300_000),
    ];
    for fails in ways {
        let (mut world, client, [old, new]) = successor();
        fails(&mut world, new);
        world.rest(new);
        // The session that waited for it is opened by the old one, and so is the next.
        world.opened(client, old, "b", "90");
        world.open(client, old, "c");
        world.wait(59_999);
        world.rest(new);
        world.open(client, old, "d");
        assert_eq!(world.noted, [], "it is still the old one");
        // After a while it is tried again.
        world.wait(1);
        let next = opens_elsewhere(&mut world, client, "e");
        assert!(next != old && next != new);
    }
}

#[test]
fn a_further_update_is_tried_without_a_pause() {
    let (mut world, client, [old, new]) = successor();
    world.event(Event::SpawnFailed { channel: new, error: "no such file".to_owned() });
    world.rest(new);
    world.opened(client, old, "b", "90");
    // A dead handle is found again at each look.
    outdated(&mut world, old, Outdated::DeadHandle { name: "SSH_AUTH_SOCK".to_owned() });
    world.open(client, old, "c");
    outdated(&mut world, old, updated());
    opens_elsewhere(&mut world, client, "d");
}

#[test]
fn a_newcomer_whose_agent_does_not_start_gets_the_old_answer() {
    let mut world = World::new();
    let (first, old) = world.start();
    world.open(first, old, "a");
    outdated(&mut world, old, updated());
    let newcomer = world.connect();
    world.request(newcomer, 0, "initialize", INITIALIZE);
    let new = world.expect_spawn("/home");
    let number = world.expect_request(new, "initialize", INITIALIZE);
    // Its own request has reached the process, and a second newcomer waits for that.
    let second = world.connect();
    world.request(second, 0, "initialize", INITIALIZE);
    world.fail(new, number, -32603);
    for client in [newcomer, second] {
        assert!(world.next_line(client).contains(r#""result""#));
        world.rest(client);
        world.open(client, old, &format!("b{client:?}"));
    }
    world.expect(new, Deed::CloseStdin);
}

#[test]
fn other_requests_that_wait_for_the_updated_agent_go_back_too() {
    let (mut world, client, [old, new]) = successor();
    world.request(client, 91, "session/list", "{}");
    world.request(client, 92, "_x/anything", "{}");
    // An id that no open has brought means something on the new process alone.
    world.request(client, 93, "session/set_mode", &session("unknown"));
    world.exits(new, 1);
    world.rest(new);
    let refused = world.next_line(client);
    assert!(refused.contains(r#""id":93,"error""#), "{refused}");
    world.opened(client, old, "b", "90");
    for (id, method) in [(91, "session/list"), (92, "_x/anything")] {
        let number = world.expect_request(old, method, "{}");
        world.answer(old, number, r#"{"n":1}"#);
        world.expect_answer(client, id, r#"{"n":1}"#);
    }
}

#[test]
fn an_older_process_that_answers_late_does_not_bring_back_the_old_answer() {
    let mut world = World::with(|config| config.agent.share = Share::Session);
    let (first, ready) = world.start();
    // Two processes are started for two sessions; the younger one is ready first.
    world.request(first, 1, "session/new", NEW);
    world.request(first, 2, "session/new", NEW);
    let older = world.expect_spawn("/work");
    let number = world.expect_request(older, "initialize", INITIALIZE);
    world.request(first, 3, "session/new", NEW);
    let younger = world.expect_spawn("/work");
    let newest = CAPABLE.replacen('{', r#"{"agentInfo":{"version":"2"},"#, 1);
    let last = world.expect_request(younger, "initialize", INITIALIZE);
    world.answer(younger, last, &newest);
    // It can do less, which is no news of the agent as it is now.
    world.answer(older, number, r#"{"protocolVersion":1}"#);
    assert!(world.warnings.is_empty(), "{:?}", world.warnings);
    let late = world.connect();
    world.request(late, 0, "initialize", INITIALIZE);
    assert!(world.next_line(late).contains(r#""version":"2""#));
    for channel in [ready, older, younger] {
        world.rest(channel);
    }
}

#[test]
fn what_a_client_has_without_a_session_keeps_the_old_process() {
    let mut world = World::new();
    let (first, old) = world.start();
    world.agreed(first, old, "nes/start", "{}");
    outdated(&mut world, old, updated());
    let second = world.connect();
    world.request(second, 0, "initialize", INITIALIZE);
    let new = world.expect_spawn("/home");
    world.handshake(new);
    world.next_line(second);
    world.open(second, new, "b");
    world.wait(700_000);
    assert!(world.rest(old).is_empty(), "its lease keeps it");
    world.gone(first);
    world.expect(old, Deed::CloseStdin);
}

#[test]
fn a_look_is_due_before_a_client_is_introduced_and_before_each_open() {
    let mut world = World::new();
    let (first, shared) = world.start();
    let stranger = world.connect_as(AgentId(0), environment(&[("X", 1)]), "/home");
    let look = |world: &World, client, method: &str| {
        let line = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{{}}}}"#);
        let look = world.bridge.look_before(client, &Frame::parse(line.into()).unwrap());
        look.map(|look| (look.channels, look.handles_of.map(|id| id.0)))
    };
    // Of a newcomer it is not known yet whose processes it will share.
    assert_eq!(look(&world, stranger, "initialize"), Some((vec![shared], None)));
    world.request(stranger, 0, "initialize", INITIALIZE);
    let own = world.expect_spawn("/home");
    world.handshake(own);
    world.next_line(stranger);
    assert_eq!(look(&world, first, "initialize"), Some((vec![shared, own], None)));
    for method in ["session/new", "session/load", "session/resume", "session/fork"] {
        assert_eq!(look(&world, first, method), Some((vec![shared], Some(0))), "{method}");
        assert_eq!(look(&world, stranger, method), Some((vec![own], Some(1))), "{method}");
    }
    for method in ["session/prompt", "session/close", "session/list", "authenticate"] {
        assert_eq!(look(&world, first, method), None, "{method}");
    }
    assert_eq!(look(&world, ClientId(99), "session/new"), None);
}

#[test]
fn a_dead_handle_leads_new_sessions_to_a_process_with_one_that_works() {
    let mut world = World::new();
    let (first, old) = world.start();
    world.open(first, old, "a");
    let second = world.join();
    let dead = Outdated::DeadHandle { name: "SSH_AUTH_SOCK".to_owned() };
    outdated(&mut world, old, dead);
    let new = opens_elsewhere(&mut world, second, "c");
    world.open(first, new, "d");
}

#[test]
fn one_that_starts_serves_those_who_wait_for_it() {
    let mut world = World::new();
    let client = world.connect();
    world.request(client, 0, "initialize", INITIALIZE);
    let channel = world.expect_spawn("/home");
    outdated(&mut world, channel, updated());
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
    outdated(&mut world, channel, updated());
    world.request(client, 1, "session/new", NEW);
    let number = world.expect_request(channel, "session/new", NEW);
    world.answer(channel, number, &session("a"));
    world.expect_answer(client, 1, &session("a"));
}

#[test]
fn an_old_channel_gets_no_new_sessions_where_its_age_is_limited() {
    let mut world = World::with(|config| {
        config.agent.package_max_age = Limit::After(DAY);
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
    world.exits(old, 0);
    world.open(client, new, "d");
    // A newcomer is introduced by a process that is not too old, either.
    world.wait(DAY);
    let late = world.connect();
    world.request(late, 0, "initialize", INITIALIZE);
    let newest = world.expect_spawn("/home");
    world.handshake(newest);
    world.next_line(late);
    world.open(late, newest, "e");
}

/// A client with a session on a channel that is too old for another one.
fn too_old(change: impl FnOnce(&mut AgentConfig)) -> (World, ClientId, ChannelId) {
    let mut world = World::with(|config| {
        config.agent.package_max_age = Limit::After(DAY);
        config.limits.session_reap_interval = Limit::Never;
        change(&mut config.agent);
    });
    let (client, old) = world.start();
    world.open(client, old, "a");
    world.wait(DAY);
    (world, client, old)
}

#[test]
fn an_open_that_has_no_place_in_an_old_channel_waits_for_a_new_one() {
    let (mut world, client, _) = too_old(|agent| agent.sessions_per_channel = 1);
    world.request(client, 90, "session/new", NEW);
    let broken = world.expect_spawn("/home");
    world.exits(broken, 1);
    world.rest(broken);
    assert!(world.next_line(client).contains(r#""error""#));
    world.request(client, 90, "session/new", NEW);
    // A process is started again after the pause that follows a failed start.
    world.wait(1_000);
    let new = world.expect_spawn("/home");
    world.handshake(new);
    world.opened(client, new, "b", "90");
}

#[test]
fn an_updated_agent_that_refuses_the_settings_takes_nothing_away() {
    let (mut world, client, [old, new]) = successor_with(&[SETTING]);
    world.handshake(new);
    let number = world.expect_request(new, SETTING.0, SETTING.1);
    world.fail(new, number, -32602);
    world.opened(client, old, "b", "90");
    world.expect(new, Deed::CloseStdin);
}

#[test]
fn a_directory_in_which_nothing_starts_is_tried_once() {
    let (mut world, client, old) = too_old(|agent| agent.share = Share::Cwd);
    world.request(client, 90, "session/new", r#"{"cwd":"/gone"}"#);
    let channel = world.expect_spawn("/gone");
    world.event(Event::SpawnFailed { channel, error: "no directory".to_owned() });
    world.rest(channel);
    assert!(world.next_line(client).contains("no directory"));
    // The failure concerns that directory alone.
    world.request(client, 90, "session/new", NEW);
    let new = world.expect_spawn("/work");
    world.handshake(new);
    world.opened(client, new, "b", "90");
    world.close(client, old, "a");
    world.expect(old, Deed::CloseStdin);
}

#[test]
fn a_second_successor_that_fails_takes_nothing_away_either() {
    let (mut world, client, old) = too_old(|agent| agent.sessions_per_channel = 2);
    // Two starts are under way: the first holds two sessions, the second one.
    for id in 90..93 {
        world.request(client, id, "session/new", NEW);
    }
    let [first, second] = [(); 2].map(|()| world.expect_spawn("/home"));
    let newcomer = world.connect();
    world.request(newcomer, 0, "initialize", INITIALIZE);
    for channel in [second, first] {
        world.exits(channel, 1);
        world.rest(channel);
    }
    // One of them has room in the old process, and the newcomer gets its answer.
    assert!(world.next_line(newcomer).contains(r#""result""#));
    world.rest(newcomer);
    for _ in 0..2 {
        assert!(world.next_line(client).contains(r#""error""#));
    }
    world.opened(client, old, "b", "92");
}

#[test]
fn an_updated_agent_that_dies_during_its_set_up_takes_nothing_away() {
    let (mut world, client, [old, new]) = successor_with(&[SETTING]);
    world.handshake(new);
    world.expect_request(new, SETTING.0, SETTING.1);
    world.exits(new, 1);
    world.rest(new);
    world.opened(client, old, "b", "90");
}

#[test]
fn nothing_is_stopped_to_make_room_for_an_updated_agent() {
    let mut world = World::with(|config| config.limits.max_channels = 2);
    let (first, old) = world.start();
    world.open(first, old, "a");
    of_another_pool(&mut world);
    outdated(&mut world, old, updated());
    world.open(first, old, "b");
}

#[test]
fn an_outdated_agent_of_another_directory_is_kept() {
    let mut world = World::with(|config| config.agent.share = Share::Cwd);
    let (client, first) = world.start();
    world.open(client, first, "a");
    let other = r#"{"cwd":"/other"}"#;
    world.request(client, 90, "session/new", other);
    let second = world.expect_spawn("/other");
    world.handshake(second);
    let number = world.expect_request(second, "session/new", other);
    world.answer(second, number, &session("b"));
    world.expect_answer(client, 90, &session("b"));
    for old in [first, second] {
        outdated(&mut world, old, updated());
    }
    // A process for a newcomer has no directory yet, and becomes that of the next session.
    let newcomer = world.connect();
    world.request(newcomer, 0, "initialize", INITIALIZE);
    let new = world.expect_spawn("/home");
    world.handshake(new);
    world.next_line(newcomer);
    assert!(!drains(&world, first) && !drains(&world, second));
    world.open(newcomer, new, "c");
    assert!(drains(&world, first) && !drains(&world, second));
}
