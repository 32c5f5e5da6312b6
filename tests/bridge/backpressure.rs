//! Backpressure: agents that do not read, and agents that wait for slow clients.

use drawbridge::bridge::{Event, Notice};

use crate::harness::{Deed, END_TURN, INITIALIZE, NEW, World, prompt, session, stored};

#[test]
fn an_agent_that_does_not_read_is_sent_no_more_requests() {
    let mut world = World::new();
    let (editor, channel) = world.start();
    world.open(editor, channel, "a");
    let turn = world.prompt(editor, channel, "a", 1);
    let question = world.ask(channel, editor, "a", "50");
    world.event(Event::ChannelMarkPassed { channel, over: true });
    world.expect_warning(|notice| matches!(notice, Notice::AgentNotReading { .. }));
    world.request(editor, 2, "session/prompt", &prompt("a"));
    let data = world.expect_refusal(editor, 2, -32603, "agent_not_reading");
    assert_eq!(data["retryAfterMs"], 1_000);
    world.request(editor, 3, "session/new", NEW);
    world.expect_refusal(editor, 3, -32603, "agent_not_reading");
    // Answers and cancels still enter, and closes.
    world.answer(editor, question, "{}");
    world.expect_answer(channel, 50, "{}");
    world.notify(editor, "session/cancel", &session("a"));
    world.expect_notification(channel, "session/cancel", &session("a"));
    world.answer(channel, turn, END_TURN);
    world.expect_answer(editor, 1, END_TURN);
    world.close(editor, channel, "a");
    world.event(Event::ChannelMarkPassed { channel, over: false });
    world.open(editor, channel, "b");
}

#[test]
fn an_agent_that_does_not_read_is_notified_of_no_more_than_a_bound() {
    let mut world = World::new();
    let (editor, channel) = world.start();
    world.open(editor, channel, "a");
    world.event(Event::ChannelMarkPassed { channel, over: true });
    world.expect_warning(|notice| matches!(notice, Notice::AgentNotReading { .. }));
    let long = format!(r#"{{"sessionId":"a","text":"{}"}}"#, "x".repeat(300_000));
    for count in 1..=5 {
        world.notify(editor, "_x/said", &long);
        if count <= 3 {
            world.expect_notification(channel, "_x/said", &long);
        }
    }
    assert_eq!(world.bridge.counters().unrouted, 2);
    let line = "cl-1: _x/said in session a is dropped, because the agent does not read its stdin";
    assert_eq!(world.notices.iter().filter(|notice| notice.to_string() == line).count(), 2);
    // There is still room for what matters.
    world.notify(editor, "session/cancel", &session("a"));
    world.expect_notification(channel, "session/cancel", &session("a"));
    world.event(Event::ChannelMarkPassed { channel, over: false });
    world.notify(editor, "_x/said", &long);
    world.expect_notification(channel, "_x/said", &long);
    world.assert_nothing_left();
}

#[test]
fn a_request_for_all_is_refused_if_one_agent_does_not_read() {
    let mut world = World::with(|config| config.agent.sessions_per_channel = 1);
    let (editor, first) = world.start();
    world.open(editor, first, "a");
    world.request(editor, 1, "session/new", NEW);
    let second = world.expect_spawn("/home");
    world.handshake(second);
    world.opened(editor, second, "b", "1");
    world.event(Event::ChannelMarkPassed { channel: second, over: true });
    world.expect_warning(|notice| matches!(notice, Notice::AgentNotReading { .. }));
    for (id, method) in [(2, "providers/set"), (3, "logout")] {
        world.request(editor, id, method, "{}");
        world.expect_refusal(editor, id, -32603, "agent_not_reading");
    }
}

#[test]
fn a_load_of_a_live_session_is_refused_if_its_agent_does_not_read() {
    let mut world = World::new();
    let (editor, channel) = world.start();
    world.open(editor, channel, "a");
    world.event(Event::ChannelMarkPassed { channel, over: true });
    world.expect_warning(|notice| matches!(notice, Notice::AgentNotReading { .. }));
    for (id, method) in ["session/load", "session/resume"].iter().enumerate() {
        world.request(editor, id, method, &stored("a"));
        world.expect_refusal(editor, id, -32603, "agent_not_reading");
    }
}

#[test]
fn requests_about_a_live_session_are_refused_if_its_agent_does_not_read() {
    let mut world = World::new();
    let (editor, channel) = world.start();
    world.open(editor, channel, "a");
    world.event(Event::ChannelMarkPassed { channel, over: true });
    world.expect_warning(|notice| matches!(notice, Notice::AgentNotReading { .. }));
    // Also a deletion, which does not close it then.
    for (id, method) in ["session/set_title", "session/status", "session/delete"].iter().enumerate()
    {
        world.request(editor, id, method, &session("a"));
        world.expect_refusal(editor, id, -32603, "agent_not_reading");
    }
}

#[test]
fn a_slow_client_pauses_the_channels_that_feed_it_and_no_others() {
    let mut world = World::with(|config| config.agent.sessions_per_channel = 1);
    let (slow, first) = world.start();
    let fast = world.join();
    world.open(slow, first, "a");
    world.request(fast, 1, "session/new", NEW);
    let second = world.expect_spawn("/home");
    world.handshake(second);
    world.opened(fast, second, "b", "1");
    world.event(Event::ClientMarkPassed { client: slow, over: true });
    world.expect(first, Deed::Pause);
    world.prompt(fast, second, "b", 2);
    world.assert_nothing_left();
    world.event(Event::ClientMarkPassed { client: slow, over: false });
    world.expect(first, Deed::Resume);
    // Also when it is gone, or when the channel is to leave.
    world.event(Event::ClientMarkPassed { client: slow, over: true });
    world.expect(first, Deed::Pause);
    world.gone(slow);
    world.expect(first, Deed::Resume);
}

#[test]
fn an_agent_without_sessions_is_paused_for_a_slow_client_of_its_own_pool() {
    let mut world = World::new();
    let (slow, channel) = world.start();
    let others = INITIALIZE.replace("\"terminal\":true", "\"terminal\":false");
    world.start_with(&others);
    for _ in 0..2 {
        world.event(Event::ClientMarkPassed { client: slow, over: true });
        world.expect(channel, Deed::Pause);
        world.assert_nothing_left();
        world.event(Event::ClientMarkPassed { client: slow, over: false });
        world.expect(channel, Deed::Resume);
    }
}

#[test]
fn an_agent_is_paused_for_a_slow_client_that_waits_for_its_answer() {
    let mut world = World::new();
    let (first, channel) = world.start();
    let second = world.join();
    world.open(first, channel, "a");
    world.request(second, 1, "session/list", "{}");
    world.expect_request(channel, "session/list", "{}");
    world.event(Event::ClientMarkPassed { client: first, over: true });
    world.assert_nothing_left();
    world.event(Event::ClientMarkPassed { client: second, over: true });
    world.expect(channel, Deed::Pause);
}

#[test]
fn an_agent_without_sessions_goes_on_when_its_slow_client_is_gone() {
    let mut world = World::new();
    let (slow, channel) = world.start();
    world.event(Event::ClientMarkPassed { client: slow, over: true });
    world.expect(channel, Deed::Pause);
    world.gone(slow);
    world.expect(channel, Deed::Resume);
}

#[test]
fn an_agent_goes_on_when_its_slow_client_leaves_the_session() {
    let mut world = World::new();
    let (first, channel) = world.start();
    let slow = world.join();
    world.open(first, channel, "a");
    world.load(slow, channel, "a");
    for client in [first, slow] {
        world.assert_nothing_left();
        world.event(Event::ClientMarkPassed { client, over: true });
    }
    world.expect(channel, Deed::Pause);
    world.event(Event::ClientMarkPassed { client: first, over: false });
    world.expect(channel, Deed::Resume);
    // The one that is still slow is alone in the session when the other one leaves it.
    world.request(first, 1, "_drawbridge/detach", &session("a"));
    world.expect_answer(first, 1, "{}");
    world.expect(channel, Deed::Pause);
    world.request(slow, 2, "_drawbridge/detach", &session("a"));
    world.expect_answer(slow, 2, "{}");
    world.expect_request(channel, "session/close", &session("a"));
    world.expect(channel, Deed::Resume);
}

#[test]
fn an_agent_that_is_to_end_is_read_on() {
    let mut world = World::new();
    let (editor, channel) = world.start();
    world.open(editor, channel, "a");
    world.event(Event::ClientMarkPassed { client: editor, over: true });
    world.expect(channel, Deed::Pause);
    world.event(Event::ChannelLost { channel });
    world.expect(channel, Deed::CloseStdin);
    world.expect(channel, Deed::Resume);
    world.expect_died(editor, "a", "killed", "");
    world.expect_warning(|notice| matches!(notice, Notice::ChannelStopping { .. }));
}
