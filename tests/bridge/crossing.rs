//! Two clients on one channel: nothing that is for one of them reaches the other, whatever
//! the message is and whatever the other one is doing.

use drawbridge::bridge::{ChannelId, ClientId, Limit, Notice};

use crate::harness::{NEW, World};
use crate::words::{permission, prompt, session, stored, update};

/// Brings the second client into a state.
type State = fn(&mut World, ClientId, ChannelId);

/// What the second client is doing while the agent speaks for the first one.
const STATES: [(&str, State); 7] = [
    ("has no session", |_, _, _| {}),
    ("has a session", |world, second, channel| world.open(second, channel, "b")),
    ("is in a turn", |world, second, channel| {
        world.open(second, channel, "b");
        world.request(second, r#""turn-b""#, "session/prompt", &prompt("b"));
        world.expect_request(channel, "session/prompt", &prompt("b"));
    }),
    ("opens a session", |world, second, channel| {
        world.request(second, r#""new-b""#, "session/new", NEW);
        world.expect_request(channel, "session/new", NEW);
    }),
    ("loads a session", |world, second, channel| {
        world.request(second, r#""load-b""#, "session/load", &stored("b"));
        world.expect_request(channel, "session/load", &stored("b"));
    }),
    ("has closed its session", |world, second, channel| {
        world.open(second, channel, "b");
        world.close(second, channel, "b");
    }),
    ("names a session that nobody knows", |world, second, channel| {
        world.request(second, r#""about-b""#, "_x/about", &session("b"));
        world.expect_request(channel, "_x/about", &session("b"));
    }),
];

/// What the agent says: the method, its params, and whether it is a request. `TURN` stands for
/// the number of the first client's prompt, `KID` is a sub-agent of its session, and the
/// connection and the elicitation are its own.
const MESSAGES: [(&str, &str, bool); 15] = [
    ("session/update", r#"{"sessionId":"a","update":{"sessionUpdate":"plan"}}"#, false),
    ("session/update", r#"{"sessionId":"KID","update":{"sessionUpdate":"plan"}}"#, false),
    ("_x/note", r#"{"sessionId":"a"}"#, false),
    ("_x/note", r#"{"sessionId":"KID"}"#, false),
    ("_x/ask", r#"{"sessionId":"a"}"#, true),
    ("_x/ask", r#"{"sessionId":"KID"}"#, true),
    ("fs/read_text_file", r#"{"sessionId":"a","path":"/x"}"#, true),
    ("fs/read_text_file", r#"{"sessionId":"KID","path":"/x"}"#, true),
    ("terminal/create", r#"{"sessionId":"KID","command":"x"}"#, true),
    ("session/request_permission", r#"{"sessionId":"KID","options":[]}"#, true),
    ("elicitation/create", r#"{"sessionId":"a","mode":"form","message":"m"}"#, true),
    ("elicitation/create", r#"{"requestId":TURN,"mode":"form","message":"m"}"#, true),
    ("elicitation/complete", r#"{"elicitationId":"e-1"}"#, false),
    ("mcp/message", r#"{"connectionId":"conn-1","method":"m"}"#, true),
    ("mcp/message", r#"{"connectionId":"conn-1","method":"m"}"#, false),
];

/// The first client in a turn of `a`, with a sub-agent, a connection and an elicitation, and
/// the second one in a state.
fn two(state: State) -> (World, ClientId, ClientId, ChannelId, u64) {
    let mut world = World::new();
    let (first, channel) = world.start();
    let second = world.join();
    world.open(first, channel, "a");
    world.request(first, r#""turn-a""#, "session/prompt", &prompt("a"));
    let turn = world.expect_request(channel, "session/prompt", &prompt("a"));
    let announced =
        r#"{"sessionId":"a","update":{"sessionUpdate":"subagent_update","sessionId":"kid"}}"#;
    world.notify(channel, "session/update", announced);
    world.expect_notification(first, "session/update", announced);
    let connects = r#"{"acpId":"srv"}"#;
    world.request(channel, 90, "mcp/connect", connects);
    let asked = world.expect_request(first, "mcp/connect", connects);
    world.answer(first, asked, r#"{"connectionId":"conn-1"}"#);
    world.expect_answer(channel, 90, r#"{"connectionId":"conn-1"}"#);
    let begins = r#"{"sessionId":"a","mode":"url","elicitationId":"e-1","url":"u"}"#;
    world.request(channel, 91, "elicitation/create", begins);
    let asked = world.expect_request(first, "elicitation/create", begins);
    world.answer(first, asked, r#"{"action":"accept"}"#);
    world.expect_answer(channel, 91, r#"{"action":"accept"}"#);
    state(&mut world, second, channel);
    (world, first, second, channel, turn)
}

#[test]
fn what_is_for_one_client_reaches_that_one_and_no_other() {
    for (_, state) in STATES {
        for (method, params, is_request) in MESSAGES {
            let (mut world, first, second, channel, turn) = two(state);
            let says = params.replace("TURN", &turn.to_string()).replace("KID", "kid");
            let shown = params.replace("TURN", "\"turn-a\"").replace("KID", "kid");
            if is_request {
                world.request(channel, 1, method, &says);
                world.expect_request(first, method, &shown);
            } else {
                world.notify(channel, method, &says);
                world.expect_notification(first, method, &shown);
            }
            world.assert_nothing_for(second);
        }
    }
}

/// What names nothing that is known, and may be for either: shown to nobody.
#[test]
fn what_may_be_for_either_of_two_turns_reaches_none() {
    for (method, params) in [
        ("session/request_permission", permission("stranger")),
        ("fs/read_text_file", session("stranger")),
        ("elicitation/create", r#"{"mode":"form","message":"m"}"#.to_owned()),
        ("elicitation/create", r#"{"requestId":"of nobody","mode":"form"}"#.to_owned()),
        ("mcp/message", r#"{"connectionId":"unknown","method":"m"}"#.to_owned()),
        ("_x/ask", "{}".to_owned()),
        ("_x/ask", session("stranger")),
    ] {
        let (mut world, first, second, channel, _) = two(STATES[2].1);
        world.request(channel, 1, method, &params);
        world.assert_nothing_for(first);
        world.assert_nothing_for(second);
        assert!(!world.waits(channel, 1), "{method} {params} is answered");
        world.next(channel);
        world.notify(channel, "session/update", &update("stranger", "text"));
        world.assert_nothing_for(first);
        world.assert_nothing_for(second);
        world.expect_warning(|notice| matches!(notice, Notice::NoAddressee { .. }));
    }
}

/// The login of one client, its answers and what the agent asks for it stay with it.
#[test]
fn a_login_of_one_client_is_not_shown_to_the_other() {
    for (_, state) in STATES {
        let (mut world, first, second, channel, _) = two(state);
        world.request(first, r#""login""#, "authenticate", r#"{"methodId":"m"}"#);
        let login = world.expect_request(channel, "authenticate", r#"{"methodId":"m"}"#);
        let asks = |id: &str| format!(r#"{{"requestId":{id},"mode":"form","message":"code"}}"#);
        world.request(channel, 1, "elicitation/create", &asks(&login.to_string()));
        let asked = world.expect_request(first, "elicitation/create", &asks("\"login\""));
        world.answer(first, asked, r#"{"action":"accept","content":{"code":"secret"}}"#);
        world.expect_answer(channel, 1, r#"{"action":"accept","content":{"code":"secret"}}"#);
        world.answer(channel, login, "{}");
        world.expect_answer(first, "\"login\"", "{}");
        world.assert_nothing_for(second);
    }
}

/// After the client that was meant is gone, the other one gets nothing of what it had.
#[test]
fn what_was_for_a_client_that_is_gone_is_for_nobody() {
    for (method, params, is_request) in MESSAGES {
        // Its sessions go on, and its connection and elicitation are forgotten.
        if !params.contains("\"a\"") && !params.contains("KID") {
            continue;
        }
        let (mut world, first, second, channel, _) = two(STATES[1].1);
        world.gone(first);
        let says = params.replace("KID", "kid");
        match is_request {
            true => world.request(channel, 1, method, &says),
            false => world.notify(channel, method, &says),
        }
        if is_request && !world.waits(channel, 1) {
            world.next(channel);
        }
        world.assert_nothing_for(second);
    }
}

/// What the agent says while an open runs whose client has no other business there: an update
/// under an id of nobody, and a question that names nothing.
fn says_of_an_open(world: &mut World, channel: ChannelId) {
    world.notify(channel, "session/update", &update("new", "text"));
    world.request(channel, 1, "elicitation/create", r#"{"mode":"form","message":"m"}"#);
    if !world.waits(channel, 1) {
        world.next(channel);
    }
}

#[test]
fn what_an_open_brings_that_has_timed_out_is_shown_to_no_other_client() {
    let mut world = World::with(|config| config.agent.session_open_timeout = Limit::After(1_000));
    let (first, channel) = world.start();
    let second = world.join();
    world.open(first, channel, "a");
    world.request(second, 1, "session/new", NEW);
    world.expect_request(channel, "session/new", NEW);
    world.wait(1_000);
    world.expect_refusal(second, 1, -32603, "open_timeout");
    world.expect_warning(|_| true);
    world.expect_warning(|_| true);
    says_of_an_open(&mut world, channel);
    world.assert_nothing_for(first);
    world.rest(second);
}

#[test]
fn what_an_open_brings_whose_client_is_gone_is_shown_to_no_other_client() {
    let mut world = World::new();
    let (first, channel) = world.start();
    let second = world.join();
    world.open(first, channel, "a");
    world.request(second, 1, "session/new", NEW);
    world.expect_request(channel, "session/new", NEW);
    world.request(first, 2, "session/new", NEW);
    world.expect_request(channel, "session/new", NEW);
    world.gone(second);
    // It may ask for either.
    world.request(channel, 2, "_x/ask", &session("new"));
    world.next(channel);
    says_of_an_open(&mut world, channel);
    world.assert_nothing_for(first);
}

#[test]
fn a_question_is_not_shown_to_one_client_while_another_waits_for_a_request_to_all_processes() {
    let mut world = World::new();
    let (first, channel) = world.start();
    let second = world.join();
    world.open(first, channel, "a");
    world.request(second, 1, "logout", "{}");
    world.expect_request(channel, "logout", "{}");
    world.request(channel, 1, "elicitation/create", r#"{"mode":"form","message":"m"}"#);
    world.next(channel);
    world.assert_nothing_for(first);
    world.assert_nothing_for(second);
    world.expect_warning(|notice| matches!(notice, Notice::NoAddressee { .. }));
}

#[test]
fn frames_are_for_the_client_that_was_asked_under_their_id() {
    let mut world = World::new();
    let (first, channel) = world.start();
    let second = world.join();
    world.open(first, channel, "a");
    world.request(first, 1, "session/prompt", &prompt("a"));
    world.expect_request(channel, "session/prompt", &prompt("a"));
    world.request(second, 2, "session/new", NEW);
    let new = world.expect_request(channel, "session/new", NEW);
    world.request(channel, 1, "_x/ask", &session("stranger"));
    let asked = world.expect_request(second, "_x/ask", &session("stranger"));
    world.answer(second, asked, "{}");
    world.expect_answer(channel, 1, "{}");
    world.notify(channel, "session/update", &update("stranger", "text"));
    world.answer(channel, new, &session("b"));
    world.expect_answer(second, 2, &session("b"));
    world.expect_notification(second, "session/update", &update("stranger", "text"));
    world.assert_nothing_for(first);
}
