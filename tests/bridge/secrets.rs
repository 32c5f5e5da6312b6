//! What a request holds that must not be quoted: it is named before the agent gets it.

use crate::harness::{Got, World, session, stored};

const SERVERS: &str = r#""mcpServers":[
    {"name":"files","command":"/bin/mcp","args":["--verbose-logging"],
     "env":[{"name":"API_KEY","value":"secret-of-\u0065nv"},{"name":"N","value":"short"}]},
    {"type":"http","name":"web","url":"http://localhost:1/",
     "headers":[{"name":"Authorization","value":"Bearer secret-of-header"}]}]"#;

fn concealed(got: Got) -> Vec<String> {
    match got {
        Got::Concealed(secrets) => secrets.into_iter().map(Into::into).collect(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn of_mcp_servers_the_values_of_environment_and_headers() {
    let mut world = World::new();
    let (editor, channel) = world.start();
    let servers = SERVERS.replace('\n', "");
    let params = format!(r#"{{"cwd":"/work",{servers}}}"#);
    world.request(editor, 1, "session/new", &params);
    assert_eq!(
        concealed(world.next(channel)),
        ["secret-of-env", "Bearer secret-of-header", "secret-of-header"]
    );
    // The request itself is passed on untouched.
    let number = world.expect_request(channel, "session/new", &params);
    world.answer(channel, number, &session("a"));
    world.expect_answer(editor, 1, &session("a"));
    // A load of the live session may bring others.
    let load = stored("a").replace(r#""mcpServers":[]"#, &servers.replace("secret", "other"));
    world.request(editor, 2, "session/load", &load);
    assert_eq!(
        concealed(world.next(channel)),
        ["other-of-env", "Bearer other-of-header", "other-of-header"]
    );
    world.expect_request(channel, "session/load", &load);
}

#[test]
fn of_a_login_whatever_it_carries() {
    let mut world = World::new();
    let (editor, channel) = world.start();
    let params = r#"{"methodId":"gateway-login","_meta":{"gateway":{"url":["https://g.example"],"headers":{"x-key":"secret-of-login"}}}}"#;
    world.request(editor, 1, "authenticate", params);
    assert_eq!(concealed(world.next(channel)), ["https://g.example", "secret-of-login"]);
    world.expect_request(channel, "authenticate", params);
}
