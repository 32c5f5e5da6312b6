//! The fence: what a channel may still hold, no other channel opens.

use drawbridge::bridge::{ChannelId, ClientId, Event, Limit, Notice};

use crate::harness::{
    ALLOWED, Deed, END_TURN, NEW, WITHOUT_CLOSE, World, notification, session, stored, update,
};

#[test]
fn fenced_by_a_channel_that_is_closing_it() {
    let mut world = World::with(|config| config.agent.sessions_per_channel = 1);
    let (editor, old) = world.start();
    world.open(editor, old, "a");
    world.request(editor, 1, "session/close", &session("a"));
    world.expect_closed(editor, "a", "client_close");
    let close = world.expect_request(old, "session/close", &session("a"));
    world.request(editor, 2, "session/load", &stored("a"));
    world.wait(9_000);
    world.assert_nothing_left();
    world.answer(old, close, "{}");
    world.expect_answer(editor, 1, "{}");
    let load = world.expect_request(old, "session/load", &stored("a"));
    world.answer(old, load, "null");
    world.expect_answer(editor, 2, "null");
}

#[test]
fn fenced_by_a_channel_that_is_stopping_which_is_hurried_once() {
    let mut world = World::with(|config| config.agent.channel_idle_timeout = Limit::After(0));
    world.agent = WITHOUT_CLOSE;
    let (editor, old) = world.start();
    world.open(editor, old, "a");
    world.request(editor, 1, "session/close", &session("a"));
    world.expect_closed(editor, "a", "client_close");
    world.expect_answer(editor, 1, "{}");
    world.expect(old, Deed::CloseStdin);
    world.wait(1_000);
    world.request(editor, 2, "session/load", &stored("a"));
    world.expect(old, Deed::Terminate);
    world.request(editor, 3, "session/new", NEW);
    let fresh = world.expect_spawn("/home");
    world.handshake(fresh);
    world.opened(editor, fresh, "b", "3");
    // Once: what happens meanwhile is no further hurry.
    world.wait(1_000);
    world.prompt(editor, fresh, "b", 4);
    world.assert_nothing_left();
    world.exits(old, 0);
    let load = world.expect_request(fresh, "session/load", &stored("a"));
    world.answer(fresh, load, "null");
    world.expect_answer(editor, 2, "null");
}

#[test]
fn fenced_by_a_condemned_channel() {
    let mut world = World::new();
    let (editor, old) = world.start();
    world.open(editor, old, "a");
    world.open(editor, old, "sibling");
    world.request(editor, 1, "session/close", &session("a"));
    world.expect_closed(editor, "a", "client_close");
    world.expect_request(old, "session/close", &session("a"));
    world.wait(10_000);
    world.expect_answer(editor, 1, "{}");
    world.expect_warning(|notice| matches!(notice, Notice::CloseUnanswered { .. }));
    world.expect_warning(|notice| matches!(notice, Notice::ChannelDraining { .. }));
    // Refused, and the close is sent again.
    world.request(editor, 2, "session/load", &stored("a"));
    world.expect_refusal(editor, 2, -32603, "session_fenced");
    let close = world.expect_request(old, "session/close", &session("a"));
    // Now it is closing: the next one waits, and goes to the successor.
    world.request(editor, 3, "session/load", &stored("a"));
    world.assert_nothing_left();
    world.answer(old, close, "{}");
    let fresh = world.expect_spawn("/home");
    world.handshake(fresh);
    let load = world.expect_request(fresh, "session/load", &stored("a"));
    world.answer(fresh, load, "null");
    world.expect_answer(editor, 3, "null");
}

#[test]
fn a_husk_is_reinstated_where_it_lives() {
    let mut world = World::with(|config| {
        config.limits.max_sessions = 2;
    });
    world.agent = WITHOUT_CLOSE;
    let (editor, old) = world.start();
    world.open(editor, old, "a");
    world.open(editor, old, "sibling");
    world.request(editor, 1, "session/close", &session("a"));
    world.expect_closed(editor, "a", "client_close");
    world.expect_answer(editor, 1, "{}");
    world.load(editor, old, "a");
    let turn = world.prompt(editor, old, "a", 2);
    world.answer(old, turn, END_TURN);
    world.expect_answer(editor, 2, END_TURN);
    // The limit of sessions holds for it too.
    world.request(editor, 3, "session/close", &session("a"));
    world.expect_closed(editor, "a", "client_close");
    world.expect_answer(editor, 3, "{}");
    world.expect(old, Deed::Survey);
    world.request(editor, 4, "session/new", NEW);
    world.opened(editor, old, "b", "4");
    world.request(editor, 5, "session/load", &stored("a"));
    world.expect_refusal(editor, 5, -32603, "session_limit");
}

#[test]
fn a_waiter_at_the_fence_waits_within_its_open_timeout() {
    let mut world = World::with(|config| {
        config.agent.session_open_timeout = Limit::After(1_000);
        config.agent.session_close_timeout = Limit::Never;
    });
    let (editor, channel) = world.start();
    world.open(editor, channel, "a");
    world.request(editor, 1, "session/close", &session("a"));
    world.expect_closed(editor, "a", "client_close");
    world.expect_request(channel, "session/close", &session("a"));
    world.request(editor, 2, "session/load", &stored("a"));
    world.wait(1_000);
    world.expect_refusal(editor, 2, -32603, "open_timeout");
    world.says(editor, notification("_bye", "{}"));
    world.expect_notification(channel, "_bye", "{}");
}

#[test]
fn a_restore_that_timed_out_stays_fenced_until_its_late_answer() {
    let mut world = World::new();
    let (editor, old) = world.start();
    world.open(editor, old, "sibling");
    let late = world.open_too_late(editor, old, "session/load", &stored("a"));
    // It may hold it by now: no other channel opens it.
    world.request(editor, 2, "session/load", &stored("a"));
    let data = world.expect_refusal(editor, 2, -32603, "session_fenced");
    assert_eq!(data["retryAfterMs"], 1_000);
    world.notify(old, "session/update", &update("a", "replay nobody waits for"));
    assert_eq!(world.bridge.counters().late_frames, 1);
    world.answer(old, late, "null");
    let close = world.expect_request(old, "session/close", &session("a"));
    // Now it is on its way out: the next one waits for that.
    world.request(editor, 3, "session/load", &stored("a"));
    world.assert_nothing_left();
    world.answer(old, close, "{}");
    let fresh = world.expect_spawn("/home");
    world.handshake(fresh);
    let load = world.expect_request(fresh, "session/load", &stored("a"));
    world.answer(fresh, load, "null");
    world.expect_answer(editor, 3, "null");
}

#[test]
fn a_restore_that_timed_out_stays_fenced_until_its_channels_end() {
    let mut world = World::new();
    let (editor, old) = world.start();
    world.open_too_late(editor, old, "session/load", &stored("a"));
    // Nothing else keeps it: it is on its way out, and whoever waits for it hurries it.
    world.expect(old, Deed::CloseStdin);
    world.wait(1);
    world.request(editor, 2, "session/load", &stored("a"));
    world.expect(old, Deed::Terminate);
    world.exits(old, 0);
    let fresh = world.expect_spawn("/home");
    world.handshake(fresh);
    let load = world.expect_request(fresh, "session/load", &stored("a"));
    world.answer(fresh, load, "null");
    world.expect_answer(editor, 2, "null");
}

#[test]
fn a_restore_that_was_refused_late_is_fenced_no_more() {
    let mut world = World::new();
    let (editor, old) = world.start();
    world.open(editor, old, "sibling");
    let late = world.open_too_late(editor, old, "session/resume", &stored("a"));
    world.fail(old, late, -32603);
    world.request(editor, 3, "session/resume", &stored("a"));
    let fresh = world.expect_spawn("/home");
    world.handshake(fresh);
    world.expect_request(fresh, "session/resume", &stored("a"));
}

/// Three processes whose agents all called their session `1` and hold it still;
/// clients knew it as `1`, `~1~1` and `~2~1`.
fn three_husks(world: &mut World) -> (ClientId, [ChannelId; 3]) {
    world.agent = WITHOUT_CLOSE;
    let (editor, first) = world.start();
    world.open(editor, first, "1");
    let others = ["~1~1", "~2~1"].map(|id| {
        world.request(editor, 1, "session/new", NEW);
        let channel = world.expect_spawn("/home");
        world.handshake(channel);
        let number = world.expect_request(channel, "session/new", NEW);
        world.answer(channel, number, &session("1"));
        world.expect_answer(editor, 1, &session(id));
        channel
    });
    for id in ["1", "~1~1", "~2~1"] {
        world.request(editor, 2, "session/close", &session(id));
        world.expect_closed(editor, id, "client_close");
        world.expect_answer(editor, 2, "{}");
    }
    (editor, [first, others[0], others[1]])
}

#[test]
fn of_several_that_hold_an_id_the_one_that_clients_mean_by_it_is_asked() {
    for (id, at) in [("1", 0), ("~1~1", 1)] {
        let mut world = World::with(|config| config.agent.sessions_per_channel = 1);
        let (editor, channels) = three_husks(&mut world);
        world.request(editor, 3, "session/load", &stored(id));
        world.expect_request(channels[at], "session/load", &stored("1"));
    }
}

#[test]
fn of_several_that_hold_an_id_the_oldest_is_asked_if_none_is_meant_by_it() {
    let mut world = World::with(|config| config.agent.sessions_per_channel = 1);
    let (editor, [first, second, _]) = three_husks(&mut world);
    // The one that clients knew by it is gone.
    world.exits(first, 0);
    world.request(editor, 3, "session/load", &stored("1"));
    let load = world.expect_request(second, "session/load", &stored("1"));
    world.answer(second, load, "null");
    world.expect_answer(editor, 3, "null");
}

#[test]
fn a_husk_on_a_channel_that_is_being_stopped_is_waited_for_and_not_reinstated() {
    let mut world = World::with(|config| config.agent.sessions_per_channel = 1);
    world.agent = WITHOUT_CLOSE;
    let (editor, old) = world.start();
    world.open(editor, old, "a");
    world.request(editor, 1, "session/close", &session("a"));
    world.expect_closed(editor, "a", "client_close");
    world.expect_answer(editor, 1, "{}");
    world.event(Event::ChannelLost { channel: old });
    world.expect_warning(|notice| matches!(notice, Notice::ChannelStopping { .. }));
    world.expect(old, Deed::CloseStdin);
    world.request(editor, 2, "session/load", &stored("a"));
    world.assert_nothing_left();
    world.exits(old, 0);
    let fresh = world.expect_spawn("/home");
    world.handshake(fresh);
    world.expect_request(fresh, "session/load", &stored("a"));
}

#[test]
fn fenced_by_a_close_that_is_to_be_asked_again() {
    let mut world = World::new();
    let (editor, channel) = world.start();
    world.open(editor, channel, "a");
    world.open(editor, channel, "b");
    let question = world.ask(channel, editor, "b", "50");
    world.close_too_late(editor, channel, "a");
    world.request(editor, 2, "session/load", &stored("a"));
    world.assert_nothing_left();
    world.answer(editor, question, ALLOWED);
    world.expect_answer(channel, "50", ALLOWED);
    let again = world.expect_request(channel, "session/close", &session("a"));
    world.assert_nothing_left();
    world.answer(channel, again, "{}");
    let load = world.expect_request(channel, "session/load", &stored("a"));
    world.answer(channel, load, "null");
    world.expect_answer(editor, 2, "null");
}

#[test]
fn a_deletion_waits_for_the_exit_of_the_process_that_holds_the_session() {
    let mut world = World::with(|config| config.agent.channel_idle_timeout = Limit::After(0));
    world.agent = WITHOUT_CLOSE;
    let (editor, old) = world.start();
    world.open(editor, old, "a");
    world.request(editor, 1, "session/close", &session("a"));
    world.expect_closed(editor, "a", "client_close");
    world.expect_answer(editor, 1, "{}");
    world.expect(old, Deed::CloseStdin);
    world.request(editor, 2, "session/delete", &session("a"));
    world.assert_nothing_left();
    world.exits(old, 0);
    let fresh = world.expect_spawn("/home");
    world.handshake(fresh);
    let delete = world.expect_request(fresh, "session/delete", &session("a"));
    world.answer(fresh, delete, "{}");
    world.expect_answer(editor, 2, "{}");
}

/// A load of `a` times out, and a new session gets the same id of the agent: clients know it
/// as `~1~a`. Returns the number of the load, which the agent may still answer.
fn new_session_behind_late_load(world: &mut World) -> (ClientId, ChannelId, u64) {
    let (editor, channel) = world.start();
    world.open(editor, channel, "z");
    world.request(editor, 1, "session/load", &stored("a"));
    let load = world.expect_request(channel, "session/load", &stored("a"));
    world.wait(60_000);
    world.request(editor, 2, "session/new", NEW);
    let new = world.expect_request(channel, "session/new", NEW);
    world.wait(60_000);
    world.expect_refusal(editor, 1, -32603, "open_timeout");
    world.expect_warning(|notice| matches!(notice, Notice::OpenUnanswered { .. }));
    world.expect_warning(|notice| matches!(notice, Notice::ChannelDraining { .. }));
    world.answer(channel, new, &session("a"));
    world.expect_answer(editor, 2, &session("~1~a"));
    (editor, channel, load)
}

#[test]
fn a_restore_refused_late_says_nothing_about_a_later_session_of_that_id() {
    let mut world = World::new();
    let (editor, channel, load) = new_session_behind_late_load(&mut world);
    world.request(editor, 3, "session/close", &session("~1~a"));
    world.expect_closed(editor, "~1~a", "client_close");
    world.expect_request(channel, "session/close", &session("a"));
    world.fail(channel, load, -9);
    world.request(editor, 4, "session/load", &stored("~1~a"));
    world.assert_nothing_left();
}

#[test]
fn a_restore_refused_late_says_nothing_about_a_husk_of_that_id() {
    let mut world = World::new();
    world.agent = WITHOUT_CLOSE;
    let (editor, channel, load) = new_session_behind_late_load(&mut world);
    world.request(editor, 3, "session/close", &session("~1~a"));
    world.expect_closed(editor, "~1~a", "client_close");
    world.expect_answer(editor, 3, "{}");
    world.fail(channel, load, -9);
    // It is reinstated where it lives.
    world.request(editor, 4, "session/load", &stored("~1~a"));
    world.expect_request(channel, "session/load", &stored("a"));
}

#[test]
fn a_restore_refused_in_time_says_nothing_about_a_close_without_an_answer() {
    let mut world = World::new();
    let (editor, channel) = world.start();
    world.open(editor, channel, "z");
    world.request(editor, 1, "session/load", &stored("a"));
    let load = world.expect_request(channel, "session/load", &stored("a"));
    world.request(editor, 2, "session/new", NEW);
    let new = world.expect_request(channel, "session/new", NEW);
    world.answer(channel, new, &session("a"));
    world.expect_answer(editor, 2, &session("~1~a"));
    world.request(editor, 3, "session/close", &session("~1~a"));
    world.expect_closed(editor, "~1~a", "client_close");
    world.expect_request(channel, "session/close", &session("a"));
    world.wait(10_000);
    world.expect_answer(editor, 3, "{}");
    world.expect_warning(|notice| matches!(notice, Notice::CloseUnanswered { .. }));
    world.expect_warning(|notice| matches!(notice, Notice::ChannelDraining { .. }));
    world.fail(channel, load, -9);
    world.expect_failure(editor, 1, -9);
    world.request(editor, 4, "session/load", &stored("~1~a"));
    world.expect_request(channel, "session/close", &session("a"));
    world.expect_refusal(editor, 4, -32603, "session_fenced");
}
