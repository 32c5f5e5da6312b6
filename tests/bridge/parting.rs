//! A client that gives its agent settings or credentials parts from the clients that share it.

use drawbridge::bridge::{ChannelId, ClientId};

use crate::harness::{END_TURN, INITIALIZE, NEW, World, session};

const SETTING: &str = r#"{"id":"main","apiType":"anthropic","baseUrl":"http://x"}"#;
const LOGIN: &str = r#"{"methodId":"key","_meta":{"key":"secret"}}"#;

/// Two clients, each with a session on the one channel.
fn two() -> (World, [ClientId; 2], ChannelId) {
    let mut world = World::new();
    let (first, channel) = world.start();
    let second = world.join();
    world.open(first, channel, "a");
    world.open(second, channel, "b");
    (world, [first, second], channel)
}

#[test]
fn what_one_client_sets_reaches_no_channel_of_another() {
    for (method, params) in [("providers/set", SETTING), ("authenticate", LOGIN)] {
        let (mut world, [first, second], shared) = two();
        world.request(first, 7, method, params);
        // A process of its own gets it.
        let own = world.expect_spawn("/home");
        assert_ne!(own, shared);
        world.handshake(own);
        let number = world.expect_request(own, method, params);
        world.answer(own, number, "{}");
        world.expect_answer(first, 7, "{}");
        // Its next session goes there, the other's does not, and the old ones stay.
        world.open(first, own, "c");
        world.open(second, shared, "d");
        let number = world.prompt(first, shared, "a", 8);
        world.answer(shared, number, END_TURN);
        world.expect_answer(first, 8, END_TURN);
    }
}

#[test]
fn a_channel_that_serves_one_client_alone_goes_with_it() {
    let mut world = World::with(|config| config.agent.sessions_per_channel = 1);
    let (first, channel) = world.start();
    let second = world.join();
    world.open(first, channel, "a");
    world.request(first, 7, "providers/set", SETTING);
    let number = world.expect_request(channel, "providers/set", SETTING);
    world.answer(channel, number, "{}");
    world.expect_answer(first, 7, "{}");
    // There is room again, but the other client never meets it.
    world.close(first, channel, "a");
    world.request(second, 9, "session/new", NEW);
    let other = world.expect_spawn("/home");
    assert_ne!(other, channel);
    world.handshake(other);
    let number = world.expect_request(other, "session/new", NEW);
    world.answer(other, number, &session("b"));
    world.expect_answer(second, 9, &session("b"));
}

#[test]
fn clients_that_set_the_same_meet_again() {
    let (mut world, [first, second], _) = two();
    world.request(first, 7, "providers/set", SETTING);
    let own = world.expect_spawn("/home");
    world.handshake(own);
    let number = world.expect_request(own, "providers/set", SETTING);
    world.answer(own, number, "{}");
    world.expect_answer(first, 7, "{}");
    world.request(second, 8, "providers/set", SETTING);
    let number = world.expect_request(own, "providers/set", SETTING);
    world.answer(own, number, "{}");
    world.expect_answer(second, 8, "{}");
    world.open(second, own, "c");
}

#[test]
fn a_newcomer_does_not_get_the_credentials_of_one_who_was_there_alone() {
    let mut world = World::new();
    let (first, channel) = world.start();
    world.open(first, channel, "a");
    world.agreed(first, channel, "authenticate", LOGIN);
    let second = world.connect();
    world.request(second, 1, "initialize", INITIALIZE);
    let other = world.expect_spawn("/home");
    world.handshake(other);
    world.next_line(second);
    world.open(second, other, "b");
}

#[test]
fn its_own_turn_keeps_a_channel_with_it_and_a_request_of_another_does_not() {
    for asks in [false, true] {
        let mut world = World::new();
        let (first, channel) = world.start();
        let second = world.join();
        world.open(first, channel, "a");
        let turn = world.prompt(first, channel, "a", 5);
        if asks {
            world.request(second, 6, "_x/ask", "{}");
            world.expect_request(channel, "_x/ask", "{}");
        }
        world.request(first, 7, "providers/set", SETTING);
        let own = if asks {
            let own = world.expect_spawn("/home");
            world.handshake(own);
            own
        } else {
            channel
        };
        let number = world.expect_request(own, "providers/set", SETTING);
        world.answer(own, number, "{}");
        world.expect_answer(first, 7, "{}");
        world.answer(channel, turn, END_TURN);
        world.expect_answer(first, 5, END_TURN);
        world.open(first, own, "b");
    }
}
