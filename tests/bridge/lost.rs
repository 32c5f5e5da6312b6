//! Clients that are gone: what becomes of their sessions, their turns and their questions.

use drawbridge::bridge::{ChannelId, ClientId, Event, Limit, Notice};

use crate::harness::{CANCELLED, END_TURN, NOT_ALLOWED, World, prompt, session, update};

const MINUTE: u64 = 60_000;

/// A world with the limits of a bridge for many clients.
fn many() -> World {
    World::with(|config| {
        config.limits.lost_client_timeout = Limit::After(2 * MINUTE);
        config.limits.lost_turn_timeout = Limit::After(10 * MINUTE);
        config.agent.session_idle_timeout = Limit::After(30 * MINUTE);
    })
}

/// A client that has opened the session `a`, and is lost while another one stays.
fn lost() -> (World, ClientId, ChannelId) {
    let mut world = many();
    let (editor, channel) = world.start();
    let stays = world.join();
    world.open(editor, channel, "a");
    world.gone(editor);
    (world, stays, channel)
}

#[track_caller]
fn expect_ended(world: &World, word: &str) {
    let ended = world.notices.iter().filter(|notice| matches!(notice, Notice::SessionEnded { .. }));
    let ended: Vec<String> = ended.map(ToString::to_string).collect();
    assert!(ended.len() == 1 && ended[0].contains(word), "{ended:?}");
}

#[test]
fn a_quiet_session_waits_for_its_client_and_is_closed_in_order() {
    let (mut world, _, channel) = lost();
    world.wait(2 * MINUTE - 1);
    world.assert_nothing_left();
    world.wait(1);
    let number = world.expect_request(channel, "session/close", &session("a"));
    world.answer(channel, number, "{}");
    expect_ended(&world, "(client_lost");
}

#[test]
fn zero_closes_it_at_once_and_never_leaves_it_to_the_reaper() {
    for (limit, waits, word) in
        [(Limit::After(0), 0, "(client_lost"), (Limit::Never, 30 * MINUTE, "(idle_timeout")]
    {
        let mut world = World::with(|config| {
            config.limits.lost_client_timeout = limit;
            config.agent.session_idle_timeout = Limit::After(30 * MINUTE);
        });
        let (editor, channel) = world.start();
        world.open(editor, channel, "a");
        world.gone(editor);
        if waits > 0 {
            world.wait(waits - 1);
            world.assert_nothing_left();
            world.wait(1);
        } else {
            world.wait(0);
        }
        let number = world.expect_request(channel, "session/close", &session("a"));
        world.answer(channel, number, "{}");
        expect_ended(&world, word);
        world.wait(20 * MINUTE);
        world.rest(channel);
    }
}

#[test]
fn a_client_that_comes_back_in_time_stops_the_clock() {
    let (mut world, stays, channel) = lost();
    world.wait(2 * MINUTE - 1);
    world.load(stays, channel, "a");
    world.wait(60 * MINUTE);
}

#[test]
fn a_turn_goes_on_and_its_session_is_closed_when_it_is_over() {
    let mut world = many();
    let (editor, channel) = world.start();
    world.join();
    world.open(editor, channel, "a");
    let turn = world.prompt(editor, channel, "a", 1);
    world.gone(editor);
    world.wait(5 * MINUTE);
    assert_eq!(world.looked_for, [editor], "the editor is looked for, once");
    world.event(Event::EditorSeen { client: editor, lives: false });
    world.notify(channel, "session/update", &update("a", "still there"));
    world.assert_nothing_left();
    world.answer(channel, turn, END_TURN);
    world.wait(0);
    let number = world.expect_request(channel, "session/close", &session("a"));
    world.answer(channel, number, "{}");
    expect_ended(&world, "(client_lost");
}

#[test]
fn a_turn_that_nobody_watches_is_cancelled_at_its_limit() {
    let mut world = many();
    let (editor, channel) = world.start();
    world.join();
    world.open(editor, channel, "a");
    let turn = world.prompt(editor, channel, "a", 1);
    world.gone(editor);
    world.wait(10 * MINUTE - 1);
    world.assert_nothing_left();
    world.wait(1);
    world.expect_notification(channel, "session/cancel", &session("a"));
    world.answer(channel, turn, CANCELLED);
    world.wait(0);
    let number = world.expect_request(channel, "session/close", &session("a"));
    world.answer(channel, number, "{}");
    expect_ended(&world, "(client_lost");
}

#[test]
fn a_turn_that_goes_on_after_its_cancel_is_closed_with_its_session() {
    let mut world = many();
    let (editor, channel) = world.start();
    world.join();
    world.open(editor, channel, "a");
    let turn = world.prompt(editor, channel, "a", 1);
    world.gone(editor);
    world.wait(10 * MINUTE);
    world.expect_notification(channel, "session/cancel", &session("a"));
    world.wait(10_000);
    world.expect_notification(channel, "session/cancel", &session("a"));
    let number = world.expect_request(channel, "session/close", &session("a"));
    world.answer(channel, turn, CANCELLED);
    world.answer(channel, number, "{}");
    expect_ended(&world, "(client_lost");
}

#[test]
fn the_turn_of_a_chat_that_was_closed_on_purpose_ends_soon() {
    let mut world = many();
    let (editor, channel) = world.start();
    world.join();
    world.open(editor, channel, "a");
    let turn = world.prompt(editor, channel, "a", 1);
    world.gone(editor);
    world.wait(14_999);
    assert!(world.looked_for.is_empty(), "a quitting editor drops its connections first");
    world.wait(1);
    assert_eq!(world.looked_for, [editor]);
    world.event(Event::EditorSeen { client: editor, lives: true });
    world.wait(0);
    world.expect_notification(channel, "session/cancel", &session("a"));
    world.answer(channel, turn, CANCELLED);
    world.wait(2 * MINUTE - 15_001);
    world.assert_nothing_left();
    world.wait(1);
    let number = world.expect_request(channel, "session/close", &session("a"));
    world.answer(channel, number, "{}");
}

#[test]
fn a_turn_of_a_session_that_was_left_has_its_limit_too() {
    let mut world = many();
    let (editor, channel) = world.start();
    world.open(editor, channel, "a");
    world.request(editor, 1, "session/prompt", &prompt("a"));
    let turn = world.expect_request(channel, "session/prompt", &prompt("a"));
    world.request(editor, 2, "_drawbridge/detach", &session("a"));
    world.expect_answer(editor, 2, "{}");
    world.wait(10 * MINUTE);
    world.expect_notification(channel, "session/cancel", &session("a"));
    world.answer(channel, turn, CANCELLED);
    world.expect_answer(editor, 1, CANCELLED);
    let number = world.expect_request(channel, "session/close", &session("a"));
    world.answer(channel, number, "{}");
    expect_ended(&world, "(last_client_detached");
}

#[test]
fn prompts_that_wait_and_questions_end_with_the_turn_that_nobody_watches() {
    let mut world = many();
    let (editor, channel) = world.start();
    let other = world.join();
    world.open(editor, channel, "a");
    world.load(other, channel, "a");
    let turn = world.prompt(editor, channel, "a", 1);
    world.request(other, 1, "session/prompt", &prompt("a"));
    world.ask(channel, editor, "a", "7");
    world.gone(other);
    world.gone(editor);
    world.wait(10 * MINUTE);
    world.expect_notification(channel, "session/cancel", &session("a"));
    world.expect_answer(channel, 7, NOT_ALLOWED);
    world.answer(channel, turn, CANCELLED);
    world.wait(0);
    let number = world.expect_request(channel, "session/close", &session("a"));
    world.answer(channel, number, "{}");
    world.wait(20 * MINUTE);
    world.rest(channel);
}
