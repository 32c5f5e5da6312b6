//! The view that each of several clients has of a session: updates that need a capability,
//! terminals and turns of others, sequence numbers.

use drawbridge::bridge::{ChannelId, ClientId};

use crate::harness::{END_TURN, INITIALIZE, World, notification, prompt, session, stored, update};

/// A world whose sessions keep their last turns, with a client that has opened `a`.
fn world() -> (World, ClientId, ChannelId) {
    let mut world = World::with(|config| config.limits.replay_bytes = 1 << 20);
    let (opener, channel) = world.start();
    world.open(opener, channel, "a");
    (world, opener, channel)
}

/// A client that says something else of itself, so that it is in another pool.
fn stranger(world: &mut World, replaced: &str, by: &str) -> ClientId {
    let initialize = INITIALIZE.replace(replaced, by);
    assert_ne!(initialize, INITIALIZE);
    world.start_with(&initialize).0
}

/// A client attaches to the session without a word of its history.
fn resumes(world: &mut World, client: ClientId) {
    world.request(client, 80, "session/resume", &stored("a"));
    world.rest(client);
}

fn of_kind(kind: &str, rest: &str) -> String {
    let update = format!(r#"{{"sessionUpdate":"{kind}",{rest}}}"#);
    notification("session/update", &format!(r#"{{"sessionId":"a","update":{update}}}"#))
}

/// Whether each of these clients is shown an update of the agent as it is.
#[track_caller]
fn are_shown(world: &mut World, channel: ChannelId, line: &str, clients: &[(ClientId, bool)]) {
    world.says(channel, line.to_owned());
    for (client, is_shown) in clients {
        if *is_shown {
            world.expect_line(*client, line);
        }
    }
    // A client that was shown more than this fails here.
    world.assert_nothing_left();
}

#[test]
fn an_update_that_needs_a_capability_goes_to_strangers_that_offered_it() {
    for (kind, rest, capability) in [
        ("notice", r#""level":"info","text":"x""#, r#""session":{"notices":{}}"#),
        ("plan_update", r#""id":"p""#, r#""plan":{}"#),
        ("plan_removed", r#""id":"p""#, r#""plan":{}"#),
        ("subagent_update", r#""content":{}"#, r#""subagents":{}"#),
        ("compaction_started", r#""id":"c""#, r#""session":{"compaction":{}}"#),
        ("session_message_sent", r#""id":"m""#, r#""subagents":{}"#),
    ] {
        let (mut world, opener, channel) = world();
        let offers = format!(r#""terminal":true,{capability}"#);
        let able = stranger(&mut world, r#""terminal":true"#, &offers);
        let null = format!(r#""terminal":true,{}"#, capability.replace("{}", "null"));
        let unable = [
            stranger(&mut world, r#""terminal":true"#, r#""terminal":false"#),
            stranger(&mut world, r#""terminal":true"#, &null),
        ];
        // What the agent offers to its own pool is between the two.
        let own = world.join();
        for client in [able, unable[0], unable[1], own] {
            resumes(&mut world, client);
        }
        let shown =
            [(opener, true), (own, true), (able, true), (unable[0], false), (unable[1], false)];
        are_shown(&mut world, channel, &of_kind(kind, rest), &shown);
        let plain = of_kind("tool_call", r#""toolCallId":"t""#);
        are_shown(&mut world, channel, &plain, &shown.map(|(client, _)| (client, true)));
    }
}

#[test]
fn so_it_is_for_a_stranger_that_is_left_alone() {
    let mut world = World::new();
    let (opener, channel) = world.start();
    world.open(opener, channel, "a");
    let unable = stranger(&mut world, r#""terminal":true"#, r#""terminal":false"#);
    let params = session("a");
    world.request(unable, 80, "_drawbridge/attach", &params);
    world.rest(unable);
    world.gone(opener);
    let notice = of_kind("notice", r#""text":"x""#);
    are_shown(&mut world, channel, &notice, &[(unable, false)]);
}

#[test]
fn one_client_alone_gets_its_numbers_without_a_transcript_too() {
    let mut world = World::new();
    let numbered = INITIALIZE.replace(r#""events":true"#, r#""events":true,"seq":true"#);
    let (client, channel) = world.start_with(&numbered);
    world.open(client, channel, "a");
    for number in 1..=2 {
        world.notify(channel, "session/update", &update("a", "x"));
        let line = world.next_line(client);
        assert!(line.contains(&format!(r#""seq":{number}"#)), "{line}");
    }
}

#[test]
fn what_is_no_message_of_the_session_has_no_number() {
    let mut world = World::with(|config| config.limits.replay_bytes = 500);
    let (opener, channel) = world.start();
    world.open(opener, channel, "a");
    for turn in 0..5 {
        let number = world.prompt(opener, channel, "a", turn);
        world.notify(channel, "session/update", &update("a", &"x".repeat(100)));
        world.answer(channel, number, END_TURN);
    }
    world.rest(opener);
    // The agent cannot be asked while the turn runs.
    world.prompt(opener, channel, "a", 9);
    let numbered = r#""events":true,"seq":true"#;
    let late = stranger(&mut world, r#""events":true"#, numbered);
    world.request(late, 80, "session/load", &stored("a"));
    let first = world.next_line(late);
    assert!(first.contains("not in memory") && !first.contains(r#""seq""#), "{first}");
    world.rest(late);
}

#[test]
fn an_editor_that_cannot_show_turns_of_others_gets_its_own_and_the_state() {
    let (mut world, opener, channel) = world();
    let picky = stranger(
        &mut world,
        r#""protocolVersion":1"#,
        r#""protocolVersion":1,"clientInfo":{"name":"CodeCompanion.nvim","version":"1"}"#,
    );
    resumes(&mut world, picky);
    let both = [(opener, true), (picky, true)];
    let said = notification("session/update", &update("a", "hello"));
    let mode = of_kind("current_mode_update", r#""currentModeId":"code""#);
    // Between two turns it is shown everything, in a turn of another the state alone.
    are_shown(&mut world, channel, &said, &both);
    let turn = world.prompt(opener, channel, "a", 1);
    world.rest(picky);
    are_shown(&mut world, channel, &said, &[(opener, true), (picky, false)]);
    are_shown(&mut world, channel, &mode, &both);
    // A notification that is no update is no part of the turn.
    let other = notification("_vendor/x", &session("a"));
    are_shown(&mut world, channel, &other, &both);
    // Its own prompt waits for that turn.
    world.request(picky, 2, "session/prompt", &prompt("a"));
    world.answer(channel, turn, END_TURN);
    world.rest(opener);
    world.rest(picky);
    let own = world.expect_request(channel, "session/prompt", &prompt("a"));
    are_shown(&mut world, channel, &said, &both);
    world.answer(channel, own, END_TURN);
    world.rest(opener);
    world.expect_answer(picky, 2, END_TURN);
    // One that comes later is replayed the turns of everybody.
    world.request(picky, 3, "_drawbridge/detach", &session("a"));
    world.expect_answer(picky, 3, "{}");
    world.request(picky, 4, "session/load", &stored("a"));
    for line in [&said, &said, &said, &mode] {
        world.expect_line(picky, line);
    }
    world.expect_answer(picky, 4, "{}");
}

#[test]
fn a_terminal_of_another_client_is_shown_as_a_text() {
    let (mut world, opener, channel) = world();
    world.request(channel, 50, "terminal/create", r#"{"sessionId":"a","command":"ls"}"#);
    let number =
        world.expect_request(opener, "terminal/create", r#"{"sessionId":"a","command":"ls"}"#);
    world.answer(opener, number, r#"{"terminalId":"t"}"#);
    world.expect_answer(channel, 50, r#"{"terminalId":"t"}"#);
    let call =
        |content: &str| of_kind("tool_call", &format!(r#""toolCallId":"c","content":[{content}]"#));
    let terminal = |id: &str| format!(r#"{{"type":"terminal","terminalId":"{id}"}}"#);
    let text =
        r#"{"type":"content","content":{"type":"text","text":"(a terminal in another window)"}}"#;
    // Alone, the client is shown what the agent wrote, whatever it names.
    are_shown(&mut world, channel, &call(&terminal("unknown")), &[(opener, true)]);
    let watcher = world.join();
    resumes(&mut world, watcher);
    let diff = r#"{"type":"diff","path":"/x"}"#;
    let both = call(&[diff, &terminal("t")].join(","));
    world.says(channel, both.clone());
    world.expect_line(opener, &both);
    world.expect_line(watcher, &call(&[diff, text].join(",")));
    // Of one that nobody is known to have, both are shown the text.
    world.says(channel, call(&terminal("unknown")));
    for client in [opener, watcher] {
        world.expect_line(client, &call(text));
    }
    // Other updates pass as they are.
    let other = of_kind("agent_message_chunk", r#""content":[{"terminalId":"t"}]"#);
    are_shown(&mut world, channel, &other, &[(opener, true), (watcher, true)]);
}
