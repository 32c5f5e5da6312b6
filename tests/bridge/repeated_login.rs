//! A login that a client has made is repeated on a further process that asks for one.

use drawbridge::bridge::config::Share;
use drawbridge::bridge::{ChannelId, ClientId};

use crate::harness::{NEW, World, session};

const LOGIN: &str = r#"{"methodId":"x"}"#;

/// A client that has logged in on the first process, has a session there, and asks for one
/// more, for which a second process is ready.
fn second_process(world: &mut World, login: &str) -> (ClientId, ChannelId, ChannelId) {
    let (editor, first) = world.start();
    world.agreed(editor, first, "authenticate", login);
    world.open(editor, first, "a");
    world.request(editor, 1, "session/new", NEW);
    let second = world.expect_spawn("/home");
    world.handshake(second);
    (editor, first, second)
}

/// A client that has logged in on the first process, and whose next open a second one refuses
/// for want of a login: the number of the login that is repeated there.
fn refused(world: &mut World) -> (ClientId, ChannelId, ChannelId, u64) {
    let (editor, first, second) = second_process(world, LOGIN);
    let open = world.expect_request(second, "session/new", NEW);
    world.fail(second, open, -32000);
    let login = world.expect_request(second, "authenticate", LOGIN);
    (editor, first, second, login)
}

fn one_each() -> World {
    World::with(|config| config.agent.sessions_per_channel = 1)
}

#[test]
fn the_open_is_sent_again_behind_the_login_and_its_client_sees_one_answer() {
    let mut world = one_each();
    let (editor, _, second, login) = refused(&mut world);
    world.assert_nothing_left();
    world.answer(second, login, "{}");
    world.opened(editor, second, "b", "1");
}

#[test]
fn the_questions_of_the_repeated_login_go_to_the_client_of_the_open() {
    let mut world = one_each();
    let (editor, first, second, login) = refused(&mut world);
    let other = world.join();
    let ask = |id: &str| format!(r#"{{"requestId":{id},"mode":"url","url":"u"}}"#);
    world.request(second, 7, "elicitation/create", &ask(&login.to_string()));
    let asked = world.expect_request(editor, "elicitation/create", &ask("1"));
    world.assert_nothing_for(other);
    world.assert_nothing_for(first);
    world.answer(editor, asked, r#"{"action":"accept"}"#);
    world.expect_answer(second, 7, r#"{"action":"accept"}"#);
    world.answer(second, login, "{}");
    world.opened(editor, second, "b", "1");
}

#[test]
fn the_client_gets_the_first_refusal_if_the_login_or_the_second_open_is_refused() {
    for login_succeeds in [false, true] {
        let mut world = one_each();
        let (editor, _, second, login) = refused(&mut world);
        if login_succeeds {
            world.answer(second, login, "{}");
            let open = world.expect_request(second, "session/new", NEW);
            world.fail(second, open, -32000);
        } else {
            world.fail(second, login, -1);
        }
        world.expect_failure(editor, 1, -32000);
        world.assert_nothing_left();
    }
}

#[test]
fn a_login_that_nobody_waits_for_is_not_repeated() {
    // A process that is started ahead of its use is not logged in.
    let mut world = World::with(|config| {
        config.agent.sessions_per_channel = 1;
        config.limits.preheat = true;
    });
    let (editor, first) = world.start();
    world.agreed(editor, first, "authenticate", LOGIN);
    world.request(editor, 1, "session/new", NEW);
    let new = world.expect_request(first, "session/new", NEW);
    world.gone(editor);
    world.fail(first, new, -32000);
    world.assert_nothing_for(first);
}

#[test]
fn requests_that_came_during_the_login_are_sent_when_it_is_over() {
    for outcome in ["success", "refusal", "silence"] {
        let mut world = one_each();
        let (editor, _, second, login) = refused(&mut world);
        // It goes to the process that last served the client, which is being logged in.
        world.request(editor, 2, "_x/about", &session("unknown"));
        world.assert_nothing_for(second);
        match outcome {
            "success" => {
                world.answer(second, login, "{}");
                world.opened(editor, second, "b", "1");
            }
            "refusal" => {
                world.fail(second, login, -1);
                world.expect_failure(editor, 1, -32000);
            }
            _ => {
                world.wait(120_000);
                world.expect_failure(editor, 1, -32000);
            }
        }
        let about = world.expect_request(second, "_x/about", &session("unknown"));
        world.answer(second, about, "{}");
        world.expect_answer(editor, 2, "{}");
    }
}

/// Two opens in different directories, each with a process of its own, but for the third one.
fn per_directory() -> World {
    World::with(|config| config.agent.share = Share::Cwd)
}

fn new_in(cwd: &str) -> String {
    format!(r#"{{"cwd":"{cwd}","mcpServers":[]}}"#)
}

#[test]
fn every_open_that_the_process_refuses_meanwhile_waits_for_the_same_login() {
    for late in ["before the login is answered", "after it is answered"] {
        let mut world = per_directory();
        let (editor, first) = world.start();
        world.agreed(editor, first, "authenticate", LOGIN);
        world.request(editor, 1, "session/new", &new_in("/one"));
        let open = world.expect_request(first, "session/new", &new_in("/one"));
        world.answer(first, open, &session("a"));
        world.expect_answer(editor, 1, &session("a"));
        world.request(editor, 2, "session/new", &new_in("/two"));
        world.request(editor, 3, "session/new", &new_in("/two"));
        let second = world.expect_spawn("/two");
        world.handshake(second);
        let opens = [2, 3].map(|_| world.expect_request(second, "session/new", &new_in("/two")));
        world.fail(second, opens[0], -32000);
        let login = world.expect_request(second, "authenticate", LOGIN);
        world.request(editor, 4, "session/new", &new_in("/two"));
        if late == "after it is answered" {
            world.answer(second, login, "{}");
            let again = world.expect_request(second, "session/new", &new_in("/two"));
            let fourth = world.expect_request(second, "session/new", &new_in("/two"));
            world.fail(second, opens[1], -32000);
            let third = world.expect_request(second, "session/new", &new_in("/two"));
            for (call, id, name) in [(again, 2, "b"), (fourth, 4, "d"), (third, 3, "c")] {
                world.answer(second, call, &session(name));
                world.expect_answer(editor, id, &session(name));
            }
            continue;
        }
        world.fail(second, opens[1], -32000);
        world.assert_nothing_left();
        world.answer(second, login, "{}");
        // In the order in which they came to wait.
        for (id, name) in [(2, "b"), (4, "d"), (3, "c")] {
            let call = world.expect_request(second, "session/new", &new_in("/two"));
            world.answer(second, call, &session(name));
            world.expect_answer(editor, id, &session(name));
        }
    }
}

#[test]
fn a_login_that_succeeds_while_an_open_is_on_its_way_is_repeated_for_it() {
    let mut world = one_each();
    let (editor, first) = world.start();
    world.open(editor, first, "a");
    world.request(editor, 1, "session/new", NEW);
    let second = world.expect_spawn("/home");
    world.handshake(second);
    let open = world.expect_request(second, "session/new", NEW);
    world.agreed(editor, first, "authenticate", LOGIN);
    world.fail(second, open, -32000);
    let login = world.expect_request(second, "authenticate", LOGIN);
    world.answer(second, login, "{}");
    world.opened(editor, second, "b", "1");
}

#[test]
fn while_a_logout_is_under_way_no_process_is_logged_in() {
    for credentials in [LOGIN, r#"{"methodId":"x","_meta":{"key":"secret"}}"#] {
        let mut world = one_each();
        let (editor, first) = world.start();
        world.agreed(editor, first, "authenticate", credentials);
        world.open(editor, first, "a");
        world.request(editor, 1, "session/new", NEW);
        let second = world.expect_spawn("/home");
        world.request(editor, 2, "logout", "{}");
        let logout = world.expect_request(first, "logout", "{}");
        world.handshake(second);
        let open = world.expect_request(second, "session/new", NEW);
        world.fail(second, open, -32000);
        world.expect_failure(editor, 1, -32000);
        world.answer(first, logout, "{}");
        world.expect_answer(editor, 2, "{}");
    }
}

#[test]
fn a_login_that_was_sent_ahead_of_the_opens_is_not_repeated_behind_one() {
    for outcome in ["refusal", "silence"] {
        let credentials = r#"{"methodId":"x","_meta":{"key":"secret"}}"#;
        let mut world = one_each();
        let (editor, _, second) = second_process(&mut world, credentials);
        let login = world.expect_request(second, "authenticate", credentials);
        match outcome {
            "refusal" => world.fail(second, login, -1),
            _ => world.wait(120_000),
        }
        let open = world.expect_request(second, "session/new", NEW);
        world.fail(second, open, -32000);
        world.expect_failure(editor, 1, -32000);
        world.assert_nothing_left();
    }
}
