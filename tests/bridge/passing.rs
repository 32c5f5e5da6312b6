//! Ids that no open has brought, and the names of what has ended.

use drawbridge::bridge::config::{BackgroundWork, IdlePolicy};
use drawbridge::bridge::{ClientId, Limit, Notice};

use crate::harness::{
    ALLOWED, CANCELLED, END_TURN, INITIALIZE, NEW, NOT_ALLOWED, World, permission,
};
use crate::words::{prompt, session, stored, update};

/// The word of a session's agent that a sub-agent works for it under a name.
fn announcement(id: &str, name: &str) -> String {
    format!(
        r#"{{"sessionId":"{id}","update":{{"sessionUpdate":"subagent_update","sessionId":"{name}"}}}}"#
    )
}

#[test]
fn nobody_but_the_bridge_speaks_for_the_bridge() {
    let mut world = World::new();
    let (editor, channel) = world.start();
    world.open(editor, channel, "a");
    world.notify(channel, "session/update", &announcement("a", "kid"));
    world.expect_notification(editor, "session/update", &announcement("a", "kid"));
    for params in [session("a"), session("kid"), session("unknown"), "{}".to_owned()] {
        for method in ["_drawbridge/session_closed", "_drawbridge/unheard_of"] {
            world.notify(channel, method, &params);
        }
        world.request(channel, 1, "_drawbridge/ask", &params);
        world.expect_refusal(channel, 1, -32601, "no_route");
    }
    world.assert_nothing_for(editor);
    assert_eq!(world.bridge.counters().unrouted, 8);
}

#[test]
fn what_is_said_under_an_id_that_the_only_opener_named_is_not_held() {
    let mut world = World::new();
    let (editor, channel) = world.start();
    world.request(editor, 1, "session/prompt", &prompt("old"));
    let turn = world.expect_request(channel, "session/prompt", &prompt("old"));
    world.request(editor, 2, "session/new", NEW);
    let new = world.expect_request(channel, "session/new", NEW);
    world.notify(channel, "session/update", &update("old", "text"));
    world.expect_notification(editor, "session/update", &update("old", "text"));
    world.answer(channel, turn, END_TURN);
    world.expect_answer(editor, 1, END_TURN);
    world.answer(channel, new, &session("a"));
    world.expect_answer(editor, 2, &session("a"));
}

#[test]
fn a_question_under_an_id_that_no_open_has_brought_ends_with_the_session_it_belongs_to() {
    let mut world = World::new();
    let (editor, channel) = world.start();
    world.open(editor, channel, "a");
    world.request(editor, 1, "session/new", NEW);
    let new = world.expect_request(channel, "session/new", NEW);
    world.request(channel, 7, "session/request_permission", &permission("kid"));
    let asked = world.expect_request(editor, "session/request_permission", &permission("kid"));
    world.fail(channel, new, -1);
    world.expect_failure(editor, 1, -1);
    world.request(editor, 2, "session/close", &session("a"));
    world.expect_withdrawn(editor, asked);
    world.expect_closed(editor, "a", "client_close");
    world.expect_answer(channel, 7, NOT_ALLOWED);
    let close = world.expect_request(channel, "session/close", &session("a"));
    world.answer(channel, close, "{}");
    world.expect_answer(editor, 2, "{}");
}

#[test]
fn an_id_that_an_agent_asked_under_during_an_open_is_not_that_of_another_process() {
    let mut world = World::with(|config| config.agent.sessions_per_channel = 1);
    let (editor, first) = world.start();
    world.request(editor, 1, "session/new", NEW);
    let new = world.expect_request(first, "session/new", NEW);
    let ask = |world: &mut World, channel, shown: &str| {
        world.request(channel, 7, "session/request_permission", &permission("setup"));
        let shown = permission(shown);
        let asked = world.expect_request(editor, "session/request_permission", &shown);
        world.answer(editor, asked, ALLOWED);
        world.expect_answer(channel, 7, ALLOWED);
    };
    ask(&mut world, first, "setup");
    world.answer(first, new, &session("a"));
    world.expect_answer(editor, 1, &session("a"));
    world.request(editor, 2, "session/new", NEW);
    let second = world.expect_spawn("/home");
    world.handshake(second);
    let new = world.expect_request(second, "session/new", NEW);
    ask(&mut world, second, "~1~setup");
    world.answer(second, new, &session("b"));
    world.expect_answer(editor, 2, &session("b"));
    for (shown, channel) in [("setup", first), ("~1~setup", second)] {
        world.notify(editor, "session/cancel", &session(shown));
        world.expect_notification(channel, "session/cancel", &session("setup"));
    }
}

#[test]
fn the_turn_of_a_sub_agent_is_cancelled_with_the_session_of_its_parent() {
    let mut world = World::new();
    let (editor, channel) = world.start();
    world.open(editor, channel, "a");
    world.notify(channel, "session/update", &announcement("a", "kid"));
    world.expect_notification(editor, "session/update", &announcement("a", "kid"));
    world.request(editor, 1, "session/prompt", &prompt("kid"));
    world.expect_request(channel, "session/prompt", &prompt("kid"));
    world.request(editor, 2, "session/close", &session("a"));
    world.expect_closed(editor, "a", "client_close");
    let close = world.expect_request(channel, "session/close", &session("a"));
    world.answer(channel, close, "{}");
    world.expect_answer(editor, 1, CANCELLED);
    world.expect_answer(editor, 2, "{}");
}

#[test]
fn the_turn_of_a_sub_agent_that_became_a_session_is_not_cancelled_with_its_parent() {
    let mut world = World::new();
    let (editor, channel) = world.start();
    world.open(editor, channel, "a");
    world.notify(channel, "session/update", &announcement("a", "kid"));
    world.expect_notification(editor, "session/update", &announcement("a", "kid"));
    world.request(editor, 1, "session/prompt", &prompt("kid"));
    let turn = world.expect_request(channel, "session/prompt", &prompt("kid"));
    world.open(editor, channel, "kid");
    world.request(editor, 2, "session/close", &session("a"));
    world.expect_closed(editor, "a", "client_close");
    let close = world.expect_request(channel, "session/close", &session("a"));
    world.answer(channel, close, "{}");
    world.expect_answer(editor, 2, "{}");
    world.assert_nothing_left();
    world.answer(channel, turn, END_TURN);
    world.expect_answer(editor, 1, END_TURN);
}

#[test]
fn a_turn_that_began_before_its_session_was_opened_keeps_it_from_being_reaped() {
    let mut world = World::with(|config| {
        config.agent.idle_policy = IdlePolicy::All;
        config.agent.background_work = BackgroundWork::Ignore;
        config.agent.attached_idle_timeout = Limit::After(1_000);
        config.agent.channel_idle_timeout = Limit::Never;
        config.agent.prompt_timeout = Limit::Never;
    });
    let (editor, channel) = world.start();
    world.request(editor, 1, "session/prompt", &prompt("a"));
    let turn = world.expect_request(channel, "session/prompt", &prompt("a"));
    world.request(editor, 2, "session/load", &stored("a"));
    let load = world.expect_request(channel, "session/load", &stored("a"));
    world.answer(channel, load, "null");
    world.expect_answer(editor, 2, "null");
    world.wait(600_000);
    world.assert_nothing_left();
    world.request(editor, 3, "session/close", &session("a"));
    world.expect_closed(editor, "a", "client_close");
    world.expect_notification(channel, "session/cancel", &session("a"));
    let close = world.expect_request(channel, "session/close", &session("a"));
    world.answer(channel, turn, CANCELLED);
    world.expect_answer(editor, 1, CANCELLED);
    world.answer(channel, close, "{}");
    world.expect_answer(editor, 3, "{}");
}

#[test]
fn a_question_within_a_load_of_what_its_agent_spoke_of_before_ends_with_that_session() {
    let mut world = World::new();
    let (editor, channel) = world.start();
    world.open(editor, channel, "other");
    world.request(channel, 7, "session/request_permission", &permission("a"));
    let asked = world.expect_request(editor, "session/request_permission", &permission("a"));
    world.request(editor, 1, "session/load", &stored("a"));
    let load = world.expect_request(channel, "session/load", &stored("a"));
    world.answer(channel, load, "null");
    world.expect_answer(editor, 1, "null");
    world.request(editor, 2, "session/close", &session("a"));
    world.expect_withdrawn(editor, asked);
    world.expect_closed(editor, "a", "client_close");
    world.expect_answer(channel, 7, NOT_ALLOWED);
    let close = world.expect_request(channel, "session/close", &session("a"));
    world.answer(channel, close, "{}");
    world.expect_answer(editor, 2, "{}");
}

#[test]
fn a_sub_agent_that_a_replay_for_nobody_names_is_not_shown_to_a_stranger() {
    let mut world = World::new();
    let (editor, channel) = world.start();
    world.request(editor, 1, "session/load", &stored("a"));
    let load = world.expect_request(channel, "session/load", &stored("a"));
    let stranger = world.join();
    world.gone(editor);
    world.notify(channel, "session/update", &announcement("a", "kid"));
    world.notify(channel, "session/update", &update("kid", "in the replay"));
    world.answer(channel, load, "null");
    let close = world.expect_request(channel, "session/close", &session("a"));
    world.answer(channel, close, "{}");
    world.notify(channel, "session/update", &update("kid", "afterwards"));
    world.assert_nothing_for(stranger);
}

#[test]
fn with_one_client_a_name_of_a_sub_agent_may_be_given_again() {
    let mut world = World::new();
    let (editor, channel) = world.start();
    for parent in ["a", "b"] {
        world.open(editor, channel, parent);
        world.notify(channel, "session/update", &announcement(parent, "task-1"));
        world.expect_notification(editor, "session/update", &announcement(parent, "task-1"));
        world.notify(channel, "session/update", &update("task-1", parent));
        world.expect_notification(editor, "session/update", &update("task-1", parent));
        let asked = world.ask(channel, editor, "task-1", "7");
        world.answer(editor, asked, ALLOWED);
        world.expect_answer(channel, 7, ALLOWED);
        world.close(editor, channel, parent);
        world.notify(channel, "session/update", &update("task-1", "late"));
        world.assert_nothing_left();
    }
}

#[test]
fn a_session_whose_process_ended_stays_ended_whatever_is_asked_about_it() {
    let mut world = World::new();
    let (editor, first) = world.start();
    world.open(editor, first, "a");
    world.exits(first, 1);
    world.expect_died(editor, "a", "channel_closed", r#","exitCode":1"#);
    world.expect_warning(|_| true);
    world.request(editor, 1, "_x/about", &session("a"));
    world.wait(1_000);
    let second = world.expect_spawn("/home");
    world.handshake(second);
    let about = world.expect_request(second, "_x/about", &session("a"));
    world.fail(second, about, -32601);
    world.expect_failure(editor, 1, -32601);
    world.request(editor, 2, "session/prompt", &prompt("a"));
    world.expect_refusal(editor, 2, -32002, "session_closed");
    world.request(editor, 3, "session/close", &session("a"));
    world.expect_answer(editor, 3, "{}");
}

#[test]
fn no_setting_of_a_closed_session_reaches_the_agent() {
    let mut world = World::new();
    let (editor, channel) = world.start();
    world.open(editor, channel, "a");
    world.close(editor, channel, "a");
    for method in ["session/set_mode", "session/set_config_option", "session/set_model"] {
        world.request(editor, 1, method, &session("a"));
        world.expect_refusal(editor, 1, -32002, "session_closed");
    }
    // The agent may know a method that the bridge does not.
    world.agreed(editor, channel, "_x/about", &session("a"));
}

#[test]
fn an_agent_with_a_single_session_gives_it_to_its_client_again() {
    let mut world = World::new();
    let (editor, channel) = world.start();
    world.open(editor, channel, "main");
    world.request(editor, 1, "session/new", NEW);
    let new = world.expect_request(channel, "session/new", NEW);
    world.answer(channel, new, &session("main"));
    world.expect_answer(editor, 1, &session("main"));
    let turn = world.prompt(editor, channel, "main", 2);
    world.answer(channel, turn, END_TURN);
    world.expect_answer(editor, 2, END_TURN);
    world.close(editor, channel, "main");
}

#[test]
fn an_id_that_another_client_is_about_to_get_is_not_passed_on() {
    let mut world = World::new();
    let (first, channel) = world.start();
    let second = world.join();
    world.request(first, 1, "session/new", NEW);
    let new = world.expect_request(channel, "session/new", NEW);
    world.request(channel, 7, "_x/ask", &session("s1"));
    let asked = world.expect_request(first, "_x/ask", &session("s1"));
    world.request(second, 1, "session/set_mode", &session("s1"));
    world.expect_refusal(second, 1, -32002, "unknown_session");
    world.notify(channel, "session/update", &update("s1", "text"));
    world.answer(first, asked, "{}");
    world.expect_answer(channel, 7, "{}");
    world.answer(channel, new, &session("s1"));
    world.expect_answer(first, 1, &session("s1"));
    world.expect_notification(first, "session/update", &update("s1", "text"));
    world.assert_nothing_for(second);
}

#[test]
fn an_id_in_an_answer_is_that_of_the_client_that_gets_the_answer() {
    let mut world = World::new();
    let (first, channel) = world.start();
    let second = world.join();
    // One client has made it up, and the agent speaks to it under that id.
    world.request(second, 1, "session/prompt", &prompt("s1"));
    let turn = world.expect_request(channel, "session/prompt", &prompt("s1"));
    world.notify(channel, "session/update", &update("s1", "for the second"));
    world.expect_notification(second, "session/update", &update("s1", "for the second"));
    world.answer(channel, turn, END_TURN);
    world.expect_answer(second, 1, END_TURN);
    // The agent counts, and gives it to the other.
    world.request(first, 2, "nes/start", "{}");
    let start = world.expect_request(channel, "nes/start", "{}");
    world.answer(channel, start, &session("s1"));
    world.expect_answer(first, 2, &session("s1"));
    world.notify(channel, "session/update", &update("s1", "for the first"));
    world.expect_notification(first, "session/update", &update("s1", "for the first"));
    world.assert_nothing_for(second);
}

/// Two clients of an agent whose process has crashed.
fn after_a_crash() -> (World, ClientId, ClientId) {
    let mut world = World::new();
    let (first, gone) = world.start();
    let second = world.join();
    world.exits(gone, 1);
    world.expect_warning(|notice| matches!(notice, Notice::ChannelExited { .. }));
    (world, first, second)
}

#[test]
fn an_id_that_two_clients_name_is_that_of_the_one_whose_request_the_agent_gets() {
    let (mut world, first, second) = after_a_crash();
    // Both wait for the pause after the crash, and the first one leaves.
    world.request(first, 1, "_x/a", &session("s"));
    world.request(second, 2, "_x/b", &session("s"));
    world.wait(250);
    let channel = world.expect_spawn("/home");
    world.gone(first);
    world.handshake(channel);
    let asked = world.expect_request(channel, "_x/b", &session("s"));
    let third = world.join();
    world.load(third, channel, "other");
    world.notify(channel, "session/update", &update("s", "text"));
    world.expect_notification(second, "session/update", &update("s", "text"));
    world.answer(channel, asked, "{}");
    world.expect_answer(second, 2, "{}");
    world.assert_nothing_for(third);
}

#[test]
fn an_id_in_a_request_that_was_withdrawn_before_the_agent_got_it_is_nobodys() {
    let (mut world, first, second) = after_a_crash();
    // Both wait for the handshake, and one request is withdrawn.
    world.request(second, 1, "_x/a", &session("s"));
    world.request(first, 2, "session/new", NEW);
    world.wait(250);
    let channel = world.expect_spawn("/home");
    world.notify(second, "$/cancel_request", r#"{"requestId":1}"#);
    world.expect_refusal(second, 1, -32800, "cancelled");
    world.handshake(channel);
    let new = world.expect_request(channel, "session/new", NEW);
    world.answer(channel, new, &session("a"));
    world.expect_answer(first, 2, &session("a"));
    world.request(channel, 3, "session/request_permission", &permission("s"));
    let asked = world.expect_request(first, "session/request_permission", &permission("s"));
    world.assert_nothing_for(second);
    world.answer(first, asked, ALLOWED);
    world.expect_answer(channel, 3, ALLOWED);
}

#[test]
fn a_request_that_failed_does_not_end_an_id_which_another_one_is_about() {
    for is_answered in [false, true] {
        let mut world = World::with(|config| config.agent.prompt_timeout = Limit::After(5_000));
        let (first, channel) = world.start();
        let second = world.join();
        world.request(first, 1, "session/prompt", &prompt("s"));
        let turn = world.expect_request(channel, "session/prompt", &prompt("s"));
        world.request(first, 2, "_x/b", &session("s"));
        let asked = world.expect_request(channel, "_x/b", &session("s"));
        if is_answered {
            world.fail(channel, turn, -32603);
            world.expect_failure(first, 1, -32603);
        } else {
            world.wait(5_000);
            world.expect_refusal(first, 1, -32603, "prompt_timeout");
            world.expect_notification(channel, "session/cancel", &session("s"));
        }
        world.answer(channel, asked, "{}");
        world.expect_answer(first, 2, "{}");
        // The answer has shown that the agent knows the id, so no open can be meant by it.
        world.request(second, 3, "session/new", NEW);
        world.expect_request(channel, "session/new", NEW);
        world.request(channel, 4, "session/request_permission", &permission("s"));
        world.expect_request(first, "session/request_permission", &permission("s"));
        world.assert_nothing_for(second);
    }
}

#[test]
fn what_a_client_has_only_named_is_no_closed_session_of_others_when_it_is_gone() {
    for was_asked in [false, true] {
        let mut world = World::new();
        let (first, old) = world.start();
        let second = world.join();
        world.exits(old, 0);
        world.request(first, 1, "session/prompt", &prompt("old"));
        let channel = world.expect_spawn("/home");
        let greeting = world.expect_request(channel, "initialize", INITIALIZE);
        if was_asked {
            world.answer(channel, greeting, world.agent);
            world.expect_request(channel, "session/prompt", &prompt("old"));
        }
        world.gone(first);
        if was_asked {
            // The rest of its turn is for nobody.
            world.notify(channel, "session/update", &update("old", "late"));
            world.assert_nothing_for(second);
        } else {
            world.answer(channel, greeting, world.agent);
        }
        world.request(second, 2, "session/prompt", &prompt("old"));
        let turn = world.expect_request(channel, "session/prompt", &prompt("old"));
        world.notify(channel, "session/update", &update("old", "text"));
        world.expect_notification(second, "session/update", &update("old", "text"));
        world.answer(channel, turn, END_TURN);
        world.expect_answer(second, 2, END_TURN);
    }
}
