//! The close order, on both wires, and what late frames of a closed session do.

use drawbridge::bridge::config::ExtensionEvents;
use drawbridge::bridge::{Limit, Notice};

use crate::harness::{
    CANCELLED, Deed, END_TURN, INITIALIZE, NEW, NOT_ALLOWED, Peer, World, notification, permission,
    prompt, request, session, stored, update,
};

#[test]
fn close_order_observed_on_the_wire_and_in_the_effects() {
    let mut world = World::new();
    let (editor, channel) = world.start();
    world.open(editor, channel, "a");
    let turn = world.prompt(editor, channel, "a", 7);
    let question = world.ask(channel, editor, "a", "50");
    world.trace.clear();
    world.request(editor, 8, "session/close", &session("a"));

    // All four parts in one step, over both wires, in this order.
    world.expect_withdrawn(editor, question);
    world.expect_closed(editor, "a", "client_close");
    world.expect_answer(channel, "50", NOT_ALLOWED);
    world.expect_notification(channel, "session/cancel", &session("a"));
    let close = world.expect_request(channel, "session/close", &session("a"));
    let order: Vec<Peer> = world.trace.iter().map(|(peer, _)| *peer).collect();
    let (cl, ch) = (Peer::from(editor), Peer::from(channel));
    assert_eq!(order, [cl, ch, cl, ch, ch]);
    world.assert_nothing_left();

    // The answer of the prompt, then the answer of the close.
    world.notify(channel, "session/update", &update("a", "late"));
    world.answer(channel, turn, CANCELLED);
    world.expect_answer(editor, 7, CANCELLED);
    world.answer(channel, close, r#"{"_meta":{"kept":1}}"#);
    world.expect_answer(editor, 8, r#"{"_meta":{"kept":1}}"#);
    assert_eq!(world.bridge.counters().late_frames, 1);
}

#[test]
fn a_prompt_that_the_agent_forgets_is_cancelled_before_the_close_is_answered() {
    let mut world = World::new();
    let (editor, channel) = world.start();
    world.open(editor, channel, "a");
    let turn = world.prompt(editor, channel, "a", 7);
    world.request(editor, 8, "session/close", &session("a"));
    world.expect_closed(editor, "a", "client_close");
    world.expect_notification(channel, "session/cancel", &session("a"));
    let close = world.expect_request(channel, "session/close", &session("a"));
    world.answer(channel, close, "{}");
    world.expect_answer(editor, 7, CANCELLED);
    world.expect_answer(editor, 8, "{}");
    world.answer(channel, turn, CANCELLED);
    assert_eq!(world.bridge.counters().stray_answers, 1);
}

#[test]
fn queued_prompts_and_other_requests_are_answered_at_the_close() {
    let mut world = World::with(|config| {
        config.agent.prompt_queue = drawbridge::bridge::config::PromptQueue::All;
    });
    let (editor, channel) = world.start();
    world.open(editor, channel, "a");
    world.prompt(editor, channel, "a", 1);
    world.request(editor, 2, "session/prompt", &prompt("a"));
    let mode = r#"{"sessionId":"a","modeId":"code"}"#;
    world.request(editor, 3, "session/set_mode", mode);
    world.expect_request(channel, "session/set_mode", mode);
    world.request(editor, 4, "session/close", &session("a"));
    world.expect_closed(editor, "a", "client_close");
    world.expect_answer(editor, 2, CANCELLED);
    world.expect_notification(channel, "session/cancel", &session("a"));
    let close = world.expect_request(channel, "session/close", &session("a"));
    world.answer(channel, close, "{}");
    world.expect_answer(editor, 1, CANCELLED);
    world.expect_refusal(editor, 3, -32800, "session_closing");
    world.expect_answer(editor, 4, "{}");
}

#[test]
fn close_refused_by_the_agent_is_a_close() {
    let mut world = World::new();
    let (editor, channel) = world.start();
    world.open(editor, channel, "a");
    world.request(editor, 1, "session/close", &session("a"));
    world.expect_closed(editor, "a", "client_close");
    let close = world.expect_request(channel, "session/close", &session("a"));
    world.fail(channel, close, -32603);
    world.expect_answer(editor, 1, "{}");
    assert!(world.notices.iter().any(|notice| matches!(notice, Notice::CloseRefused { .. })));
    world.open(editor, channel, "b");
}

#[test]
fn a_close_reaches_the_agent_in_the_clients_own_words() {
    let mut world = World::new();
    let (editor, channel) = world.start();
    world.open(editor, channel, "a");
    let words = r#"{ "_meta":{"why":1.0}, "sessionId" : "a" }"#;
    world.request(editor, 1, "session/close", words);
    world.expect_closed(editor, "a", "client_close");
    let close = world.expect_request(channel, "session/close", words);
    world.answer(channel, close, "{}");
    world.expect_answer(editor, 1, "{}");
}

#[test]
fn close_timed_out_condemns_the_channel_and_keeps_its_siblings() {
    let mut world = World::new();
    let (editor, old) = world.start();
    world.open(editor, old, "a");
    world.open(editor, old, "b");
    world.request(editor, 1, "session/close", &session("a"));
    world.expect_closed(editor, "a", "client_close");
    let close = world.expect_request(old, "session/close", &session("a"));
    world.wait(9_999);
    world.assert_nothing_left();
    world.wait(1);
    world.expect_answer(editor, 1, "{}");
    world.expect_warning(|notice| matches!(notice, Notice::CloseUnanswered { .. }));
    world.expect_warning(|notice| matches!(notice, Notice::ChannelDraining { .. }));

    // The sibling goes on, also over hours; a newcomer goes elsewhere.
    world.wait(10_000_000);
    let turn = world.prompt(editor, old, "b", 2);
    world.answer(old, turn, END_TURN);
    world.expect_answer(editor, 2, END_TURN);
    world.request(editor, 3, "session/new", NEW);
    let fresh = world.expect_spawn("/home");
    world.handshake(fresh);
    world.opened(editor, fresh, "c", "3");
    // With the last sibling it ends.
    world.answer(old, close, "{}");
    world.close(editor, old, "b");
    world.expect(old, Deed::CloseStdin);
    assert_eq!(world.bridge.counters().stray_answers, 1);
}

#[test]
fn close_timed_out_while_a_question_is_open_is_asked_again() {
    let mut world = World::new();
    let (editor, channel) = world.start();
    world.open(editor, channel, "a");
    world.open(editor, channel, "b");
    let question = world.ask(channel, editor, "b", "50");
    world.request(editor, 1, "session/close", &session("a"));
    world.expect_closed(editor, "a", "client_close");
    world.expect_request(channel, "session/close", &session("a"));
    world.wait(10_000);
    world.expect_answer(editor, 1, "{}");
    world.answer(editor, question, crate::harness::ALLOWED);
    world.expect_answer(channel, "50", crate::harness::ALLOWED);
    world.expect_request(channel, "session/close", &session("a"));
    // If that fails too, the channel is condemned.
    world.wait(10_000);
    world.expect_warning(|notice| matches!(notice, Notice::CloseUnanswered { .. }));
    world.expect_warning(|notice| matches!(notice, Notice::ChannelDraining { .. }));
}

#[test]
fn a_close_is_not_asked_again_while_another_question_is_open() {
    let mut world = World::new();
    let (editor, channel) = world.start();
    world.open(editor, channel, "a");
    world.open(editor, channel, "b");
    let questions = ["50", "51"].map(|token| (token, world.ask(channel, editor, "b", token)));
    world.close_too_late(editor, channel, "a");
    for (token, question) in questions {
        world.assert_nothing_left();
        world.answer(editor, question, crate::harness::ALLOWED);
        world.expect_answer(channel, token, crate::harness::ALLOWED);
    }
    world.expect_request(channel, "session/close", &session("a"));
}

#[test]
fn a_close_is_asked_again_however_the_blocking_question_ends() {
    // Withdrawn by its agent, or over when its time is.
    for withdrawn in [true, false] {
        let mut world = World::new();
        let (editor, channel) = world.start();
        let other = world.join();
        world.open(editor, channel, "a");
        world.open(other, channel, "b");
        world.gone(other);
        world.request(channel, 50, "fs/read_text_file", &session("b"));
        world.close_too_late(editor, channel, "a");
        world.assert_nothing_left();
        if withdrawn {
            world.notify(channel, "$/cancel_request", r#"{"requestId":50}"#);
        } else {
            world.wait(20_000);
        }
        world.expect_refusal(channel, 50, -32800, "cancelled");
        world.expect_request(channel, "session/close", &session("a"));
    }
    // Or it was for a client alone that is gone.
    let mut world = World::new();
    let (editor, channel) = world.start();
    let other = world.join();
    world.open(editor, channel, "a");
    world.open(other, channel, "b");
    world.request(editor, 1, "session/close", &session("a"));
    world.expect_closed(editor, "a", "client_close");
    world.expect_request(channel, "session/close", &session("a"));
    world.prompt(other, channel, "b", 2);
    world.request(channel, 50, "_some/question", "{}");
    world.expect_request(other, "_some/question", "{}");
    world.wait(10_000);
    world.expect_answer(editor, 1, "{}");
    world.assert_nothing_left();
    world.gone(other);
    world.expect_refusal(channel, 50, -32800, "cancelled");
    world.expect_request(channel, "session/close", &session("a"));
}

#[test]
fn requests_about_a_stored_session_wait_for_a_close_that_is_to_be_asked_again() {
    for method in [
        "session/delete",
        "session/archive",
        "session/unarchive",
        "session/status",
        "session/set_title",
    ] {
        let mut world = World::new();
        let (editor, channel) = world.start();
        world.open(editor, channel, "a");
        world.open(editor, channel, "b");
        let question = world.ask(channel, editor, "b", "50");
        world.close_too_late(editor, channel, "a");
        world.request(editor, 2, method, &session("a"));
        world.assert_nothing_left();
        world.answer(editor, question, crate::harness::ALLOWED);
        world.expect_answer(channel, "50", crate::harness::ALLOWED);
        let again = world.expect_request(channel, "session/close", &session("a"));
        world.assert_nothing_left();
        world.answer(channel, again, "{}");
        let asked = world.expect_request(channel, method, &session("a"));
        world.answer(channel, asked, "{}");
        world.expect_answer(editor, 2, "{}");
    }
}

#[test]
fn a_close_is_asked_again_when_the_blocking_question_goes_with_its_session() {
    let mut world = World::new();
    let (editor, channel) = world.start();
    world.open(editor, channel, "a");
    world.open(editor, channel, "b");
    let question = world.ask(channel, editor, "b", "50");
    world.request(editor, 1, "session/close", &session("a"));
    world.expect_closed(editor, "a", "client_close");
    world.expect_request(channel, "session/close", &session("a"));
    world.wait(10_000);
    world.expect_answer(editor, 1, "{}");
    world.request(editor, 2, "session/close", &session("b"));
    world.expect_withdrawn(editor, question);
    world.expect_closed(editor, "b", "client_close");
    world.expect_answer(channel, "50", NOT_ALLOWED);
    let second = world.expect_request(channel, "session/close", &session("b"));
    let again = world.expect_request(channel, "session/close", &session("a"));
    world.answer(channel, again, "{}");
    world.answer(channel, second, "{}");
    world.expect_answer(editor, 2, "{}");
    world.load(editor, channel, "a");
}

#[test]
fn a_second_close_finds_nothing_and_is_content() {
    let mut world = World::new();
    let (editor, channel) = world.start();
    world.open(editor, channel, "a");
    world.request(editor, 1, "session/close", &session("a"));
    world.expect_closed(editor, "a", "client_close");
    let close = world.expect_request(channel, "session/close", &session("a"));
    world.request(editor, 2, "session/close", &session("a"));
    world.expect_answer(editor, 2, "{}");
    world.request(editor, 3, "session/prompt", &prompt("a"));
    let data = world.expect_refusal(editor, 3, -32002, "session_closed");
    assert_eq!((&data["reason"], &data["sessionId"]), (&"client_close".into(), &"a".into()));
    // Of one that was never here the agent may know more.
    world.request(editor, 4, "session/close", &session("never"));
    let never = world.expect_request(channel, "session/close", &session("never"));
    world.fail(channel, never, -32002);
    world.expect_failure(editor, 4, -32002);
    world.answer(channel, close, "{}");
    world.expect_answer(editor, 1, "{}");
}

#[test]
fn a_prompt_that_waits_for_a_close_is_settled_when_the_agent_gives_the_id_again() {
    let mut world = World::new();
    let (editor, channel) = world.start();
    world.open(editor, channel, "a");
    world.prompt(editor, channel, "a", 1);
    world.request(editor, 2, "session/close", &session("a"));
    world.expect_closed(editor, "a", "client_close");
    world.expect_notification(channel, "session/cancel", &session("a"));
    let close = world.expect_request(channel, "session/close", &session("a"));
    world.request(editor, 3, "session/new", NEW);
    let new = world.expect_request(channel, "session/new", NEW);
    world.answer(channel, new, &session("a"));
    world.expect_answer(editor, 1, CANCELLED);
    world.expect_answer(editor, 3, &session("~1~a"));
    world.answer(channel, close, "{}");
    world.expect_answer(editor, 2, "{}");
}

#[test]
fn of_two_closes_of_one_id_the_last_is_waited_for() {
    let mut world = World::new();
    let (editor, channel) = world.start();
    let leaver = world.join();
    world.open(editor, channel, "a");
    world.prompt(editor, channel, "a", 1);
    world.request(editor, 2, "session/close", &session("a"));
    world.expect_closed(editor, "a", "client_close");
    world.expect_notification(channel, "session/cancel", &session("a"));
    let first = world.expect_request(channel, "session/close", &session("a"));
    // The agent gives the id again, to one who waits no more.
    world.request(leaver, 1, "session/new", NEW);
    let new = world.expect_request(channel, "session/new", NEW);
    world.gone(leaver);
    world.answer(channel, new, &session("a"));
    world.expect_answer(editor, 1, CANCELLED);
    let last = world.expect_request(channel, "session/close", &session("a"));
    world.request(editor, 3, "session/load", &stored("a"));
    world.answer(channel, first, "{}");
    world.expect_answer(editor, 2, "{}");
    world.assert_nothing_left();
    world.answer(channel, last, "{}");
    world.expect_request(channel, "session/load", &stored("a"));
}

#[test]
fn what_waits_for_a_second_close_of_an_id_is_not_answered_at_the_first() {
    let mut world = World::new();
    let (editor, channel) = world.start();
    world.open(editor, channel, "a");
    world.request(editor, 2, "session/close", &session("a"));
    world.expect_closed(editor, "a", "client_close");
    let first = world.expect_request(channel, "session/close", &session("a"));
    world.request(editor, 3, "session/new", NEW);
    let new = world.expect_request(channel, "session/new", NEW);
    world.answer(channel, new, &session("a"));
    world.expect_answer(editor, 3, &session("~1~a"));
    world.request(editor, 4, "session/prompt", &prompt("~1~a"));
    world.expect_request(channel, "session/prompt", &prompt("a"));
    world.request(editor, 5, "session/close", &session("~1~a"));
    world.expect_closed(editor, "~1~a", "client_close");
    world.expect_notification(channel, "session/cancel", &session("a"));
    world.expect_request(channel, "session/close", &session("a"));
    world.answer(channel, first, "{}");
    world.expect_answer(editor, 2, "{}");
    world.assert_nothing_left();
}

#[test]
fn late_frames_are_dropped_counted_and_not_leaked_into_a_later_load() {
    let mut world = World::new();
    let (editor, channel) = world.start();
    world.open(editor, channel, "a");
    world.request(editor, 1, "session/close", &session("a"));
    world.expect_closed(editor, "a", "client_close");
    let close = world.expect_request(channel, "session/close", &session("a"));
    // The load waits until the agent has let go of it; what comes before is old.
    world.request(editor, 2, "session/load", &stored("a"));
    world.notify(channel, "session/update", &update("a", "late"));
    world.request(channel, 60, "session/request_permission", &permission("a"));
    world.expect_answer(channel, 60, NOT_ALLOWED);
    world.request(channel, 61, "fs/read_text_file", &session("a"));
    world.expect_refusal(channel, 61, -32002, "unknown_session");
    assert_eq!(world.bridge.counters().late_frames, 1);
    world.answer(channel, close, "{}");
    world.expect_answer(editor, 1, "{}");

    // The load is in flight: what comes now is the replay, and nothing held before it.
    let load = world.expect_request(channel, "session/load", &stored("a"));
    world.notify(channel, "session/update", &update("a", "replayed"));
    world.expect_notification(editor, "session/update", &update("a", "replayed"));
    world.answer(channel, load, "{}");
    world.expect_answer(editor, 2, "{}");
    world.notify(channel, "session/update", &update("a", "live"));
    world.expect_notification(editor, "session/update", &update("a", "live"));
}

#[test]
fn late_frames_of_a_closed_session_are_not_taken_for_those_of_a_new_one() {
    let mut world = World::new();
    let (editor, channel) = world.start();
    world.open(editor, channel, "a");
    world.close(editor, channel, "a");
    world.request(editor, 1, "session/new", NEW);
    let new = world.expect_request(channel, "session/new", NEW);
    world.notify(channel, "session/update", &update("a", "late"));
    world.request(channel, 60, "fs/read_text_file", &session("a"));
    world.expect_refusal(channel, 60, -32002, "unknown_session");
    assert_eq!(world.bridge.counters().late_frames, 1);
    world.answer(channel, new, &session("b"));
    world.expect_answer(editor, 1, &session("b"));
}

#[test]
fn a_channel_that_is_being_stopped_still_gets_its_answers() {
    let mut world = World::with(|config| config.agent.channel_idle_timeout = Limit::After(0));
    let (editor, channel) = world.start();
    world.open(editor, channel, "a");
    world.close(editor, channel, "a");
    world.expect(channel, Deed::CloseStdin);
    world.request(channel, 1, "session/request_permission", &permission("a"));
    world.expect_answer(channel, 1, NOT_ALLOWED);
    world.request(channel, 2, "fs/read_text_file", &session("a"));
    world.expect_refusal(channel, 2, -32800, "cancelled");
    world.notify(channel, "session/update", &update("a", "late"));
    assert_eq!(world.bridge.counters().late_frames, 1);
}

#[test]
fn each_question_is_withdrawn_in_its_own_kind() {
    let kinds = [
        ("session/request_permission", Some(NOT_ALLOWED)),
        ("elicitation/create", Some(r#"{"action":"cancel"}"#)),
        ("terminal/release", Some("{}")),
        ("terminal/kill", Some("{}")),
        ("terminal/wait_for_exit", None),
        ("fs/read_text_file", None),
        ("_some/extension", None),
    ];
    for (method, result) in kinds {
        let mut world = World::new();
        let (editor, channel) = world.start();
        world.open(editor, channel, "a");
        world.says(channel, request(9, method, &session("a")));
        let question = world.expect_request(editor, method, &session("a"));
        world.request(editor, 1, "session/close", &session("a"));
        world.expect_withdrawn(editor, question);
        world.expect_closed(editor, "a", "client_close");
        match result {
            Some(result) => world.expect_answer(channel, 9, result),
            None => drop(world.expect_refusal(channel, 9, -32800, "cancelled")),
        }
        world.expect_request(channel, "session/close", &session("a"));
        // The client's own answer comes too late and goes nowhere.
        world.answer(editor, question, "{}");
        assert_eq!(world.bridge.counters().stray_answers, 1);
    }
}

#[test]
fn a_client_that_did_not_ask_for_events_gets_none() {
    let mut world = World::new();
    let editor = world.connect();
    let plain = r#"{"protocolVersion":1,"clientCapabilities":{}}"#;
    world.request(editor, 0, "initialize", plain);
    let channel = world.expect_spawn("/home");
    let id = world.expect_request(channel, "initialize", plain);
    world.answer(channel, id, world.agent);
    world.next_line(editor);
    world.open(editor, channel, "a");
    world.request(editor, 1, "session/close", &session("a"));
    let close = world.expect_request(channel, "session/close", &session("a"));
    world.answer(channel, close, "{}");
    world.expect_answer(editor, 1, "{}");
    let line = notification("session/cancel", &session("a"));
    world.says(editor, line);
    assert_eq!(world.bridge.counters().unrouted, 1);
}

#[test]
fn events_for_all_reach_one_that_did_not_ask_and_events_for_none_nobody() {
    let plain = r#"{"protocolVersion":1,"clientCapabilities":{}}"#;
    for (events, params) in [(ExtensionEvents::On, plain), (ExtensionEvents::Off, INITIALIZE)] {
        let mut world = World::with(|config| config.limits.extension_events = events);
        let (editor, channel) = world.start_with(params);
        world.open(editor, channel, "a");
        world.request(editor, 1, "session/close", &session("a"));
        if events == ExtensionEvents::On {
            world.expect_closed(editor, "a", "client_close");
        }
        world.expect_request(channel, "session/close", &session("a"));
        world.assert_nothing_left();
    }
}
