//! The two ways that `docs/architecture.md` follows through the files of the core: a
//! prompt with its answer, and a session that is reaped. Each is a function of its
//! own, so that a profiler can be told to look at nothing else:
//!
//! ```sh
//! valgrind --tool=callgrind --toggle-collect='*way_of_a_prompt*' target/debug/deps/bridge-… ways
//! ```

use drawbridge::bridge::config::{BackgroundWork, IdlePolicy};
use drawbridge::bridge::{ChannelId, ClientId, Limit};

use crate::harness::{END_TURN, World, session, update};

const MINUTE: u64 = 60_000;

#[inline(never)]
fn way_of_a_prompt(world: &mut World, editor: ClientId, channel: ChannelId) {
    let turn = world.prompt(editor, channel, "a", 1);
    world.notify(channel, "session/update", &update("a", "x"));
    world.expect_notification(editor, "session/update", &update("a", "x"));
    world.answer(channel, turn, END_TURN);
    world.expect_answer(editor, 1, END_TURN);
}

#[test]
fn a_prompt_goes_to_its_agent_and_its_updates_and_answer_come_back() {
    let mut world = World::new();
    let (editor, channel) = world.start();
    world.open(editor, channel, "a");
    way_of_a_prompt(&mut world, editor, channel);
}

#[inline(never)]
fn way_of_a_reaped_session(world: &mut World, editor: ClientId, channel: ChannelId) {
    world.wait(10 * MINUTE);
    world.expect_closed(editor, "a", "idle_timeout");
    let close = world.expect_request(channel, "session/close", &session("a"));
    world.answer(channel, close, "{}");
}

#[test]
fn a_session_that_was_idle_for_long_enough_is_closed_at_its_agent() {
    let mut world = World::with(|config| {
        config.agent.idle_policy = IdlePolicy::All;
        config.agent.background_work = BackgroundWork::Ignore;
        config.agent.attached_idle_timeout = Limit::After(10 * MINUTE);
        config.agent.channel_idle_timeout = Limit::Never;
    });
    let (editor, channel) = world.start();
    world.open(editor, channel, "a");
    way_of_a_reaped_session(&mut world, editor, channel);
}
