//! The wishes of a person: a session is closed, a turn cancelled, a channel retired, the bridge
//! ended when nothing is under way.

use drawbridge::bridge::notice::Notice;
use drawbridge::bridge::{Event, Order, SessionKey, ShutdownCause};

use crate::harness::{
    CANCELLED, Deed, END_TURN, INITIALIZE, NEW, NOT_ALLOWED, World, permission, prompt, session,
};

fn order(world: &mut World, order: Order) {
    world.event(Event::Operator(order));
}

#[test]
fn a_close_by_a_person_refuses_the_turn_and_tells_the_agent() {
    let mut world = World::new();
    let (client, channel) = world.start();
    world.open(client, channel, "s");
    world.request(client, 7, "session/prompt", &prompt("s"));
    let number = world.expect_request(channel, "session/prompt", &prompt("s"));
    world.request(channel, 1, "session/request_permission", &permission("s"));
    let asked = world.next_line(client);
    assert!(asked.contains("session/request_permission"));
    order(&mut world, Order::Close(SessionKey(1)));
    // Withdrawn, closed, refused: then the agent is told.
    assert!(world.next_line(client).contains("$/cancel_request"));
    world.expect_closed(client, "s", "operator");
    let data = world.expect_refusal(client, 7, -32002, "session_closed");
    assert_eq!(data["reason"], "operator");
    world.expect_answer(channel, 1, NOT_ALLOWED);
    world.expect_notification(channel, "session/cancel", &session("s"));
    let close = world.expect_request(channel, "session/close", &session("s"));
    // The agent's own answer to the prompt is late.
    world.answer(channel, number, CANCELLED);
    world.answer(channel, close, "{}");
    // A second one finds nothing.
    order(&mut world, Order::Close(SessionKey(1)));
    order(&mut world, Order::CancelTurn(SessionKey(1)));
}

#[test]
fn a_cancel_by_a_person_ends_the_turn_and_what_waits_behind_it() {
    let mut world = World::with(|config| {
        config.agent.prompt_queue = drawbridge::bridge::config::PromptQueue::All;
    });
    let (client, channel) = world.start();
    world.open(client, channel, "s");
    world.request(client, 7, "session/prompt", &prompt("s"));
    let number = world.expect_request(channel, "session/prompt", &prompt("s"));
    world.request(client, 8, "session/prompt", &prompt("s"));
    assert_eq!(world.bridge.view(world.now).sessions_at_work(), [SessionKey(1)]);
    order(&mut world, Order::CancelTurn(SessionKey(1)));
    world.expect_notification(channel, "session/cancel", &session("s"));
    world.expect_answer(client, 8, CANCELLED);
    world.answer(channel, number, CANCELLED);
    world.expect_answer(client, 7, CANCELLED);
}

#[test]
fn a_drained_channel_stops_after_its_last_session() {
    let mut world = World::new();
    let (client, channel) = world.start();
    world.open(client, channel, "s");
    order(&mut world, Order::Drain(channel));
    world.request(client, 7, "session/prompt", &prompt("s"));
    let number = world.expect_request(channel, "session/prompt", &prompt("s"));
    world.answer(channel, number, END_TURN);
    world.expect_answer(client, 7, END_TURN);
    world.request(client, 8, "session/close", &session("s"));
    let number = world.expect_request(channel, "session/close", &session("s"));
    world.expect_closed(client, "s", "client_close");
    world.answer(channel, number, "{}");
    world.expect_answer(client, 8, "{}");
    world.expect(channel, Deed::CloseStdin);
    world.exits(channel, 0);
}

#[test]
fn a_stopped_channel_takes_its_sessions_with_it() {
    let mut world = World::new();
    let (client, channel) = world.start();
    world.open(client, channel, "s");
    order(&mut world, Order::Stop(channel));
    world.expect_closed(client, "s", "operator");
    world.expect(channel, Deed::CloseStdin);
    world.exits(channel, 0);
    // It was no fault of the agent.
    assert!(world.notices.iter().all(|notice| !matches!(notice, Notice::Refused { .. })));
}

#[test]
fn a_bridge_ends_when_nothing_is_under_way_and_not_before() {
    let mut world = World::new();
    let (client, channel) = world.start();
    world.open(client, channel, "s");
    world.request(client, 7, "session/prompt", &prompt("s"));
    let number = world.expect_request(channel, "session/prompt", &prompt("s"));
    order(&mut world, Order::EndWhenIdle);
    assert!(world.bridge.view(world.now).is_leaving());
    world.wait(600_000);
    assert!(!world.bridge.is_ending());
    world.answer(channel, number, END_TURN);
    world.expect_answer(client, 7, END_TURN);
    world.wait(0);
    assert!(world.bridge.is_ending());
    let phrase = ShutdownCause::Operator.phrase();
    assert!(world.notices.iter().any(|notice| notice.to_string().contains(&*phrase)));
    world.expect_died(client, "s", "shutdown", "");
    let number = world.expect_request(channel, "session/close", &session("s"));
    world.answer(channel, number, "{}");
    world.expect(channel, Deed::CloseStdin);
    world.exits(channel, 0);
    world.expect_exit(&[]);
}

#[test]
fn an_open_that_was_sent_is_under_way() {
    let mut world = World::new();
    let (client, channel) = world.start();
    world.request(client, 7, "session/new", NEW);
    let number = world.expect_request(channel, "session/new", NEW);
    order(&mut world, Order::EndWhenIdle);
    assert_eq!(world.bridge.view(world.now).unfinished().opening, 1);
    world.wait(60_000);
    assert!(!world.bridge.is_ending());
    world.answer(channel, number, &session("s"));
    world.expect_answer(client, 7, &session("s"));
    world.wait(0);
    assert!(world.bridge.is_ending());
    world.rest(client);
    world.rest(channel);
}

#[test]
fn a_turn_and_a_question_of_another_protocol_version_are_under_way() {
    let mut world = World::new();
    let client = world.connect();
    let initialize = r#"{"protocolVersion":2,"clientCapabilities":{}}"#;
    world.request(client, 0, "initialize", initialize);
    let channel = world.expect_spawn("/home");
    let number = world.expect_request(channel, "initialize", initialize);
    world.answer(channel, number, r#"{"protocolVersion":2}"#);
    world.rest(client);
    world.request(client, 1, "session/prompt", &prompt("s"));
    let number = world.expect_request(channel, "session/prompt", &prompt("s"));
    let view = world.bridge.view(world.now);
    assert!(!view.unfinished().is_idle(), "{:?}", view.unfinished());
    // Its sessions are not known, and would be lost.
    assert!(view.obstacle_to_drain(channel).is_some());
    order(&mut world, Order::Drain(channel));
    world.assert_nothing_for(channel);
    order(&mut world, Order::EndWhenIdle);
    world.wait(60_000);
    world.request(channel, 5, "vendor/ask", "{}");
    let asked = world.expect_request(client, "vendor/ask", "{}");
    world.answer(channel, number, END_TURN);
    world.expect_answer(client, 1, END_TURN);
    world.wait(60_000);
    assert!(!world.bridge.is_ending(), "a question is open");
    world.answer(client, asked, "{}");
    world.expect_answer(channel, 5, "{}");
    world.wait(0);
    assert!(world.bridge.is_ending());
    world.rest(client);
    world.rest(channel);
}

#[test]
fn a_handshake_is_not_cut_short_by_a_drain() {
    let mut world = World::new();
    let client = world.connect();
    world.request(client, 0, "initialize", INITIALIZE);
    let channel = world.expect_spawn("/home");
    let number = world.expect_request(channel, "initialize", INITIALIZE);
    assert!(world.bridge.view(world.now).obstacle_to_drain(channel).is_some());
    order(&mut world, Order::Drain(channel));
    world.answer(channel, number, world.agent);
    assert!(world.next_line(client).contains("protocolVersion"));
    assert_eq!(world.bridge.view(world.now).obstacle_to_drain(channel), None);
}

#[test]
fn a_turn_ends_with_its_session_for_those_who_follow() {
    let mut world = World::new();
    let (client, channel) = world.start();
    world.open(client, channel, "s");
    world.event(Event::Followed(true));
    world.request(client, 7, "session/prompt", &prompt("s"));
    world.wait(250);
    world.notices.clear();
    order(&mut world, Order::Close(SessionKey(1)));
    let ended =
        |notice: &Notice| matches!(notice, Notice::TurnEnded { how: None, after_ms: 250, .. });
    assert!(world.notices.iter().any(ended), "{:?}", world.notices);
    // A turn that was not answered is no turn time.
    assert_eq!(world.bridge.measures().turn.count(), 0);
    world.rest(client);
    world.rest(channel);
}

#[test]
fn turns_are_told_only_while_somebody_follows() {
    let mut world = World::new();
    let (client, channel) = world.start();
    world.open(client, channel, "s");
    for is_followed in [false, true, false] {
        world.event(Event::Followed(is_followed));
        world.notices.clear();
        world.request(client, 7, "session/prompt", &prompt("s"));
        let number = world.expect_request(channel, "session/prompt", &prompt("s"));
        world.wait(250);
        world.answer(channel, number, END_TURN);
        world.expect_answer(client, 7, END_TURN);
        let began = |notice: &Notice| matches!(notice, Notice::TurnBegan { .. });
        let ended = |notice: &Notice| matches!(notice, Notice::TurnEnded { after_ms: 250, .. });
        assert_eq!(world.notices.iter().any(began), is_followed);
        assert_eq!(world.notices.iter().any(ended), is_followed);
    }
}

#[test]
fn the_name_of_a_session_that_has_ended_means_no_other() {
    let mut world = World::new();
    let (client, channel) = world.start();
    // An agent may number its sessions as the bridge does.
    world.open(client, channel, "s-2");
    world.open(client, channel, "s-1");
    let named = |world: &World, name| world.bridge.view(world.now).sessions_named(name);
    assert_eq!(named(&world, "s-1"), [SessionKey(1)]);
    assert_eq!(named(&world, "s-2"), [SessionKey(2)]);
    order(&mut world, Order::Close(SessionKey(1)));
    world.expect_closed(client, "s-2", "operator");
    let close = world.expect_request(channel, "session/close", &session("s-2"));
    world.answer(channel, close, "{}");
    assert_eq!(named(&world, "s-1"), []);
    // One that was never given out may be an id.
    world.open(client, channel, "s-9");
    assert_eq!(named(&world, "s-9"), [SessionKey(3)]);
}
