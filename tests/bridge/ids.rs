//! Ids: four spaces of request ids, session ids that collide.

use drawbridge::bridge::{ChannelId, ClientId, Limit, Notice};

use crate::harness::{ALLOWED, Deed, END_TURN, NEW, World, notification, session, stored, update};

#[test]
fn an_id_comes_back_byte_for_byte() {
    let mut world = World::new();
    let (editor, channel) = world.start();
    let ids = [
        "1",
        "1.0",
        "1e2",
        "-7",
        "\"1\"",
        "\"\\u0061b\"",
        "\"a\\/b\"",
        "null",
        "\"\"",
        "123456789012345678901234567890",
        "\"a string of more than twenty-two bytes\"",
    ];
    for id in ids {
        world.request(editor, id, "_x/y", "[1, 2.50]");
        let number = world.expect_request(channel, "_x/y", "[1, 2.50]");
        world.answer(channel, number, "{\"n\": 1.0}");
        world.expect_answer(editor, id, "{\"n\": 1.0}");
        world.request(channel, id, "_a/b", "{}");
        let number = world.expect_request(editor, "_a/b", "{}");
        world.fail(editor, number, -5);
        world.expect_failure(channel, id, -5);
    }
}

#[test]
fn the_same_id_of_two_clients_and_an_agent_are_three_ids() {
    let mut world = World::new();
    let (first, channel) = world.start();
    let second = world.join();
    world.open(first, channel, "a");
    world.open(second, channel, "b");
    let of_first = world.prompt(first, channel, "a", 7);
    let of_second = world.prompt(second, channel, "b", 7);
    let question = world.ask(channel, second, "b", "7");
    world.answer(channel, of_second, END_TURN);
    world.expect_answer(second, 7, END_TURN);
    world.answer(second, question, ALLOWED);
    world.expect_answer(channel, 7, ALLOWED);
    world.answer(channel, of_first, END_TURN);
    world.expect_answer(first, 7, END_TURN);
}

#[test]
fn a_second_answer_and_an_answer_to_nothing_are_dropped_and_counted() {
    let mut world = World::new();
    let (editor, channel) = world.start();
    world.open(editor, channel, "a");
    let turn = world.prompt(editor, channel, "a", 7);
    world.answer(channel, turn, END_TURN);
    world.expect_answer(editor, 7, END_TURN);
    world.answer(channel, turn, END_TURN);
    world.answer(channel, "\"what\"", END_TURN);
    world.answer(channel, 99_999, END_TURN);
    world.answer(editor, turn, "{}");
    world.answer(editor, "null", "{}");
    assert_eq!(world.bridge.counters().stray_answers, 5);
}

#[test]
fn cancel_request_is_translated_both_ways() {
    let mut world = World::new();
    let (editor, channel) = world.start();
    world.open(editor, channel, "a");
    world.request(editor, "\"p\"", "session/prompt", &crate::harness::prompt("a"));
    let turn = world.expect_request(channel, "session/prompt", &crate::harness::prompt("a"));
    let withdraw = r#"{ "_meta":{"why":1}, "requestId" : "p" }"#;
    world.says(editor, notification("$/cancel_request", withdraw));
    let told = format!(r#"{{ "_meta":{{"why":1}}, "requestId" : {turn} }}"#);
    world.expect_notification(channel, "$/cancel_request", &told);
    world.fail(channel, turn, -32800);
    world.expect_failure(editor, "\"p\"", -32800);

    world.request(channel, 5, "fs/read_text_file", &session("a"));
    let number = world.expect_request(editor, "fs/read_text_file", &session("a"));
    world.says(channel, notification("$/cancel_request", r#"{"requestId":5}"#));
    world.expect_withdrawn(editor, number);
    world.fail(editor, number, -32800);
    world.expect_failure(channel, 5, -32800);
    // What is answered already, or another's, is nobody's.
    world.says(editor, notification("$/cancel_request", r#"{"requestId":"p"}"#));
    world.says(channel, notification("$/cancel_request", r#"{"requestId":5}"#));
    assert_eq!(world.bridge.counters().unrouted, 2);
}

#[test]
fn a_request_that_was_not_sent_yet_is_cancelled_here() {
    let mut world = World::with(|config| config.agent.sessions_per_channel = 1);
    let (editor, first) = world.start();
    world.open(editor, first, "a");
    world.request(editor, 2, "session/new", NEW);
    let second = world.expect_spawn("/home");
    world.says(editor, notification("$/cancel_request", r#"{"requestId":2}"#));
    world.expect_refusal(editor, 2, -32800, "cancelled");
    world.handshake(second);
}

#[test]
fn an_agent_gets_nothing_before_it_has_answered_initialize() {
    let mut world = World::new();
    let editor = world.connect();
    world.request(editor, 1, "initialize", crate::harness::INITIALIZE);
    let channel = world.expect_spawn("/home");
    let id = world.expect_request(channel, "initialize", crate::harness::INITIALIZE);
    world.says(editor, notification("$/cancel_request", r#"{"requestId":1}"#));
    world.notify(editor, "_some/notification", "{}");
    world.assert_nothing_left();
    world.answer(channel, id, world.agent);
    world.next_line(editor);
    world.expect_notification(channel, "_some/notification", "{}");
}

#[test]
fn the_request_of_an_elicitation_is_translated() {
    let mut world = World::new();
    let (editor, channel) = world.start();
    world.request(editor, "\"login\"", "authenticate", r#"{"methodId":"x"}"#);
    let login = world.expect_request(channel, "authenticate", r#"{"methodId":"x"}"#);
    let asked = format!(r#"{{"requestId":{login},"message":"code?"}}"#);
    world.request(channel, 3, "elicitation/create", &asked);
    let shown = r#"{"requestId":"login","message":"code?"}"#;
    let number = world.expect_request(editor, "elicitation/create", shown);
    world.answer(editor, number, r#"{"action":"accept"}"#);
    world.expect_answer(channel, 3, r#"{"action":"accept"}"#);
    world.answer(channel, login, "{}");
    world.expect_answer(editor, "\"login\"", "{}");
    // Of a request that is over the client is told that it belongs to none.
    world.request(channel, 4, "elicitation/create", &asked);
    let shown = r#"{"requestId":null,"message":"code?"}"#;
    world.expect_request(editor, "elicitation/create", shown);
    // What the bridge never gave out is not for it to judge.
    for id in ["9000", "\"auth-1\"", "null", "-1", "1.5"] {
        let unknown = format!(r#"{{"requestId":{id},"message":"code?"}}"#);
        world.request(channel, 5, "elicitation/create", &unknown);
        world.expect_request(editor, "elicitation/create", &unknown);
    }
}

#[test]
fn an_elicitation_about_a_request_on_another_channel_belongs_to_none() {
    let mut world = World::with(|config| config.agent.sessions_per_channel = 1);
    let (editor, first, second) = collision(&mut world);
    world.request(editor, 3, "authenticate", r#"{"methodId":"x"}"#);
    let login = world.expect_request(first, "authenticate", r#"{"methodId":"x"}"#);
    let asked = format!(r#"{{"requestId":{login},"message":"code?"}}"#);
    world.request(second, 4, "elicitation/create", &asked);
    let shown = r#"{"requestId":null,"message":"code?"}"#;
    world.expect_request(editor, "elicitation/create", shown);
}

#[test]
fn the_request_id_of_other_methods_is_not_ours() {
    let mut world = World::new();
    let (editor, channel) = world.start();
    let params = r#"{"connectionId":"c","requestId":1,"x":1.0}"#;
    world.request(channel, 3, "mcp/message", params);
    let number = world.expect_request(editor, "mcp/message", params);
    world.answer(editor, number, "{}");
    world.expect_answer(channel, 3, "{}");
}

/// Two channels whose agents both call their session `1`; the second is aliased.
fn collision(world: &mut World) -> (ClientId, ChannelId, ChannelId) {
    let (editor, first) = world.start();
    world.open(editor, first, "1");
    world.request(editor, 2, "session/new", NEW);
    let second = world.expect_spawn("/home");
    world.handshake(second);
    let number = world.expect_request(second, "session/new", NEW);
    world.answer(second, number, r#"{"modes":null, "sessionId" : "1", "x":1.0}"#);
    world.expect_answer(editor, 2, r#"{"modes":null, "sessionId" : "~1~1", "x":1.0}"#);
    (editor, first, second)
}

#[test]
fn an_alias_in_each_place() {
    let mut world = World::with(|config| config.agent.sessions_per_channel = 1);
    let (editor, first, second) = collision(&mut world);
    // Client to agent: requests and notifications.
    let turn = world.request_as(editor, 3, second, "session/prompt", r#","prompt":[]}"#);
    world.notify(editor, "session/cancel", &session("~1~1"));
    world.expect_notification(second, "session/cancel", &session("1"));
    // Agent to client: updates, questions, answers and errors.
    world.notify(second, "session/update", &update("1", "hi"));
    world.expect_notification(editor, "session/update", &update("~1~1", "hi"));
    world.notify(first, "session/update", &update("1", "hi"));
    world.expect_notification(editor, "session/update", &update("1", "hi"));
    world.request(second, 9, "session/request_permission", &crate::harness::permission("1"));
    let shown = crate::harness::permission("~1~1");
    let number = world.expect_request(editor, "session/request_permission", &shown);
    world.answer(editor, number, ALLOWED);
    world.expect_answer(second, 9, ALLOWED);
    world.answer(second, turn, END_TURN);
    world.expect_answer(editor, 3, END_TURN);
    let status = world.request_as(editor, 4, second, "session/status", "}");
    world.answer(second, status, r#"{"sessionId":"1","busy":false}"#);
    world.expect_answer(editor, 4, r#"{"sessionId":"~1~1","busy":false}"#);
    let mode = world.request_as(editor, 5, second, "session/set_mode", r#","modeId":"x"}"#);
    let error = |id: u64, session: &str| {
        format!(
            r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":-1,"message":"","data":{{"sessionId":"{session}"}}}}}}"#
        )
    };
    world.says(second, error(mode, "1"));
    world.expect_line(editor, &error(5, "~1~1"));
    // Our own words name it as the client does.
    world.request(editor, 6, "session/close", &session("~1~1"));
    world.expect_closed(editor, "~1~1", "client_close");
    let close = world.expect_request(second, "session/close", &session("1"));
    world.answer(second, close, "{}");
    world.expect_answer(editor, 6, "{}");
    // The other one was not touched.
    world.prompt(editor, first, "1", 7);
}

#[test]
fn an_alias_in_a_list_a_fork_and_a_deletion() {
    let mut world = World::with(|config| config.agent.sessions_per_channel = 1);
    let (editor, first, second) = collision(&mut world);
    world.request(editor, 3, "session/list", "{}");
    let list = world.expect_request(second, "session/list", "{}");
    world.answer(second, list, r#"{"sessions":[{"sessionId":"1","cwd":"/work"}]}"#);
    world.expect_answer(editor, 3, r#"{"sessions":[{"sessionId":"~1~1","cwd":"/work"}]}"#);
    world.request(editor, 4, "session/fork", &stored("~1~1"));
    let fork = world.expect_request(second, "session/fork", &stored("1"));
    world.answer(second, fork, &session("2"));
    world.expect_answer(editor, 4, &session("2"));
    world.request(editor, 5, "session/delete", &session("~1~1"));
    let delete = world.expect_request(second, "session/delete", &session("1"));
    world.answer(second, delete, "{}");
    world.expect_closed(editor, "~1~1", "deleted");
    world.expect_answer(editor, 5, "{}");
    let close = world.expect_request(second, "session/close", &session("1"));
    world.answer(second, close, "{}");
    world.prompt(editor, first, "1", 6);
}

#[test]
fn a_third_of_the_same_id_gets_a_number() {
    let mut world = World::with(|config| config.agent.sessions_per_channel = 1);
    let (editor, _, _) = collision(&mut world);
    world.request(editor, 3, "session/new", NEW);
    let third = world.expect_spawn("/home");
    world.handshake(third);
    let number = world.expect_request(third, "session/new", NEW);
    world.answer(third, number, &session("1"));
    world.expect_answer(editor, 3, &session("~2~1"));
}

#[test]
fn a_fourth_of_the_same_id_gets_another_number() {
    let mut world = World::with(|config| config.agent.sessions_per_channel = 1);
    let (editor, first) = world.start();
    world.open(editor, first, "1");
    for (token, id) in [(1, "~1~1"), (2, "~2~1"), (3, "~3~1")] {
        world.request(editor, token, "session/new", NEW);
        let next = world.expect_spawn("/home");
        world.handshake(next);
        let number = world.expect_request(next, "session/new", NEW);
        world.answer(next, number, &session("1"));
        world.expect_answer(editor, token, &session(id));
    }
}

#[test]
fn an_alias_is_not_given_again_while_the_closed_session_is_remembered() {
    let mut world = World::with(|config| config.agent.sessions_per_channel = 1);
    let (first, old) = world.start();
    let second = world.join();
    world.open(first, old, "1");
    world.request(second, 1, "session/new", NEW);
    let new = world.expect_spawn("/home");
    world.handshake(new);
    let number = world.expect_request(new, "session/new", NEW);
    world.answer(new, number, &session("1"));
    world.expect_answer(second, 1, &session("~1~1"));
    world.request(second, 2, "session/close", &session("~1~1"));
    world.expect_closed(second, "~1~1", "client_close");
    let close = world.expect_request(new, "session/close", &session("1"));
    world.answer(new, close, "{}");
    world.expect_answer(second, 2, "{}");
    world.gone(second);
    world.request(first, 3, "session/new", NEW);
    let number = world.expect_request(new, "session/new", NEW);
    world.answer(new, number, &session("1"));
    world.expect_answer(first, 3, &session("~2~1"));
}

#[test]
fn the_id_of_a_tombstone_is_another_conversation() {
    let mut world = World::new();
    let (editor, channel) = world.start();
    world.open(editor, channel, "1");
    world.close(editor, channel, "1");
    world.request(editor, 2, "session/new", NEW);
    let number = world.expect_request(channel, "session/new", NEW);
    world.answer(channel, number, &session("1"));
    world.expect_answer(editor, 2, &session("~1~1"));
    world.request(editor, 3, "session/prompt", &crate::harness::prompt("1"));
    world.expect_refusal(editor, 3, -32002, "session_closed");
    // The stored conversation of that id is held under another name.
    world.request(editor, 4, "session/load", &stored("1"));
    world.expect_refusal(editor, 4, -32603, "session_fenced");
}

#[test]
fn a_new_conversation_does_not_take_the_id_of_one_whose_client_is_gone() {
    let mut world = World::new();
    let (first, channel) = world.start();
    let second = world.join();
    world.open(first, channel, "1");
    world.close(first, channel, "1");
    world.gone(first);
    world.request(second, 1, "session/new", NEW);
    let number = world.expect_request(channel, "session/new", NEW);
    world.answer(channel, number, &session("1"));
    world.expect_answer(second, 1, &session("~1~1"));
}

#[test]
fn our_own_prefix_is_taken_off_an_unknown_id() {
    let mut world = World::new();
    let (editor, channel) = world.start();
    world.request(editor, 1, "session/load", &stored("~1~7"));
    let load = world.expect_request(channel, "session/load", &stored("7"));
    world.notify(channel, "session/update", &update("7", "replayed"));
    world.expect_notification(editor, "session/update", &update("~1~7", "replayed"));
    world.answer(channel, load, "{}");
    world.expect_answer(editor, 1, "{}");
    world.notify(channel, "session/update", &update("7", "live"));
    world.expect_notification(editor, "session/update", &update("~1~7", "live"));
    world.request(editor, 2, "session/delete", &session("~1~8"));
    world.expect_request(channel, "session/delete", &session("8"));
}

#[test]
fn an_id_that_only_begins_like_our_prefix_is_the_agents_own() {
    let mut world = World::new();
    let (editor, channel) = world.start();
    world.load(editor, channel, "agent-7");
}

#[test]
fn the_error_of_a_load_names_the_session_as_its_client_does() {
    let mut world = World::new();
    let (editor, channel) = world.start();
    let error = |id: u64, session: &str| {
        format!(
            r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":-1,"message":"","data":{{"sessionId":"{session}"}}}}}}"#
        )
    };
    world.request(editor, 1, "session/load", &stored("~1~7"));
    let load = world.expect_request(channel, "session/load", &stored("7"));
    world.says(channel, error(load, "7"));
    world.expect_line(editor, &error(1, "~1~7"));
}

#[test]
fn our_own_prefix_is_taken_off_the_unknown_source_of_a_fork() {
    let mut world = World::new();
    let (editor, channel) = world.start();
    world.request(editor, 1, "session/fork", &stored("~1~1"));
    let fork = world.expect_request(channel, "session/fork", &stored("1"));
    world.answer(channel, fork, &session("2"));
    world.expect_answer(editor, 1, &session("2"));
}

#[test]
fn a_child_of_an_aliased_session_keeps_its_own_name() {
    let mut world = World::with(|config| config.agent.sessions_per_channel = 1);
    let (editor, _, second) = collision(&mut world);
    let announced = |id: &str| {
        format!(
            r#"{{"sessionId":"{id}","update":{{"sessionUpdate":"subagent_update","sessionId":"kid"}}}}"#
        )
    };
    world.notify(second, "session/update", &announced("1"));
    world.expect_notification(editor, "session/update", &announced("~1~1"));
    world.notify(second, "session/update", &update("kid", "hi"));
    world.expect_notification(editor, "session/update", &update("kid", "hi"));
    world.notify(editor, "session/cancel", &session("kid"));
    world.expect_notification(second, "session/cancel", &session("kid"));
}

#[test]
fn what_nobody_has_business_with_passes_byte_for_byte() {
    let mut world = World::new();
    let (editor, channel) = world.start();
    world.open(editor, channel, "a");
    let odd = "{ \"params\" : {\"update\":{\"sessionUpdate\":\"never heard of\",\"n\":1.50e+3,\
               \"t\":\"\\u00e9\\/\"} ,\"sessionId\":\"\\u0061\"}, \"jsonrpc\":\"2.0\",\
               \"method\":\"session\\/update\",\"zz\":[ ] }";
    world.says(channel, odd);
    world.expect_line(editor, odd);
    let asked = "{\"id\" : 5 , \"zz\":{\"a\" :null}, \"params\":{\"sessionId\":\"a\",\"big\":\
                 12345678901234567890123}, \"method\":\"_x\\/y\",\"jsonrpc\":\"2.0\"}";
    world.says(editor, asked);
    let got = world.next_line(channel);
    let number = drawbridge::wire::Frame::parse(got.clone().into()).unwrap().number().unwrap();
    assert_eq!(got, asked.replacen("\"id\" : 5", &format!("\"id\" : {number}"), 1));
    let result = "{\"result\":null , \"jsonrpc\":\"2.0\",\"id\":NUMBER,\"unknown\":0.0}";
    world.says(channel, result.replace("NUMBER", &number.to_string()));
    world.expect_line(editor, &result.replace("NUMBER", "5"));
}

#[test]
fn a_deletion_never_reaches_another_conversation_of_the_same_id() {
    let mut world = World::with(|config| {
        config.agent.sessions_per_channel = 1;
        config.agent.channel_idle_timeout = Limit::After(0);
    });
    let (editor, first, second) = collision(&mut world);
    world.close(editor, first, "1");
    world.expect(first, Deed::CloseStdin);
    world.exits(first, 0);
    // What was "1" is stored by a process that is gone; what its successor calls
    // "1" is live, and known as "~1~1".
    world.request(editor, 3, "session/delete", &session("1"));
    world.expect_refusal(editor, 3, -32603, "session_fenced");
    world.assert_nothing_for(second);
}

#[test]
fn a_deletion_goes_to_the_channel_whose_session_clients_knew_by_that_very_name() {
    let mut world = World::with(|config| config.agent.sessions_per_channel = 1);
    let (editor, first, second) = collision(&mut world);
    world.request(editor, 3, "session/close", &session("~1~1"));
    world.expect_closed(editor, "~1~1", "client_close");
    let number = world.expect_request(second, "session/close", &session("1"));
    world.answer(second, number, "{}");
    world.expect_answer(editor, 3, "{}");
    world.close(editor, first, "1");
    world.request(editor, 4, "session/delete", &session("1"));
    world.expect_request(first, "session/delete", &session("1"));
}

#[test]
fn a_deletion_goes_to_the_channel_that_had_the_session_last() {
    let mut world = World::with(|config| {
        config.agent.sessions_per_channel = 1;
        config.agent.channel_idle_timeout = Limit::Never;
    });
    let (editor, first) = world.start();
    world.open(editor, first, "a");
    world.close(editor, first, "a");
    world.open(editor, first, "b");
    world.request(editor, 1, "session/load", &stored("a"));
    let second = world.expect_spawn("/home");
    world.handshake(second);
    let number = world.expect_request(second, "session/load", &stored("a"));
    world.answer(second, number, "null");
    world.expect_answer(editor, 1, "null");
    world.close(editor, second, "a");
    // The other one served the client since then.
    world.close(editor, first, "b");
    world.open(editor, first, "c");
    world.request(editor, 2, "session/delete", &session("a"));
    world.expect_request(second, "session/delete", &session("a"));
}

#[test]
fn a_new_conversation_does_not_take_the_id_of_one_that_ended() {
    let mut world = World::new();
    let (editor, channel) = world.start();
    world.open(editor, channel, "1");
    world.exits(channel, 3);
    world.expect_warning(|notice| matches!(notice, Notice::ChannelExited { .. }));
    world.expect_died(editor, "1", "channel_closed", r#","exitCode":3"#);
    world.request(editor, 2, "session/new", NEW);
    world.wait(250);
    let next = world.expect_spawn("/home");
    world.handshake(next);
    let number = world.expect_request(next, "session/new", NEW);
    world.answer(next, number, &session("1"));
    world.expect_answer(editor, 2, &session("~1~1"));
    // The thread of the old one speaks of the old one.
    world.request(editor, 3, "session/prompt", &crate::harness::prompt("1"));
    world.expect_refusal(editor, 3, -32002, "session_closed");
}

#[test]
fn a_new_conversation_does_not_take_the_id_of_one_that_is_being_loaded() {
    let mut world = World::with(|config| config.agent.sessions_per_channel = 1);
    let (editor, first) = world.start();
    world.request(editor, 1, "session/load", &stored("1"));
    let load = world.expect_request(first, "session/load", &stored("1"));
    world.request(editor, 2, "session/new", NEW);
    let second = world.expect_spawn("/home");
    world.handshake(second);
    let number = world.expect_request(second, "session/new", NEW);
    world.answer(second, number, &session("1"));
    world.expect_answer(editor, 2, &session("~1~1"));
    world.answer(first, load, "null");
    world.expect_answer(editor, 1, "null");
    world.prompt(editor, first, "1", 3);
}

#[test]
fn an_alias_is_not_the_name_of_a_conversation_that_is_being_loaded() {
    let mut world = World::with(|config| config.agent.sessions_per_channel = 1);
    let (editor, first) = world.start();
    world.open(editor, first, "1");
    world.request(editor, 1, "session/new", NEW);
    let second = world.expect_spawn("/home");
    world.handshake(second);
    let number = world.expect_request(second, "session/new", NEW);
    // Meanwhile a stored conversation is loaded by a name that begins with our prefix.
    world.request(editor, 2, "session/load", &stored("~1~2"));
    let third = world.expect_spawn("/home");
    world.handshake(third);
    world.expect_request(third, "session/load", &stored("2"));
    // And a new one is called by that very name.
    world.answer(second, number, &session("~1~2"));
    world.expect_answer(editor, 1, &session("~1~~1~2"));
}
