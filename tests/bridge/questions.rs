//! Questions: whom an agent's request goes to, and how it ends.

use drawbridge::bridge::config::PermissionPolicy;
use drawbridge::bridge::{Limit, Notice, ShutdownCause};

use crate::harness::{
    ALLOWED, CANCELLED, Deed, END_TURN, NEW, NOT_ALLOWED, World, answer, failure, notification,
    permission, prompt, request, session, stored,
};

#[test]
fn pending_permission_answered_cancelled_on_close() {
    let mut world = World::new();
    let (editor, channel) = world.start();
    world.open(editor, channel, "a");
    let question = world.ask(channel, editor, "a", "\"perm\"");
    world.request(editor, 1, "session/close", &session("a"));
    world.expect_withdrawn(editor, question);
    world.expect_closed(editor, "a", "client_close");
    world.expect_answer(channel, "\"perm\"", NOT_ALLOWED);
    world.expect_request(channel, "session/close", &session("a"));
    world.answer(editor, question, ALLOWED);
    assert_eq!(world.bridge.counters().stray_answers, 1);
}

#[test]
fn pending_permission_withdrawn_on_exit() {
    let mut world = World::new();
    let (editor, channel) = world.start();
    world.open(editor, channel, "a");
    world.prompt(editor, channel, "a", 1);
    let question = world.ask(channel, editor, "a", "1");
    world.exits(channel, 1);
    world.expect_withdrawn(editor, question);
    world.expect_died(editor, "a", "channel_closed", r#","exitCode":1"#);
    world.expect_refusal(editor, 1, -32603, "agent_exited");
    world.expect_answer(channel, "1", NOT_ALLOWED);
    world.expect_warning(|notice| matches!(notice, Notice::ChannelExited { .. }));
}

#[test]
fn pending_permission_answered_cancelled_on_shutdown() {
    let mut world = World::new();
    let (editor, channel) = world.start();
    world.open(editor, channel, "a");
    let turn = world.prompt(editor, channel, "a", 1);
    let question = world.ask(channel, editor, "a", "1");
    world.shutdown(ShutdownCause::StdinEnded);
    world.expect_withdrawn(editor, question);
    world.expect_died(editor, "a", "shutdown", "");
    world.expect_answer(channel, "1", NOT_ALLOWED);
    world.expect_notification(channel, "session/cancel", &session("a"));
    let close = world.expect_request(channel, "session/close", &session("a"));
    world.answer(channel, turn, CANCELLED);
    world.expect_answer(editor, 1, CANCELLED);
    world.answer(channel, close, "{}");
    world.expect(channel, Deed::CloseStdin);
    world.exits(channel, 0);
    world.expect_exit(&[]);
}

#[test]
fn asked_of_the_originator_and_of_those_that_have_taken_part_when_it_is_gone() {
    let mut world = World::new();
    let (first, channel) = world.start();
    let second = world.join();
    let third = world.join();
    world.open(first, channel, "a");
    world.load(second, channel, "a");
    world.load(third, channel, "a");
    let turn = world.prompt(second, channel, "a", 1);
    world.ask(channel, second, "a", "50");
    world.assert_nothing_left();
    // The one that began the turn is gone: the one that opened the session is asked, and not the
    // one that merely watches.
    world.gone(second);
    let of_first = world.expect_request(first, "session/request_permission", &permission("a"));
    world.assert_nothing_left();
    // It watches no more: it wants to go on.
    world.request(third, 2, "session/prompt", &prompt("a"));
    world.assert_nothing_left();
    world.answer(first, of_first, ALLOWED);
    world.expect_answer(channel, "50", ALLOWED);
    world.answer(channel, turn, END_TURN);
    let turn = world.expect_request(channel, "session/prompt", &prompt("a"));
    world.answer(channel, turn, END_TURN);
    world.expect_answer(third, 2, END_TURN);
    // A question of nobody's turn goes to all who have taken part.
    world.request(channel, 51, "session/request_permission", &permission("a"));
    let number = world.expect_request(first, "session/request_permission", &permission("a"));
    world.expect_request(third, "session/request_permission", &permission("a"));
    world.answer(first, number, NOT_ALLOWED);
    // Not the last one asked, and it did not cancel: it only cannot say.
    world.assert_nothing_left();
    world.answer(third, number, NOT_ALLOWED);
    world.expect_answer(channel, 51, NOT_ALLOWED);
}

#[test]
fn first_valid_answer_wins_under_all() {
    let mut world = World::with(|config| config.agent.permission_policy = PermissionPolicy::All);
    let (first, channel) = world.start();
    let second = world.join();
    world.open(first, channel, "a");
    world.load(second, channel, "a");
    world.prompt(first, channel, "a", 1);
    world.request(channel, 50, "session/request_permission", &permission("a"));
    let number = world.expect_request(first, "session/request_permission", &permission("a"));
    world.expect_request(second, "session/request_permission", &permission("a"));
    let odd = r#"{"outcome":{"outcome":"selected","optionId":"never offered"}}"#;
    world.answer(first, number, odd);
    world.assert_nothing_left();
    world.answer(second, number, ALLOWED);
    world.expect_answer(channel, 50, ALLOWED);
    world.answer(second, number, NOT_ALLOWED);
    assert_eq!(world.bridge.counters().stray_answers, 1);
}

#[test]
fn a_later_attacher_is_asked_too_under_all() {
    let mut world = World::with(|config| config.agent.permission_policy = PermissionPolicy::All);
    let (first, channel) = world.start();
    world.open(first, channel, "a");
    let number = world.ask(channel, first, "a", "50");
    let second = world.join();
    // A session with an open question is not loaded at its agent; nothing is asked twice.
    world.request(second, 1, "session/load", &stored("a"));
    world.expect_refusal(second, 1, -32603, "session_busy");
    world.answer(first, number, ALLOWED);
    world.expect_answer(channel, "50", ALLOWED);
}

#[test]
fn a_client_that_cannot_answer() {
    let mut world = World::with(|config| config.agent.permission_policy = PermissionPolicy::All);
    let (first, channel) = world.start();
    let second = world.join();
    world.open(first, channel, "a");
    world.load(second, channel, "a");
    for (token, order) in [(50, [first, second]), (51, [second, first])] {
        world.request(channel, token, "session/request_permission", &permission("a"));
        let number = world.expect_request(first, "session/request_permission", &permission("a"));
        world.expect_request(second, "session/request_permission", &permission("a"));
        world.fail(order[0], number, -32601);
        world.assert_nothing_left();
        world.fail(order[1], number, -32603);
        // All have erred: the agent gets the last error.
        world.expect_failure(channel, token, -32603);
    }
}

#[test]
fn held_while_nobody_is_attached_then_cancelled() {
    let mut world = World::with(|config| config.agent.session_idle_timeout = Limit::Never);
    let (editor, channel) = world.start();
    world.open(editor, channel, "a");
    let turn = world.prompt(editor, channel, "a", 1);
    world.ask(channel, editor, "a", "50");
    world.wait(10_000_000);
    world.gone(editor);
    // Another one, asked when nobody is there any more.
    world.wait(1_000);
    world.request(channel, 51, "session/request_permission", &permission("a"));
    world.wait(3_599_000 - 1);
    world.assert_nothing_left();
    world.wait(1);
    world.expect_answer(channel, 50, NOT_ALLOWED);
    // So that it is true, the turn is cancelled.
    world.expect_notification(channel, "session/cancel", &session("a"));
    world.wait(1_000);
    world.expect_answer(channel, 51, NOT_ALLOWED);
    world.expect_notification(channel, "session/cancel", &session("a"));
    world.answer(channel, turn, CANCELLED);
}

#[test]
fn what_waits_for_somebody_is_put_to_the_next_who_comes() {
    let mut world = World::new();
    let (first, channel) = world.start();
    let second = world.join();
    let third = world.join();
    world.open(first, channel, "a");
    world.load(second, channel, "a");
    let number = world.ask(channel, first, "a", "50");
    world.request(first, 1, "_drawbridge/detach", &session("a"));
    world.expect_withdrawn(first, number);
    world.expect_answer(first, 1, "{}");
    world.expect_request(second, "session/request_permission", &permission("a"));
    world.gone(second);
    world.request(third, 2, "session/load", &stored("a"));
    world.expect_refusal(third, 2, -32603, "session_busy");
    world.wait(3_600_000);
    world.expect_answer(channel, 50, NOT_ALLOWED);
    world.expect_notification(channel, "session/cancel", &session("a"));
}

#[test]
fn files_and_elicitations_wait_for_half_a_minute() {
    let mut world = World::new();
    let (editor, channel) = world.start();
    world.open(editor, channel, "a");
    let turn = world.prompt(editor, channel, "a", 1);
    world.gone(editor);
    world.request(channel, 50, "fs/read_text_file", &session("a"));
    world.request(channel, 51, "elicitation/create", &session("a"));
    // A terminal without a client makes no sense at all.
    world.request(channel, 52, "terminal/create", &session("a"));
    world.expect_refusal(channel, 52, -32603, "nobody_to_ask");
    world.wait(29_999);
    world.assert_nothing_left();
    world.wait(1);
    world.expect_refusal(channel, 50, -32800, "cancelled");
    world.expect_answer(channel, 51, r#"{"action":"cancel"}"#);
    world.answer(channel, turn, END_TURN);
}

#[test]
fn everything_but_a_permission_goes_to_exactly_one_client() {
    let mut world = World::new();
    let bare = world.connect();
    let plain = r#"{"protocolVersion":1,"clientCapabilities":{}}"#;
    world.request(bare, 0, "initialize", plain);
    let channel = world.expect_spawn("/home");
    let id = world.expect_request(channel, "initialize", plain);
    world.answer(channel, id, world.agent);
    world.next_line(bare);
    world.open(bare, channel, "a");
    // The only one there is asked, whatever it offers; as without a bridge.
    let number = ask_for_file(&mut world, channel, bare, 50);
    world.fail(bare, number, -32601);
    world.expect_failure(channel, 50, -32601);
}

#[test]
fn of_several_the_one_whose_prompt_runs_is_asked_for_files() {
    let mut world = World::new();
    let (first, channel) = world.start();
    let second = world.join();
    world.open(first, channel, "a");
    world.load(second, channel, "a");
    let number = ask_for_file(&mut world, channel, first, 50);
    world.answer(first, number, r#"{"content":""}"#);
    world.expect_answer(channel, 50, r#"{"content":""}"#);
    world.prompt(second, channel, "a", 1);
    let number = ask_for_file(&mut world, channel, second, 51);
    world.answer(second, number, r#"{"content":""}"#);
    world.expect_answer(channel, 51, r#"{"content":""}"#);
}

fn ask_for_file(
    world: &mut World,
    channel: drawbridge::bridge::ChannelId,
    client: drawbridge::bridge::ClientId,
    token: u64,
) -> u64 {
    let params = r#"{"sessionId":"a","path":"/x"}"#;
    world.request(channel, token, "fs/read_text_file", params);
    world.expect_request(client, "fs/read_text_file", params)
}

#[test]
fn a_cancel_settles_the_questions_of_its_turn_after_a_second() {
    let mut world = World::new();
    let (editor, channel) = world.start();
    world.open(editor, channel, "a");
    let turn = world.prompt(editor, channel, "a", 1);
    let answered = world.ask(channel, editor, "a", "50");
    let forgotten = world.ask(channel, editor, "a", "51");
    world.notify(editor, "session/cancel", &session("a"));
    world.expect_notification(channel, "session/cancel", &session("a"));
    world.answer(editor, answered, NOT_ALLOWED);
    world.expect_answer(channel, 50, NOT_ALLOWED);
    world.wait(999);
    world.assert_nothing_left();
    world.wait(1);
    // The client that has cancelled the turn knows it.
    world.expect_answer(channel, 51, NOT_ALLOWED);
    assert!(forgotten > answered);
    world.answer(channel, turn, CANCELLED);
    world.expect_answer(editor, 1, CANCELLED);
}

#[test]
fn a_cancel_answers_only_what_a_client_is_expected_to_settle() {
    let mut world = World::new();
    let (editor, channel) = world.start();
    world.open(editor, channel, "a");
    world.prompt(editor, channel, "a", 1);
    let methods = [
        "fs/read_text_file",
        "fs/write_text_file",
        "terminal/create",
        "terminal/output",
        "terminal/wait_for_exit",
        "terminal/kill",
        "terminal/release",
        "_vendor/ask",
        "mcp/connect",
    ];
    let asked = methods.map(|method| {
        world.request(channel, format!("\"{method}\""), method, &session("a"));
        world.expect_request(editor, method, &session("a"))
    });
    world.request(channel, 70, "elicitation/create", &session("a"));
    world.expect_request(editor, "elicitation/create", &session("a"));
    world.notify(editor, "session/cancel", &session("a"));
    world.expect_notification(channel, "session/cancel", &session("a"));
    world.wait(1_000);
    world.expect_answer(channel, 70, r#"{"action":"cancel"}"#);
    world.wait(3_600_000);
    world.assert_nothing_left();
    for (number, method) in asked.into_iter().zip(methods) {
        world.answer(editor, number, "{}");
        world.expect_answer(channel, format!("\"{method}\""), "{}");
    }
}

#[test]
fn an_agent_withdraws_its_own_question() {
    let mut world = World::new();
    let (editor, channel) = world.start();
    world.open(editor, channel, "a");
    let number = world.ask(channel, editor, "a", "\"q-1\"");
    world.says(channel, notification("$/cancel_request", r#"{"requestId":"q-1"}"#));
    world.expect_withdrawn(editor, number);
    world.says(editor, failure(number, -32800));
    world.expect_failure(channel, "\"q-1\"", -32800);
    world.says(channel, notification("$/cancel_request", r#"{"requestId":"q-1"}"#));
    assert_eq!(world.bridge.counters().unrouted, 1);
}

#[test]
fn an_agent_withdraws_the_question_that_it_names_and_no_other() {
    let mut world = World::new();
    let (editor, channel) = world.start();
    world.open(editor, channel, "a");
    world.ask(channel, editor, "a", "50");
    let second = world.ask(channel, editor, "a", "51");
    world.notify(channel, "$/cancel_request", r#"{"requestId":51}"#);
    world.expect_withdrawn(editor, second);
}

#[test]
fn a_question_without_a_session_goes_to_a_client_of_the_channel() {
    let mut world = World::new();
    let (first, channel) = world.start();
    let second = world.join();
    world.open(second, channel, "a");
    world.says(channel, request(5, "_some/question", "{}"));
    let number = world.expect_request(second, "_some/question", "{}");
    world.says(second, answer(number, "[]"));
    world.expect_answer(channel, 5, "[]");
    world.gone(second);
    world.says(channel, request(6, "_some/question", "{}"));
    let number = world.expect_request(first, "_some/question", "{}");
    world.gone(first);
    world.expect_refusal(channel, 6, -32800, "cancelled");
    assert!(number > 0);
    world.says(channel, request(7, "_some/question", "{}"));
    world.expect_refusal(channel, 7, -32603, "nobody_to_ask");
}

#[test]
fn who_leaves_on_purpose_leaves_no_question_behind() {
    let mut world = World::new();
    let (editor, channel) = world.start();
    world.open(editor, channel, "a");
    let turn = world.prompt(editor, channel, "a", 1);
    let question = world.ask(channel, editor, "a", "50");
    world.request(editor, 2, "_drawbridge/detach", &session("a"));
    world.expect_withdrawn(editor, question);
    world.expect_answer(editor, 2, "{}");
    world.expect_answer(channel, "50", NOT_ALLOWED);
    // Nor is another one kept open, and the turn goes on to its end.
    world.request(channel, "51", "session/request_permission", &permission("a"));
    world.expect_answer(channel, "51", NOT_ALLOWED);
    world.answer(channel, turn, END_TURN);
    world.expect_answer(editor, 1, END_TURN);
    world.expect_request(channel, "session/close", &session("a"));
}

#[test]
fn a_second_cancel_gives_a_question_no_more_time() {
    let mut world = World::new();
    let (editor, channel) = world.start();
    world.open(editor, channel, "a");
    world.prompt(editor, channel, "a", 1);
    world.ask(channel, editor, "a", "50");
    for pause in [400, 400, 199] {
        world.notify(editor, "session/cancel", &session("a"));
        world.expect_notification(channel, "session/cancel", &session("a"));
        world.wait(pause);
    }
    world.assert_nothing_left();
    world.wait(1);
    world.expect_answer(channel, 50, NOT_ALLOWED);
}

#[test]
fn a_question_that_nobody_has_open_is_answered_here_when_its_agent_withdraws_it() {
    for method in ["session/request_permission", "fs/read_text_file", "elicitation/create"] {
        let mut world = World::new();
        let (editor, channel) = world.start();
        world.open(editor, channel, "a");
        let turn = world.prompt(editor, channel, "a", 1);
        world.gone(editor);
        world.request(channel, 50, method, &session("a"));
        world.assert_nothing_left();
        world.says(channel, notification("$/cancel_request", r#"{"requestId":50}"#));
        world.expect_refusal(channel, 50, -32800, "cancelled");
        // It is over: neither a second withdrawal nor its limit finds it.
        world.says(channel, notification("$/cancel_request", r#"{"requestId":50}"#));
        assert_eq!(world.bridge.counters().unrouted, 1);
        world.wait(3_600_000);
        world.assert_nothing_left();
        world.answer(channel, turn, END_TURN);
    }
}

#[test]
fn a_close_that_an_unseen_question_blocked_is_sent_again_when_that_is_withdrawn() {
    let mut world = World::new();
    let (first, channel) = world.start();
    let second = world.join();
    world.open(first, channel, "a");
    world.open(second, channel, "b");
    world.gone(second);
    world.request(channel, 50, "session/request_permission", &permission("b"));
    world.request(first, 1, "session/close", &session("a"));
    world.expect_closed(first, "a", "client_close");
    world.expect_request(channel, "session/close", &session("a"));
    world.wait(10_000);
    world.expect_answer(first, 1, "{}");
    world.assert_nothing_left();
    world.says(channel, notification("$/cancel_request", r#"{"requestId":50}"#));
    world.expect_refusal(channel, 50, -32800, "cancelled");
    world.expect_request(channel, "session/close", &session("a"));
}

#[test]
fn after_a_cancel_one_clients_refusal_settles_a_question_for_all() {
    let mut world = World::with(|config| {
        config.agent.permission_policy = PermissionPolicy::All;
    });
    let (first, channel) = world.start();
    let second = world.join();
    world.open(first, channel, "a");
    world.load(second, channel, "a");
    let number = world.ask(channel, first, "a", "50");
    world.expect_request(second, "session/request_permission", &permission("a"));
    world.notify(first, "session/cancel", &session("a"));
    world.expect_notification(channel, "session/cancel", &session("a"));
    world.answer(second, number, NOT_ALLOWED);
    world.expect_withdrawn(first, number);
    world.expect_answer(channel, 50, NOT_ALLOWED);
}

#[test]
fn an_answer_of_a_client_that_was_not_asked_is_none() {
    let mut world = World::new();
    let (first, channel) = world.start();
    let second = world.join();
    world.open(first, channel, "a");
    let question = world.ask(channel, first, "a", "50");
    world.answer(second, question, ALLOWED);
    world.assert_nothing_left();
    assert_eq!(world.bridge.counters().stray_answers, 1);
    world.answer(first, question, NOT_ALLOWED);
    world.expect_answer(channel, 50, NOT_ALLOWED);
}

#[test]
fn a_question_goes_to_the_client_that_offers_what_it_needs() {
    let mut world = World::new();
    let (bare, channel) = world.start_with(r#"{"protocolVersion":1,"clientCapabilities":{}}"#);
    let (able, _) = world.start_with(
        r#"{"protocolVersion":1,"clientCapabilities":{"fs":{"readTextFile":true,"writeTextFile":true},"terminal":true,"elicitation":{}}}"#,
    );
    world.open(bare, channel, "a");
    world.load(able, channel, "a");
    for method in [
        "fs/read_text_file",
        "fs/write_text_file",
        "terminal/create",
        "terminal/output",
        "elicitation/create",
    ] {
        world.request(channel, 50, method, &session("a"));
        let number = world.expect_request(able, method, &session("a"));
        world.answer(able, number, "{}");
        world.expect_answer(channel, 50, "{}");
    }
}

#[test]
fn of_several_clients_none_is_asked_for_what_none_offers() {
    let mut world = World::new();
    let plain = r#"{"protocolVersion":1,"clientCapabilities":{}}"#;
    let (first, channel) = world.start_with(plain);
    let second = world.connect();
    world.request(second, 0, "initialize", plain);
    world.next_line(second);
    world.open(first, channel, "a");
    world.load(second, channel, "a");
    world.request(channel, 50, "terminal/create", &session("a"));
    world.expect_refusal(channel, 50, -32603, "nobody_to_ask");
}

#[test]
fn who_has_left_a_session_is_not_asked_although_its_own_turn_runs() {
    let mut world = World::new();
    let (first, channel) = world.start();
    let second = world.join();
    world.open(first, channel, "a");
    world.load(second, channel, "a");
    let turn = world.prompt(first, channel, "a", 1);
    world.request(first, 2, "_drawbridge/detach", &session("a"));
    world.expect_answer(first, 2, "{}");
    world.request(channel, 50, "session/request_permission", &permission("a"));
    world.assert_nothing_left();
    world.request(second, 3, "session/prompt", &prompt("a"));
    world.expect_request(second, "session/request_permission", &permission("a"));
    ask_for_file(&mut world, channel, second, 51);
    world.answer(channel, turn, END_TURN);
    world.expect_answer(first, 1, END_TURN);
    world.expect_request(channel, "session/prompt", &prompt("a"));
}

#[test]
fn a_question_without_a_session_goes_to_the_only_client_that_it_can_be_for() {
    let mut world = World::with(|config| config.agent.sessions_per_channel = 1);
    let (first, old) = world.start();
    let second = world.join();
    world.open(first, old, "a");
    world.request(second, 1, "session/new", NEW);
    let new = world.expect_spawn("/home");
    world.handshake(new);
    world.opened(second, new, "b", "1");
    world.close(second, new, "b");
    // Two clients of the pool may be meant, and neither has anything there now.
    world.request(new, 50, "_some/question", "{}");
    world.expect_refusal(new, 50, -32603, "nobody_to_ask");
    world.expect_warning(|notice| matches!(notice, Notice::NoAddressee { .. }));
    world.request(first, 2, "_x", "{}");
    world.expect_request(old, "_x", "{}");
    world.gone(first);
    world.request(new, 51, "_some/question", "{}");
    world.expect_request(second, "_some/question", "{}");
}

#[test]
fn a_question_without_a_session_does_not_wait_for_somebody() {
    let mut world = World::new();
    let (editor, channel) = world.start();
    world.request(channel, 50, "elicitation/create", r#"{"message":"code?"}"#);
    world.expect_request(editor, "elicitation/create", r#"{"message":"code?"}"#);
    world.gone(editor);
    world.expect_answer(channel, 50, r#"{"action":"cancel"}"#);
}

#[test]
fn who_leaves_one_session_keeps_the_questions_of_another() {
    let mut world = World::new();
    let (editor, channel) = world.start();
    world.open(editor, channel, "a");
    world.open(editor, channel, "b");
    let of_a = world.ask(channel, editor, "a", "50");
    let of_b = world.ask(channel, editor, "b", "51");
    world.request(editor, 1, "_drawbridge/detach", &session("a"));
    world.expect_withdrawn(editor, of_a);
    world.expect_answer(editor, 1, "{}");
    world.expect_answer(channel, 50, NOT_ALLOWED);
    world.expect_request(channel, "session/close", &session("a"));
    world.assert_nothing_left();
    world.answer(editor, of_b, ALLOWED);
    world.expect_answer(channel, 51, ALLOWED);
}

#[test]
fn a_question_that_cannot_wait_goes_to_another_who_is_there() {
    let mut world = World::new();
    let (first, channel) = world.start();
    let second = world.join();
    world.open(first, channel, "a");
    world.load(second, channel, "a");
    world.request(channel, 50, "terminal/create", &session("a"));
    world.expect_request(first, "terminal/create", &session("a"));
    world.gone(first);
    world.expect_request(second, "terminal/create", &session("a"));
}
