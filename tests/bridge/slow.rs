//! Slow clients among others: the others never wait for one that does not read.

use drawbridge::bridge::{Config, Event, Notice};

use crate::harness::{Deed, END_TURN, World, notification, prompt, session, stored, update};

fn many(config: &mut Config) {
    config.limits.replay_bytes = 1 << 20;
}

#[test]
fn a_client_that_does_not_read_stops_no_agent_that_others_wait_for() {
    let mut world = World::with(many);
    let (slow, channel) = world.start();
    let other = world.join();
    world.open(slow, channel, "a");
    world.open(other, channel, "b");
    world.event(Event::ClientMarkPassed { client: slow, over: true });
    world.notify(channel, "session/update", &update("b", "goes on"));
    world.expect_notification(other, "session/update", &update("b", "goes on"));
    world.wait(4_999);
    world.assert_nothing_left();
    world.request(slow, 1, "session/prompt", &prompt("a"));
    let turn = world.expect_request(channel, "session/prompt", &prompt("a"));
    world.wait(1);
    // What it waits for is answered, ahead of what it did not read.
    assert_eq!(world.dropped, [slow]);
    world.expect_warning(|notice| matches!(notice, Notice::ClientDropped { .. }));
    let notice = world.next_line(slow);
    assert!(notice.contains("_drawbridge/client_dropped"), "{notice}");
    world.expect_refusal(slow, 1, -32603, "client_too_slow");
    // Its turn goes on, and its session waits for it.
    world.notify(channel, "session/update", &update("a", "unseen"));
    world.answer(channel, turn, END_TURN);
    let again = world.join();
    world.request(again, 1, "session/load", &stored("a"));
    world.expect_notification(again, "session/update", &update("a", "unseen"));
    world.expect_answer(again, 1, "{}");
}

#[test]
fn one_that_reads_in_time_is_not_dropped() {
    let mut world = World::with(many);
    let (slow, channel) = world.start();
    let other = world.join();
    world.open(slow, channel, "a");
    world.open(other, channel, "b");
    for _ in 0..3 {
        world.event(Event::ClientMarkPassed { client: slow, over: true });
        world.wait(4_999);
        world.event(Event::ClientMarkPassed { client: slow, over: false });
    }
    world.wait(60_000);
    assert!(world.dropped.is_empty());
}

#[test]
fn one_whose_outbox_is_full_is_dropped_at_once_if_others_wait() {
    let mut world = World::with(many);
    let (slow, channel) = world.start();
    let other = world.join();
    world.open(slow, channel, "a");
    world.open(other, channel, "b");
    // One long message took it over both marks.
    world.event(Event::ClientFull { client: slow });
    assert_eq!(world.dropped, [slow]);
    world.expect_warning(|notice| matches!(notice, Notice::ClientDropped { .. }));
    world.next_line(slow);
}

#[test]
fn one_that_was_full_before_others_came_has_no_grace() {
    let mut world = World::with(|config| {
        many(config);
        config.limits.saturation_grace = drawbridge::bridge::Limit::Never;
    });
    let (slow, channel) = world.start();
    world.open(slow, channel, "a");
    world.event(Event::ClientFull { client: slow });
    world.expect(channel, Deed::Pause);
    world.wait(10_000);
    let other = world.join();
    world.request(other, 1, "session/load", &stored("a"));
    world.expect_answer(other, 1, "{}");
    world.expect(channel, Deed::Resume);
    world.wait(100);
    assert_eq!(world.dropped, [slow]);
    world.expect_warning(|notice| matches!(notice, Notice::ClientDropped { .. }));
    world.next_line(slow);
}

#[test]
fn one_that_nobody_waits_with_pauses_its_agent_and_stays() {
    let mut world = World::with(many);
    let (slow, channel) = world.start();
    world.open(slow, channel, "a");
    world.event(Event::ClientMarkPassed { client: slow, over: true });
    world.expect(channel, Deed::Pause);
    world.event(Event::ClientFull { client: slow });
    world.wait(60_000);
    assert!(world.dropped.is_empty());
    // A newcomer on the same agent must not wait for it: the agent is read on.
    let other = world.join();
    world.request(other, 1, "session/load", &stored("a"));
    world.expect_answer(other, 1, "{}");
    world.expect(channel, Deed::Resume);
    world.wait(5_000);
    assert_eq!(world.dropped, [slow]);
    world.expect_warning(|notice| matches!(notice, Notice::ClientDropped { .. }));
    world.next_line(slow);
}

#[test]
fn slow_clients_of_different_agents_do_not_concern_each_other() {
    let mut world = World::with(many);
    let (slow, channel) = world.start();
    world.open(slow, channel, "a");
    let params = crate::harness::INITIALIZE.replace("\"terminal\":true", "\"terminal\":false");
    let (other, its) = world.start_with(&params);
    world.open(other, its, "b");
    world.event(Event::ClientMarkPassed { client: slow, over: true });
    world.expect(channel, Deed::Pause);
    world.wait(60_000);
    world.says(its, notification("session/update", &update("b", "x")));
    world.expect_notification(other, "session/update", &update("b", "x"));
    assert!(world.dropped.is_empty());
    world.event(Event::ClientMarkPassed { client: slow, over: false });
    world.expect(channel, Deed::Resume);
    world.request(slow, 3, "_drawbridge/detach", &session("a"));
    world.expect_answer(slow, 3, "{}");
    world.expect_request(channel, "session/close", &session("a"));
}
