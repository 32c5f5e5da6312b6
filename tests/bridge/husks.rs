//! Agents that cannot close sessions: what they hold, and when they are replaced.

use drawbridge::bridge::{
    ChannelId, ClientId, Event, Limit, Moment, Notice, Process, ShutdownCause,
};

use crate::harness::{
    CANCELLED, Deed, NEW, NOT_ALLOWED, WITHOUT_CLOSE, World, permission, session, stored, update,
};

fn world(max_husks: usize) -> World {
    let mut world = World::with(|config| config.agent.max_husks = max_husks);
    world.agent = WITHOUT_CLOSE;
    world
}

#[track_caller]
fn closed_at_once(world: &mut World, editor: ClientId, id: &str) {
    world.request(editor, 90, "session/close", &session(id));
    world.expect_closed(editor, id, "client_close");
    world.expect_answer(editor, 90, "{}");
}

/// Closes the session `a` in a turn, which the bridge cancels: the number of its prompt.
#[track_caller]
fn closed_in_turn(world: &mut World, editor: ClientId, channel: ChannelId) -> u64 {
    let turn = world.prompt(editor, channel, "a", 1);
    world.request(editor, 2, "session/close", &session("a"));
    world.expect_closed(editor, "a", "client_close");
    world.expect_notification(channel, "session/cancel", &session("a"));
    turn
}

#[test]
fn a_close_is_answered_at_once_and_leaves_a_husk() {
    let mut world = world(8);
    let (editor, channel) = world.start();
    world.open(editor, channel, "a");
    closed_at_once(&mut world, editor, "a");
    // The agent was told nothing; what it still says is dropped.
    world.notify(channel, "session/update", &update("a", "late"));
    world.request(channel, 1, "session/request_permission", &permission("a"));
    world.expect_answer(channel, 1, NOT_ALLOWED);
    assert_eq!(world.bridge.counters().late_frames, 1);
    world.load(editor, channel, "a");
}

#[test]
fn a_close_in_a_turn_waits_for_the_end_of_the_turn() {
    let mut world = world(8);
    let (editor, channel) = world.start();
    world.open(editor, channel, "a");
    let turn = closed_in_turn(&mut world, editor, channel);
    world.assert_nothing_left();
    world.answer(channel, turn, CANCELLED);
    world.expect_answer(editor, 1, CANCELLED);
    world.expect_answer(editor, 2, "{}");
    // What was started in its turns may still run.
    world.expect(channel, Deed::Survey);
}

#[test]
fn a_close_in_a_turn_ends_once_with_its_channel() {
    let mut world = world(8);
    let (editor, channel) = world.start();
    world.open(editor, channel, "a");
    closed_in_turn(&mut world, editor, channel);
    world.event(Event::ChannelLost { channel });
    world.expect_refusal(editor, 1, -32603, "agent_stopped");
    world.expect_answer(editor, 2, "{}");
    world.expect(channel, Deed::CloseStdin);
    world.expect_warning(|notice| matches!(notice, Notice::ChannelStopping { .. }));
}

#[test]
fn a_session_that_was_closed_in_a_turn_is_a_husk_after_it() {
    let mut world = world(1);
    let (editor, channel) = world.start();
    world.open(editor, channel, "sibling");
    world.open(editor, channel, "a");
    let turn = closed_in_turn(&mut world, editor, channel);
    world.answer(channel, turn, CANCELLED);
    world.expect_answer(editor, 1, CANCELLED);
    world.expect_answer(editor, 2, "{}");
    world.expect(channel, Deed::Survey);
    let successor = world.expect_spawn("/home");
    world.next(successor);
}

#[test]
fn a_turn_that_does_not_end_is_cancelled_when_the_close_times_out() {
    let mut world = world(8);
    let (editor, channel) = world.start();
    world.open(editor, channel, "a");
    closed_in_turn(&mut world, editor, channel);
    world.wait(9_999);
    world.assert_nothing_left();
    world.wait(1);
    world.expect_answer(editor, 1, CANCELLED);
    world.expect_answer(editor, 2, "{}");
    world.expect(channel, Deed::Survey);
    // It broke no promise: it is not condemned.
    world.open(editor, channel, "b");
}

#[test]
fn at_max_husks_a_successor_is_started_first_and_then_the_old_one_drains() {
    let mut world = world(2);
    let (editor, old) = world.start();
    for id in ["a", "b", "c"] {
        world.open(editor, old, id);
    }
    closed_at_once(&mut world, editor, "a");
    world.open(editor, old, "d");
    closed_at_once(&mut world, editor, "b");
    let fresh = world.expect_spawn("/home");
    // Until the successor is ready the old one stays in service.
    world.open(editor, old, "e");
    world.handshake(fresh);
    world.open(editor, fresh, "f");
    for id in ["c", "d"] {
        closed_at_once(&mut world, editor, id);
    }
    world.assert_nothing_left();
    closed_at_once(&mut world, editor, "e");
    world.expect(old, Deed::CloseStdin);
    world.prompt(editor, fresh, "f", 1);
}

#[test]
fn a_successor_has_the_settings_of_the_pool_before_the_old_one_drains() {
    let mut world = world(1);
    let (editor, old) = world.start();
    let provider = r#"{"id":"p","apiType":"x"}"#;
    world.agreed(editor, old, "providers/set", provider);
    world.open(editor, old, "a");
    world.open(editor, old, "b");
    closed_at_once(&mut world, editor, "a");
    let fresh = world.expect_spawn("/home");
    world.handshake(fresh);
    let set = world.expect_request(fresh, "providers/set", provider);
    world.open(editor, old, "c");
    world.answer(fresh, set, "{}");
    world.open(editor, fresh, "d");
}

#[test]
fn a_channel_without_a_live_session_is_not_replaced_for_its_husks() {
    let mut world = world(1);
    let (editor, channel) = world.start();
    world.open(editor, channel, "a");
    closed_at_once(&mut world, editor, "a");
    world.wait(599_999);
    world.assert_nothing_left();
    world.wait(1);
    world.expect(channel, Deed::CloseStdin);
}

#[test]
fn a_channel_whose_successor_fails_is_kept_and_that_is_said_once() {
    for max_channels in [0, 1] {
        let mut world = World::with(|config| {
            config.agent.max_husks = 1;
            config.limits.max_channels = max_channels;
        });
        world.agent = WITHOUT_CLOSE;
        let (editor, old) = world.start();
        world.open(editor, old, "a");
        world.open(editor, old, "b");
        closed_at_once(&mut world, editor, "a");
        if max_channels == 0 {
            let fresh = world.expect_spawn("/home");
            world.exits(fresh, 1);
            world.expect_warning(|notice| matches!(notice, Notice::ChannelExited { .. }));
            world.next(fresh);
        }
        world.expect_warning(|notice| matches!(notice, Notice::SuccessorFailed { .. }));
        world.open(editor, old, "c");
        closed_at_once(&mut world, editor, "c");
        world.open(editor, old, "d");
    }
}

#[test]
fn a_husk_weighs_more_for_its_servers_and_for_what_was_born_in_its_turns() {
    let mut world = world(6);
    let (editor, channel) = world.start();
    world.open(editor, channel, "sibling");
    let servers = r#"{"cwd":"/work","mcpServers":[{"name":"x","command":"x","args":[],"env":[]},{"type":"http","name":"y","url":"u","headers":[]}]}"#;
    world.request(editor, 1, "session/new", servers);
    let number = world.expect_request(channel, "session/new", servers);
    world.answer(channel, number, &session("a"));
    world.expect_answer(editor, 1, &session("a"));
    world.wait(1_000);
    let turn = world.prompt(editor, channel, "a", 2);
    world.wait(1_000);
    world.answer(channel, turn, CANCELLED);
    world.expect_answer(editor, 2, CANCELLED);
    closed_at_once(&mut world, editor, "a");
    world.expect(channel, Deed::Survey);
    // One for itself and two for its server; a process of another time costs nothing.
    let process =
        |millis| Process { pid: 1, name: "make".to_owned(), born: Moment::from_millis(millis) };
    world.surveyed(channel, vec![process(5)]);
    world.open(editor, channel, "b");
    let turn = world.prompt(editor, channel, "b", 3);
    world.wait(1_000);
    world.answer(channel, turn, CANCELLED);
    world.expect_answer(editor, 3, CANCELLED);
    closed_at_once(&mut world, editor, "b");
    world.expect(channel, Deed::Survey);
    world.assert_nothing_left();
    world.surveyed(channel, vec![process(2_500)]);
    let successor = world.expect_spawn("/home");
    world.next(successor);
}

#[test]
fn a_session_that_was_closed_unseen_is_a_husk_like_any_other() {
    let mut world = world(1);
    let (editor, old) = world.start();
    let leaver = world.join();
    world.open(editor, old, "a");
    world.request(leaver, 1, "session/new", NEW);
    let number = world.expect_request(old, "session/new", NEW);
    world.gone(leaver);
    world.answer(old, number, &session("b"));
    let fresh = world.expect_spawn("/home");
    world.handshake(fresh);
    world.open(editor, fresh, "c");
}

#[test]
fn a_husk_that_was_reinstated_counts_no_more() {
    let mut world = world(2);
    let (editor, channel) = world.start();
    world.open(editor, channel, "a");
    world.open(editor, channel, "b");
    closed_at_once(&mut world, editor, "a");
    world.load(editor, channel, "a");
    closed_at_once(&mut world, editor, "b");
    world.open(editor, channel, "c");
}

#[test]
fn a_husk_ends_with_its_process() {
    let mut world = world(8);
    let (editor, old) = world.start();
    world.open(editor, old, "a");
    closed_at_once(&mut world, editor, "a");
    world.exits(old, 0);
    world.request(editor, 1, "session/load", &stored("a"));
    let fresh = world.expect_spawn("/home");
    world.handshake(fresh);
    let load = world.expect_request(fresh, "session/load", &stored("a"));
    world.answer(fresh, load, "null");
    world.expect_answer(editor, 1, "null");
}

#[test]
fn zero_max_husks_is_no_cap() {
    let mut world = world(0);
    let (editor, channel) = world.start();
    for id in 0..50 {
        world.open(editor, channel, &id.to_string());
        closed_at_once(&mut world, editor, &id.to_string());
    }
}

#[test]
fn with_a_channel_each_a_husk_keeps_newcomers_away() {
    let mut world = World::with(|config| {
        config.agent.share = drawbridge::bridge::config::Share::Session;
        config.agent.channel_idle_timeout = Limit::Never;
    });
    world.agent = WITHOUT_CLOSE;
    let (editor, first) = world.start();
    world.open(editor, first, "a");
    closed_at_once(&mut world, editor, "a");
    world.request(editor, 1, "session/new", NEW);
    let second = world.expect_spawn("/work");
    world.handshake(second);
    world.opened(editor, second, "b", "1");
    // But it can go on with its own.
    world.request(editor, 2, "session/load", &stored("a"));
    let load = world.expect_request(first, "session/load", &stored("a"));
    world.answer(first, load, "null");
    world.expect_answer(editor, 2, "null");
}

#[test]
fn a_husk_is_deleted_where_it_lives() {
    let mut world = world(8);
    let (editor, channel) = world.start();
    world.open(editor, channel, "a");
    closed_at_once(&mut world, editor, "a");
    world.agreed(editor, channel, "session/delete", &session("a"));
}

#[test]
fn a_shutdown_does_not_wait_for_a_close_that_cannot_be_asked_for() {
    let mut world = world(8);
    let (editor, channel) = world.start();
    world.open(editor, channel, "a");
    world.shutdown(ShutdownCause::StdinEnded);
    world.expect_died(editor, "a", "shutdown", "");
    world.expect(channel, Deed::CloseStdin);
    world.exits(channel, 0);
    world.expect_exit(&[]);
}

#[test]
fn what_its_sub_agents_leave_is_no_husk() {
    let mut world = world(2);
    let (editor, channel) = world.start();
    world.open(editor, channel, "a");
    world.open(editor, channel, "b");
    let announced =
        r#"{"sessionId":"a","update":{"sessionUpdate":"subagent_update","sessionId":"kid"}}"#;
    world.notify(channel, "session/update", announced);
    world.expect_notification(editor, "session/update", announced);
    closed_at_once(&mut world, editor, "a");
    world.open(editor, channel, "c");
}
