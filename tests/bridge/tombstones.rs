//! Tombstones: which of the closed sessions a channel remembers at its cap.
//!
//! What is remembered shows in how a late frame is treated: one of a session that was closed
//! is dropped and counted, one of a session that nobody knows passes.

use drawbridge::bridge::{ChannelId, ClientId, Limit};

use crate::harness::{CANCELLED, Deed, WITHOUT_CLOSE, World, session, stored, update};

/// Tombstones that a channel keeps.
const CAP: usize = 1_024;

/// A world in which nothing but the limit makes a tombstone give way.
fn world() -> World {
    World::with(|config| {
        config.agent.channel_idle_timeout = Limit::Never;
        config.agent.session_close_timeout = Limit::Never;
        config.agent.max_husks = 0;
    })
}

/// The names of sessions, the first one last in the alphabet.
fn name(number: usize) -> String {
    format!("s{}", 9_000 - number)
}

impl World {
    /// Whether a channel still knows a session that was closed there.
    #[track_caller]
    fn remembers(&mut self, client: ClientId, channel: ChannelId, id: &str) -> bool {
        let before = self.bridge.counters();
        self.notify(channel, "session/update", &update(id, "late"));
        let after = self.bridge.counters();
        let late = after.late_frames - before.late_frames;
        if late == 0 {
            self.expect_notification(client, "session/update", &update(id, "late"));
        }
        late == 1
    }

    /// Sessions are opened and closed one after the other, a moment apart.
    #[track_caller]
    fn open_and_close(
        &mut self,
        client: ClientId,
        channel: ChannelId,
        numbers: std::ops::Range<usize>,
    ) {
        for number in numbers {
            self.open(client, channel, &name(number));
            self.wait(1);
            self.close(client, channel, &name(number));
        }
    }

    /// The same, of an agent that cannot close sessions.
    #[track_caller]
    fn open_and_leave_husks(
        &mut self,
        client: ClientId,
        channel: ChannelId,
        numbers: std::ops::Range<usize>,
    ) {
        for number in numbers {
            let id = name(number);
            self.open(client, channel, &id);
            self.wait(1);
            self.request(client, number, "session/close", &session(&id));
            self.expect_closed(client, &id, "client_close");
            self.expect_answer(client, number, "{}");
        }
    }
}

#[test]
fn at_the_cap_the_oldest_that_fences_nothing_goes_and_what_fences_stays() {
    let mut world = world();
    let (editor, channel) = world.start();
    // The oldest of all is one whose close is not answered.
    world.open(editor, channel, "fenced");
    world.request(editor, 1, "session/close", &session("fenced"));
    world.expect_closed(editor, "fenced", "client_close");
    let close = world.expect_request(channel, "session/close", &session("fenced"));
    world.open_and_close(editor, channel, 0..CAP - 1);
    assert!(world.remembers(editor, channel, &name(0)));
    assert_eq!(world.bridge.counters().tombstones, 0);

    world.open_and_close(editor, channel, CAP - 1..CAP + 1);
    assert_eq!(world.bridge.counters().tombstones, 2);
    for gone in 0..2 {
        assert!(!world.remembers(editor, channel, &name(gone)), "{gone}");
    }
    for kept in 2..CAP + 1 {
        assert!(world.remembers(editor, channel, &name(kept)), "{kept}");
    }
    // And it still fences: whoever wants it waits until the agent has let go.
    world.request(editor, 2, "session/load", &stored("fenced"));
    world.assert_nothing_left();
    world.answer(channel, close, "{}");
    world.expect_answer(editor, 1, "{}");
    world.expect_request(channel, "session/load", &stored("fenced"));
}

#[test]
fn at_the_cap_the_oldest_goes_if_all_fence() {
    let mut world = world();
    world.agent = WITHOUT_CLOSE;
    let (editor, channel) = world.start();
    world.open_and_leave_husks(editor, channel, 0..CAP + 2);
    assert_eq!(world.bridge.counters().tombstones, 2);
    for number in 0..CAP + 2 {
        assert_eq!(world.remembers(editor, channel, &name(number)), number >= 2, "{number}");
    }
}

#[test]
fn at_the_cap_one_that_somebody_waits_for_stays_even_if_all_fence() {
    let mut world = world();
    world.agent = WITHOUT_CLOSE;
    let (editor, channel) = world.start();
    world.open(editor, channel, "awaited");
    let turn = world.prompt(editor, channel, "awaited", 5_001);
    world.request(editor, 5_002, "session/close", &session("awaited"));
    world.expect_closed(editor, "awaited", "client_close");
    world.expect_notification(channel, "session/cancel", &session("awaited"));
    world.open_and_leave_husks(editor, channel, 0..CAP);
    assert_eq!(world.bridge.counters().tombstones, 1);
    assert!(!world.remembers(editor, channel, &name(0)));
    assert!(world.remembers(editor, channel, "awaited"));
    world.answer(channel, turn, CANCELLED);
    world.expect_answer(editor, 5_001, CANCELLED);
    world.expect_answer(editor, 5_002, "{}");
    world.expect(channel, Deed::Survey);
}

#[test]
fn a_closed_session_is_remembered_whatever_its_age() {
    let mut world = world();
    let (editor, channel) = world.start();
    world.open_and_close(editor, channel, 0..3);
    world.wait(30 * 86_400_000);
    world.open_and_close(editor, channel, 3..5);
    for number in 0..5 {
        assert!(world.remembers(editor, channel, &name(number)), "{number}");
    }
}
